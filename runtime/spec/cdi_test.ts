import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { checkCdiDocument, joinEdits } from "./cdi.ts";
import { gpuDevices, splitQualifiedName } from "./cdi_name.ts";

const DEVICE = { name: "0", containerEdits: { env: ["A=1"] } };
const document = (changes: Record<string, unknown>) => ({
  cdiVersion: "0.6.0",
  kind: "vendor.com/class",
  devices: [DEVICE],
  ...changes,
});
const withEdits = (edits: Record<string, unknown>) =>
  document({ devices: [{ name: "0", containerEdits: edits }] });

Deno.test("a name is VENDOR/CLASS=NAME, and a path is none", () => {
  assertEquals(splitQualifiedName("vendor.com/gpu=GPU-1:2"), {
    vendor: "vendor.com",
    class: "gpu",
    name: "GPU-1:2",
  });
  for (
    const text of [
      "/dev/a=b",
      "vendor.com/gpu",
      "vendor.com/=a",
      "gpu=a",
      "v/c=",
      "1v/c=a",
      "v/c/d=a",
      "v/c=-a",
    ]
  ) {
    assertEquals(splitQualifiedName(text), undefined, text);
  }
});

Deno.test("--gpus names devices of NVIDIA's, as podman and as docker write it", () => {
  const named = (...names: string[]) => names.map((name) => `nvidia.com/gpu=${name}`);
  assertEquals(gpuDevices(["all"]), named("all"));
  assertEquals(gpuDevices(["0", "GPU-x"]), named("0", "GPU-x"));
  assertEquals(gpuDevices(["device=0,1"]), named("0", "1"));
  assertEquals(gpuDevices(["count=all"]), named("all"));
});

Deno.test("a specification is taken, or refused with the place of what is wrong", () => {
  checkCdiDocument(document({ annotations: { a: "b" }, containerEdits: { additionalGids: [5] } }));
  const wrong: [unknown, string][] = [
    [document({ cdiVersion: "9.0.0" }), 'invalid CDI Spec: cdiVersion: invalid version "9.0.0"'],
    [document({ kind: "vendor" }), "invalid CDI Spec: kind: invalid kind"],
    [document({ devices: [] }), "invalid CDI Spec: devices: invalid spec, no devices"],
    [document({ devices: [DEVICE, DEVICE] }), 'invalid CDI Spec: invalid spec, multiple device "0"'],
    [document({ other: 1 }), "invalid CDI Spec: other: unknown field"],
    [
      withEdits({ env: ["=x"] }),
      'invalid CDI Spec: devices.0.containerEdits.env.0: invalid environment variable "=x"',
    ],
    [
      withEdits({ hooks: [{ hookName: "never", path: "/x" }] }),
      'invalid CDI Spec: devices.0.containerEdits.hooks.0.hookName: invalid hook name "never"',
    ],
    [
      withEdits({ deviceNodes: [{ path: "/dev/x", permissions: "x" }] }),
      "invalid CDI Spec: devices.0.containerEdits.deviceNodes.0.permissions: invalid permissions",
    ],
    [
      withEdits({ mounts: [{ hostPath: "", containerPath: "/x" }] }),
      "invalid CDI Spec: devices.0.containerEdits.mounts.0.hostPath: it is empty",
    ],
  ];
  for (const [value, message] of wrong) throws(() => checkCdiDocument(value), { message });
});

Deno.test("edits are joined list by list, in their order", () => {
  const joined = joinEdits([{ env: ["A=1"] }, { env: ["B=2"], additionalGids: [5] }]);
  assertEquals(joined, { env: ["A=1", "B=2"], additionalGids: [5] });
});

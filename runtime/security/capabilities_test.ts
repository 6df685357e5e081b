import { deepStrictEqual as equal, throws } from "node:assert/strict";
import {
  ALL_CAPABILITIES,
  capabilitiesOfMask,
  capabilityMask,
  DEFAULT_CAPABILITIES,
  resolveCapabilities,
} from "./capabilities.ts";

Deno.test("the default set is Docker's, bit by bit", () => {
  equal(resolveCapabilities({}), DEFAULT_CAPABILITIES);
  // CapEff of a process in a docker container
  equal(capabilityMask(DEFAULT_CAPABILITIES), 0xa80425fbn);
});

Deno.test("a privileged container has every capability, up to what the kernel knows", () => {
  equal(capabilityMask(resolveCapabilities({ privileged: true })), 0x1ffffffffffn);
  equal(resolveCapabilities({ privileged: true, lastCapability: 37 }).at(-1), "CAP_AUDIT_READ");
});

Deno.test("names are taken in any case, with and without CAP_, and separated by commas", () => {
  for (const add of [["sys_admin"], ["CAP_SYS_ADMIN"], ["Cap_Sys_Admin"], ["SYS_ADMIN,chown"]]) {
    equal(resolveCapabilities({ add }), [
      ...ALL_CAPABILITIES.filter((name) => DEFAULT_CAPABILITIES.includes(name) || name === "CAP_SYS_ADMIN"),
    ]);
  }
});

Deno.test("dropping ALL leaves what is added", () => {
  equal(resolveCapabilities({ drop: ["all"] }), []);
  equal(resolveCapabilities({ drop: ["ALL"], add: ["net_raw", "chown"] }), ["CAP_CHOWN", "CAP_NET_RAW"]);
});

Deno.test("adding ALL leaves what is not dropped", () => {
  const names = resolveCapabilities({ add: ["ALL"], drop: ["sys_admin"] });
  equal(names, ALL_CAPABILITIES.filter((name) => name !== "CAP_SYS_ADMIN"));
});

Deno.test("a capability of a privileged container can be dropped", () => {
  equal(resolveCapabilities({ privileged: true, drop: ["sys_module"] }).includes("CAP_SYS_MODULE"), false);
});

Deno.test("the same capability added and dropped is refused", () => {
  throws(() => resolveCapabilities({ add: ["chown"], drop: ["CAP_CHOWN"] }), {
    name: "InvalidArgumentError",
    message: 'capability "CAP_CHOWN" cannot be dropped and added',
  });
  throws(() => resolveCapabilities({ add: ["all"], drop: ["all"] }), {
    message: "adding and removing all capabilities not allowed",
  });
});

Deno.test("an unknown capability is refused by its full name", () => {
  throws(() => resolveCapabilities({ add: ["fly"] }), { message: '"CAP_FLY": unknown capability' });
  throws(() => resolveCapabilities({ drop: [""] }), { message: '"CAP_": unknown capability' });
});

Deno.test("masks turn into names and back", () => {
  equal(capabilitiesOfMask(0xa80425fbn), DEFAULT_CAPABILITIES);
  equal(capabilitiesOfMask(1n << 63n), []);
});

import { deepStrictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { compileSeccomp } from "./seccomp_compile.ts";
import { parseDockerSeccomp } from "./seccomp_docker.ts";
import { resolveProfile } from "./seccomp_profile.ts";

const PODMANS_PROFILE = "/usr/share/containers/seccomp.json";
const hasProfile = await Deno.stat(PODMANS_PROFILE).then(() => true, () => false);

Deno.test("a profile in Docker's format is read with its conditions", () => {
  const text = `{
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "x", "includes": {}, "excludes": {}},
      {"name": "personality", "action": "SCMP_ACT_ALLOW",
       "args": [{"index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_EQ"}],
       "includes": {"caps": ["CAP_SYS_ADMIN"], "minKernel": "4.8"}, "excludes": {"arches": ["s390x"]}},
      {"names": ["kcmp"], "action": "SCMP_ACT_ERRNO", "errno": "EACCES"}
    ]
  }`;
  equal(parseDockerSeccomp(text), {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    architectures: undefined,
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
    flags: undefined,
    syscalls: [
      {
        names: ["read", "write"],
        action: "SCMP_ACT_ALLOW",
        errnoRet: undefined,
        args: undefined,
        includes: { caps: [], arches: [], minKernel: undefined },
        excludes: { caps: [], arches: [], minKernel: undefined },
      },
      {
        names: ["personality"],
        action: "SCMP_ACT_ALLOW",
        errnoRet: undefined,
        args: [{ index: 0, value: 18446744073709551615n, valueTwo: 0, op: "SCMP_CMP_EQ" }],
        includes: { caps: ["CAP_SYS_ADMIN"], arches: [], minKernel: "4.8" },
        excludes: { caps: [], arches: ["s390x"], minKernel: undefined },
      },
      {
        names: ["kcmp"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 13,
        args: undefined,
        includes: undefined,
        excludes: undefined,
      },
    ],
  });
});

Deno.test("what is no profile is refused with its reason", () => {
  const refused: [string, string | RegExp][] = [
    ["5", "read seccomp profile: document: Invalid type: Expected Object but received 5"],
    [
      "{}",
      'read seccomp profile: defaultAction: Invalid key: Expected "defaultAction" but received undefined',
    ],
    [
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[5],"action":"x"}]}',
      "read seccomp profile: syscalls.0.names.0: Invalid type: Expected string but received 5",
    ],
    [
      '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"x"}]}',
      "read seccomp profile: both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    ],
    [
      '{"defaultAction":"x","architectures":["a"],"archMap":[{"architecture":"b"}]}',
      "read seccomp profile: both 'architectures' and 'archMap' are specified in the seccomp profile, " +
      "use either 'architectures' or 'archMap'",
    ],
    [
      '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"EMADEUP"}',
      'read seccomp profile: unknown errno "EMADEUP"',
    ],
    ['{"defaultAction":"x","listenerPath":"/s"}', "read seccomp profile: listenerPath is not supported"],
    [" ".repeat(1024 * 1024 + 1), "read seccomp profile: larger than 1048576 bytes"],
    ["{", /^read seccomp profile: /],
  ];
  for (const [text, message] of refused) throws(() => parseDockerSeccomp(text), { message });
});

Deno.test({
  name: `podman's own profile is read and compiled${hasProfile ? "" : " [needs podman's profile]"}`,
  ignore: !hasProfile,
  fn: async () => {
    const profile = parseDockerSeccomp(await Deno.readTextFile(PODMANS_PROFILE));
    for (const machine of ["x86_64", "aarch64"] as const) {
      const spec = resolveProfile(profile, { capabilities: ["CAP_SYS_CHROOT"], machine });
      equal(compileSeccomp(spec, machine).length > 1000, true);
    }
  },
});

Deno.test("any JSON is read or refused, never anything else", () => {
  const strange = fc.letrec((tie) => ({
    value: fc.oneof(fc.jsonValue(), tie("profile")),
    profile: fc.record({
      defaultAction: fc.constantFrom("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", 5, null),
      architectures: fc.option(fc.array(fc.string())),
      syscalls: fc.option(
        fc.array(fc.record({ names: fc.jsonValue(), action: fc.string(), args: fc.jsonValue() })),
      ),
      flags: fc.jsonValue(),
    }, { requiredKeys: [] }),
  })).value;
  fc.assert(fc.property(strange, (value) => {
    try {
      const profile = parseDockerSeccomp(JSON.stringify(value));
      compileSeccomp(resolveProfile(profile, { capabilities: [], machine: "x86_64" }), "x86_64");
    } catch (error) {
      if ((error as Error).name !== "InvalidArgumentError") throw error;
    }
  }));
});

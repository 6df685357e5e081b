import { deepStrictEqual as equal, rejects } from "node:assert/strict";
import { renderPrecompiled } from "../../scripts/generate_seccomp_programs.ts";
import { ALL_CAPABILITIES, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { precompiledVariant, SECCOMP_CAPABILITIES, seccompFilter, type SeccompRequest } from "./seccomp.ts";
import { DEFAULT_PROFILE } from "./seccomp_rules.ts";

const request = (rest: Partial<SeccompRequest> = {}): SeccompRequest => ({
  profile: { kind: "default" },
  capabilities: DEFAULT_CAPABILITIES,
  fakeOwnership: false,
  machine: "x86_64",
  kernelRelease: "6.1.0",
  ...rest,
});

Deno.test("the precompiled programs are those of the rules and the compiler as they are", async () => {
  const folder = new URL("./precompiled/", import.meta.url);
  const rendered = await renderPrecompiled();
  equal([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [...rendered.keys()].sort());
  for (const [name, text] of rendered) {
    equal(
      await Deno.readTextFile(new URL(name, folder)) === text,
      true,
      `run scripts/generate_seccomp_programs.ts: ${name} is out of date`,
    );
  }
});

Deno.test("the capabilities that matter to seccomp are those that the rules ask for", () => {
  const asked = DEFAULT_PROFILE.syscalls.flatMap((rule) => [
    ...rule.includes?.caps ?? [],
    ...rule.excludes?.caps ?? [],
  ]);
  equal([...new Set(asked)].sort(), [...SECCOMP_CAPABILITIES].sort());
  equal(SECCOMP_CAPABILITIES.filter((name) => !ALL_CAPABILITIES.includes(name)), []);
});

Deno.test("the usual containers get a program that is there already", () => {
  equal(precompiledVariant(request()), "default");
  equal(precompiledVariant(request({ capabilities: ["CAP_CHOWN"] })), "no_chroot");
  equal(precompiledVariant(request({ fakeOwnership: true })), "default_fake");
  equal(
    precompiledVariant(request({ profile: { kind: "unconfined" }, fakeOwnership: true })),
    "unconfined_fake",
  );
  equal(precompiledVariant(request({ capabilities: ALL_CAPABILITIES })), undefined);
  equal(precompiledVariant(request({ capabilities: [], fakeOwnership: true })), undefined);
});

Deno.test("unconfined has no filter", async () => {
  equal(await seccompFilter(request({ profile: { kind: "unconfined" } })), undefined);
});

Deno.test("another set of capabilities gets a program of its own", async () => {
  const usual = await seccompFilter(request());
  const admin = await seccompFilter(request({ capabilities: [...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"] }));
  equal([usual?.flags, admin?.flags, usual?.program === admin?.program], [4, 4, false]);
});

Deno.test("a profile of the user's is compiled with its own flags", async () => {
  const json = JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG"] });
  const filter = await seccompFilter(request({ profile: { kind: "profile", json } }));
  equal(filter?.flags, 2);
  await rejects(seccompFilter(request({ profile: { kind: "profile", json: "{" } })), {
    name: "InvalidArgumentError",
  });
});

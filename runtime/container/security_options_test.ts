import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { InvalidArgumentError, UnsupportedError } from "../errors.ts";
import { apparmorOf, parseSecurityOptions } from "./security_options.ts";

const ENABLED = "/sys/module/apparmor/parameters/enabled";

function machine(files: Record<string, string>) {
  return (path: string) => {
    if (files[path] === undefined) throw new Deno.errors.NotFound(path);
    return files[path];
  };
}

Deno.test("an AppArmor profile is taken where the kernel has it", () => {
  const withIt = machine({ [ENABLED]: "Y\n" });
  const options = parseSecurityOptions(["apparmor=web-server", "no-new-privileges"], withIt);
  assertEquals(options.apparmor, "web-server");
  assertEquals(apparmorOf(options), { apparmorProfile: "web-server" });
  for (const files of [{} as Record<string, string>, { [ENABLED]: "N\n" }]) {
    throws(
      () => parseSecurityOptions(["apparmor=web-server"], machine(files)),
      new UnsupportedError(
        'apparmor profile "web-server" specified, but Apparmor is not enabled on this system',
      ),
    );
  }
});

Deno.test("an AppArmor profile of none needs nothing, and no name says more than one word to the kernel", () => {
  const options = parseSecurityOptions(["apparmor:unconfined"], machine({}));
  assertEquals([options.apparmor, apparmorOf(options)], ["unconfined", {}]);
  for (const word of ["apparmor", "apparmor=", "apparmor=a b", "apparmor=a\nexec b", "apparmor=a\0"]) {
    throws(() => parseSecurityOptions([word], machine({ [ENABLED]: "Y" })), InvalidArgumentError);
  }
});

import { equal } from "node:assert/strict";

/** Runs takeLaunch() in a Deno of its own with the given variables; gives the launch and what is left of them. */
function launchWith(
  env: Record<string, string>,
): { launch: Record<string, unknown>; left: Record<string, string> } {
  const module = new URL("launch.ts", import.meta.url).href;
  const script = `import { takeLaunch } from ${JSON.stringify(module)};
    const { form, command, nofileSoft } = takeLaunch();
    console.log(JSON.stringify({ launch: { form, command, nofileSoft: String(nofileSoft) }, left: Deno.env.toObject() }));`;
  const { stdout } = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", script],
    clearEnv: true,
    env: { HOME: Deno.env.get("HOME") ?? "/", ...env },
  }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("the packed form is told by its header, and its variables are gone afterwards", () => {
  const { launch, left } = launchWith({
    SKIFF_FORM: "packed",
    SKIFF_FILE: "/opt/skiff",
    SKIFF_NOFILE: "1024",
    DENO_NO_PROMPT: "1",
    DENO_NO_UPDATE_CHECK: "1",
  });
  equal(launch.form, "packed");
  equal(String(launch.command), "/opt/skiff");
  equal(launch.nofileSoft, "1024");
  equal(
    Object.keys(left).filter((name) => /SKIFF|DENO_NO_/.test(name)).join(),
    "",
  );
});

Deno.test("variables that the header put aside come back under their names", () => {
  const { left } = launchWith({ SKIFF_FORM: "packed", SKIFF_FILE: "/s", SKIFF_CALLER_NODE_OPTIONS: "--x" });
  equal(left.NODE_OPTIONS, "--x");
  equal(left.SKIFF_CALLER_NODE_OPTIONS, undefined);
});

Deno.test("an unlimited number of descriptors is RLIM_INFINITY", () => {
  const { launch } = launchWith({ SKIFF_FORM: "packed", SKIFF_FILE: "/s", SKIFF_NOFILE: "unlimited" });
  equal(launch.nofileSoft, "18446744073709551615");
});

Deno.test("without a header the program runs from source and names Deno with our V8 flag", () => {
  const { launch } = launchWith({});
  equal(launch.form, "source");
  equal((launch.command as string[]).includes("--v8-flags=--single-threaded,--expose-gc"), true);
});

import type { Machine } from "./arch.ts";
import { emitExecStub } from "./exec_stub.ts";

/**
 * Runs the stub with descriptor 3 as a file; a shell opens it, so nothing but the stub is under test. A
 * foreign machine's program runs in qemu-user.
 */
async function runStub(machine: Machine, args: string[], env: Record<string, string> = {}) {
  const folder = await Deno.makeTempDir({ prefix: "skiff-stub-" });
  try {
    await Deno.writeFile(`${folder}/stub`, emitExecStub(machine), { mode: 0o755 });
    const [path, ...argv] = args;
    // bash's exec -a gives argv[0]; qemu-user's -0 does the same
    const script = machine === Deno.build.arch
      ? `exec 3>status; exec -a "$0" ./stub "$@"`
      : `exec 3>status; exec qemu-aarch64 -0 "$0" ./stub "$@"`;
    const output = await new Deno.Command("bash", {
      args: ["-c", script, path!, ...argv],
      cwd: folder,
      env: { PATH: Deno.env.get("PATH") ?? "", ...env },
      clearEnv: true,
    }).output();
    return {
      code: output.code,
      stdout: new TextDecoder().decode(output.stdout),
      stderr: new TextDecoder().decode(output.stderr),
      status: await Deno.readFile(`${folder}/status`),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function hasProgram(name: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${name}`], stdout: "null" }).output())
    .success;
}

function equal(actual: unknown, expected: unknown) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`expected ${b}, got ${a}`);
}

for (const machine of ["x86_64", "aarch64"] as const) {
  const native = machine === Deno.build.arch;
  const ignore = !native && !(machine === "aarch64" && await hasProgram("qemu-aarch64"));
  const name = `exec stub for ${machine}${ignore && machine === "aarch64" ? " [needs qemu-user]" : ""}`;

  Deno.test({
    name: `${name} hands over argv, environment and exit status`,
    ignore,
    fn: async () => {
      const run = await runStub(
        machine,
        ["/bin/sh", "other-name", "-c", 'echo "$0|$1|$2|$STUB_TEST"; exit 42', "zero", "one", "two words"],
        { STUB_TEST: "passed on" },
      );
      equal([run.code, run.stdout, run.stderr], [42, "zero|one|two words|passed on\n", ""]);
      equal([...run.status], []);
    },
  });

  Deno.test({
    name: `${name} closes the status pipe in the program`,
    ignore,
    fn: async () => {
      const run = await runStub(machine, ["/bin/sh", "sh", "-c", "echo leaked >&3"]);
      equal([run.code !== 0, [...run.status]], [true, []]);
    },
  });

  Deno.test({
    name: `${name} reports ENOENT and EACCES on the status pipe and exits with 127`,
    ignore,
    fn: async () => {
      const missing = await runStub(machine, ["/nonexistent/program", "x"]);
      equal([missing.code, [...missing.status]], [127, [2, 0, 0, 0]]);
      const folder = await runStub(machine, ["/etc", "x"]);
      equal([folder.code, [...folder.status]], [127, [13, 0, 0, 0]]);
    },
  });
}

Deno.test("exec stub is one read-only segment without an executable stack", () => {
  for (const machine of ["x86_64", "aarch64"] as const) {
    const view = new DataView(emitExecStub(machine).buffer);
    equal(view.getUint32(64 + 4, true), 5);
    equal(view.getUint32(64 + 56 + 4, true), 6);
    equal(view.byteLength < 400, true);
  }
});

import { assert, assertEquals } from "../tests/assertions.ts";
import { emitPidOneStub } from "./pid_one_stub.ts";

/** Runs the stub in a pid namespace of its own, with every signal blocked, as init does. */
const START = `
import os, signal, sys
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
status = os.open("status", os.O_WRONLY | os.O_CREAT)
os.dup2(status, 3)
os.set_inheritable(3, True)
if sys.argv[1] == "native": os.execv("./stub", sys.argv[2:])
os.execvp("qemu-aarch64", ["qemu-aarch64", "-0", sys.argv[2], "./stub"] + sys.argv[3:])
`;

async function hasProgram(...command: string[]): Promise<boolean> {
  try {
    const [name, ...args] = command;
    return (await new Deno.Command(name!, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

const unshare = ["unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "--mount-proc"];
const hasNamespaces = await hasProgram(...unshare, "python3", "--version");
const hasQemu = await hasProgram("qemu-aarch64", "--version");

type Start = (path: string, ...argv: string[]) => Deno.Command;

/** The foreign machine's program runs in qemu-user, which has threads of its own in the namespace. */
function stubTest(name: string, test: (start: Start, isNative: boolean) => Promise<void>) {
  for (const machine of ["x86_64", "aarch64"] as const) {
    const isNative = machine === Deno.build.arch;
    // qemu-user is used for one direction only
    const isImpossible = !isNative && machine !== "aarch64";
    const lacks = !hasNamespaces
      ? "user namespaces or python3"
      : isNative || hasQemu || isImpossible
      ? undefined
      : "qemu-user";
    Deno.test({
      name: `pid one for ${machine} ${name}${lacks ? ` [needs ${lacks}]` : ""}`,
      ignore: lacks !== undefined || isImpossible,
      fn: async () => {
        const folder = await Deno.makeTempDir({ prefix: "skiff-stub-" });
        try {
          await Deno.writeFile(`${folder}/stub`, emitPidOneStub(machine), { mode: 0o755 });
          const start: Start = (path, ...argv) =>
            new Deno.Command("unshare", {
              args: [
                ...unshare.slice(1),
                "python3",
                "-c",
                START,
                isNative ? "native" : "qemu",
                path,
                ...argv,
              ],
              cwd: folder,
              stdout: "piped",
              stderr: "piped",
            });
          await test(start, isNative);
        } finally {
          await Deno.remove(folder, { recursive: true });
        }
      },
    });
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

stubTest(
  "starts the program with its words and no signal blocked, and ends with its status",
  async (start, isNative) => {
    const script = `echo "$0 $1 $PPID"; grep SigBlk /proc/self/status
    [ $1 = native ] && { cat /proc/1/comm; ls /proc/1/fd | grep '^[0-3]$'; }; exit 42`;
    const word = isNative ? "native" : "foreign";
    const { code, stdout, stderr } = await start("/bin/sh", "sh", "-c", script, "zero", word).output();
    const expected = `zero ${word} 1\nSigBlk:\t0000000000000000\n${isNative ? "init\n" : ""}`;
    assertEquals([code, text(stdout), text(stderr)], [42, expected, ""]);
  },
);

stubTest("ends with 128 and the signal that killed the program", async (start) => {
  assertEquals((await start("/bin/sh", "sh", "-c", "kill -KILL $$").output()).code, 128 + 9);
});

stubTest("forwards signals to the program", async (start) => {
  const script = 'trap "echo usr1; exit 3" USR1; kill -USR1 1; while :; do sleep 0.01; done';
  const { code, stdout } = await start("/bin/sh", "sh", "-c", script).output();
  assertEquals([code, text(stdout)], [3, "usr1\n"]);
});

stubTest("reaps what is orphaned", async (start) => {
  const script = `for i in 1 2 3; do (sleep 0.01 & echo $! >>pids); done
    for pid in $(cat pids); do while [ -e /proc/$pid ]; do sleep 0.01; done; done`;
  const { code, stdout } = await start("/bin/sh", "sh", "-c", script).output();
  assertEquals([code, text(stdout)], [0, ""]);
});

stubTest("reports a program that cannot be executed on descriptor 3", async (start) => {
  const command = start("/nonexistent", "x");
  assertEquals((await command.output()).code, 127);
});

Deno.test("pid one is one read-only segment without an executable stack", () => {
  for (const machine of ["x86_64", "aarch64"] as const) {
    const view = new DataView(emitPidOneStub(machine).buffer);
    assertEquals([view.getUint32(64 + 4, true), view.getUint32(64 + 56 + 4, true)], [5, 6]);
    assert(view.byteLength < 1024);
  }
});

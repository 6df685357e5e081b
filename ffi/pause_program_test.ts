import { assertEquals } from "../tests/assertions.ts";
import { emitPauseProgram } from "./pause_program.ts";

/** Starts the program with a child that it is to reap, passes it the signal of stdin, and tells its exit code. */
const START = `
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
program = os.fork()
if program == 0:
    child = os.fork()
    if child == 0: os._exit(3)
    os.write(1, b"%d\\n" % child)
    if sys.argv[1] == "native": os.execv("./pause", ["pause"])
    os.execvp("qemu-aarch64", ["qemu-aarch64", "./pause"])
line = b""
while not line.endswith(b"\\n"): line += os.read(0, 1)
os.kill(program, int(line))
print(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
`;

async function isGone(pid: number): Promise<boolean> {
  return await Deno.stat(`/proc/${pid}`).then(() => false, () => true);
}

for (const machine of ["x86_64", "aarch64"] as const) {
  const isNative = machine === Deno.build.arch;
  const hasQemu = await Deno.stat("/usr/bin/qemu-aarch64").then(() => true, () => false);
  // qemu-user is used for one direction only
  const ignore = !isNative && !(machine === "aarch64" && hasQemu);
  Deno.test({
    name: `the pause program for ${machine} reaps what has ended, and ends on SIGTERM and SIGINT`,
    ignore,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "skiff-pause-" });
      try {
        await Deno.writeFile(`${folder}/pause`, emitPauseProgram(machine), { mode: 0o755 });
        for (const signal of [15, 2]) {
          const child = new Deno.Command("python3", {
            args: ["-c", START, isNative ? "native" : "qemu"],
            cwd: folder,
            stdin: "piped",
            stdout: "piped",
          }).spawn();
          const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
          let text = "";
          while (!text.includes("\n")) text += (await reader.read()).value ?? "";
          const pid = Number(text.slice(0, text.indexOf("\n")));
          while (!await isGone(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
          const writer = child.stdin.getWriter();
          await writer.write(new TextEncoder().encode(`${signal}\n`));
          await writer.close();
          for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
          assertEquals(text.split("\n")[1], "0");
          await child.status;
        }
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

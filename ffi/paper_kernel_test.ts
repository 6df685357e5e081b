import { assertEquals } from "../tests/assertions.ts";
import { mkdirat, open, writeAll } from "./file.ts";
import { AT_FDCWD, O_RDONLY, O_WRONLY } from "./constants/fcntl.ts";
import { fork } from "./fork.ts";
import { mount } from "./mount.ts";
import { onPaper } from "./paper_kernel.ts";
import { _exit, kill, sethostname, setresuid } from "./process.ts";

Deno.test("on paper everything succeeds and nothing happens", () => {
  const folder = Deno.makeTempDirSync();
  const hostname = Deno.hostname();
  const dumped = Deno.readTextFileSync("/proc/self/coredump_filter");
  try {
    const went: string[] = [];
    onPaper(folder, [], () => {
      mkdirat(AT_FDCWD, `${folder}/made`, 0o700);
      mount(null, "/", null, 0);
      sethostname("paper");
      setresuid(12345);
      kill(Deno.pid, 9);
      went.push("alive");
      if (fork() === 0) went.push("child");
      if (open("/no/such/file", O_RDONLY) >= 1000) went.push("opened");
      Deno.writeTextFileSync("/proc/sys/kernel/hostname", "paper");
      writeAll(open("/proc/self/coredump_filter", O_WRONLY), new TextEncoder().encode("7f\n"));
      Deno.removeSync(`${folder}/inner/..`, { recursive: true });
      Deno.writeTextFileSync(`${folder}/../${folder.split("/").at(-1)}-beside`, "");
      Deno.mkdirSync(`${folder}-beside`);
      Deno.openSync(`${folder}-beside`, { create: true, write: true }).close();
      Deno.writeTextFileSync(`${folder}/below`, "");
      Deno.renameSync(`${folder}/below`, `${folder}-beside`);
      Deno.symlinkSync(`${folder}/below`, `${folder}-beside`);
      Deno.copyFileSync(`${folder}/below`, `${folder}-beside`);
      _exit(1);
      went.push("after the end");
    });
    assertEquals(went, ["alive", "opened"]);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["below"]);
    assertEquals(Deno.hostname(), hostname);
    assertEquals(Deno.readTextFileSync("/proc/self/coredump_filter"), dumped);
    for (const path of [`${folder}-beside`]) {
      assertEquals(
        (() => {
          try {
            return Deno.statSync(path).isFile;
          } catch {
            return "absent";
          }
        })(),
        "absent",
      );
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("after it calls are made again", () => {
  const folder = Deno.makeTempDirSync();
  onPaper(folder, [], () => {
    throw new Error("whatever");
  });
  mkdirat(AT_FDCWD, `${folder}/made`, 0o700);
  Deno.writeTextFileSync(`${folder}-beside`, "");
  Deno.removeSync(`${folder}-beside`);
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["made"]);
  Deno.removeSync(folder, { recursive: true });
});

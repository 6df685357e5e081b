import { assertEquals } from "../tests/assertions.ts";
import { appendToLog } from "./append_file.ts";
import { forkChild } from "./fork.ts";
import { waitpidBlocking } from "./process.ts";

function folder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync();
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

Deno.test("a log is made with its folder, for its owner only", () => {
  using top = folder();
  const path = `${top.path}/events/log`;
  appendToLog(path, "one\n", 1000);
  appendToLog(path, "two\n", 1000);
  assertEquals(Deno.readTextFileSync(path), "one\ntwo\n");
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  assertEquals(Deno.statSync(`${top.path}/events`).mode! & 0o777, 0o700);
});

Deno.test("a full log becomes the one before", () => {
  using top = folder();
  const path = `${top.path}/log`;
  for (const line of ["first\n", "second\n", "third\n"]) appendToLog(path, line, 10);
  assertEquals(Deno.readTextFileSync(`${path}.1`), "first\nsecond\n");
  assertEquals(Deno.readTextFileSync(path), "third\n");
});

Deno.test("writers at once lose no line and tear none", () => {
  using top = folder();
  const path = `${top.path}/log`;
  const pids = [0, 1, 2, 3].map((writer) =>
    forkChild(() => {
      for (let line = 0; line < 200; line++) {
        appendToLog(path, `${writer} ${line} ${"x".repeat(200)}\n`, 1 << 20);
      }
      return 0;
    })
  );
  for (const pid of pids) assertEquals(waitpidBlocking(pid).status, 0);
  const lines = Deno.readTextFileSync(path).trimEnd().split("\n");
  assertEquals(lines.length, 800);
  assertEquals(lines.every((line) => /^\d \d+ x{200}$/.test(line)), true);
});

import { deepStrictEqual as assertEquals, ok } from "node:assert";
import { CannotInvokeError, CommandNotFoundError, SkiffError } from "../runtime/errors.ts";
import { ReaderGoneError } from "./output/print.ts";
import { renderError } from "./render_error.ts";

const render = (error: unknown) => renderError(error, false);

Deno.test("the exit code comes from the error's type", () => {
  assertEquals(render(new SkiffError("do it: it failed")), {
    text: "Error: do it: it failed\n",
    exitCode: 125,
  });
  assertEquals(render(new CannotInvokeError("x")).exitCode, 126);
  assertEquals(render(new CommandNotFoundError("x")).exitCode, 127);
  assertEquals(render(new Deno.errors.NotFound("No such file")), {
    text: "Error: no such file\n",
    exitCode: 125,
  });
});

Deno.test("what Deno says of files has an action, a subject and a cause", async () => {
  const failure = (action: () => unknown) =>
    Promise.resolve().then(action).then(() => "", (error) => render(error).text);
  assertEquals(
    await failure(() => Deno.writeTextFileSync("/dev/full", "x")),
    'Error: write "/dev/full": no space left on device\n',
  );
  assertEquals(
    await failure(() => Deno.openSync("/no/such")),
    'Error: open "/no/such": no such file or directory\n',
  );
  assertEquals(
    await failure(() => Deno.mkdir("/proc/x")),
    'Error: make folder "/proc/x": no such file or directory\n',
  );
});

Deno.test("a hint stands on a line of its own", () => {
  assertEquals(
    render(new SkiffError("a", { hint: "See 'skiff --help'" })).text,
    "Error: a\nSee 'skiff --help'\n",
  );
});

Deno.test("where no process can be started the limit is named, whatever the error advised", () => {
  const advice = /\nno more processes can be started: the user's limit \(ulimit -u, here (\d+|unlimited)\)/;
  for (
    const message of [
      "fork: Resource temporarily unavailable",
      "create user namespace: posix_spawn `/bin/sh`: Resource temporarily unavailable",
      "map ids with /usr/bin/newgidmap: skiff: 1: Cannot fork",
    ]
  ) ok(advice.test(render(new SkiffError(message, { hint: "check the helper" })).text), message);
  const other =
    render(new SkiffError("read socket: Resource temporarily unavailable", { hint: "wait" })).text;
  assertEquals(other, "Error: read socket: Resource temporarily unavailable\nwait\n");
});

Deno.test("a reader that has gone is told nothing", () => {
  assertEquals(render(new ReaderGoneError()), { text: "", exitCode: 141 });
});

Deno.test("what a registry says cannot command the terminal", () => {
  assertEquals(
    render(new SkiffError("registry: \x1b[2J\x9bgone")).text,
    "Error: registry: \\x1b[2J\\x9bgone\n",
  );
});

Deno.test("debug shows the stack and the causes", () => {
  const { text } = renderError(new SkiffError("outer", { cause: new Error("inner") }), true);
  ok(text.includes("SkiffError: outer\n    at "));
  ok(text.includes("Caused by: Error: inner\n"));
});

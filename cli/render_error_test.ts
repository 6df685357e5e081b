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

Deno.test("a hint stands on a line of its own", () => {
  assertEquals(
    render(new SkiffError("a", { hint: "See 'skiff --help'" })).text,
    "Error: a\nSee 'skiff --help'\n",
  );
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

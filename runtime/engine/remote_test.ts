import { strictEqual as assertEquals } from "node:assert";
import {
  CommandNotFoundError,
  ConflictError,
  NotFoundError,
  RegistryError,
  SkiffError,
  UnauthorizedError,
} from "../errors.ts";
import { fromRemoteError, toRemoteError } from "./remote.ts";

const cross = (error: unknown) => fromRemoteError(JSON.parse(JSON.stringify(toRemoteError(error))));

Deno.test("errors keep their type, text, hint and exit code across the pipe", () => {
  const errors = [
    new ConflictError("a", { hint: "b" }),
    new CommandNotFoundError("no such program"),
    new NotFoundError("image", "x"),
    new RegistryError("broken", 500),
    new UnauthorizedError("login", 401),
  ];
  for (const error of errors) {
    const crossed = cross(error);
    assertEquals(crossed.constructor, error.constructor);
    assertEquals(crossed.message, error.message);
    assertEquals(crossed.hint, error.hint);
    assertEquals(crossed.exitCode, error.exitCode);
  }
  assertEquals((cross(new RegistryError("broken", 500)) as RegistryError).status, 500);
  assertEquals((cross(new NotFoundError("image", "x")) as NotFoundError).subject, "x");
});

Deno.test("whatever else is thrown becomes an error of ours", () => {
  assertEquals(cross(new TypeError("oops")) instanceof SkiffError, true);
  assertEquals(cross(new TypeError("oops")).message, "oops");
});

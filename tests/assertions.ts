/** The few assertions that tests use; @std/assert is out of reach here, node:assert prints poor differences. */
import { AssertionError, deepStrictEqual } from "node:assert";

function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : Deno.inspect(value, { depth: 8, sorted: true });
}

export function assert(condition: unknown, message = "a false condition"): asserts condition {
  if (!condition) throw new AssertionError({ message });
}

export function assertEquals(actual: unknown, expected: unknown, message?: string): void {
  try {
    deepStrictEqual(actual, expected);
  } catch {
    const note = message === undefined ? "" : `${message}\n`;
    throw new AssertionError({ message: `${note}actual:   ${show(actual)}\nexpected: ${show(expected)}` });
  }
}

export function assertMatch(actual: string, expected: RegExp): void {
  if (!expected.test(actual)) {
    throw new AssertionError({ message: `${show(actual)}\ndoes not match ${expected}` });
  }
}

export function assertIncludes(actual: string, expected: string): void {
  if (!actual.includes(expected)) {
    throw new AssertionError({ message: `${show(actual)}\ndoes not include ${show(expected)}` });
  }
}

/** The message of the error that `fn` must throw. */
export async function messageOf(fn: () => unknown): Promise<string> {
  try {
    await fn();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new AssertionError({ message: "nothing was thrown" });
}

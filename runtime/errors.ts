/**
 * Every error a user can meet, on one screen. The exit code comes from the type, never from message text.
 *
 * A message reads `action subject: cause`, lower case, without a final period; `hint` is one sentence
 * that says what to do, or nothing.
 */

/** The engine itself failed. Exit code 125, as docker and podman give it. */
export class SkiffError extends Error {
  override name = "SkiffError";
  /** What a command that ends with this error exits with. */
  readonly exitCode: number = 125;
  /** One sentence that can be acted on, printed below the error. */
  readonly hint?: string;

  constructor(message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
  }
}

/** A signal ended what was begun; the exit code is 128 and its number. */
export class GivenUpError extends SkiffError {
  override name = "GivenUpError";
  constructor(message: string, override readonly exitCode: number) {
    super(message);
  }
}

/** An option, argument or document that cannot be understood. */
export class InvalidArgumentError extends SkiffError {
  override name = "InvalidArgumentError";
}

/** What the user asks for is known but cannot be had here; it is refused, never ignored. */
export class UnsupportedError extends SkiffError {
  override name = "UnsupportedError";
}

/** No such image, container, volume or file. */
export class NotFoundError extends SkiffError {
  override name = "NotFoundError";
  constructor(
    readonly kind: "image" | "container" | "volume" | "network" | "pod" | "secret" | "exec session" | "file",
    readonly subject: string,
    options: { cause?: unknown; hint?: string; message?: string } = {},
  ) {
    super(options.message ?? `no such ${kind}: ${subject}`, options);
  }
}

/** The name is taken, the image is in use, the container is in the wrong state. */
export class ConflictError extends SkiffError {
  override name = "ConflictError";
}

/** Content that is not what its digest, size or media type claims. Nothing of it is kept. */
export class VerificationError extends SkiffError {
  override name = "VerificationError";
}

/** A registry answered with an error. `status` is the HTTP status, 0 where there was no answer. */
export class RegistryError extends SkiffError {
  override name = "RegistryError";
  constructor(message: string, readonly status: number, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options);
  }
}

/** The registry wants a login, or refuses this one. */
export class UnauthorizedError extends RegistryError {
  override name = "UnauthorizedError";
}

/** The machine lacks something that skiff needs; the hint names the remedy. */
export class HostError extends SkiffError {
  override name = "HostError";
}

/** The container's program exists but cannot be executed. Exit code 126. */
export class CannotInvokeError extends SkiffError {
  override name = "CannotInvokeError";
  override readonly exitCode = 126;
}

/** The container's program is not in the image. Exit code 127. */
export class CommandNotFoundError extends SkiffError {
  override name = "CommandNotFoundError";
  override readonly exitCode = 127;
}

/** A place in a build file: its name, all its lines, and which of them (counted from 1, both inclusive). */
export interface BuildSource {
  fileName: string;
  lines: readonly string[];
  location: { startLine: number; endLine: number };
}

/** A build failed; `source` is the instruction that it failed at. Exit code 1, as docker's. */
export class BuildError extends SkiffError {
  override name = "BuildError";
  override readonly exitCode: number;
  readonly source?: BuildSource;
  /** The end of what the failed program has written. */
  readonly output?: string;

  constructor(
    message: string,
    options: { cause?: unknown; hint?: string; source?: BuildSource; exitCode?: number; output?: string } =
      {},
  ) {
    super(message, options);
    this.source = options.source;
    this.output = options.output;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** What the machine said, in lower case: Deno's text is `Permission denied (os error 13): mkdir '/x'`. */
export function hostReason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/ \(os error \d+\).*$/s, "")
    .toLowerCase();
}

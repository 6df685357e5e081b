/** A registry's refusal in words a user can act on. */
import { RegistryError, SkiffError, UnauthorizedError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { type HttpResponse, readAll } from "./transport.ts";

const BODY_LIMIT_BYTES = 16 << 10;

/**
 * The error for an answer that is no success; reads and releases it.
 * @param action `pull quay.io/a:1`
 */
export async function answerError(action: string, response: HttpResponse): Promise<SkiffError> {
  const { status } = response;
  const detail = await readDetail(response);
  const words = detail === "" ? `the registry answers with status ${status}` : `${detail} (status ${status})`;
  if (status === 401 || status === 403) {
    return new UnauthorizedError(`${action}: ${words}`, status, {
      hint: "the image may not exist, or needs a login in auth.json",
    });
  }
  if (status === 429) {
    return new RegistryError(`${action}: ${words}`, status, {
      hint: "the registry limits requests; try again later",
    });
  }
  return new RegistryError(`${action}: ${words}`, status);
}

/** `message` of the first error, with control characters escaped; "" where there is none. */
async function readDetail(response: HttpResponse): Promise<string> {
  try {
    const bytes = await readAll("error answer", response, BODY_LIMIT_BYTES, 10_000);
    const json = JSON.parse(new TextDecoder().decode(bytes)) as {
      errors?: { code?: unknown; message?: unknown }[];
      details?: unknown;
    };
    const first = Array.isArray(json.errors) ? json.errors[0] : undefined;
    const message = [first?.message, first?.code, json.details].find((m) =>
      typeof m === "string" && m !== ""
    );
    return printable(String(message ?? ""), 200);
  } catch {
    return "";
  }
}

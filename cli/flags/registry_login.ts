/** `--creds`, alike for every verb that asks a registry. */

import { InvalidArgumentError } from "../../runtime/errors.ts";

/** `NAME[:PASSWORD]`; a password that is not given is asked for. */
export async function credentialsFrom(text: string): Promise<{ username: string; password: string }> {
  const colon = text.indexOf(":");
  if (colon === 0 || text === "") throw new InvalidArgumentError("username can't be empty");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  const { askHidden } = await import("../terminal/ask.ts");
  return { username: text, password: askHidden("Password: ") };
}

/** `--filter` of `secret ls`. @see podman-secret-ls(1) */

import type { SecretInfo } from "../../runtime/engine/secrets.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { asPattern, type Filters, keepPassing } from "./passing.ts";

const FILTERS: Filters<SecretInfo> = {
  id: (value) => {
    const pattern = asPattern(value);
    return ({ ID }) => pattern.test(ID);
  },
  name: (value) => {
    const pattern = asPattern(value);
    return ({ Spec }) => pattern.test(Spec.Name);
  },
};

/** For completion. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);

export function filterSecrets(secrets: SecretInfo[], filters: readonly string[]): SecretInfo[] {
  const given = filters.map((filter): [string, string] => {
    const [, key = "", value = ""] = /^([^=]*)=([\s\S]*)$/.exec(filter) ?? [];
    if (key === "") throw new InvalidArgumentError(`invalid filter "${filter}"`);
    if (!FILTER_KEYS.includes(key)) throw new InvalidArgumentError(`invalid filter "${key}"`);
    return [key, value];
  });
  return keepPassing(secrets, given, FILTERS);
}

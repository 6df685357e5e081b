/** The secrets, as a program holds them. */

import {
  secretCreate,
  type SecretCreateOptions,
  secretExists,
  type SecretInfo,
  secretInspect,
  secretRm,
  secrets,
} from "../secrets.ts";
import { type Abortable, type Caller, unlessAborted } from "./caller.ts";

export class Secrets {
  readonly #caller: Caller;

  /** @internal */
  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Keeps a value under a name, and gives its id. */
  create(
    name: string,
    content: string | Uint8Array,
    { signal, ...options }: SecretCreateOptions & Abortable = {},
  ): Promise<string> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return unlessAborted(signal, () => secretCreate(this.#caller.engine, name, bytes, options));
  }

  list({ signal }: Abortable = {}): Promise<SecretInfo[]> {
    return unlessAborted(signal, () => secrets(this.#caller.engine));
  }

  /** With `showSecret` also what it holds. Throws NotFoundError where there is none. */
  inspect(
    name: string,
    { signal, ...options }: { showSecret?: boolean } & Abortable = {},
  ): Promise<SecretInfo> {
    return unlessAborted(signal, () => secretInspect(this.#caller.engine, name, options));
  }

  exists(name: string, { signal }: Abortable = {}): Promise<boolean> {
    return unlessAborted(signal, () => secretExists(this.#caller.engine, name));
  }

  async remove(name: string, { signal }: Abortable = {}): Promise<void> {
    await unlessAborted(signal, () => secretRm(this.#caller.engine, name));
  }
}

/** Verifies OpenPGP messages with just the keys that a policy names, in a home of gpg that goes away with the ring. */

import { SkiffError } from "../errors.ts";
import { runGpg } from "./gpg.ts";
import { SIGNATURE_LIMITS } from "./image_signature.ts";
import { RejectedSignature } from "./rejected.ts";

export class GpgRing implements AsyncDisposable {
  /** Fingerprints of the primary keys. */
  readonly #trusted = new Set<string>();

  private constructor(private readonly home: string, private readonly signal?: AbortSignal) {}

  /** @param rings keys, each ring binary or armored */
  static async open(rings: Uint8Array<ArrayBuffer>[], signal?: AbortSignal): Promise<GpgRing> {
    // 0700, and nothing in it is a secret
    const ring = new GpgRing(await Deno.makeTempDir({ prefix: "skiff-gpg-" }), signal);
    try {
      for (const keys of rings) {
        for (const words of (await ring.#run(["--import"], keys)).statuses) {
          if (words[0] === "IMPORT_OK") ring.#trusted.add(words[2] ?? "");
        }
      }
      if (ring.#trusted.size === 0) throw new SkiffError("Source image rejected: No public keys imported");
      return ring;
    } catch (error) {
      await ring[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the message says, where one key of the ring has signed all of it. @throws {RejectedSignature} */
  async verify(message: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const { success, statuses, stdout } = await this.#run(["--decrypt"], message);
    const count = (name: string) => statuses.filter((words) => words[0] === name).length;
    const bad = Object.keys(BAD).find((name) => count(name) > 0);
    if (bad !== undefined) throw new RejectedSignature(`Invalid GPG signature: ${BAD[bad]}`);
    const valid = statuses.find(([name]) => name === "VALIDSIG");
    if (
      !success || count("NEWSIG") !== 1 || count("GOODSIG") !== 1 || valid === undefined ||
      count("PLAINTEXT") !== 1
    ) {
      throw new RejectedSignature("Invalid GPG signature: it is no message with one signature");
    }
    // the last word is the primary key's, whose subkey may have signed
    const fingerprint = valid.at(-1)!;
    if (!this.#trusted.has(fingerprint)) {
      throw new RejectedSignature(`Signature by key ${fingerprint} is not accepted`);
    }
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.home, { recursive: true });
  }

  async #run(args: string[], input: Uint8Array<ArrayBuffer>) {
    const status = `${this.home}/status`;
    const { home, signal } = this;
    // no agent: there are no secret keys. What it logs could not be told from text of the message.
    const options = ["--homedir", home, "--no-options", "--no-autostart", "--trust-model", "always"];
    options.push(
      "--no-auto-key-retrieve",
      "--status-file",
      status,
      "--logger-file",
      "/dev/null",
      // what is compressed may come to any size
      "--max-output",
      String(SIGNATURE_LIMITS.bytes),
      "--output",
      "-",
    );
    const env = { HOME: home };
    const { success, stdout } = await runGpg({ args: [...options, ...args], input, env, signal });
    const lines = (await Deno.readTextFile(status)).split("\n");
    await Deno.remove(status);
    const statuses = lines.filter((line) => line.startsWith("[GNUPG:] ")).map((line) =>
      line.slice(9).trim().split(" ")
    );
    return { success, stdout, statuses };
  }
}

/** One of these, and it is no good signature, whatever else is said; the first explains most. */
const BAD: Record<string, string> = {
  BADSIG: "it does not match what was signed",
  EXPSIG: "it has expired",
  EXPKEYSIG: "the key has expired",
  REVKEYSIG: "the key was revoked",
  NO_PUBKEY: "it was made by another key",
  ERRSIG: "it cannot be checked",
  NODATA: "it is no OpenPGP message",
  UNEXPECTED: "it is no message with one signature",
  DECRYPTION_FAILED: "it is encrypted",
  BEGIN_DECRYPTION: "it is encrypted",
};

/** Keys, policies and signing programs for tests of signatures. */

import type { Host, LocalRegistry } from "./harness.ts";
import { attach, digestAt } from "./sigstore_attachment.ts";
import { makeSigstorePair, type SigstorePair } from "./sigstore_keys.ts";

export const ACCEPT = [{ type: "insecureAcceptAnything" }];
export const REJECT = [{ type: "reject" }];
export const PASSPHRASE = "open sesame";

export class SignatureRig {
  /** Where skopeo finds what skiff finds in the home. */
  readonly registriesD: string;

  private constructor(readonly host: Host, readonly local: LocalRegistry) {
    this.registriesD = `${host.home}/.config/containers/registries.d`;
  }

  get registry(): string {
    return this.local.address;
  }

  /** Attachments are used, and the lookaside is a folder of the home. */
  static async make(host: Host): Promise<SignatureRig> {
    const rig = new SignatureRig(host, await host.registry());
    await host.sh("mkdir -p .config/containers/registries.d lookaside keys");
    await rig.write(
      ".config/containers/registries.d/default.yaml",
      `default-docker:\n  use-sigstore-attachments: true\n  lookaside: file://${host.home}/lookaside\n`,
    );
    await rig.write("keys/passphrase", PASSPHRASE);
    return rig;
  }

  /** A file of the test user, by its path in the home; gives the whole path. */
  async write(name: string, content: string | object): Promise<string> {
    const path = `${this.host.home}/${name}`;
    await Deno.writeTextFile(path, typeof content === "string" ? content : JSON.stringify(content));
    await this.host.own(path);
    return path;
  }

  /** `keys/NAME.key` and `keys/NAME.pub`. */
  async sigstorePair(name: string, how: Parameters<typeof makeSigstorePair>[1] = {}): Promise<SigstorePair> {
    const pair = makeSigstorePair(PASSPHRASE, how);
    await this.write(`keys/${name}.key`, pair.privatePem);
    await this.write(`keys/${name}.pub`, pair.publicPem);
    return pair;
  }

  /** Signs `HOST/NAME:TAG` as cosign does, by all these keys, for its own name or another. */
  async sign(image: string, pairs: SigstorePair[], identity = image): Promise<string> {
    const [name, tag] = image.slice(this.registry.length + 1).split(":") as [string, string];
    const digest = await digestAt(this.local, name, tag);
    await attach(this.local, name, digest, pairs.map(({ key }) => ({ key, identity, digest })));
    return digest;
  }

  /** Requirements of all images of this registry. */
  async policy(requirements: unknown[]): Promise<void> {
    await this.write(".config/containers/policy.json", {
      default: REJECT,
      transports: { docker: { [this.registry]: requirements } },
    });
  }

  /** Runs skopeo, which must succeed. */
  async skopeo(...args: string[]): Promise<string> {
    const words = ["skopeo", "--insecure-policy", "--registries.d", this.registriesD, ...args];
    const { code, stdout, stderr } = await this.host.program(words, {
      // else it looks below /run, which others may have made
      env: { REGISTRY_AUTH_FILE: `${this.host.home}/no-logins.json` },
    });
    if (code !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
    return stdout.trim();
  }

  copy(from: string, to: string, ...how: string[]): Promise<string> {
    const plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    return this.skopeo("copy", "-q", ...plain, ...how, `docker://${from}`, `docker://${to}`);
  }

  /** The first line that the command complains with; it must fail, and leave no image. */
  async refused(...words: string[]): Promise<string> {
    const { code, stderr } = await this.host.skiff(words);
    if (code === 0) throw new Error(`skiff ${words.join(" ")} succeeded`);
    const left = await this.host.ok("images", "-q");
    if (left !== "") throw new Error(`skiff ${words.join(" ")} has left ${left}`);
    return stderr.split("\n").find((line) => line.startsWith("Error"))!;
  }

  /** The command succeeds, and what it has brought goes away again: the control of `refused`. */
  async accepted(image: string): Promise<void> {
    await this.host.ok("pull", "-q", image);
    await this.host.ok("rmi", "-f", image);
  }
}

/** A ring of OpenPGP keys of the test user, and its agent, which has to be ended. */
export class GpgHome implements AsyncDisposable {
  private constructor(readonly host: Host, readonly folder: string) {}

  static async make(host: Host): Promise<GpgHome> {
    const home = new GpgHome(host, `${host.home}/.gnupg`);
    await host.sh("mkdir -m 700 -p .gnupg");
    return home;
  }

  async gpg(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.host.program([
      "gpg",
      "--batch",
      "--homedir",
      this.folder,
      ...args,
    ]);
    if (code !== 0) throw new Error(`gpg ${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** Makes a key without passphrase; its fingerprint. The public one is in `keys/NAME.asc`. */
  async makeKey(name: string, expire = "never"): Promise<string> {
    const user = `${name} <${name}@example.com>`;
    await this.gpg("--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", expire);
    await this.gpg(
      "--armor",
      "--output",
      `${this.host.home}/keys/${name}.asc`,
      "--export",
      `${name}@example.com`,
    );
    const listed = await this.gpg("--with-colons", "--list-keys", `${name}@example.com`);
    return /^fpr:+([0-9A-F]+):/m.exec(listed)![1]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.host.program(["gpgconf", "--homedir", this.folder, "--kill", "all"]);
  }
}

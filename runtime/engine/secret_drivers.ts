/**
 * Who else keeps what secrets hold: `pass` (files that gpg encrypts for the user, as pass(1) has them) and `shell`
 * (commands of the user's).
 *
 * @see podman-secret-create(1), SECRET DRIVERS; containers.conf(5), secrets
 */

import { takeLaunch } from "../config/launch.ts";
import { configSources } from "../config/sources.ts";
import { HostError, InvalidArgumentError, NotFoundError, SkiffError } from "../errors.ts";
import { gpgUserEnv, runGpg } from "../signature/gpg.ts";
import { printable } from "../spec/printable.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface SecretDriver {
  store(id: string, content: Bytes): Promise<void>;
  /** @throws {NotFoundError} */
  lookup(id: string): Promise<Bytes>;
  /** @throws {NotFoundError} */
  remove(id: string): Promise<void>;
}

/** Drivers besides `file`, whose options are kept with each secret. @throws {InvalidArgumentError} */
export async function openSecretDriver(
  name: string,
  options: Record<string, string>,
): Promise<SecretDriver> {
  if (name === "shell") return openShell(options);
  if (name === "pass") return await openPass(options);
  throw new InvalidArgumentError("invalid driver");
}

const COMMANDS: readonly string[] = ["list", "lookup", "store", "delete"];

function openShell(commands: Record<string, string>): SecretDriver {
  const unknown = Object.keys(commands).find((key) => !COMMANDS.includes(key));
  if (unknown !== undefined) throw new InvalidArgumentError(`invalid shell driver option: "${unknown}"`);
  if (COMMANDS.some((key) => !commands[key])) throw new InvalidArgumentError("missing config value");
  return {
    async store(id, content) {
      const { code, stderr } = await runShell(commands.store!, id, content);
      if (code !== 0) throw new SkiffError(`exit status ${code}${told(stderr)}`);
    },
    async lookup(id) {
      const { code, stdout, stderr } = await runShell(commands.lookup!, id);
      if (code === 0) return stdout;
      throw noData(id, stderr);
    },
    async remove(id) {
      const { code, stderr } = await runShell(commands.delete!, id);
      if (code !== 0) throw noData(id, stderr);
    },
  };
}

async function runShell(command: string, id: string, input: Bytes = new Uint8Array()) {
  takeLaunch(); // gives the caller's variables back their names
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", command],
    env: { SECRET_ID: id },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // one that does not read it may know why
  const fed = writer.write(input).then(() => writer.close()).catch(() => {});
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), fed]);
  return { code, stdout, stderr: new TextDecoder().decode(stderr) };
}

async function openPass(options: Record<string, string>): Promise<SecretDriver> {
  const { root = await findStore(), gpghomedir } = options;
  const key = options.key ?? await findKey(root);
  const sources = configSources();
  const env = gpgUserEnv(sources);
  const home = gpghomedir ? ["--homedir", gpghomedir] : [];
  const path = (id: string) => `${root}/${id}`;
  return {
    async store(id, input) {
      if (!key) throw new HostError(`there is no key: ${root} has no .gpg-id, and --driver-opts no key=`);
      // not with a key that somebody has published under that name
      const args = [...home, "--no-auto-key-locate", "--encrypt", "-r", key, "-o", path(id)];
      const { success, stderr } = await runGpg({ args, input, env });
      if (!success) throw new SkiffError(`gpg failed${told(stderr)}`);
    },
    async lookup(id) {
      const args = [...home, "--decrypt", path(id)];
      const { success, stdout, stderr } = await runGpg({ args, input: new Uint8Array(), env });
      if (success && stdout.length > 0) return stdout;
      throw noData(id, stderr);
    },
    async remove(id) {
      try {
        await Deno.remove(path(id));
      } catch (cause) {
        throw noData(id, cause instanceof Deno.errors.NotFound ? "" : (cause as Error).message);
      }
    },
  };
}

/** Where pass(1) and gopass(1) have their files. */
async function findStore(): Promise<string> {
  const { home } = configSources();
  for (const path of [`${home}/.password-store`, `${home}/.local/share/gopass/stores/root`]) {
    if (await Deno.stat(path).then(({ isDirectory }) => isDirectory, () => false)) return path;
  }
  throw new HostError("there is no password store", {
    hint: "make one (pass init KEY), or name one: --driver-opts root=FOLDER,key=KEY",
  });
}

/** As pass(1): what the nearest folder upwards says. */
async function findKey(root: string): Promise<string | undefined> {
  for (let folder = root; folder.length > 1; folder = folder.slice(0, folder.lastIndexOf("/"))) {
    const text = await Deno.readTextFile(`${folder}/.gpg-id`).catch(() => undefined);
    if (text !== undefined) return text.trim().split("\n")[0];
  }
}

function noData(id: string, reason: string): NotFoundError {
  return new NotFoundError("secret", id, { message: `${id}: no secret data with ID${told(reason)}` });
}

function told(reason: string): string {
  return reason.trim() === "" ? "" : `: ${printable(reason.trim().replaceAll("\n", "; "), 300)}`;
}

/**
 * Repositories as contexts and as sources of ADD, fetched by the git program of this machine. What a repository brings
 * along (hooks, attributes, the addresses of its submodules) runs nothing here: git gets an empty home, no
 * configuration but ours, and only protocols that fetch.
 *
 * @see Docker documentation, "Git repositories"; BuildKit source/git; git(1), git-config(1): protocol.allow
 */

import { BuildError, HostError } from "../../errors.ts";
import { printable } from "../../spec/printable.ts";
import { withoutCredentials } from "../../spec/url_credentials.ts";
import { openInRoot } from "../../rootfs/in_root.ts";
import { Fd, open, readlinkat } from "../../../ffi/file.ts";
import { umask } from "../../../ffi/process.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../../ffi/constants/fcntl.ts";
import { ENOENT, ENOTDIR, isErrno } from "../../../ffi/errno.ts";
import { makeScratch } from "../scratch.ts";
import type { SecretSource } from "../options.ts";
import type { BuildServices } from "../services.ts";
import type { SourceTree } from "../step.ts";
import { gitAuthorization } from "./authorization.ts";
import { type GitAddress, parseGitAddress } from "./git_address.ts";
import type { FetchedContext } from "./open.ts";

const PROGRAM_FOLDERS = ["/usr/bin", "/bin", "/usr/local/bin"];
/** What git may need of the caller's to reach a server; nothing else of the environment gets to it. */
const PASSED_ON = [
  "SSH_AUTH_SOCK",
  ...["http_proxy", "https_proxy", "no_proxy", "all_proxy"].flatMap((name) => [name, name.toUpperCase()]),
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
];
const CONFIG: GitConfig = [
  ["core.hooksPath", "/dev/null"],
  ["core.attributesFile", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.askPass", ""],
  ["credential.helper", ""],
  ["advice.detachedHead", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["safe.directory", "*"],
  ["protocol.allow", "never"],
  ["protocol.https.allow", "always"],
  ["protocol.http.allow", "always"],
  ["protocol.git.allow", "always"],
  ["protocol.ssh.allow", "always"],
];
const MAX_OUTPUT_BYTES = 1 << 20;
/** @see gitprotocol-http(5), Discovering References */
const FIRST_REQUEST = "/info/refs?service=git-upload-pack";

type GitConfig = readonly (readonly [key: string, value: string])[];

export interface GitOptions {
  /** .git stays in the tree. */
  keepGitDir?: boolean;
  checksum?: string;
  signal?: AbortSignal;
  /** `file://` is allowed: for repositories of this machine that a test makes. */
  allowFile?: boolean;
  /** May have a login for the server. */
  secrets?: readonly SecretSource[];
}

/** The files of a repository, in a folder of the build's own. */
export async function cloneContext(
  services: Pick<BuildServices, "folders" | "namespaces" | "gitAgent">,
  url: string,
  options: GitOptions = {},
): Promise<FetchedContext> {
  const address = parseGitAddress(url);
  const { remote, config: own } = splitCredentials(address.remote);
  // an address that brings a login of its own means that one
  const loginAt = async (place: string) =>
    own.length > 0 ? own : await gitAuthorization(options.secrets ?? [], place);
  const program = findGit();
  using agent = await services.gitAgent?.();
  const scratch = await makeScratch(services);
  try {
    const folder = `${scratch.path}/context`;
    for (const name of ["context", "home"]) Deno.mkdirSync(`${scratch.path}/${name}`, { mode: 0o755 });
    Deno.chmodSync(folder, 0o755);
    const config: (readonly [key: string, value: string])[] = [];
    const login = await loginAt(remote);
    const place = address.remote = login.length === 0 ? remote : await placeOf(remote, login, options.signal);
    if (login.length > 0 && URL.parse(place)?.origin === URL.parse(remote)?.origin) {
      for (const [key, value] of await loginAt(place)) {
        // nor is a submodule led anywhere else with it, whose address is a stranger's
        config.push([key, value], [key.replace(/extraHeader$/, "followRedirects"), "false"]);
      }
    }
    const env = gitEnvironment(`${scratch.path}/home`, config, options, agent?.path);
    const git = new Git(program, folder, env, options.signal);
    await checkOut(git, address, options.checksum ?? address.checksum);
    if ((address.keepGitDir ?? options.keepGitDir) !== true) {
      await Deno.remove(`${folder}/.git`, { recursive: true });
    }
    const path = address.subdir === undefined ? folder : subfolder(folder, address.subdir);
    return { path, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** The same for an ADD; whoever gets the tree removes it. */
export async function fetchGit(
  services: Pick<BuildServices, "folders" | "namespaces" | "gitAgent">,
  url: string,
  options: GitOptions = {},
): Promise<SourceTree & { kind: "folder" } & AsyncDisposable> {
  const fetched = await cloneContext(services, url, options);
  return {
    kind: "folder",
    path: fetched.path,
    ignore: [],
    [Symbol.asyncDispose]: () => fetched[Symbol.asyncDispose](),
  };
}

/**
 * User and password of an http address as git's configuration of a header, and the address without them: in argv other
 * users would see them, and `.git/config` may become a part of an image.
 */
export function splitCredentials(remote: string): { remote: string; config: [key: string, value: string][] } {
  if (!/^https?:\/\//i.test(remote) || !URL.canParse(remote)) return { remote, config: [] };
  const url = new URL(remote);
  const { username, password, origin } = url;
  if (username === "" && password === "") return { remote, config: [] };
  url.username = url.password = "";
  const words = new TextEncoder().encode(`${decode(username)}:${decode(password)}`);
  return {
    remote: url.href,
    config: [[`http.${origin}/.extraHeader`, `Authorization: Basic ${words.toBase64()}`]],
  };
}

/**
 * Where a server has the repository that is asked for at `remote`. This is found out before git asks, since git gives its
 * header to whomever it was led to, but for the very request that led there.
 *
 * @see git-config(1), http.followRedirects
 */
async function placeOf(remote: string, login: GitConfig, signal?: AbortSignal): Promise<string> {
  const { findPlace } = await import("../../registry/fetch_url.ts");
  const authorization = login[0]![1].replace(/^Authorization: /, "");
  const base = remote.replace(/\/+$/, "");
  try {
    const { href } = await findPlace(`${base}${FIRST_REQUEST}`, { authorization, signal });
    return href.endsWith(FIRST_REQUEST) ? href.slice(0, -FIRST_REQUEST.length) : remote;
  } catch {
    signal?.throwIfAborted();
    // git tells better what is wrong there
    return remote;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function checkOut(
  git: Git,
  { remote, ref, submodules }: GitAddress,
  checksum: string | undefined,
): Promise<void> {
  await git.run("init", "--quiet", "--initial-branch=main", ".");
  await git.run("remote", "add", "origin", remote);
  const wanted = ref ?? "HEAD";
  // the whole history where a server gives no single commits, or only knows it by an abbreviated number
  const isFetched = await git.tries("fetch", "--quiet", "--no-tags", "--depth=1", "origin", wanted) ||
    await git.tries("fetch", "--quiet", "--no-tags", "origin", wanted);
  let commit = "FETCH_HEAD";
  if (!isFetched) {
    if (!/^[0-9a-f]{7,64}$/.test(wanted)) {
      throw git.failure(`fetch "${printable(wanted)}" of ${printable(withoutCredentials(remote))}`);
    }
    await git.run("fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*");
    commit = wanted;
  }
  await git.run("-c", "core.symlinks=true", "checkout", "--quiet", "--force", "--detach", commit, "--");
  const head = (await git.run("rev-parse", "--verify", "HEAD")).trim();
  if (checksum !== undefined && !head.startsWith(checksum)) {
    // a tag that has an object of its own is known by that, too
    const fetched = (await git.run("rev-parse", "--verify", commit)).trim();
    if (!fetched.startsWith(checksum)) {
      const got = fetched === head ? head : `${fetched} or ${head}`;
      throw new BuildError(`expected checksum to match ${printable(checksum)}, got ${got}`);
    }
  }
  if (submodules === false) return;
  // relative addresses and ssh stay possible, files of this machine do not
  await git.run("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1");
}

/** Nothing of the user's but what leads to servers. @param agent instead of the user's own */
export function gitEnvironment(
  home: string,
  more: readonly (readonly [key: string, value: string])[],
  { allowFile }: Pick<GitOptions, "allowFile">,
  agent?: string,
): Record<string, string> {
  const config = [...CONFIG, ...more, ...(allowFile ? [["protocol.file.allow", "user"] as const] : [])];
  const env: Record<string, string> = {
    PATH: "/usr/bin:/bin",
    HOME: home,
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
    GIT_CONFIG_COUNT: String(config.length),
  };
  config.forEach(([key, value], at) => {
    env[`GIT_CONFIG_KEY_${at}`] = key;
    env[`GIT_CONFIG_VALUE_${at}`] = value;
  });
  for (const name of PASSED_ON) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  if (agent !== undefined) env.SSH_AUTH_SOCK = agent;
  return env;
}

/** One repository, and the program with an environment that has nothing of the user's. */
class Git {
  readonly #program: string;
  readonly #folder: string;
  readonly #env: Record<string, string>;
  readonly #signal?: AbortSignal;
  #said = "";

  constructor(program: string, folder: string, env: Record<string, string>, signal: AbortSignal | undefined) {
    this.#program = program;
    this.#folder = folder;
    this.#env = env;
    this.#signal = signal;
  }

  /** Its output. @throws {BuildError} with what it said */
  async run(...args: string[]): Promise<string> {
    const output = await this.#spawn(args);
    if (output === undefined) throw this.failure(args.find((word) => /^[a-z]/.test(word)) ?? "git");
    return output;
  }

  async tries(...args: string[]): Promise<boolean> {
    return await this.#spawn(args) !== undefined;
  }

  failure(what: string): BuildError {
    return new BuildError(`git: ${what}: ${printable(this.#said || "it failed")}`);
  }

  async #spawn(args: string[]): Promise<string | undefined> {
    this.#signal?.throwIfAborted();
    // modes of files shall not depend on who builds
    const before = umask(0o022);
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(this.#program, {
        args,
        cwd: this.#folder,
        clearEnv: true,
        env: this.#env,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
        signal: this.#signal,
      }).spawn();
    } finally {
      umask(before);
    }
    const [out, said, status] = await Promise.all([
      readText(child.stdout),
      readText(child.stderr),
      child.status,
    ]);
    this.#signal?.throwIfAborted();
    const lines = said.trim().split("\n");
    // what ssh says first is the reason, and git only that there is one
    this.#said = lines.find((line) => /Permission denied \(|^Host key verification failed/.test(line)) ??
      lines.find((line) => /^(fatal|error|remote)/.test(line)) ?? said.trim();
    return status.success ? out : undefined;
  }
}

/** The end of what is longer than anybody reads is dropped. */
async function readText(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    if (text.length < MAX_OUTPUT_BYTES) text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

function findGit(): string {
  const found = PROGRAM_FOLDERS.map((folder) => `${folder}/git`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  throw new HostError("fetch git repository: git is not installed on this machine", { hint: "install git" });
}

/** A folder of the repository; no link leads out of it. */
function subfolder(folder: string, name: string): string {
  using root = new Fd(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  try {
    using found = new Fd(openInRoot(root.number, name, O_PATH | O_DIRECTORY));
    return new TextDecoder().decode(readlinkat(AT_FDCWD, `/proc/self/fd/${found.number}`));
  } catch (error) {
    if (!isErrno(error, ENOENT, ENOTDIR)) throw error;
    throw new BuildError(`subdirectory "${printable(name)}" of the repository not found`, { cause: error });
  }
}

/**
 * Credential helpers: programs `docker-credential-NAME` that read a server's name on stdin and answer in JSON.
 *
 * @see https://github.com/docker/docker-credential-helpers
 */
import { HostError, InvalidArgumentError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import type { Credentials } from "./auth_file.ts";
import { type ConfigSources, KEYRING_VARIABLES } from "./sources.ts";

const FIXED_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TIMEOUT_MS = 60_000;

/**
 * Asks a helper for the login of `server`, null where it has none.
 * @throws InvalidArgumentError for a name that is a path; HostError where the helper is missing or fails
 */
export async function askCredentialHelper(
  sources: ConfigSources,
  name: string,
  server: string,
): Promise<Credentials | null> {
  const answer = await callHelper(sources, name, "get", server);
  if (/credentials not found/i.test(answer.stdout)) return null;
  if (!answer.success) throw helperFailed(name, server, answer);
  let json: unknown;
  try {
    json = JSON.parse(answer.stdout);
  } catch {
    throw new HostError(`ask credential helper "${name}" for ${server}: its answer is no JSON`);
  }
  const { Username: username, Secret: secret } = (json ?? {}) as { Username?: unknown; Secret?: unknown };
  if (typeof username !== "string" || typeof secret !== "string") {
    throw new HostError(`ask credential helper "${name}" for ${server}: its answer has no login`);
  }
  if (username === "" && secret === "") return null;
  return username === "<token>" ? { identityToken: secret } : { username, password: secret };
}

/** Gives a login into a helper's keeping; the secret goes by its stdin. */
export async function storeInHelper(
  sources: ConfigSources,
  name: string,
  server: string,
  login: { username: string; password: string },
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: login.username, Secret: login.password });
  const answer = await callHelper(sources, name, "store", input);
  if (!answer.success) throw helperFailed(name, server, answer);
}

/** Makes a helper forget a login; whether it had one. */
export async function eraseInHelper(sources: ConfigSources, name: string, server: string): Promise<boolean> {
  const known = await askCredentialHelper(sources, name, server);
  if (known === null) return false;
  const answer = await callHelper(sources, name, "erase", server);
  if (!answer.success) throw helperFailed(name, server, answer);
  return true;
}

interface HelperAnswer {
  success: boolean;
  stdout: string;
  stderr: string;
}

function helperFailed(name: string, server: string, { stdout, stderr }: HelperAnswer): HostError {
  const why = printable(stderr.trim() || stdout.trim(), 200);
  return new HostError(`ask credential helper "${name}" for ${server}: ${why}`);
}

async function callHelper(
  sources: ConfigSources,
  name: string,
  action: "get" | "store" | "erase",
  input: string,
): Promise<HelperAnswer> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new InvalidArgumentError(
      `ask credential helper "${printable(name, 60)}": this is no name of a helper`,
    );
  }
  const path = helperPath(sources);
  const program = await findProgram(path, `docker-credential-${name}`);
  if (program === null) {
    throw new HostError(`ask credential helper "${name}": docker-credential-${name} is not in ${path}`);
  }
  return await runHelper(sources, program, path, action, input);
}

/** Root takes no program from a PATH that others may have set; nobody takes one from a relative folder. */
export function helperPath(sources: ConfigSources): string {
  if (sources.isRoot) return FIXED_PATH;
  const folders = (sources.env.PATH ?? "").split(":").filter((folder) => folder.startsWith("/"));
  return folders.length === 0 ? FIXED_PATH : folders.join(":");
}

async function findProgram(path: string, name: string): Promise<string | null> {
  for (const folder of path.split(":")) {
    const stat = await Deno.stat(`${folder}/${name}`).catch(() => null);
    if (stat?.isFile && ((stat.mode ?? 0) & 0o111) !== 0) return `${folder}/${name}`;
  }
  return null;
}

async function runHelper(
  sources: ConfigSources,
  program: string,
  path: string,
  action: string,
  input: string,
): Promise<HelperAnswer> {
  const env: Record<string, string> = { PATH: path, HOME: sources.home };
  for (const name of KEYRING_VARIABLES) {
    const value = sources.env[name];
    if (value !== undefined) env[name] = value;
  }
  if (sources.runtimeDir !== undefined) env.XDG_RUNTIME_DIR = sources.runtimeDir;
  const child = new Deno.Command(program, {
    args: [action],
    clearEnv: true,
    env,
    cwd: "/",
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input + "\n")).then(() => writer.close()).catch(() => {});
  const { success, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { success, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/**
 * Whom to trust: the system's certificates, and the extra ones of a registry in `certs.d/HOST[:PORT]/`.
 *
 * @see containers-certs.d(5)
 */
import { InvalidArgumentError } from "../errors.ts";
import { type ConfigSources, listOptional, readOptional } from "./sources.ts";

export interface RegistryCerts {
  /** PEM bundles of `*.crt`. */
  ca: string[];
  /** `*.cert` with its `*.key`. */
  client?: { cert: string; key: string };
}

/** Where distributions keep the bundle; the list of Go's crypto/x509. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/**
 * The first folder that knows the registry: the user's, the system's, Docker's; or the one that was named.
 * @param host `name[:port]`
 * @throws InvalidArgumentError for a client certificate without its key, or the reverse
 */
export async function loadRegistryCerts(
  sources: ConfigSources,
  host: string,
  certDir?: string,
): Promise<RegistryCerts> {
  if (certDir !== undefined) return await readFolder(certDir);
  if (host.includes("/") || host === "." || host === "..") return { ca: [] };
  const roots = [
    `${sources.configHome}/containers/certs.d`,
    `${sources.systemDir}/containers/certs.d`,
    `${sources.systemDir}/docker/certs.d`,
  ];
  for (const root of roots) {
    const folder = `${root}/${host}`;
    const certs = await readFolder(folder);
    if (certs.ca.length > 0 || certs.client !== undefined) return certs;
  }
  return { ca: [] };
}

async function readFolder(folder: string): Promise<RegistryCerts> {
  const ca: string[] = [];
  for (const name of await listOptional(folder, ".crt")) {
    ca.push(await Deno.readTextFile(`${folder}/${name}`));
  }
  const keys = await listOptional(folder, ".key");
  let client: RegistryCerts["client"];
  for (const name of await listOptional(folder, ".cert")) {
    const key = name.replace(/\.cert$/, ".key");
    if (!keys.includes(key)) throw new InvalidArgumentError(`read ${folder}/${name}: ${key} is missing`);
    client ??= {
      cert: await Deno.readTextFile(`${folder}/${name}`),
      key: await Deno.readTextFile(`${folder}/${key}`),
    };
  }
  for (const key of keys) {
    const name = key.replace(/\.key$/, ".cert");
    if ((await readOptional(`${folder}/${name}`)) === null) {
      throw new InvalidArgumentError(`read ${folder}/${key}: ${name} is missing`);
    }
  }
  return client === undefined ? { ca } : { ca, client };
}

/** The machine's own certificates as PEM; they add to those that Deno brings. */
export async function loadSystemCerts(sources: ConfigSources): Promise<string[]> {
  const bundles = sources.env.SSL_CERT_FILE === undefined ? SYSTEM_BUNDLES : [sources.env.SSL_CERT_FILE];
  const found: string[] = [];
  for (const path of bundles) {
    const text = await readOptional(path).catch(() => null);
    if (text === null) continue;
    found.push(text);
    break;
  }
  for (const folder of (sources.env.SSL_CERT_DIR ?? "").split(":").filter((f) => f !== "")) {
    for (const suffix of [".pem", ".crt"]) {
      for (const name of await listOptional(folder, suffix)) {
        const text = await readOptional(`${folder}/${name}`).catch(() => null);
        if (text !== null) found.push(text);
      }
    }
  }
  return found;
}

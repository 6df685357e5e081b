/** How registries are reached: what pulls and pushes have in common. */

import type { Credentials } from "../config/auth_file.ts";
import { loadRegistriesConf, type PullSource, type RegistriesConf } from "../config/registries_conf.ts";
import { type ConfigSources, configSources } from "../config/sources.ts";
import { formatReference, type Reference } from "../image/reference.ts";
import { type ClientOptions, RegistryClient } from "./client.ts";
import type { RetryOptions } from "./retry.ts";
import { Transport } from "./transport.ts";

export interface AccessOptions {
  /** False accepts plain http and any certificate, true neither; undefined leaves it to registries.conf. */
  tlsVerify?: boolean;
  authFile?: string;
  /** For the registry that the name means; its mirrors do not see it. */
  credentials?: Credentials;
  /** Certificates are there instead of in certs.d. */
  certDir?: string;
  signal?: AbortSignal;
  /** Where configuration is; the default is the environment's. */
  sources?: ConfigSources;
  retry?: Partial<RetryOptions>;
  /** How long a registry may say nothing; the default is the transport's. */
  idleTimeoutMs?: number;
  /** The image is named in full: lists of short names are not read. */
  isNamedInFull?: boolean;
}

/** Connections that are kept until it is disposed of. */
export interface RegistryAccess extends Disposable {
  conf: RegistriesConf;
  client(
    source: PullSource,
    reference: Reference,
    more: Pick<ClientOptions, "onRetry" | "push">,
  ): RegistryClient;
}

export async function openRegistries(options: AccessOptions): Promise<RegistryAccess> {
  const { signal, certDir, idleTimeoutMs, tlsVerify, authFile, credentials, retry } = options;
  const sources = options.sources ?? configSources();
  const conf = await loadRegistriesConf(sources, !options.isNamedInFull);
  const transport = new Transport({ sources, signal, certDir, idleTimeoutMs });
  return {
    conf,
    client: (source, reference, more) =>
      new RegistryClient({
        transport,
        source,
        imageName: formatReference(reference),
        credentialHelpers: conf.credentialHelpers,
        tlsVerify,
        authFile,
        credentials: source.isMirror ? undefined : credentials,
        retry,
        ...more,
      }),
    [Symbol.dispose]: () => transport.close(),
  };
}

/** How a client reaches its registry, for who asks that for more later, and from another folder. */
export function keptAccess({ options: { transport, tlsVerify, authFile } }: RegistryClient) {
  const absolute = (path: string | undefined) =>
    path === undefined || path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  return { tlsVerify, authFile: absolute(authFile), certDir: absolute(transport.options.certDir) };
}

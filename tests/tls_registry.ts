/** A registry that asks for a login and speaks TLS with a certificate that nobody vouches for. */

import type { Host } from "./host.ts";
import { LocalRegistry } from "./local_registry.ts";

/** `htpasswd -Bbn me secret` */
export const HTPASSWD = "me:$2y$05$dz6PkK8d72/nzbVoUl6PIOk4BZZhbaMkizSDQB/a0LyOkhkAphvDa\n";

/** @returns the registry and its certificate's file; needs openssl */
export async function startTlsRegistry(
  host: Host,
): Promise<{ registry: LocalRegistry; certificate: string }> {
  const { certificate, key } = await makeCertificate(host.folder);
  const htpasswdFile = `${host.folder}/htpasswd`;
  await Deno.writeTextFile(htpasswdFile, HTPASSWD);
  const storage = `${host.folder}/registry`;
  await Deno.mkdir(storage);
  const registry = await LocalRegistry.start({ storage, htpasswdFile, tls: { certificate, key } });
  return { registry, certificate };
}

/** One of this machine's own addresses, signed by itself, with its key: files in `folder`. Needs openssl. */
export async function makeCertificate(folder: string): Promise<{ certificate: string; key: string }> {
  const [certificate, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        .split(" "),
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate, "-keyout", key],
    ],
    stderr: "null",
  }).output();
  if (!success) throw new Error("openssl made no certificate");
  return { certificate, key };
}

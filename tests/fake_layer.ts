/** Layers and certificates made on the spot, the hostile ones included. */
import { gzipSync } from "node:zlib";

/** A ustar archive of regular files (a name ending in `/` is a folder); names are taken as they are. */
export function tarOf(files: Record<string, string | Uint8Array<ArrayBuffer>>): Uint8Array<ArrayBuffer> {
  const blocks: Uint8Array<ArrayBuffer>[] = [];
  for (const [name, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    blocks.push(tarHeader(name, bytes.length, name.endsWith("/") ? "5" : "0"), padded(bytes));
  }
  return joined([...blocks, new Uint8Array(1024)]);
}

export function tarHeader(name: string, size: number, type: string): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(512);
  const put = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, "0") + "\0";
  put(0, name);
  put(100, octal(type === "5" ? 0o755 : 0o644, 8));
  put(108, octal(0, 8));
  put(116, octal(0, 8));
  put(124, octal(size, 12));
  put(136, octal(0, 12));
  put(148, "        ");
  put(156, type);
  put(257, "ustar\x0000");
  put(148, octal(header.reduce((sum, byte) => sum + byte, 0), 7) + " ");
  return header;
}

export function gzipped(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes));
}

export function joined(parts: Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function padded(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return joined([bytes, new Uint8Array((512 - bytes.length % 512) % 512)]);
}

export interface TestCerts {
  /** PEM. */
  ca: string;
  /** For localhost and 127.0.0.1, signed by `ca`. */
  server: { cert: string; key: string };
  /** For the same names, signed by itself and marked as an authority: what Docker's manual makes. */
  selfSigned: { cert: string; key: string };
  /** For a client, signed by `ca`. */
  client: { cert: string; key: string };
}

/** Makes an authority and certificates with openssl. @param address one more that the server's name covers */
export async function makeCerts(address?: string): Promise<TestCerts> {
  const folder = await Deno.makeTempDir({ prefix: "skiff-certs-" });
  const names = `subjectAltName=DNS:localhost,IP:127.0.0.1${address === undefined ? "" : `,IP:${address}`}`;
  const openssl = async (...args: string[]) => {
    const command = new Deno.Command("openssl", { args, cwd: folder, stdout: "null", stderr: "piped" });
    const { success, stderr } = await command.output();
    if (!success) throw new Error(`openssl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const pair = async (name: string) => ({
    cert: await Deno.readTextFile(`${folder}/${name}.crt`),
    key: await Deno.readTextFile(`${folder}/${name}.key`),
  });
  const signed = async (name: string, subject: string, extension: string) => {
    await Deno.writeTextFile(`${folder}/ext`, `${extension}\nbasicConstraints=CA:FALSE\n`);
    await openssl("req", ...key, "-keyout", `${name}.key`, "-subj", subject, "-out", `${name}.csr`);
    const by = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"];
    await openssl("x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.crt`);
    return await pair(name);
  };
  try {
    await openssl(
      "req",
      ...key,
      "-keyout",
      "ca.key",
      "-x509",
      "-days",
      "2",
      "-subj",
      "/CN=test ca",
      "-out",
      "ca.crt",
    );
    const server = await signed("server", "/CN=localhost", names);
    const client = await signed("client", "/CN=client", "extendedKeyUsage=clientAuth");
    const self = ["-x509", "-days", "2", "-subj", "/CN=localhost", "-addext", names, "-out", "self.crt"];
    await openssl("req", ...key, "-keyout", "self.key", ...self);
    return { ca: (await pair("ca")).cert, server, client, selfSigned: await pair("self") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

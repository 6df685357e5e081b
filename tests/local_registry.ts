/** Debian's docker-registry on a random port of the loopback, and the few requests that fill it. */

export interface RegistryOptions {
  /** Where it keeps its content; several registries may share one. */
  storage: string;
  /** `user:hash` lines (bcrypt) of htpasswd(1), to ask for basic auth. */
  htpasswdFile?: string;
  /** PEM files, to speak TLS. */
  tls?: { certificate: string; key: string };
}

export class LocalRegistry implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  /** What the registry wrote to its log, request lines included. */
  readonly log: string[];
  readonly #log: Promise<void>;

  private constructor(child: Deno.ChildProcess, address: string, log: string[], logDone: Promise<void>) {
    this.#child = child;
    this.address = address;
    this.log = log;
    this.#log = logDone;
  }

  /** Resolves when the registry listens. */
  static async start(options: RegistryOptions): Promise<LocalRegistry> {
    const configFile = await Deno.makeTempFile({ prefix: "skiff-registry-", suffix: ".yml" });
    await Deno.writeTextFile(configFile, registryConfig(options));
    const child = new Deno.Command("/usr/bin/docker-registry", {
      args: ["serve", configFile],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", OTEL_TRACES_EXPORTER: "none" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const log: string[] = [];
    const listening = Promise.withResolvers<string>();
    const logDone = (async () => {
      let rest = "";
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          log.push(line);
          const address = line.match(/listening on ([0-9.:]+)/)?.[1];
          if (address) listening.resolve(address);
        }
      }
      listening.reject(new Error(`docker-registry did not start:\n${log.slice(-3).join("\n")}`));
    })();
    try {
      return new LocalRegistry(child, await listening.promise, log, logDone);
    } finally {
      await Deno.remove(configFile);
    }
  }

  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#child.status;
    await this.#log;
  }

  /** Uploads a blob; the registry itself checks the digest. */
  async pushBlob(name: string, bytes: Uint8Array<ArrayBuffer>, digest: string): Promise<void> {
    const base = `http://${this.address}`;
    const known = await fetch(`${base}/v2/${name}/blobs/${digest}`, { method: "HEAD" });
    await known.body?.cancel();
    if (known.ok) return;
    const begun = await fetch(`${base}/v2/${name}/blobs/uploads/`, { method: "POST" });
    await begun.body?.cancel();
    const place = new URL(begun.headers.get("location")!, base);
    place.searchParams.set("digest", digest);
    const done = await fetch(place, {
      method: "PUT",
      body: bytes,
      headers: { "content-type": "application/octet-stream" },
    });
    if (done.status !== 201) throw new Error(`push of ${digest}: ${done.status} ${await done.text()}`);
    await done.body?.cancel();
  }

  /** Uploads a manifest under a tag or digest and gives its digest. */
  async pushManifest(name: string, tag: string, manifest: string, mediaType: string): Promise<string> {
    const answer = await fetch(`http://${this.address}/v2/${name}/manifests/${tag}`, {
      method: "PUT",
      body: manifest,
      headers: { "content-type": mediaType },
    });
    if (answer.status !== 201) {
      throw new Error(`push of ${name}:${tag}: ${answer.status} ${await answer.text()}`);
    }
    await answer.body?.cancel();
    return answer.headers.get("docker-content-digest")!;
  }
}

function registryConfig({ storage, htpasswdFile, tls }: RegistryOptions): string {
  const lines = [
    "version: 0.1",
    "log: {level: info, accesslog: {disabled: true}}",
    `storage: {filesystem: {rootdirectory: ${JSON.stringify(storage)}}, delete: {enabled: true}}`,
    "http:",
    "  addr: 127.0.0.1:0",
    "  secret: tests",
    ...(tls
      ? [`  tls: {certificate: ${JSON.stringify(tls.certificate)}, key: ${JSON.stringify(tls.key)}}`]
      : []),
    // foreign layers are allowed, so that tests can offer them
    "validation: {manifests: {urls: {allow: ['.*']}}}",
    ...(htpasswdFile ? [`auth: {htpasswd: {realm: tests, path: ${JSON.stringify(htpasswdFile)}}}`] : []),
  ];
  return lines.join("\n") + "\n";
}

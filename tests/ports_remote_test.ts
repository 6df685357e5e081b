/** A client on another machine: two network namespaces of the test's own stand for it and for the machine with skiff. */

import { assertEquals, type Host, hostTest, type Need, waitFor } from "./harness.ts";

const MACHINE = "198.18.0.1";
const CLIENT = "198.18.0.2";

/** A network namespace, as long as its process lives. */
class Namespace implements AsyncDisposable {
  private constructor(readonly child: Deno.ChildProcess) {}

  static async make(): Promise<Namespace> {
    const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
    const child = new Deno.Command("/usr/bin/unshare", { args: ["-n", "sleep", "1000"], ...quiet }).spawn();
    const isThere = () =>
      Deno.readLinkSync(`/proc/${child.pid}/ns/net`) !== Deno.readLinkSync("/proc/self/ns/net");
    await waitFor("the namespace is there", isThere);
    return new Namespace(child);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Runs a program there, as root or as somebody whom its words make it. */
  async run(words: string[], options: Deno.CommandOptions = {}): Promise<{ code: number; out: string }> {
    const args = ["-t", String(this.pid), "-n", "--", ...words];
    const { code, stdout, stderr } = await new Deno.Command("/usr/bin/nsenter", { args, ...options })
      .output();
    return { code, out: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  }

  async ok(...words: string[]): Promise<string> {
    const { code, out } = await this.run(words);
    assertEquals(code, 0, `${words.join(" ")}: ${out}`);
    return out;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
  }
}

async function connect(machine: Namespace, client: Namespace): Promise<void> {
  const ip = (namespace: Namespace, line: string) => namespace.ok("ip", ...line.split(" "));
  await ip(machine, `link add m0 type veth peer name c0 netns ${client.pid}`);
  for (const [namespace, name, address] of [[machine, "m0", MACHINE], [client, "c0", CLIENT]] as const) {
    await ip(namespace, "link set lo up");
    await ip(namespace, `addr add ${address}/24 dev ${name}`);
    await ip(namespace, `link set ${name} up`);
  }
  // pasta(1) copies the addresses of the interface that leads out
  await ip(machine, `route add default via ${CLIENT}`);
}

async function skiff(host: Host, machine: Namespace, ...words: string[]): Promise<string> {
  const options: Deno.CommandOptions = { clearEnv: true, env: host.env, cwd: host.home, stdin: "null" };
  const { code, out } = await machine.run([...host.prefix, host.binary, ...words], options);
  assertEquals(code, 0, `skiff ${words.join(" ")}: ${out}`);
  return out.trim();
}

/** What a server at the machine answers to the client; undefined where nobody does. */
async function ask(client: Namespace, port: string): Promise<string | undefined> {
  const script =
    `exec 3<>/dev/tcp/${MACHINE}/${port} && printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
  const { out } = await client.run(["/usr/bin/timeout", "20", "/bin/bash", "-c", script]);
  return /client=\S+/.exec(out)?.[0];
}

/** Its one page is the client's address. */
const SERVER = "mkdir -p /tmp/www/cgi-bin; cd /tmp/www/cgi-bin; " +
  "printf '#!/bin/sh\\necho; echo client=$REMOTE_ADDR' >who; chmod +x who; exec httpd -f -p 80 -h /tmp/www";

const NEEDS: Need[] = ["root", "registry", "busybox", "uidmap", "bash", "ip"];

for (const network of ["slirp", "slirp4netns", "pasta"] as const) {
  const needs = network === "slirp" ? NEEDS : [...NEEDS, network];
  hostTest(
    `a client on another machine is seen with its own address (${network})`,
    { needs },
    async (host) => {
      const image = await host.image();
      await host.ok("pull", "-q", image);
      await using machine = await Namespace.make();
      await using client = await Namespace.make();
      await connect(machine, client);
      const options = ["--name", "web", "--network", network, "-p", "80"];
      await skiff(host, machine, "run", "-d", ...options, image, "sh", "-c", SERVER);
      const port = (await skiff(host, machine, "port", "web", "80")).replace(/.*:/, "");
      const answer = await waitFor("the server answers", () => ask(client, port));
      assertEquals(answer.replace(/^client=\[?(::ffff:)?/, "").replace("]", ""), CLIENT);
      await skiff(host, machine, "rm", "-f", "-t", "0", "web");
    },
  );
}

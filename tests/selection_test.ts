/** Commands on several containers: --all, --latest, --filter, --cidfile, --ignore. */

import { assertEquals, type Host, hostTest } from "./harness.ts";

const REGISTRY = { needs: ["registry" as const] };

/** a and b run, c has ended, d was only created. */
async function fleet(host: Host): Promise<void> {
  const image = await host.image();
  const common = ["-q", "--net=none", "--stop-timeout", "0"];
  for (const name of ["a", "b"]) {
    const label = name === "a" ? ["-l", "tier=front"] : [];
    const cidfile = ["--cidfile", `${host.home}/${name}.cid`];
    await host.ok("run", "-d", ...common, ...label, ...cidfile, "--name", name, image, "sleep", "1000");
  }
  await host.ok("run", ...common, "--name", "c", image, "true");
  await host.ok("create", ...common, "--name", "d", image, "sleep", "1000");
}

const names = (host: Host, ...options: string[]) =>
  host.ok("ps", "--sort", "names", "--format", "{{.Names}}", ...options).then((text) =>
    text.replaceAll("\n", " ")
  );

hostTest("ps shows what runs, all, the last, and what filters leave", REGISTRY, async (host) => {
  await fleet(host);
  assertEquals(await names(host), "a b");
  assertEquals(await names(host, "-a"), "a b c d");
  assertEquals(await names(host, "-l"), "d");
  assertEquals(await names(host, "-n", "2"), "c d");
  assertEquals(await names(host, "--filter", "status=exited"), "c");
  assertEquals(await names(host, "-a", "--filter", "status=created", "--filter", "status=exited"), "c d");
  assertEquals(await names(host, "--filter", "label=tier=front"), "a");
  assertEquals(await names(host, "-a", "--filter", "label!=tier"), "b c d");
  assertEquals(await names(host, "-a", "--filter", "name=^[cd]$"), "c d");
  assertEquals(await names(host, "--filter", "exited=0"), "c");
  assertEquals(await names(host, "-a", "--filter", "ancestor=busybox"), "a b c d");
  assertEquals(await names(host, "-a", "--filter", "before=b"), "a");
});

hostTest("stop, start, kill and rm take --all, --latest, --filter and --cidfile", REGISTRY, async (host) => {
  await fleet(host);
  assertEquals(
    await host.ok("stop", "--cidfile", `${host.home}/a.cid`),
    await Deno.readTextFile(`${host.home}/a.cid`),
  );
  assertEquals(await names(host), "b");
  await host.ok("start", "--filter", "label=tier");
  await host.ok("start", "--latest");
  assertEquals(await names(host), "a b d");
  await host.ok("kill", "--all");
  await host.ok("wait", "a", "b", "d");
  assertEquals(await names(host), "");
  await host.ok("start", "a", "b");
  await host.ok("stop", "--all");
  assertEquals(await names(host), "");
  await host.ok("rm", "--filter", "label=tier");
  await host.ok("rm", "--latest");
  assertEquals(await names(host, "-a"), "b c");
  await host.ok("rm", "--force", "--all");
  assertEquals(await names(host, "-a"), "");
});

hostTest("--ignore forgives what is not there", REGISTRY, async (host) => {
  await fleet(host);
  assertEquals(await host.ok("stop", "--ignore", "nosuch", "a"), "a");
  assertEquals(await host.ok("rm", "--ignore", "--cidfile", `${host.home}/none.cid`, "a", "nosuch"), "a");
  assertEquals(await host.ok("rmi", "--ignore", "nosuch"), "");
  assertEquals((await host.skiff(["rm", "--cidfile", `${host.home}/none.cid`])).code, 125);
});

hostTest(
  "as root, with a store of its own, the same",
  { asRoot: true, needs: ["root", "registry"] },
  async (host) => {
    await fleet(host);
    assertEquals(await names(host, "-a"), "a b c d");
    assertEquals(await host.ok("exec", "a", "id", "-u"), "0");
    assertEquals(await host.ok("inspect", "-f", "{{.State.Status}}", "c"), "exited");
  },
);

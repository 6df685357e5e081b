/** The rarest options of `run`, which podman has as well: the execution domain, folders to chroot to, systemd's sizes, pulls. */

import { assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

const QUIET = ["-q", "--network", "none"];

hostTest("an execution domain is that of all programs of the container", {}, async (host) => {
  const uname = async (...options: string[]) =>
    (await host.run("--rm", ...QUIET, ...options, "host", "uname", "-m")).stdout.trim();
  const own = await uname();
  const foreign = Deno.build.arch === "aarch64" ? "armv8l" : "i686";
  assertEquals(await uname("--personality", "LINUX"), own);
  assertEquals(await uname("--personality=LINUX32"), foreign);
  // a filter that lets nobody ask for one comes after it
  assertEquals(await uname("--personality=LINUX32", "--security-opt", "no-new-privileges"), foreign);
  await host.ok("run", "-d", ...QUIET, "--name", "c", "--personality", "LINUX32", "host", "sleep", "1000");
  assertEquals(await host.ok("exec", "c", "uname", "-m"), foreign);
  await host.ok("restart", "-t", "0", "c");
  assertEquals(await host.ok("exec", "c", "uname", "-m"), foreign);
  const bad = await host.run("--rm", ...QUIET, "--personality", "ADDR_NO_RANDOMIZE", "host", "true");
  assertEquals([bad.code, bad.stderr], [
    125,
    "Error: unknown persona specified `ADDR_NO_RANDOMIZE`: it is LINUX or LINUX32\n",
  ]);
});

hostTest(
  "folders that programs chroot to have the names as well",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const root = [{ path: "srv/root/bin" }, { path: "trap", link: "/etc" }];
    const image = await host.makeImage({ layers: [{ entries: busyboxEntries() }, { entries: root }] });
    const words = ["--add-host", "a.example:10.1.2.3", "--chrootdirs", "/srv/root,new"];
    const { stdout } = await host.run(
      ...["--rm", ...QUIET, ...words, image, "sh", "-c"],
      "grep -c a.example /srv/root/etc/hosts /new/etc/hosts /etc/hosts; ls /new/etc",
    );
    assertEquals(stdout.split("\n").slice(0, 5), [
      "/srv/root/etc/hosts:1",
      "/new/etc/hosts:1",
      "/etc/hosts:1",
      "hosts",
      "resolv.conf",
    ]);
    // a link of the image leads nowhere but to the container's own files
    await host.ok(
      "create",
      ...QUIET,
      "--name",
      "c",
      "--chrootdirs",
      "/trap",
      "--chrootdirs",
      "/srv/root",
      image,
      "ls",
      "/etc/etc",
    );
    assertEquals(await host.ok("start", "-a", "c"), "hosts\nresolv.conf");
    assertEquals(await host.ok("inspect", "-f", "{{.Config.ChrootDirs}}", "c"), "[/trap /srv/root]");
    // what was only mounted there is no part of an image
    await host.ok("commit", "-q", "c", "committed");
    assertEquals(
      await host.ok("run", "--rm", ...QUIET, "committed", "find", "/srv/root", "-type", "f"),
      "/srv/root/bin",
    );
    const proc = await host.run("--rm", ...QUIET, "--chrootdirs", "/proc/1", image, "true");
    assertIncludes(proc.stderr, "because it is inside /proc");
  },
);

hostTest("the folders of systemd have the size that is asked for", {}, async (host) => {
  const sizes = async (...options: string[]) => {
    const { stdout } = await host.run(
      ...["--rm", ...QUIET, "--systemd", "always", ...options, "host", "sh", "-c"],
      "df -k /run /run/lock /tmp /var/log/journal | tail -n +2 | tr -s ' ' | cut -d' ' -f2 | sort -u",
    );
    return stdout.trim();
  };
  assertEquals(await sizes("--shm-size-systemd", "10m"), "10240");
  assertEquals(await sizes("--shm-size-systemd=0"), await sizes());
  const bad = await host.run("--rm", ...QUIET, "--shm-size-systemd", "-1", "host", "true");
  assertEquals(bad.stderr, "Error: unable to translate --shm-size-systemd: invalid size: '-1'\n");
});

hostTest(
  "a pull is tried again as often as is asked for, after the pause that is asked for",
  {},
  async (host) => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    let connections = 0;
    const served = (async () => {
      for await (const connection of listener) {
        connections++;
        connection.close();
      }
    })();
    const { port } = listener.addr as Deno.NetAddr;
    const image = `127.0.0.1:${port}/x`;
    const count = async (...words: string[]) => {
      connections = 0;
      assertEquals((await host.skiff(words)).code, 125);
      return connections;
    };
    const once = await count("pull", "--tls-verify=false", "--retry", "0", image);
    const retried = ["--tls-verify=false", "--retry", "2", "--retry-delay", "1ms", image];
    assertEquals(await count("pull", ...retried), once + 2);
    assertEquals(await count("run", "--rm", ...retried, "true"), once + 2);
    assertEquals(await count("create", ...retried), once + 2);
    for (const words of [["pull"], ["run", "--rm"]]) {
      const { code, stderr } = await host.skiff([...words, "--retry-delay", "5", image]);
      assertEquals([code, stderr], [125, 'Error: time: invalid duration "5"\n']);
    }
    listener.close();
    await served;
  },
);

/** `export`: the container's own files, whatever is mounted over them. */

import { assertEquals, driverTest, type Host } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

async function exported(host: Host, name: string): Promise<string[]> {
  const { stdout } = await host.sh(
    `"$SKIFF" export ${name} > e.tar; tar xOf e.tar etc/own; tar xOf e.tar etc/hosts; tar tf e.tar | grep -E '^(etc|srv)/.' | sort`,
  );
  return stdout.trim().split("\n");
}

driverTest(
  "an export has the container's own files below what is mounted, running or not",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const own = [
      { path: "etc/own", content: "of the image\n" },
      { path: "etc/hosts", content: "names of the image\n" },
      { path: "srv/file", content: "" },
    ];
    const image = await host.makeImage({ layers: [{ entries: busyboxEntries() }, { entries: own }] });
    await Deno.mkdir(`${host.home}/folder`);
    for (const name of ["own", "folder/file"]) {
      await Deno.writeTextFile(`${host.home}/${name}`, "of the host\n");
    }
    await host.own(`${host.home}/folder`, `${host.home}/own`, `${host.home}/folder/file`);
    const mounts = ["-v", `${host.home}/own:/etc/own`, "-v", `${host.home}/folder:/srv`];
    for (const userns of ["host", "keep-id"]) {
      const words = ["-d", "-q", "--network", "none", "--name", userns, "--userns", userns, ...mounts];
      await host.ok("run", ...words, image, "sleep", "1000");
      // control: the mounts are there
      assertEquals(await host.ok("exec", userns, "cat", "/etc/own", "/srv/file"), "of the host\nof the host");
      const running = await exported(host, userns);
      assertEquals(running.slice(0, 2), ["of the image", "names of the image"]);
      assertEquals(running.includes("srv/file"), true);
      await host.ok("stop", "-t", "0", userns);
      assertEquals(await exported(host, userns), running);
    }
  },
);

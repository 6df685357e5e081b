/** `volume create --driver image` and `--mount type=image,src=host`: images as the content of mounts. */
import { assertEquals, assertIncludes, assertMatch, type Host, hostTest, type Need } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[] };

async function inside(host: Host, options: string[], script: string): Promise<string> {
  const words = ["-q", "--rm", "--network", "none", ...options, "host", "sh", "-ec", script];
  const { code, stdout, stderr } = await host.run(...words);
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

for (const asRoot of [false, true]) {
  hostTest(
    `a volume of an image begins with its files, and stays when the image goes${asRoot ? ", as root" : ""}`,
    { needs: [...NEEDS.needs, ...(asRoot ? ["root" as const] : [])], asRoot },
    async (host) => {
      const image = await host.image();
      await host.ok("pull", "-q", image);
      const create = (name: string, ...options: string[]) =>
        host.skiff(["volume", "create", "-d", "image", ...options.flatMap((one) => ["-o", one]), name]);
      const made = await create("system", `image=${image}`);
      assertEquals([made.code, made.stdout, made.stderr], [0, "system\n", ""]);
      const told = await host.ok("volume", "inspect", "-f", "{{.Driver}} {{.Options.image}}", "system");
      assertEquals(told, `image ${image}`);
      const user = ["-u", "7:8"];
      const look = "stat -c %u:%g:%F /v/bin/busybox; cat /v/mine 2>/dev/null || echo none";
      // neither the user's nor the folder's owner is taken over
      assertEquals(await inside(host, [...user, "-v", "system:/v"], look), "0:0:regular file\nnone");
      assertEquals(
        await inside(host, ["-v", "system:/v"], "echo here > /v/mine; rm /v/bin/busybox; ls /v/bin | wc -l"),
        await inside(host, ["-v", "system:/v"], "ls /v/bin | wc -l"),
      );
      // the image has what the volume has lost
      assertEquals((await host.run("-q", "--rm", image, "busybox", "echo", "whole")).stdout, "whole\n");
      assertEquals(await host.ok("volume", "clone", "system", "other"), "other");
      assertEquals(await host.ok("volume", "snapshot", "system@now"), "system@now");
      // made with a container, and gone with it where it has no name
      const mount = (rest: string) => [
        "--mount",
        `type=volume,volume-driver=image,volume-opt=image=${image},dst=/v${rest}`,
      ];
      assertEquals(await inside(host, mount(",src=asked"), look), "0:0:regular file\nnone");
      assertEquals(await inside(host, mount(""), "test -x /v/bin/busybox && echo there"), "there");
      assertEquals(await host.ok("volume", "ls", "-q"), "asked\nother\nsystem");
      await host.ok("rmi", "-f", image);
      assertEquals(await inside(host, ["-v", "other:/v"], "cat /v/mine"), "here");
      assertEquals(await host.ok("volume", "rm", "asked", "other", "system"), "asked\nother\nsystem");

      const refused = async (...options: string[]) => {
        const { code, stderr } = await create("none", ...options);
        assertEquals(code, 125);
        return stderr;
      };
      assertIncludes(
        await refused(),
        "must provide an image name when creating a volume with the image driver",
      );
      assertIncludes(
        await refused("type=tmpfs", `image=${image}`),
        "invalid mount option type for driver 'image': invalid argument",
      );
      assertIncludes(await refused(`image=${image}`), `looking up image ${image} to create volume failed`);
      assertIncludes(await refused("image=host"), "it has no layers, but this machine's own folders");
      assertEquals(await host.ok("volume", "ls", "-q"), "");
    },
  );

  hostTest(`--mount type=image shows the built-in image${asRoot ? ", as root" : ""}`, {
    needs: asRoot ? ["registry", "busybox", "root"] : NEEDS.needs,
    asRoot,
  }, async (host) => {
    const image = await host.image();
    const shown = async (rest: string, script: string, ...options: string[]) => {
      const words = ["--mount", `type=image,src=host,dst=/m${rest}`, ...options];
      const ran = await host.run("-q", "--rm", "--network", "none", ...words, image, "sh", "-c", script);
      return `${ran.stdout}${ran.stderr}`.trim();
    };
    assertEquals(
      await shown("", "ls -d /m/usr/bin/env; ls -A /m/home /m/root"),
      "/m/usr/bin/env\n/m/home:\n\n/m/root:",
    );
    for (const place of ["/m", "/m/tmp", "/m/usr"]) {
      assertMatch(await shown("", `touch ${place}/x`), /Read-only file system/);
    }
    assertEquals(await shown(",subpath=usr/bin", "ls /m/env"), "/m/env");
    assertEquals(await shown(",rw", "echo written > /m/tmp/x; cat /m/tmp/x"), "written");
    // in a container of the image itself, and under another user namespace
    assertEquals(
      await inside(host, ["--mount", "type=image,src=host,dst=/mnt"], "ls /mnt/usr/bin/env"),
      "/mnt/usr/bin/env",
    );
    if (!asRoot) assertEquals(await shown("", "ls /m/usr/bin/env", "--userns", "keep-id"), "/m/usr/bin/env");
  });
}

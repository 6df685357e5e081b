/** A shared volume in which a container exchanges names while others mount on them, below them, and parts of it. */
import { assert, assertEquals, type Host, hostTest, type TestOptions, waitFor } from "./harness.ts";
import { compileProbe } from "./probes.ts";

/** As the test user, and as real root, whom nothing of the host would stop. */
function attackTest(name: string, options: TestOptions, fn: (host: Host) => Promise<void>): void {
  hostTest(name, options, fn);
  hostTest(`as root, ${name}`, { ...options, needs: ["root", ...(options.needs ?? [])], asRoot: true }, fn);
}

attackTest(
  "mounts on names that a container exchanges meanwhile stay inside (CVE-2021-30465, CVE-2024-45310)",
  {
    needs: ["registry", "busybox", "gcc"],
    timeoutMs: 240_000,
  },
  async (host) => {
    const image = await host.image();
    const flip = await compileProbe("flip_probe", host.folder);
    const outside = `${host.home}/outside`;
    await host.sh("mkdir -p outside/folder; echo canary >outside/file; chmod -R 777 outside; chmod 711 .");
    const untouched = () => {
      assertEquals([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["file", "folder"]);
      assertEquals([...Deno.readDirSync(`${outside}/folder`)], []);
      assertEquals(Deno.readTextFileSync("/proc/self/mountinfo").includes(outside), false);
    };
    // the link leads to the folder outside by its own path, and by as many `..` as there may be
    const link = `../../../../../../../../../../..${outside}`;
    const prepare =
      `mkdir -p /v/dir; echo own >/v/dir/file; ln -s '${link}' /v/link; cd /v; exec /probe dir link`;
    const words = [
      "-d",
      "--name",
      "flipper",
      "--network",
      "none",
      "-v",
      "shared:/v",
      "-v",
      `${flip}:/probe:ro`,
    ];
    await host.ok("run", ...words, image, "sh", "-c", prepare);
    await host.untilLogged("flipper", "ready");
    const attempts: [options: string[], script: string][] = [
      // on the name: the second mount must be where the container sees it, or nowhere
      [["-v", "shared:/v", "-v", "other:/v/dir"], "touch /v/dir/made; true"],
      [["-v", "shared:/v", "--tmpfs", "/v/dir/tmp"], "touch /v/dir/tmp/made 2>/dev/null; true"],
      // below it: the mount point has to be made
      [["-v", "shared:/v", "-v", "other:/v/dir/new/deep"], "true"],
      [["-v", "shared:/v", "-v", `${flip}:/v/dir/stray:ro`], "true"],
      // a part of it
      [["--mount", "type=volume,src=shared,dst=/p,subpath=dir"], "cat /p/file"],
      [["--mount", "type=volume,src=shared,dst=/p,subpath=dir/file"], "cat /p"],
    ];
    let ran = 0;
    for (let round = 0; round < 4; round++) {
      for (const [options, script] of attempts) {
        const { code, stdout } = await host.run("--rm", "-q", ...options, image, "sh", "-c", script);
        if (code === 0) ran++;
        assert(!stdout.includes("canary"), `${options}: ${stdout}`);
        untouched();
      }
    }
    assert(ran > 0, "nothing ran at all");
    // Control: who makes the mount point by its name, in the same volume at the same time, makes it outside.
    const volume = `${host.data}/volumes/shared/_data`;
    const stray = () => [...Deno.readDirSync(`${outside}`)].some(({ name }) => name.startsWith("stray"));
    await waitFor("the unguarded mkdir to be led out", async () => {
      await host.sh(`for i in $(seq 200); do mkdir -p '${volume}/dir/stray'$i 2>/dev/null; done; true`);
      return stray();
    });
  },
);

/** The monitor and init that `run` and `start` fork before they know what for: right guesses, wrong ones, no container. */

import { assertEquals, hostTest, waitFor } from "./harness.ts";

const REGISTRY = { needs: ["registry" as const] };

hostTest("a container of other namespaces than most is started all the same", REGISTRY, async (host) => {
  const image = await host.image();
  // `start` cannot tell from its words what `create` asked for
  for (const [option, kind] of [["--network=host", "net"], ["--pid=host", "pid"], ["--uts=host", "uts"]]) {
    const id = await host.ok("create", "-q", option!, image, "readlink", `/proc/self/ns/${kind}`);
    assertEquals(await host.ok("start", "-a", id), Deno.readLinkSync(`/proc/self/ns/${kind}`));
    // nor, for the program's words are like options, can `run`
    assertEquals(await host.ok("run", "--rm", option!, image, "echo", "--pid=host"), "--pid=host");
  }
  assertEquals(await host.ok("run", "--rm", image, "echo", "--network", "host"), "--network host");
});

hostTest(
  "mounts that differ from the usual are the container's, and no others are there",
  REGISTRY,
  async (host) => {
    const image = await host.image();
    const table = ["awk", "{print $5, $6}", "/proc/self/mountinfo"];
    const usual = (await host.ok("run", "--rm", image, ...table)).split("\n");
    const special = (await host.ok("run", "--rm", "--shm-size", "1m", "--tmpfs", "/scratch", image, ...table))
      .split("\n");
    assertEquals(special.filter((line) => !usual.includes(line)).map((line) => line.split(" ")[0]), [
      "/scratch",
    ]);
    assertEquals(usual.filter((line) => !special.includes(line)), []);
    assertEquals(
      await host.ok(
        "run",
        "--rm",
        "--shm-size",
        "1m",
        image,
        "sh",
        "-c",
        "df /dev/shm | awk 'NR == 2 {print $2}'",
      ),
      "1024",
    );
  },
);

hostTest(
  "a command that starts nothing leaves no process and no member of the namespace",
  {},
  async (host) => {
    for (
      const words of [
        ...[["run", "--pull=never", "localhost/none"], ["start", "none"], ["run"], ["run", "--bad"]],
        ...[["exec", "none", "true"], ["exec", "none"], ["exec", "--bad"]],
      ]
    ) {
      assertEquals((await host.skiff(words)).code, 125);
    }
    await waitFor("seeds end with their commands", () => host.processes().length === 0);
    assertEquals(await host.ok("run", "--rm", "--net=none", "host", "echo", "fine"), "fine");
  },
);

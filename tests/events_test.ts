/** Events: what each verb tells, replayed and live. */

import { assert, assertEquals, assertIncludes, assertMatch, hostTest, waitFor } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

hostTest("a container's life is told in podman's words", NEEDS, async (host) => {
  const image = await host.image();
  const told = async (...filters: string[]) =>
    (await host.ok("events", "--stream=false", "--format", "{{.Type}} {{.Status}}", ...filters)).split("\n");
  await host.run("-q", "--name", "web", "-l", "a=b", "-v", "data:/data", image, "sh", "-c", "exit 3");
  await host.skiff(["start", "-a", "web"]);
  await host.ok("rm", "web");
  assertEquals(await told(), [
    ...["image pull", "container create", "volume create", "container init", "container start"],
    ...["container died", "container init", "container start", "container died", "container remove"],
  ]);
  assertEquals(await told("--filter", "event=die", "--filter", "label=a=b"), [
    "container died",
    "container died",
  ]);
  assertEquals(await told("--filter", "type=volume", "--filter", "type=image"), [
    "image pull",
    "volume create",
  ]);
  assertEquals(await told("--filter", "container=other"), [""]);
  const documents = (await host.ok("events", "--stream=false", "--format", "json", "-f", "event=died")).split(
    "\n",
  );
  const { ContainerExitCode, Name, Status, Attributes } = JSON.parse(documents[0]!);
  assertEquals([ContainerExitCode, Name, Status, Attributes], [3, "web", "died", { a: "b" }]);
  const [line = ""] = (await host.ok("events", "--stream=false", "-f", "event=remove", "--no-trunc=false"))
    .split("\n");
  assertMatch(
    line,
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000 UTC container remove [0-9a-f]{12} \(image=.*, name=web, a=b\)$/,
  );
});

hostTest("events come live, and end when they are to", NEEDS, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const live = host.spawn(["events", "--format", "{{.Name}} {{.Status}}", "--filter", "label=watched"]);
  // it tells nothing before it watches, so there is no moment to wait for but its first word
  await waitFor("a first event", async () => {
    await host.run("--rm", "-l", "watched", "--name", "first", image, "true");
    return live.output.stdout.includes("first remove\n");
  });
  await host.run("--rm", "-l", "watched", "--name", "c", image, "true");
  await waitFor("the last event", () => live.output.stdout.includes("c remove\n"));
  live.child.kill("SIGINT");
  assertEquals((await live.result).code, 1);
  assertEquals(
    live.output.stdout.split("\n").filter((line) => line.startsWith("c ")),
    ["c create", "c init", "c start", "c died", "c remove"],
  );
  // a time that is still to come ends it
  for (let seconds = 1;; seconds *= 4) {
    const until = host.spawn([
      "events",
      "--since",
      "1h",
      "--until",
      `${seconds}s`,
      "--format",
      "{{.Status}}",
    ]);
    await host.run("-d", "--replace", "--name", "d", image, "sleep", "600");
    await host.ok("kill", "d");
    const { code, stdout } = await until.result;
    assertEquals(code, 0);
    assertIncludes(stdout, "pull\n");
    // on a slow machine the time may have come before the container's end
    if (stdout.includes("kill\n")) break;
    assert(seconds < 60, stdout);
  }
});

hostTest("events names what it does not understand", NEEDS, async (host) => {
  for (
    const [words, message] of [
      [["--filter", "foo=bar"], "foo=bar is an invalid filter"],
      [["--since", "yesterday"], 'parse --since "yesterday": not a time or a duration'],
      [["extra"], "`skiff events` takes no arguments"],
    ] as [string[], string][]
  ) {
    const { code, stderr } = await host.skiff(["events", "--stream=false", ...words]);
    assertEquals([code, stderr.split("\n")[0]], [125, `Error: ${message}`]);
  }
});

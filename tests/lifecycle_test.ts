/** From created to removed: start, stop, kill, wait, rm, and the rules of images in use. */

import { assertEquals, assertIncludes, assertMatch, hostTest, waitFor } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

/** Writes that it is up when signals find it prepared. */
const FOREVER = ["sh", "-c", "trap 'exit 5' TERM; trap 'exit 6' INT; echo up; while :; do sleep 0.05; done"];

hostTest("a container runs again and keeps what it wrote", NEEDS, async (host) => {
  const image = await host.image();
  const script = "cat /count 2>/dev/null; echo x >> /count";
  await host.run("-q", "--name", "again", image, "sh", "-c", script);
  const second = await host.skiff(["start", "-a", "again"]);
  assertEquals([second.code, second.stdout], [0, "x\n"]);
  assertEquals((await host.skiff(["start", "-a", "again"])).stdout, "x\nx\n");
  assertMatch(await host.ok("ps", "-a", "--format", "{{.Status}}"), /^Exited \(0\) /);
});

hostTest("stop asks first and kills then; kill sends what it is told", NEEDS, async (host) => {
  const image = await host.image();
  const exitCode = async () => await host.ok("inspect", "-f", "{{.State.ExitCode}} {{.State.Status}}", "c");
  await host.run("-q", "-d", "--name", "c", image, ...FOREVER);
  await host.untilLogged("c");
  await host.ok("stop", "c");
  assertEquals(await exitCode(), "5 exited");
  await host.ok("start", "c");
  await host.untilLogged("c", "up\nup\n");
  await host.ok("kill", "-s", "INT", "c");
  assertEquals(await host.ok("wait", "c"), "6");
  await host.ok("start", "c");
  await host.ok("kill", "c");
  assertEquals(await host.ok("wait", "c"), "137");
  await host.run(
    "-q",
    "-d",
    "--name",
    "deaf",
    "--stop-timeout",
    "0",
    image,
    "sh",
    "-c",
    "trap '' TERM; sleep 600 & wait",
  );
  await host.ok("stop", "deaf");
  assertEquals(await host.ok("wait", "deaf"), "137");
  await host.run("-q", "-d", "--name", "polite", "--stop-signal", "INT", image, ...FOREVER);
  await host.untilLogged("polite");
  await host.ok("stop", "polite");
  assertEquals(await host.ok("wait", "polite"), "6");
  // what has stopped may be stopped again
  assertEquals(await host.ok("stop", "polite"), "polite");
});

hostTest("wait answers everybody, before the end and after it", NEEDS, async (host) => {
  const image = await host.image();
  await host.run(
    "-q",
    "-d",
    "--name",
    "w",
    image,
    "sh",
    "-c",
    "while ! test -e /go; do sleep 0.05; done; exit 4",
  );
  const waiting = [1, 2, 3].map(() => host.skiff(["wait", "w"]));
  await host.ok("exec", "w", "touch", "/go");
  assertEquals((await Promise.all(waiting)).map(({ stdout }) => stdout), ["4\n", "4\n", "4\n"]);
  assertEquals(await host.ok("wait", "w"), "4");
});

hostTest("names are taken until their container goes, or is replaced", NEEDS, async (host) => {
  const image = await host.image();
  const first = await host.ok("create", "-q", "--network", "none", "--name", "n", image, "true");
  const taken = await host.skiff(["create", "--network", "none", "--name", "n", image, "true"]);
  assertEquals(taken.code, 125);
  assertIncludes(taken.stderr, `the container name "n" is already in use by ${first}`);
  const second = await host.ok("create", "--network", "none", "--replace", "--name", "n", image, "true");
  assertEquals(await host.ok("ps", "-aq", "--no-trunc"), second);
  assertEquals(host.containers(), [second]);
  // what a failed create leaves would be seen here
  assertEquals(await host.ok("rm", "n"), "n");
  assertEquals(host.containers(), []);
  const bad = await host.skiff(["create", "--name", "a b", image, "true"]);
  assertIncludes(bad.stderr, "names must match");
});

hostTest(
  "a container is found by id, by its beginning and by name, never by a pattern",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const id = await host.ok("create", "-q", "--network", "none", "--name", "found", image, "true");
    for (const text of [id, id.slice(0, 12), id.slice(0, 3), "found"]) {
      assertEquals(await host.ok("inspect", "-f", "{{.Id}}", text), id, text);
    }
    for (const text of ["*", "fou", "FOUND", `${id}0`, ""]) {
      assertEquals((await host.skiff(["container", "inspect", text])).code, 125, text);
    }
  },
);

hostTest("rm wants force for what runs, and takes everything along", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "r", "-v", "/anonymous", "-v", "named:/n", image, ...FOREVER);
  assertEquals((await host.skiff(["rm", "r"])).code, 2);
  assertEquals(await host.ok("rm", "-f", "-v", "r"), "r");
  assertEquals(host.containers(), []);
  assertEquals(Array.from(Deno.readDirSync(`${host.data}/volumes`), ({ name }) => name), ["named"]);
  assertEquals(await host.ok("rm", "-f", "--ignore", "r"), "");
});

hostTest("files of other ids in a container are removed with it", {
  needs: ["registry", "busybox", "uidmap"],
}, async (host) => {
  const image = await host.image();
  const script =
    "mkdir -p /a/b && touch /a/b/c && chown -R 1234:1234 /a && chmod 700 /a /a/b && chmod 000 /a/b/c";
  assertEquals((await host.run("-q", "--name", "ids", image, "sh", "-c", script)).code, 0);
  await host.ok("rm", "ids");
  assertEquals(host.containers(), []);
  assertEquals((await host.run("-q", "--rm", image, "sh", "-c", script)).code, 0);
  assertEquals(host.containers(), []);
});

hostTest("an image in use stays, by force it goes with its containers", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "user", image, ...FOREVER);
  const refused = await host.skiff(["rmi", image]);
  assertEquals(refused.code, 2);
  assertIncludes(refused.stderr, "image is in use by a container");
  await host.ok("tag", image, "other");
  // one of two names may go
  assertIncludes(await host.ok("rmi", "other"), "Untagged: localhost/other:latest");
  await host.ok("rmi", "-f", image);
  assertEquals(host.containers(), []);
  assertEquals(await host.ok("images", "-q"), "");
  assertEquals(Array.from(Deno.readDirSync(`${host.data}/layers`)), []);
});

hostTest("what runs shows its processes' end at once, also when nobody looks", NEEDS, async (host) => {
  const image = await host.image();
  await host.run("-q", "-d", "--name", "short", image, "true");
  await waitFor("it has ended", async () => (await host.ok("ps", "-q")) === "");
  assertMatch(await host.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}"), /^short Exited \(0\)/);
});

hostTest("twenty containers in the background at once", { ...NEEDS, timeoutMs: 240_000 }, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const started = await Promise.all(Array.from({ length: 20 }, () => host.run("-d", image, "sleep", "600")));
  assertEquals(started.filter(({ code }) => code !== 0).map(({ stderr }) => stderr), []);
  assertEquals((await host.ok("ps", "-q")).split("\n").length, 20);
  await host.ok("rm", "-f", ...started.map(({ stdout }) => stdout.trim()));
  assertEquals(await host.ok("ps", "-aq"), "");
});

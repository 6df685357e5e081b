/** The harness itself: what it promises to every host test, proven without the engine. */
import {
  assertEquals,
  assertIncludes,
  assertMatch,
  Host,
  hostTest,
  messageOf,
  PtySession,
  waitFor,
} from "./harness.ts";
import { processesOf } from "./leaks.ts";

hostTest("a program runs as the unprivileged user in a home of its own", {}, async (host) => {
  const { code, stdout } = await host.sh('id -u; echo "$HOME"; ulimit -Sn; exit 3');
  assertEquals(stdout, `${host.ids.uid}\n${host.home}\n1024\n`);
  assertEquals(code, 3);
});

hostTest("standard input reaches the program", {}, async (host) => {
  assertEquals((await host.sh("cat", { stdin: "x".repeat(200_000) })).stdout.length, 200_000);
});

hostTest("a program that never ends is killed and named", {}, async (host) => {
  assertMatch(
    await messageOf(() => host.sh("exec sleep 1000", { timeoutMs: 100 })),
    /took longer than 100 ms/,
  );
});

Deno.test("a process that outlives its test fails the test", async () => {
  const host = await Host.make();
  const left = host.spawnProgram(["/bin/sleep", "1000"]);
  await waitFor("sleep runs", () => Deno.readTextFileSync(`/proc/${left.pid}/comm`) === "sleep\n");
  const message = await messageOf(() => host.close(100));
  assertIncludes(message, `process ${left.pid} is left: /bin/sleep 1000`);
  await left.stdin.close().catch(() => {});
  assertEquals((await left.result).signal, "SIGKILL");
});

hostTest("a terminal shows what the program writes and has the size asked for", {
  needs: ["python3"],
}, async (host) => {
  const script = 'stty size; read line; echo "got $line"; exit 5';
  const terminal = new PtySession(["/bin/sh", "-c", script], {
    prefix: host.prefix,
    env: host.env,
    cwd: host.home,
    folder: host.folder,
    rows: 33,
    cols: 77,
  });
  await terminal.expect("33 77");
  await terminal.write("hello\n");
  await terminal.expect("got hello");
  assertEquals(await terminal.wait(), 5);
});

hostTest("the registry serves the busybox image", { needs: ["registry", "busybox"] }, async (host) => {
  const reference = await host.image("busybox");
  const [, address, name, tag] = reference.match(/^(.*)\/(.*):(.*)$/)!;
  const answer = await fetch(`http://${address}/v2/${name}/manifests/${tag}`, {
    headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
  });
  assertEquals((await answer.json()).layers.length, 1);
  assertIncludes(await Deno.readTextFile(`${host.home}/.config/containers/registries.conf`), address!);
});

hostTest("umoci unpacks the made image as it was described", {
  needs: ["registry", "busybox", "skopeo", "umoci", "root"],
}, async (host) => {
  const reference = await host.image("busybox");
  const layout = `${host.folder}/oci:busybox`;
  const copied = await new Deno.Command("skopeo", {
    args: ["copy", "--insecure-policy", "--src-tls-verify=false", `docker://${reference}`, `oci:${layout}`],
  }).output();
  assertEquals(new TextDecoder().decode(copied.stderr), "");
  const { success } = await new Deno.Command("umoci", {
    args: ["unpack", "--image", layout, `${host.folder}/bundle`],
    stderr: "null",
    stdout: "null",
  }).output();
  assertEquals(success, true);
  assertEquals(Deno.readLinkSync(`${host.folder}/bundle/rootfs/bin/sh`), "busybox");
  assertEquals(Deno.statSync(`${host.folder}/bundle/rootfs/tmp`).mode! & 0o7777, 0o1777);
});

Deno.test("a process that only sees a mount of the test's, or is another user's, is left alone", async () => {
  const host = await Host.make();
  const { folder, ids } = host;
  // looks just like a leak but for its user: root runs it in the folder, with the mark
  const others = new Deno.Command("/bin/sleep", {
    args: ["1000"],
    cwd: folder,
    env: ids.uid === Deno.uid() ? {} : { SKIFF_TEST_FOLDER: folder },
    clearEnv: true,
  }).spawn();
  try {
    const found = processesOf({ folder, ids, containers: [] }).map(({ pid }) => pid);
    assertEquals(found.includes(others.pid), ids.uid === Deno.uid());
    const asRoot = processesOf({
      folder,
      ids: { uid: 0, gid: 0, subuid: 0, subuidCount: 0 },
      containers: [],
    });
    assertEquals(asRoot.map(({ pid }) => pid), ids.uid === Deno.uid() ? [] : [others.pid]);
    assertMatch(await messageOf(() => host.kill9(1)), /^1 is no process of this test$/);
  } finally {
    others.kill("SIGKILL");
    await others.status;
    await host.close();
  }
});

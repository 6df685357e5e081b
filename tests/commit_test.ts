/** commit: an image of what a container has changed, by what podman 4.3 makes of the same container. */
import { Fd, open } from "../ffi/file.ts";
import { fsetxattr } from "../ffi/xattr.ts";
import { O_RDONLY } from "../ffi/constants/fcntl.ts";
import { assert, assertEquals, assertIncludes, assertMatch, driverTest, hostTest } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

const CHANGE = `echo more >>/d/b; rm /d/f; rm -rf /e; mkdir /e; echo new >/e/new; ln /d/b /d/linked
  ln -s /d/b /link; mkdir -m 700 /own; chown 5:6 /own; mkfifo /fifo; echo vol >/vol/x; chmod 4755 /d/tool`;
/** One line an entry, without times of what was only passed through. */
const SHOW = `cd /; for f in $(find d e own link fifo vol | sort); do
    stat -c "%n %A %u:%g $([ -d $f ] || echo '%h %s')" $f; done
  cat /d/b /e/*; ls -A /dev /etc`;

driverTest("an image of a container has its files, its configuration and the image's layers", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.makeImage({
    layers: [{
      entries: [
        ...busyboxEntries(),
        ...["d/", "e/", "vol/"].map((path) => ({ path })),
        ...["d/f", "d/b", "d/tool", "e/old"].map((path) => ({ path, content: path })),
      ],
    }],
    config: { Env: ["A=1"], Cmd: ["sh"], Labels: { base: "x" }, OnBuild: ["RUN x"] },
  });
  await host.ok("pull", "-q", image);
  await host.ok(
    ...["run", "-d", "--name", "box", "--network", "none", "-v", "v:/vol", "-e", "B=2", "-w", "/d"],
    ...["--label", "own=y", "--entrypoint", '["sleep"]', "--expose", "81", image, "600"],
  );
  // nothing has changed, so there is nothing to add
  const same = await host.ok("commit", "box");
  const layersOf = async (name: string) =>
    JSON.parse(await host.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", name)) as string[];
  assertEquals(await layersOf(same), await layersOf(image));
  await host.ok("exec", "box", "sh", "-c", CHANGE);
  const wanted = await host.ok("exec", "box", "sh", "-c", SHOW.replace(" vol ", " "));
  const id = await host.ok(
    ...["commit", "-p", "-a", "me", "-m", "why", "-c", "ENV C=3", "-c", 'CMD ["601"]', "box", "mine:1"],
  );
  assertEquals(await host.ok("ps", "--format", "{{.State}}"), "running");
  const inspected = JSON.parse(await host.ok("image", "inspect", "mine:1"))[0];
  assertEquals([inspected.Id, inspected.Author, inspected.Comment], [id, "me", "why"]);
  const { Env, Cmd, Entrypoint, WorkingDir, Labels, ExposedPorts, Volumes, OnBuild } = inspected.Config;
  assertEquals([Cmd, Entrypoint, WorkingDir, ExposedPorts, Volumes, OnBuild], [
    ["601"],
    ["sleep"],
    "/d",
    { "81/tcp": {} },
    undefined,
    undefined,
  ]);
  assertEquals(Labels, { base: "x", own: "y" });
  assertEquals(Env.filter((word: string) => !word.startsWith("PATH=")), ["A=1", "B=2", "C=3"]);
  const layers = await layersOf("mine:1");
  assertEquals(layers.slice(0, -1), await layersOf(image));
  const seen = (name: string, ...options: string[]) =>
    host.ok(
      ...["run", "--rm", "--network", "none", "--entrypoint", "sh", ...options, name, "-c"],
      SHOW.replace(" vol ", " "),
    );
  assertEquals(await seen("mine:1"), wanted);
  assertEquals(await host.ok("run", "--rm", "--network", "none", "--entrypoint", "ls", "mine:1", "/vol"), "");
  // what the engine has made to mount upon is not in it
  const archive = await host.ok("image", "diff", "mine:1");
  assert(!/hosts|resolv|\/proc|\/dev|\/sys|containerenv/.test(archive), archive);
  // stopped, squashed to one layer, with the volume
  await host.ok("stop", "-t", "0", "box");
  const squashed = await host.ok(
    ...[
      "container",
      "commit",
      "-s",
      "--include-volumes",
      "-f",
      "docker",
      "--iidfile",
      `${host.home}/iid`,
      "box",
    ],
  );
  assertEquals(await Deno.readTextFile(`${host.home}/iid`), squashed);
  assertEquals((await layersOf(squashed)).length, 1);
  const document = JSON.parse(await host.ok("image", "inspect", squashed))[0];
  assertEquals(document.Config.Volumes, { "/vol": {} });
  assertIncludes(document.ManifestType, "application/vnd.docker.distribution.manifest.v2+json");
  assertEquals(await seen(squashed, "--image-volume", "ignore"), wanted);
  await host.ok("rm", "box");
  assertIncludes(await host.ok("system", "check"), "");
});

const ODD_CHANGE = String
  .raw`rm /d/f; rm -rf /e; mkdir /e; echo new >/e/new; chmod 4755 /d/tool; mkfifo -m 600 /fifo
  echo more >>/d/b; ln /d/b /d/linked; ln -s /d/b /link; mkdir -m 1777 /own; echo 1 >"/own/two words"
  echo 2 >"/own/$(printf 'a\377b\nc')"; echo 3 >/own/ä; rm -r /gone; echo 4 >/gone; mkdir -p /new/deep
  dd if=/d/b of=/own/holes bs=1 seek=1000000 2>/dev/null; chmod 4711 /own/holes; mv /e/new /e/moved`;

hostTest("what the user captures without a namespace is what its root captures", {
  needs: ["registry", "busybox", "strace"],
}, async (host) => {
  const image = await host.makeImage({
    layers: [{
      entries: [
        ...busyboxEntries(),
        ...["d/", "e/", "gone/"].map((path) => ({ path })),
        ...["d/f", "d/b", "d/tool", "e/old", "gone/x"].map((path) => ({ path, content: path })),
        // who is not its owner can list it, and find nothing that it lists
        { path: "closed/", mode: 0o744, uid: 5, gid: 6 },
        { path: "closed/x", content: "x" },
      ],
    }],
  });
  await host.ok("pull", "-q", image);
  await host.ok("run", "--name", "box", "--network", "none", image, "sh", "-c", ODD_CHANGE);
  const upper = `${host.data}/containers/${host.containers()[0]}/upper`;
  {
    using file = new Fd(open(`${upper}/d/tool`, O_RDONLY));
    fsetxattr(file.number, "user.k", new Uint8Array([1, 0, 2]));
  }
  const refusal = "-e trace=unshare,setns -e inject=unshare,setns:error=EPERM".split(" ");
  const withoutNamespace = () =>
    host.program([
      "/usr/bin/strace",
      "-f",
      "-qq",
      "-o",
      "/dev/null",
      ...refusal,
      host.binary,
      "commit",
      "box",
    ]);
  /** The layer that is made anew; the image goes again. */
  const layerOf = async (id: string) => {
    const [layer] =
      (JSON.parse(await host.ok("image", "inspect", "-f", "{{json .RootFS.Layers}}", id)) as string[])
        .slice(-1);
    await host.ok("rmi", id);
    return layer!;
  };
  const own = await withoutNamespace();
  assertEquals(own.stderr, "");
  // what was made in this process is whole: no mark of what waits for the disk, no work folder
  const names = (path: string) =>
    [...Deno.readDirSync(`${host.data}/${path}`)].map(({ name }) => name).sort();
  const again = await withoutNamespace();
  const [first, second] = await Promise.all(
    [own, again].map(async ({ stdout }) =>
      await host.ok("image", "inspect", "-f", "{{range .RootFS.Layers}}{{.}} {{end}}", stdout.trim())
    ),
  );
  assertEquals(second, first);
  const made = first!.trim().split(" ").at(-1)!.replace("sha256:", "");
  assertEquals(names(`layers/${made}`), ["full", "full.bytes"]);
  assert(names("blobs/sha256").includes(made), "the archive is not kept");
  assertEquals([...names("tmp"), ...names("blobs/partial")], []);
  await host.ok("rmi", again.stdout.trim());
  const layer = await layerOf(own.stdout.trim());
  // sockets are in no archive: more of them than are copied here, one of another id, and more than are looked at
  using _socket = Deno.listen({ transport: "unix", path: `${host.folder}/socket` });
  await Deno.rename(`${host.folder}/socket`, `${upper}/socket`);
  await Deno.chown(`${upper}/socket`, host.ids.uid, host.ids.gid);
  for (let count = 0; count < 200; count++) Deno.linkSync(`${upper}/socket`, `${upper}/socket-${count}`);
  const more = await withoutNamespace();
  assertEquals(more.stderr, "");
  assertEquals(await layerOf(more.stdout.trim()), layer);
  await Deno.chown(`${upper}/socket`, host.ids.subuid, host.ids.subuid);
  const control = await withoutNamespace();
  assertEquals(control.code, 125);
  // none is made or joined; what a helper may do is taken from it as well, being traced
  assertMatch(control.stderr, /^Error: (create user namespace|map ids with)/);
  assertEquals(await layerOf(await host.ok("commit", "box")), layer);
  for (let count = 200; count < 1001; count++) Deno.linkSync(`${upper}/socket`, `${upper}/socket-${count}`);
  assertEquals(await layerOf(await host.ok("commit", "box")), layer);

  // where a layer below is closed to the user, root of the namespace sees what is hidden there
  const script = "chown 0:0 /closed; rm /closed/x";
  await host.ok("run", "--name", "other", "--network", "none", image, "sh", "-c", script);
  await host.ok("rm", "box");
  const closed = `${host.data}/containers/${host.containers()[0]}/upper/closed`;
  assertEquals(Deno.statSync(closed).uid, host.ids.uid);
  await host.ok("commit", "other", "closed");
  assertEquals(await host.ok("run", "--rm", "--network", "none", "closed", "ls", "/closed"), "");
});

hostTest("an image of a container with a user namespace of its own has the ids of the container", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  await host.ok(
    ...["run", "--name", "box", "--userns", "keep-id", "--user", "0", "--network", "none", image, "sh", "-c"],
    "mkdir /new; touch /new/root /new/other; chown 7:8 /new/other",
  );
  await host.ok("commit", "box", "mine");
  const listed = await host.ok(
    "run",
    "--rm",
    "--network",
    "none",
    "mine",
    "stat",
    "-c",
    "%u:%g",
    "/",
    "/new/root",
    "/new/other",
  );
  assertEquals(listed, "0:0\n0:0\n7:8");
});

hostTest(
  "what cannot be committed is refused with its reason",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image("busybox");
    await host.ok("create", "--name", "box", "--network", "none", image, "true");
    await host.ok("create", "--name", "own", "--network", "none", "host", "true");
    const cases: [string[], string][] = [
      [["nosuch"], 'no container with name or ID "nosuch" found: no such container'],
      [["-f", "bad", "box"], 'unrecognized image format "bad"'],
      [["-c", "FOO x", "box"], 'invalid change "FOO x" - invalid instruction FOO'],
      [["box", "UPPER"], "UPPER"],
      [["own"], 'commit container "own": its root is this machine\'s own folders, not an image'],
    ];
    for (const [words, message] of cases) {
      const { code, stderr } = await host.skiff(["commit", ...words]);
      assertEquals(code, 125);
      assertIncludes(stderr, message);
    }
    assertEquals(await host.ok("images", "-q", "--filter", "dangling=true"), "");
  },
);

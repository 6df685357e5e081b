/** Containers of images that are not here yet: eStargz and zstd:chunked layers, fetched as they are read. */
import { blobReply, encode, FakeRegistry, type Hook } from "./fake_registry.ts";
import { assert, assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";
import { LocalRegistry } from "./local_registry.ts";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { addTocImage, tocConfig, type TocFormat, tocLayer } from "./toc_image.ts";
import { O_CLOEXEC, O_NONBLOCK, O_WRONLY } from "../ffi/constants/fcntl.ts";
import { ENXIO, isErrno } from "../ffi/errno.ts";
import { close, open, writeAll } from "../ffi/file.ts";
import { isThere } from "../runtime/state/listing.ts";
import { digest, estargzLayer, type LayerMember, type TocLayer } from "./toc_layers.ts";

const noise = (bytes: number) => {
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) {
    crypto.getRandomValues(content.subarray(at, Math.min(bytes, at + 65536)));
  }
  return content;
};
const sha = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();

/** The blob as a whole is not given: what is not read does not come in the background, however slow the test is. */
const withoutWhole = (layer: TocLayer, hook: Hook = () => undefined): Hook => (request) =>
  request.path.includes(layer.descriptor.digest) && request.headers.range === undefined
    ? { status: 404 }
    : hook(request);

async function withLazy(
  host: Host,
  format: TocFormat,
  more: readonly LayerMember[],
  fn: (it: { registry: FakeRegistry; image: string; layer: TocLayer; sent: () => number }) => Promise<void>,
) {
  await using registry = FakeRegistry.start();
  await host.declareInsecure(registry.host);
  const layer = tocLayer(format, more, { chunkSize: 1 << 20 });
  await addTocImage(registry, "test/lazy:1", [layer]);
  registry.hook = withoutWhole(layer);
  const sent = () =>
    registry.asked(layer.descriptor.digest).reduce((sum, { headers: { range } }) => {
      if (range === undefined) return sum + layer.blob.length;
      return sum + range.replace("bytes=", "").split(",").reduce((all, one) => {
        const [from, to] = one.split("-").map(Number) as [number, number];
        return all + to - from + 1;
      }, 0);
    }, 0);
  await fn({ registry, image: `${registry.host}/test/lazy:1`, layer, sent });
}

for (const format of ["estargz", "zstd:chunked"] as const) {
  hostTest(
    `run --lazy starts a ${format} image before it is here, and shows what is in it`,
    { needs: ["busybox", "fuse"] },
    async (host) => {
      const big = noise(20 << 20), small = noise(3 << 20);
      const members: LayerMember[] = [
        { name: "data/", type: "directory", mode: 0o755 },
        { name: "data/big", type: "file", mode: 0o644, data: big },
        { name: "data/small", type: "file", mode: 0o4750, uid: 0, gid: 7, data: small, mtime: 1_500_000_000 },
        { name: "data/hard", type: "hardlink", linkname: "data/small" },
        { name: "data/sym", type: "symlink", linkname: "small" },
      ];
      await withLazy(host, format, members, async ({ image, layer, sent }) => {
        const script =
          "sha256sum /data/small /data/hard /data/sym; stat -c '%a %u:%g %h %Y %s' /data/small; ls /data";
        const { code, stdout, stderr } = await host.run("--rm", "--lazy", image, "sh", "-c", script);
        assertEquals(code, 0, stderr);
        const sum = await sha(small);
        assertEquals(
          stdout,
          ["small", "hard", "sym"].map((name) => `${sum}  /data/${name}\n`).join("") +
            `4750 0:7 2 1500000000 ${small.length}\nbig\nhard\nsmall\nsym\n`,
        );
        assert(sent() < layer.blob.length / 2, `${sent()} of ${layer.blob.length}`);
      });
    },
  );
}

/** Waits until `done`, looking again after a while; a loaded machine may take long. */
async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await done());) {
    if (Date.now() > end) throw new Error(`waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Processes that serve layers. */
function servers(host: Host) {
  return host.processes().filter(({ pid }) => {
    try {
      return Deno.readTextFileSync(`/proc/${pid}/comm`) === "skiff: lazy\n";
    } catch {
      return false;
    }
  });
}

const BIG = noise(6 << 20), OTHER = noise(2 << 20);
const MEMBERS: LayerMember[] = [
  { name: "data/", type: "directory", mode: 0o755 },
  { name: "data/other", type: "file", mode: 0o644, data: OTHER },
  { name: "data/big", type: "file", mode: 0o644, data: BIG },
];
/** Requests for pieces that hold data, as the table's come first and are kept. */
const forData = (registry: FakeRegistry, layer: TocLayer) => (path: string, range: string | undefined) =>
  path.includes(layer.descriptor.digest) && range !== undefined &&
  Number(/\d+/.exec(range)![0]) < (layer.entries.at(-1)!.offset as number) + 1 && registry !== undefined;

hostTest(
  "what was read once is here, and what nobody has read follows while a container runs",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await withLazy(host, "estargz", MEMBERS, async ({ registry, image, layer, sent }) => {
      assertEquals((await host.skiff(["pull", "-q", "--lazy", image])).code, 0);
      const tableOnly = sent();
      assert(tableOnly < 200_000, `${tableOnly}`);
      const read = () => host.ok("run", "--rm", image, "sha256sum", "/data/other");
      assertEquals(await read(), `${await sha(OTHER)}  /data/other`);
      const once = sent();
      assert(once > tableOnly && once < layer.blob.length - (2 << 20), `${once}`);
      assertEquals(await read(), `${await sha(OTHER)}  /data/other`);
      assertEquals(sent(), once);

      registry.hook = () => undefined;
      const id = await host.ok("run", "-d", image, "sleep", "1000");
      const layers = () =>
        [...Deno.readDirSync(`${host.data}/layers`)].filter(({ name }) => layer.diffId.includes(name));
      await until("the layer is here", () => layers().length === 1);
      // the running container goes on with what it has, the next has a layer like any other
      assertEquals(await host.ok("exec", id, "sha256sum", "/data/big"), `${await sha(BIG)}  /data/big`);
      registry.hook = () => ({ status: 404 });
      assertEquals(
        await host.ok("run", "--rm", image, "sha256sum", "/data/big"),
        `${await sha(BIG)}  /data/big`,
      );
      await host.ok("rm", "-f", "-t", "0", id);
      await host.ok("rmi", image);
      assertEquals([...Deno.readDirSync(`${host.data}/lazy`)].map(({ name }) => name), []);
    });
  },
);

hostTest(
  "a start goes on while another container's end has brought its layers whole",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await using registry = FakeRegistry.start();
    await host.declareInsecure(registry.host);
    const files = ["first", "second"].map((name): LayerMember => {
      return { name, type: "file", mode: 0o644, data: noise(300_000) };
    });
    const layers = [tocLayer("estargz", files.slice(0, 1)), estargzLayer(files.slice(1))] as const;
    await addTocImage(registry, "test/two:1", layers);
    const image = `${registry.host}/test/two:1`;
    // nothing comes whole before the next server is on its way
    const mayComplete = Promise.withResolvers<void>();
    registry.hook = ({ path, headers }) => {
      const layer = layers.find(({ descriptor }) => path.includes(descriptor.digest));
      if (layer === undefined || headers.range !== undefined) return undefined;
      return { status: 200, body: layer.blob, after: mayComplete.promise };
    };
    await host.ok("pull", "-q", "--lazy", image);
    const before = await host.ok("run", "-d", image, "sleep", "1000");
    // the next server reads its first layer's table from a pipe, and so waits where the test has it wait
    const folderOf = ({ descriptor }: TocLayer) =>
      [...Deno.readDirSync(`${host.data}/lazy`)].map(({ name }) => `${host.data}/lazy/${name}`)
        .find((path) => path.includes(descriptor.digest.slice(7)));
    const folder = folderOf(layers[0])!;
    const { name } = [...Deno.readDirSync(folder)].find(({ name }) => name.startsWith("part-"))!;
    const table = Deno.readFileSync(`${folder}/${name}`);
    Deno.removeSync(`${folder}/${name}`);
    const made = await host.sh(`mkfifo ${folder}/${name}`);
    assertEquals(made.code, 0, made.stderr);
    const next = host.run("--rm", image, "sha256sum", "/first", "/second");
    let pipe = -1;
    await until("the next server reads the table", () => {
      try {
        pipe = open(`${folder}/${name}`, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return true;
      } catch (error) {
        if (isErrno(error, ENXIO)) return false;
        throw error;
      }
    });
    try {
      mayComplete.resolve();
      const isWhole = ({ diffId }: TocLayer) => isThere(`${host.data}/layers/${diffId.slice(7)}/full`);
      await until("both layers are here", () => layers.every(isWhole));
      await host.ok("rm", "-f", "-t", "0", before);
      await until("its server has ended", () => servers(host).length === 1);
      assert(layers.every((layer) => folderOf(layer) !== undefined));
      writeAll(pipe, table);
    } finally {
      close(pipe);
    }
    const { code, stdout, stderr } = await next;
    assertEquals(code, 0, stderr);
    const sums = await Promise.all(files.map(({ data }) => sha(data!)));
    assertEquals(stdout, `${sums[0]}  /first\n${sums[1]}  /second\n`);
    // the last of them leaves nothing
    await until("nothing is served any more", () => servers(host).length === 0);
    assertEquals([...Deno.readDirSync(`${host.data}/lazy`)].map(({ name }) => name), []);
  },
);

hostTest(
  "an image that is here by its tables alone is pulled whole for who needs all of it",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await withLazy(host, "zstd:chunked", MEMBERS, async ({ image, registry, layer }) => {
      await host.ok("pull", "-q", "--lazy", image);
      await host.ok("system", "check");
      registry.hook = () => undefined;
      const id = await host.ok(
        "run",
        "-d",
        image,
        "sh",
        "-c",
        "echo more >> /data/other; echo new > /new; sleep 1000",
      );
      const changed = async () => (await host.ok("diff", id)).split("\n");
      await until("the program has written", async () => (await changed()).includes("A /new"));
      assertIncludes((await changed()).join("\n"), "C /data/other");
      assertEquals(await host.ok("exec", id, "tail", "-c", "5", "/data/other"), "more");
      await host.ok("save", "-q", "-o", `${host.home}/image.tar`, image);
      await host.ok("rm", "-f", "-t", "0", id);
      assert(registry.asked(layer.descriptor.digest).some(({ headers }) => headers.range === undefined));
    });
  },
);

hostTest(
  "a registry that sends other bytes, or none, gives an error to who reads, and harms nothing",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await withLazy(host, "estargz", MEMBERS, async ({ registry, image, layer }) => {
      await host.ok("pull", "-q", "--lazy", image);
      const isData = forData(registry, layer);
      const read = ["--rm", image, "sha256sum", "/data/other"];
      // the program itself is here
      await host.ok("run", "--rm", image, "true");
      registry.hook = withoutWhole(layer, ({ path, headers: { range } }) => {
        if (!isData(path, range)) return undefined;
        const [from, to] = range!.replace("bytes=", "").split("-").map(Number) as [number, number];
        const headers = { "Content-Range": `bytes ${from}-${to}/${layer.blob.length}` };
        return { status: 206, headers, body: new Uint8Array(to - from + 1) };
      });
      const lied = await host.run(...read);
      assertEquals(lied.code, 1);
      assertIncludes(lied.stderr, "/data/other");
      registry.hook = withoutWhole(
        layer,
        ({ path, headers: { range } }) => isData(path, range) ? { status: 404 } : undefined,
      );
      assertEquals((await host.run(...read)).code, 1);
      registry.hook = withoutWhole(layer);
      assertEquals((await host.run(...read)).stdout, `${await sha(OTHER)}  /data/other\n`);
    });
  },
);

hostTest(
  "a registry that stalls: who reads can be killed at once, and gets an error in the end",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await withLazy(host, "estargz", MEMBERS, async ({ registry, image, layer }) => {
      await host.ok("pull", "-q", "--lazy", image);
      await host.ok("run", "--rm", image, "true");
      let asked = 0, end = () => {};
      const never = new Promise<void>((resolve) => end = resolve);
      const isData = forData(registry, layer);
      registry.hook = ({ path, headers: { range } }) =>
        isData(path, range ?? "0") ? (asked++, { status: 503, after: never }) : undefined;
      try {
        const id = await host.ok("run", "-d", image, "sha256sum", "/data/other");
        await until("it is asked for", () => asked > 0);
        await host.ok("kill", id);
        assertEquals(await host.ok("wait", id), "137");
        const { code, stderr } = await host.run("--rm", image, "sha256sum", "/data/other");
        assertEquals(code, 1);
        assertIncludes(stderr, "Input/output error");
      } finally {
        end();
      }
    });
  },
);

hostTest(
  "a server of layers that is killed: reads fail at once, and the container can be stopped and started",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await withLazy(host, "estargz", MEMBERS, async ({ image }) => {
      // the server is started elsewhere, and keeps nothing of who starts it
      Deno.writeTextFileSync(`${host.home}/auth.json`, "{}", { mode: 0o644 });
      const pulled = await host.sh(
        `cd ${host.home} && $SKIFF pull -q --lazy --authfile ./auth.json ${image}`,
      );
      assertEquals(pulled.code, 0, pulled.stderr);
      const held = `${host.home}/held`;
      const started = await host.sh(`exec 9>${held}; cd /; $SKIFF run -d ${image} sh -c "sleep 1000 & wait"`);
      assertEquals(started.code, 0, started.stderr);
      const id = started.stdout.trim();
      assertEquals(servers(host).length, 1);
      const fds = `/proc/${servers(host)[0]!.pid}/fd`;
      await until("it has let go of what it was given", () =>
        [...Deno.readDirSync(fds)].every(({ name }) => {
          try {
            return Deno.readLinkSync(`${fds}/${name}`) !== held;
          } catch {
            return true;
          }
        }));
      host.kill9(servers(host)[0]!.pid);
      await until("it has died", () => servers(host).length === 0);
      const { code } = await host.skiff(["exec", id, "sha256sum", "/data/other"]);
      assert(code !== 0, `${code}`);
      await host.ok("stop", "-t", "0", id);
      await host.ok("start", id);
      assertEquals(await host.ok("exec", id, "sha256sum", "/data/other"), `${await sha(OTHER)}  /data/other`);
      await host.ok("rm", "-f", "-t", "0", id);
      await until("nothing serves any more", () => servers(host).length === 0);
    });
  },
);

hostTest(
  "whiteouts and opaque folders of lazy layers hide what lies below",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await using registry = FakeRegistry.start();
    await host.declareInsecure(registry.host);
    const file = (name: string): LayerMember => ({ name, type: "file", mode: 0o644, data: noise(150_000) });
    const folder = (name: string): LayerMember => ({ name, type: "directory", mode: 0o755 });
    const below = tocLayer(
      "estargz",
      ["a/", "b/"].map(folder).concat(["a/gone", "a/kept", "b/old"].map(file)),
    );
    const above = estargzLayer([
      folder("a/"),
      { name: "a/.wh.gone", type: "file" },
      folder("b/"),
      { name: "b/.wh..wh..opq", type: "file" },
      ...["b/new", "c"].map(file),
    ]);
    await addTocImage(registry, "test/lazy:1", [below, above]);
    await host.ok("pull", "-q", "--lazy", `${registry.host}/test/lazy:1`);
    assertEquals([...Deno.readDirSync(`${host.data}/lazy`)].length, 2);
    const list = ["run", "--rm", `${registry.host}/test/lazy:1`, "ls", "/a", "/b", "/c"];
    assertEquals(await host.ok(...list), "/c\n\n/a:\nkept\n\n/b:\nnew");
  },
);

hostTest(
  "where a registry has no ranges a lazy pull is a whole one",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await withLazy(host, "estargz", MEMBERS, async ({ image, registry, layer }) => {
      registry.hook = ({ path, headers: { range } }) =>
        range !== undefined && path.includes(layer.descriptor.digest)
          ? { status: 200, body: layer.blob }
          : undefined;
      const { code, stderr } = await host.run("--rm", "--lazy", image, "sha256sum", "/data/other");
      assertEquals(code, 0, stderr);
      assertIncludes(stderr, "is pulled whole");
      assertEquals([...Deno.readDirSync(`${host.data}/lazy`)].length, 0);
      // and so it is of a layer without a table
      await registry.addImage("test/plain:1", [{ noise: noise(300_000) }]);
      const plain = await host.skiff(["pull", "--lazy", `${registry.host}/test/plain:1`]);
      assertIncludes(plain.stderr, "is pulled whole: it has no table of contents");
    });
  },
);

hostTest(
  "a manifest that gives another's layer a table of its own reaches nobody but itself (attack 22)",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    const marked = (text: string) =>
      tocLayer("estargz", [{ name: "marked", type: "file", mode: 0o644, data: encode(text) }, {
        name: "filler",
        type: "file",
        mode: 0o644,
        data: noise(300_000),
      }]);
    const good = marked("good\n"), evil = marked("evil\n");
    await using registry = FakeRegistry.start();
    await host.declareInsecure(registry.host);
    await addTocImage(registry, "test/good:1", [good]);
    // the other layer's digest and diff id; of its bytes only the size is of another blob
    const stolen = good.descriptor.digest;
    const forged = { ...good, descriptor: { ...evil.descriptor, digest: stolen } };
    await addTocImage(registry, "test/evil:1", [forged]);
    registry.blobs.set(stolen, good.blob);
    registry.hook = ({ path, headers: { range } }) => {
      if (!path.startsWith("/v2/test/evil/blobs/") || !path.includes(stolen)) return undefined;
      return blobReply(evil.blob, range);
    };
    const [evilImage, goodImage] = ["evil", "good"].map((name) => `${registry.host}/test/${name}:1`) as [
      string,
      string,
    ];
    // the control: what the forged manifest shows is another file
    assertEquals(await host.ok("run", "--rm", "-q", "--lazy", evilImage, "cat", "/marked"), "evil");
    assertEquals(await host.ok("run", "--rm", "-q", "--lazy", goodImage, "cat", "/marked"), "good");
    // all of it, it is found out
    const pulled = await host.skiff(["pull", "-q", evilImage]);
    assertEquals(pulled.code, 125);
    assertIncludes(pulled.stderr, "digest");
    await host.ok("pull", "-q", goodImage);
    assertEquals(await host.ok("run", "--rm", goodImage, "cat", "/marked"), "good");
  },
);

hostTest(
  "what a manifest says of another's layer keeps nobody from the layer as it is; nor does a damaged table",
  { needs: ["busybox", "fuse"] },
  async (host) => {
    await using registry = FakeRegistry.start();
    await host.declareInsecure(registry.host);
    const [first, second, decoy] = [1, 2, 3].map((at) =>
      tocLayer("estargz", [
        { name: "number", type: "file", mode: 0o644, data: encode(`${at}\n`) },
        { name: "filler", type: "file", mode: 0o644, data: noise(300_000) },
      ])
    ) as [TocLayer, TocLayer, TocLayer];
    // the same layer and table, of another content; another layer and table, of the same content
    await addTocImage(registry, "test/liar:1", [{ ...first, diffId: decoy.diffId }]);
    await addTocImage(registry, "test/liar:2", [{ ...decoy, diffId: second.diffId }]);
    await addTocImage(registry, "test/honest:1", [first]);
    await addTocImage(registry, "test/honest:2", [second]);
    const name = (which: string) => `${registry.host}/test/${which}`;
    for (const liar of ["liar:1", "liar:2"]) await host.ok("pull", "-q", "--lazy", name(liar));
    const { code, stderr } = await host.skiff(["pull", "--lazy", name("honest:1")]);
    assertEquals(code, 0, stderr);
    assertIncludes(stderr, "is pulled whole: another image says other things of it");
    await host.ok("pull", "-q", "--lazy", name("honest:2"));
    registry.hook = withoutWhole(second);
    const folder = `${host.data}/lazy/${second.descriptor.digest.slice(7)}-`;
    for (const at of [1, 2]) {
      assertEquals(await host.ok("run", "--rm", name(`honest:${at}`), "cat", "/number"), `${at}`);
    }
    // the disk has lost the table
    const [lazy] = [...Deno.readDirSync(`${host.data}/lazy`)].map(({ name }) => `${host.data}/lazy/${name}`)
      .filter((path) => path.startsWith(folder));
    const parts = [...Deno.readDirSync(lazy!)].filter(({ name }) => name.startsWith("part-"));
    assertEquals(parts.length, 2);
    for (const { name } of parts) {
      const path = `${lazy}/${name}`;
      Deno.writeFileSync(path, new Uint8Array(Deno.statSync(path).size));
    }
    assertEquals(await host.ok("run", "--rm", name("honest:2"), "cat", "/number"), "2");
    registry.hook = () => undefined;
    // who needs all of it gets it, whichever of the two is asked first
    await host.ok("save", "-q", "-o", `${host.home}/image.tar`, name("honest:2"));
    assertEquals(await host.ok("run", "--rm", name("honest:2"), "cat", "/number"), "2");
  },
);

hostTest(
  "docker-registry serves lazy and partial pulls",
  { needs: ["registry", "busybox", "fuse"] },
  async (host) => {
    await using registry = await LocalRegistry.start({ storage: `${host.home}/registry` });
    await host.declareInsecure(registry.address);
    const add = async (tag: string, layer: TocLayer) => {
      const config = encode(tocConfig([layer]));
      const configDigest = digest(config);
      await registry.pushBlob("test/toc", layer.blob, layer.descriptor.digest);
      await registry.pushBlob("test/toc", config, configDigest);
      const manifest = {
        schemaVersion: 2,
        mediaType: MEDIA_TYPE.ociManifest,
        config: { mediaType: MEDIA_TYPE.ociConfig, digest: configDigest, size: config.length },
        layers: [layer.descriptor],
      };
      await registry.pushManifest("test/toc", tag, JSON.stringify(manifest), MEDIA_TYPE.ociManifest);
      return `${registry.address}/test/toc:${tag}`;
    };
    const lazy = await add("lazy", tocLayer("estargz", MEMBERS));
    assertEquals(
      await host.ok("run", "--rm", "-q", "--lazy", lazy, "sha256sum", "/data/other"),
      `${await sha(OTHER)}  /data/other`,
    );
    await host.ok("pull", "-q", await add("one", tocLayer("zstd:chunked", MEMBERS)));
    const fresh: LayerMember = { name: "fresh", type: "file", mode: 0o644, data: noise(10_000) };
    const two = await add("two", tocLayer("zstd:chunked", [fresh, ...MEMBERS]));
    const { code, stderr } = await host.skiff(["pull", two]);
    assertEquals(code, 0, stderr);
    assertIncludes(stderr, "bytes were here already");
    assertEquals(
      await host.ok("run", "--rm", two, "sha256sum", "/fresh"),
      `${await sha(fresh.data!)}  /fresh`,
    );
    // who needs the whole blob has it fetched
    await host.ok("push", "-q", "--tls-verify=false", two, `${registry.address}/test/again:1`);
  },
);

hostTest(
  "what is built on an image that was pulled in part is written out whole",
  { needs: ["busybox"] },
  async (host) => {
    await using registry = FakeRegistry.start();
    await host.declareInsecure(registry.host);
    const file = (name: string, bytes: number): LayerMember => ({
      name,
      type: "file",
      mode: 0o644,
      data: noise(bytes),
    });
    const shared = file("shared", 300_000);
    const second = tocLayer("zstd:chunked", [file("fresh", 5000), shared]);
    await addTocImage(registry, "test/base:1", [tocLayer("zstd:chunked", [shared])]);
    await addTocImage(registry, "test/base:2", [second]);
    await host.ok("pull", "-q", `${registry.host}/test/base:1`);
    const { stderr } = await host.skiff(["pull", `${registry.host}/test/base:2`]);
    assertIncludes(stderr, "bytes were here already");
    const context = `${host.home}/context`;
    Deno.mkdirSync(context, { mode: 0o755 });
    Deno.writeTextFileSync(`${context}/Dockerfile`, `FROM ${registry.host}/test/base:2\nRUN echo hi >/hi\n`);
    const wholes = () =>
      registry.asked(second.descriptor.digest).filter(({ headers: { range } }) => range === undefined).length;
    await host.ok("build", "-q", "-t", "built", context);
    assertEquals(wholes(), 0);
    assertEquals(await host.ok("run", "--rm", "built", "cat", "/hi"), "hi");
    await host.ok("build", "-q", "-o", `type=oci,dest=${host.home}/built.tar`, context);
    assertEquals(wholes(), 1);
    const archive = await host.sh(`tar -tf ${host.home}/built.tar`);
    assertIncludes(archive.stdout, second.descriptor.digest.slice(7));
  },
);

import { deepStrictEqual as assertEquals, rejects, strictEqual, throws } from "node:assert";
import type { Digest } from "../spec/digest.ts";
import { openDatabase } from "../state/db.ts";
import { insertContainer } from "../state/containers.ts";
import { listImages, listNames, listReferencedContent, listRepoDigests } from "../state/images.ts";
import { containerRow } from "../../tests/container_row.ts";
import { findStoredImage, getStoredImage, recordImage, removeImage, tagImage } from "./store.ts";

const hex = (n: number) => n.toString(16).padStart(2, "0").repeat(32);

const pulled = (n: number, name: string, layers = [hex(200)]) => ({
  name,
  digest: `sha256:${hex(n + 1)}`,
  indexDigest: `sha256:${hex(n + 2)}`,
  imageId: `sha256:${hex(n)}`,
  config: {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers" as const, diff_ids: layers.map((layer) => `sha256:${layer}` as Digest) },
  },
  layers: layers.map((layer) => ({
    digest: `sha256:${layer}`,
    size: 3,
    mediaType: "x",
    diffId: `sha256:${layer}`,
  })),
  size: 3,
});

async function store() {
  const folder = Deno.makeTempDirSync();
  const db = await openDatabase(`${folder}/skiff.db`);
  return {
    db,
    [Symbol.dispose]: () => {
      db[Symbol.dispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

const container = (imageId: string) => containerRow({ id: "f".repeat(64), imageId });

Deno.test("a pulled image is found by short name, full name, digest and beginnings of its id", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/busybox:latest"));
  const texts = [
    "busybox",
    "busybox:latest",
    "library/busybox",
    "docker.io/busybox",
    "docker.io/library/busybox:latest",
    `busybox@sha256:${hex(0x11)}`,
    `busybox@sha256:${hex(0x12)}`,
    `busybox:latest@sha256:${hex(0x11)}`,
    hex(0x10),
    hex(0x10).slice(0, 12),
    `sha256:${hex(0x10)}`,
  ];
  for (const text of texts) strictEqual(findStoredImage(s.db, text)?.image.id, hex(0x10), text);
});

Deno.test("the digest of a manifest or index is enough, and fits a short name of any registry", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "quay.io/a/busybox:latest"));
  const [manifest, index] = [`sha256:${hex(0x11)}`, `sha256:${hex(0x12)}`];
  for (
    const text of [manifest, index, `busybox@${manifest}`, `a/busybox@${index}`, `quay.io/a/busybox@${index}`]
  ) {
    strictEqual(findStoredImage(s.db, text)?.image.id, hex(0x10), text);
  }
  for (const text of [`usybox@${manifest}`, `docker.io/a/busybox@${index}`, `busybox@sha256:${hex(0x13)}`]) {
    strictEqual(findStoredImage(s.db, text), undefined, text);
  }
});

Deno.test("the built-in image is not in the store, and is told so", async () => {
  using s = await store();
  throws(() => getStoredImage(s.db, "host"), {
    message: "host: it is built in, made of this machine's own folders, and no image of the store",
  });
});

Deno.test("what is not there is not found", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/busybox:latest"));
  for (const text of ["busybox:1", "quay.io/busybox", `busybox@sha256:${hex(9)}`, "abc"]) {
    strictEqual(findStoredImage(s.db, text), undefined, text);
  }
  throws(() => getStoredImage(s.db, "nope"), { name: "NotFoundError", message: "nope: image not known" });
});

Deno.test("a short name finds an image of any registry where that is clear", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "localhost:5000/team/app:v1"));
  strictEqual(findStoredImage(s.db, "app:v1")?.name, "localhost:5000/team/app:v1");
  strictEqual(findStoredImage(s.db, "team/app:v1")?.name, "localhost:5000/team/app:v1");
  await recordImage(s.db, pulled(0x20, "quay.io/other/app:v1"));
  throws(() => findStoredImage(s.db, "app:v1"), { name: "ConflictError" });
});

Deno.test("an ambiguous id is refused", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "a.io/a:1"));
  await recordImage(s.db, { ...pulled(0x30, "a.io/b:1"), imageId: `sha256:${hex(0x10).slice(0, 60)}ffff` });
  throws(() => findStoredImage(s.db, "1010"), {
    message: `find image "1010": more than one id begins with it`,
  });
});

Deno.test("a tag moves, and the image it left stays without a name", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/x:latest"));
  await recordImage(s.db, pulled(0x20, "docker.io/library/x:latest"));
  assertEquals(listNames(s.db, hex(0x10)), []);
  assertEquals(listRepoDigests(s.db, hex(0x10)).length, 2);
  strictEqual(findStoredImage(s.db, "x")?.image.id, hex(0x20));
});

Deno.test("a pull by digest gives no tag", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, `docker.io/library/x@sha256:${hex(0x11)}`));
  assertEquals(listNames(s.db, hex(0x10)), []);
});

Deno.test("a tag without a registry is this machine's", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/x:latest"));
  strictEqual(await tagImage(s.db, hex(0x10), "mine"), "localhost/mine:latest");
  strictEqual(findStoredImage(s.db, "mine")?.image.id, hex(0x10));
  await rejects(() => tagImage(s.db, hex(0x10), `a@sha256:${hex(1)}`), {
    message: `tag image "a@sha256:${hex(1)}": a name with a digest cannot be given`,
  });
});

Deno.test("removing one of two tags leaves the image", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/x:latest"));
  await tagImage(s.db, hex(0x10), "mine");
  assertEquals(await removeImage(s.db, "mine", false), { untagged: ["localhost/mine:latest"], deleted: [] });
  assertEquals(await removeImage(s.db, "x", false), {
    untagged: ["docker.io/library/x:latest"],
    deleted: [hex(0x10)],
  });
  assertEquals(listImages(s.db), []);
  assertEquals(listReferencedContent(s.db), { blobs: new Set(), diffIds: new Set() });
});

Deno.test("an id with two tags needs force", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/x:latest"));
  await tagImage(s.db, hex(0x10), "mine");
  await rejects(() => removeImage(s.db, hex(0x10), false), {
    message: `remove image "${
      hex(0x10)
    }": it has more than one tag (docker.io/library/x:latest, localhost/mine:latest)`,
  });
  assertEquals((await removeImage(s.db, hex(0x10), true)).deleted, [hex(0x10)]);
});

Deno.test("an image in use stays, but one of its tags may go", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "docker.io/library/x:latest"));
  insertContainer(s.db, container(hex(0x10)));
  await rejects(() => removeImage(s.db, "x", false), {
    name: "ConflictError",
    message: `remove image "x": image used by ${"f".repeat(64)}: image is in use by a container`,
  });
  await tagImage(s.db, hex(0x10), "mine");
  assertEquals((await removeImage(s.db, "x", false)).deleted, []);
});

Deno.test("content that another image shares stays referenced", async () => {
  using s = await store();
  await recordImage(s.db, pulled(0x10, "a.io/a:1", [hex(1), hex(2)]));
  await recordImage(s.db, pulled(0x20, "a.io/b:1", [hex(1), hex(3)]));
  await removeImage(s.db, "a.io/a:1", false);
  assertEquals(listReferencedContent(s.db).diffIds, new Set([`sha256:${hex(1)}`, `sha256:${hex(3)}`]));
});

/** A store of its own to unpack hostile layers in, with a canary beside it that they try to reach. */
import { namespaceContext } from "../runtime/namespaces/context.ts";
import { openFolders } from "../runtime/state/folders.ts";
import type { Digest } from "../runtime/spec/digest.ts";
import {
  layerForm,
  type LayerJob,
  layerPath,
  startExtraction,
  type StorageContext,
} from "../runtime/storage/layers.ts";
import { gzipSync } from "node:zlib";
import { sha256 } from "./images.ts";
import { whatIsMissing } from "./needs.ts";
import { describeTree } from "./tree.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface LayerRig extends AsyncDisposable {
  dir: string;
  context: StorageContext;
  /** What is below the layers' folder, `<diff id>/<form>`, without marks. */
  layers(): string[];
  /** The blob of an archive, written, and the job to unpack it. */
  job(tar: Bytes, wrong?: Partial<LayerJob> & { blob?: Bytes }): Promise<LayerJob>;
  /** A file outside of every root, with a folder around it. */
  canary: string;
  /** All that lies outside, as text: unchanged is equal. */
  outside(): string[];
  /** Unpacks as a pull does; gives the layer's folder. Fields of the job can be made wrong. */
  unpack(tar: Bytes, wrong?: Partial<LayerJob> & { blob?: Bytes }): Promise<string>;
  /** Removes all layers. */
  clear(): Promise<void>;
  /** Waits until every layer is on the disk. */
  synced(): Promise<void>;
  /** The message of the refusal; fails if there is none, or if anything is left of the layer. */
  refusal(tar: Bytes, wrong?: Partial<LayerJob> & { blob?: Bytes }): Promise<string>;
  /** The control: what a trusting `tar -P` does with the same archive. Gives the folder. */
  unpackTrustingly(tar: Bytes): Promise<string>;
}

export async function makeLayerRig(): Promise<LayerRig> {
  const dir = await Deno.makeTempDir({ prefix: "skiff-layers-" });
  await Deno.mkdir(`${dir}/outside/folder`, { recursive: true });
  const canary = `${dir}/outside/canary`;
  await Deno.writeTextFile(canary, "untouched");
  await Deno.writeTextFile(`${dir}/outside/folder/file`, "untouched");
  const data = `${dir}/data`;
  await Deno.mkdir(data, { mode: 0o700 });
  const folders = openFolders({ data, run: `${data}/run` });
  const context = { folders, namespaces: namespaceContext(folders.run) };
  const form = layerForm(context.namespaces);
  let count = 0;

  const rig: LayerRig = {
    dir,
    canary,
    context,
    layers: () =>
      [...Deno.readDirSync(folders.layers)].flatMap((layer) =>
        [...Deno.readDirSync(`${folders.layers}/${layer.name}`)].map((form) => `${layer.name}/${form.name}`)
      ).filter((path) => !/\.(unsynced|bytes)$/.test(path)),
    outside: () => describeTree(`${dir}/outside`),
    async job(tar, { blob, ...wrong } = {}) {
      const bytes = blob ?? new Uint8Array(gzipSync(tar, { level: 1 }));
      const blobFile = `${folders.blobs}/partial/${count++}`;
      await Deno.writeFile(blobFile, bytes);
      return {
        digest: await sha256(bytes) as Digest,
        size: bytes.length,
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        diffId: await sha256(tar) as Digest,
        blobFile,
        form,
        limitBytes: 2 ** 33,
        ...wrong,
      };
    },
    async unpack(tar, wrong) {
      const job = await rig.job(tar, wrong);
      const extraction = await startExtraction(context, job);
      extraction.grow(Deno.statSync(job.blobFile).size);
      await extraction.finish();
      return layerPath(folders, job.diffId, form);
    },
    async refusal(tar, wrong) {
      let message: string | undefined;
      try {
        await rig.unpack(tar, wrong);
      } catch (error) {
        message = `${(error as Error).name}: ${(error as Error).message}`;
      }
      if (message === undefined) throw new Error("the layer was not refused");
      const left = [...Deno.readDirSync(folders.layers)].map(({ name }) => name);
      if (left.length > 0) throw new Error(`the refused layer left ${left}`);
      return message;
    },
    async unpackTrustingly(tar) {
      const root = `${dir}/control-${count++}`;
      await Deno.mkdir(root);
      const child = new Deno.Command("tar", {
        args: ["-xPf", "-", "-C", root, "--overwrite", "--xattrs", "--xattrs-include=*"],
        stdin: "piped",
        stderr: "null",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(tar).then(() => writer.close()).catch(() => {});
      await child.status;
      return root;
    },
    async synced() {
      const isUnsynced = () =>
        [...Deno.readDirSync(folders.layers)].some(({ name }) =>
          [...Deno.readDirSync(`${folders.layers}/${name}`)].some((form) => form.name.endsWith(".unsynced"))
        );
      for (let waited = 0; isUnsynced(); waited++) {
        if (waited > 1000) throw new Error("a layer is not synced after ten seconds");
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async clear() {
      await rig.synced();
      await Deno.remove(folders.layers, { recursive: true });
      await Deno.mkdir(folders.layers);
    },
    async [Symbol.asyncDispose]() {
      await rig.synced();
      await Deno.remove(dir, { recursive: true });
    },
  };
  return rig;
}

const missing = whatIsMissing(["root"]);
const mustRun = Deno.env.get("SKIFF_TEST_MUST_RUN") === "1";

/** A test with a rig of its own. */
export function layerTest(name: string, fn: (rig: LayerRig) => Promise<void>): void {
  Deno.test({
    name: missing === null ? name : `${name} [needs ${missing}]`,
    ignore: missing !== null && !mustRun,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await using rig = await makeLayerRig();
      await fn(rig);
    },
  });
}

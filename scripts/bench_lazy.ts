/** 500 MB in a hundred files that nothing can compress, in one eStargz layer; a program reads five of them. */

import { encode } from "../tests/fake_registry.ts";
import type { LocalRegistry } from "../tests/local_registry.ts";
import { tocConfig, tocLayer } from "../tests/toc_image.ts";
import { type Digest, digestOf } from "../runtime/spec/digest.ts";
import { MEDIA_TYPE } from "../runtime/spec/image.ts";
import { median, type Row } from "./bench_table.ts";

const FILES = 100, FILE_BYTES = 5_000_000, RANDOM_BYTES = 65_536;

export const LAZY_TITLE = "run --lazy of 500 MB of eStargz, 5 % read";
const LIMIT = 0.2;
const RUN = "run --rm --network none";
/** Counted by dd: busybox's wc looks at each byte, which takes longer than all else that is measured. */
const READ =
  "sh -c 'cat /data/1[0-4] | dd bs=1000000 iflag=fullblock of=/dev/null 2>&1' | grep -qx '25+0 records in'";

/** What is timed: the start without the image, and the pull with a start after it. */
const SAMPLES = {
  lazy: `$E ${RUN} --lazy $LAZY ${READ}`,
  whole: `$E pull -q $LAZY && $E ${RUN} $LAZY ${READ}`,
};
/** Neither finds anything of the image. */
export const FORGET_LAZY = "$E rmi -f $LAZY";

/** An image that is not here, beside its pull and a start after that. @param sample milliseconds of a script */
export async function lazyBesidePull(
  sample: (script: string) => Promise<number>,
  runs: number,
): Promise<Row> {
  const times = { lazy: [] as number[], whole: [] as number[] };
  for (let run = 0; run <= runs; run++) {
    for (const name of ["lazy", "whole"] as const) {
      const time = await sample(SAMPLES[name]);
      if (run > 0) times[name].push(time);
    }
  }
  const [lazy, whole] = [median(times.lazy), median(times.whole)];
  const ratio = lazy / whole;
  return {
    title: LAZY_TITLE,
    values: [`${lazy.toFixed(1)} ms`, `pull and run: ${whole.toFixed(1)} ms, ${ratio.toFixed(2)} ×`],
    verdict: ratio <= LIMIT ? `≤ ${LIMIT}` : `MISS (limit ${LIMIT})`,
  };
}

/** @returns its name */
export async function addLazyImage(registry: LocalRegistry): Promise<string> {
  const name = "bench/lazy";
  const layer = tocLayer(
    "estargz",
    Array.from({ length: FILES }, (_, at) => ({
      name: `data/${at}`,
      type: "file" as const,
      mode: 0o644,
      data: noise(),
    })),
    { chunkSize: 1 << 20 },
  );
  const config = encode(tocConfig([layer]));
  const configDigest: Digest = await digestOf(config);
  await registry.pushBlob(name, layer.blob, layer.descriptor.digest);
  await registry.pushBlob(name, config, configDigest);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: { mediaType: MEDIA_TYPE.ociConfig, digest: configDigest, size: config.length },
    layers: [layer.descriptor],
  };
  await registry.pushManifest(name, "1", JSON.stringify(manifest), MEDIA_TYPE.ociManifest);
  return `${registry.address}/${name}:1`;
}

function noise(): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(FILE_BYTES);
  for (let at = 0; at < FILE_BYTES; at += RANDOM_BYTES) {
    crypto.getRandomValues(content.subarray(at, at + RANDOM_BYTES));
  }
  return content;
}

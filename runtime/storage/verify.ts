/** Whether an unpacked layer still is what its blob says; the comparison runs in a forked child. */

import { HostError } from "../errors.ts";
import { forkInUserNamespace } from "../namespaces/fork_task.ts";
import { close, pipe2, readAsync, writeAll } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { warmUp } from "./extract_task.ts";
import { type LayerJob, layerPath, type StorageContext } from "./layers.ts";
import { type LayerFindings, verifyLayer } from "./verify_task.ts";

/** @throws {HostError} where the layer cannot be read at all */
export async function compareLayer(context: StorageContext, job: LayerJob): Promise<LayerFindings> {
  openFamilies("file", "poll", "xattr", "process", "memory", "fork");
  warmUp();
  const path = layerPath(context.folders, job.diffId, job.form);
  const [result, resultFd] = pipe2(O_CLOEXEC);
  try {
    const task = await forkInUserNamespace(context.namespaces, [resultFd], () => {
      let answer: { findings: LayerFindings } | { error: string };
      try {
        answer = { findings: verifyLayer(path, job) };
      } catch (error) {
        answer = { error: (error as Error).message };
      }
      writeAll(resultFd, new TextEncoder().encode(JSON.stringify(answer)));
      return 0;
    }).finally(() => close(resultFd));
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const buffer = new Uint8Array(65536);
      const length = await readAsync(result, buffer);
      if (length === 0) break;
      chunks.push(buffer.subarray(0, length));
    }
    await task.wait();
    const text = await new Blob(chunks).text();
    const answer = text === "" ? { error: "the comparing process died" } : JSON.parse(text);
    if (answer.error !== undefined) throw new HostError(`compare layer: ${answer.error}`);
    return answer.findings;
  } finally {
    close(result);
  }
}

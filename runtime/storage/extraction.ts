/** The parent's side of unpacking: forks the child, tells it how far the download is, takes its result. */

import { HostError, SkiffError, VerificationError } from "../errors.ts";
import { forkInUserNamespace } from "../namespaces/fork_task.ts";
import { EAGAIN, EPIPE, isErrno } from "../../ffi/errno.ts";
import { close, pipe2, readAsync, setNonblocking, write } from "../../ffi/file.ts";
import { openFamilies } from "../../ffi/libc.ts";
import { O_CLOEXEC } from "../../ffi/constants/fcntl.ts";
import { type ExtractionMessage, extractLayer, warmUp } from "./extract_task.ts";
import { ABORTED, COMPLETE, DownloadAborted } from "./growing_file.ts";
import type { Extraction, ExtractionOptions, LayerJob, StorageContext } from "./layers.ts";

/** Totals are announced in steps; the last one always is. */
const GROW_STEP = 1 << 16;

/** @see startExtraction in layers.ts */
export async function forkExtraction(
  context: StorageContext,
  job: LayerJob,
  options: ExtractionOptions,
): Promise<Extraction> {
  openFamilies("file", "poll", "xattr", "process", "memory", "fork");
  warmUp();
  const [controlFd, control] = pipe2(O_CLOEXEC);
  const [result, resultFd] = pipe2(O_CLOEXEC);
  setNonblocking(control);
  const task = await forkInUserNamespace(
    context.namespaces,
    [controlFd, resultFd],
    () => extractLayer(context.folders.layers, job, { controlFd, resultFd }),
  ).catch((error) => {
    close(control);
    close(result);
    throw error;
  }).finally(() => {
    close(controlFd);
    close(resultFd);
  });

  const outcome = readOutcome(result, options).finally(() => close(result));
  outcome.catch(() => {});
  const ended = outcome.then(() => task.wait(), () => task.wait());
  let total = 0, announced = 0;
  let isOpen = true;

  const announce = async (message: number) => {
    while (isOpen && !tryWrite(control, message)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const closeControl = () => {
    if (isOpen) close(control);
    isOpen = false;
  };
  return {
    grow(totalBytes) {
      total = totalBytes;
      // A full pipe means that the child has enough to do; the next total says it all.
      if (isOpen && total - announced >= GROW_STEP && tryWrite(control, total)) announced = total;
    },
    async finish(signal) {
      const giveUp = () => void announce(ABORTED);
      try {
        if (announced !== total) await announce(total);
        await announce(COMPLETE);
        signal?.addEventListener("abort", giveUp);
        if (signal?.aborted) giveUp();
        // The child that succeeded still syncs; the one that failed is gone when this returns.
        await outcome.catch(() => ended);
        await outcome;
      } catch (error) {
        if (error instanceof DownloadAborted) signal?.throwIfAborted();
        throw error;
      } finally {
        signal?.removeEventListener("abort", giveUp);
        closeControl();
      }
    },
    async abort() {
      await announce(ABORTED);
      closeControl();
      await ended;
    },
  };
}

/** Whether it is written, or nobody reads any more (the outcome then says why). */
function tryWrite(control: number, total: number): boolean {
  const message = new BigInt64Array([BigInt(total)]);
  try {
    write(control, new Uint8Array(message.buffer));
    return true;
  } catch (error) {
    if (isErrno(error, EAGAIN)) return false;
    if (isErrno(error, EPIPE)) return true;
    throw error;
  }
}

async function readOutcome(result: number, options: ExtractionOptions): Promise<void> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  let text = "";
  for (;;) {
    const length = await readAsync(result, buffer);
    if (length === 0) break;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n")) {
      const message = JSON.parse(text.slice(0, end)) as ExtractionMessage;
      text = text.slice(end + 1);
      if (message.kind === "progress") options.onProgress?.(message.bytes);
      else if (message.kind === "failed") throw failure(message);
      else return;
    }
  }
  throw new SkiffError("unpack layer: the unpacking process ended without a result");
}

function failure(message: ExtractionMessage & { kind: "failed" }): Error {
  switch (message.error) {
    case "verification":
      return new VerificationError(message.message);
    case "host":
      return new HostError(message.message, { hint: message.hint });
    case "aborted":
      return new DownloadAborted(message.message);
    default:
      return new SkiffError(message.message);
  }
}

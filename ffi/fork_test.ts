import { forkChild, prepareFork } from "./fork.ts";
import { pipe2, read, write } from "./file.ts";
import { waitpidBlocking } from "./process.ts";
import { O_CLOEXEC } from "./constants/fcntl.ts";

/** Enough garbage that a child collects it several times. */
function allocate(rounds: number): number {
  let kept: { index: number; text: string }[] = [];
  for (let round = 0; round < rounds; round++) {
    kept = Array.from({ length: 20_000 }, (_, index) => ({ index, text: `${round}:${index}` }));
  }
  return kept.length;
}

Deno.test("300 children survive allocation and garbage collection", () => {
  prepareFork();
  for (let count = 0; count < 300; count++) {
    allocate(1);
    const pid = forkChild(() => allocate(3) === 20_000 ? 7 : 8);
    const { status } = waitpidBlocking(pid);
    if (status !== 7) throw new Error(`child ${count} ended with status ${status}`);
  }
});

Deno.test("a child forks children of its own, as a monitor does", () => {
  const pid = forkChild(() => {
    for (let count = 0; count < 20; count++) {
      allocate(1);
      const { status } = waitpidBlocking(forkChild(() => allocate(2) === 20_000 ? 7 : 8));
      if (status !== 7) return 1;
    }
    return 0;
  });
  const { status } = waitpidBlocking(pid);
  if (status !== 0) throw new Error(`child ended with status ${status}`);
});

Deno.test("an exception in a child is reported and ends it with status 125", () => {
  const [reader, writer] = pipe2(O_CLOEXEC);
  const pid = forkChild(() => {
    throw new Error("broken");
  }, (error) => write(writer, new TextEncoder().encode((error as Error).message)));
  const { status } = waitpidBlocking(pid);
  const buffer = new Uint8Array(16);
  const text = new TextDecoder().decode(buffer.subarray(0, read(reader, buffer)));
  if (status !== 125 || text !== "broken") throw new Error(`status ${status}, text ${text}`);
});

import { assertEquals } from "../tests/assertions.ts";
import { rehearse, rehearsedCommands } from "./rehearse.ts";

/** What a rehearsal changes as long as it lasts. */
const facts = () => ({
  variables: Deno.env.toObject(),
  folder: Deno.cwd(),
  umask: Deno.umask(),
  hostname: Deno.hostname(),
  own: [Deno.stderr, crypto].map((one) => Object.keys(one)),
  descriptors: Array.from(Deno.readDirSync("/proc/self/fd")).length,
});

function inFolder(body: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = Deno.makeTempDirSync();
    try {
      await body(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

Deno.test(
  "a rehearsal gives variables and functions back, and leaves no file",
  inFolder(async (folder) => {
    // which the header sets, and a command takes out
    Deno.env.set("DENO_DIR", "/dev/null/none");
    Deno.env.set("SKIFF_CALLER_DENO_LOG", "x");
    const { random } = Math;
    try {
      const before = facts();
      await rehearse(folder);
      const { descriptors, ...after } = facts();
      assertEquals({ ...after, descriptors: before.descriptors }, before);
      assertEquals(descriptors >= before.descriptors, true);
      assertEquals(rehearsedCommands(), { containers: 1, pushes: 1 });
      assertEquals(Math.random, random);
      assertEquals(Array.from(Deno.readDirSync(folder)), []);
    } finally {
      Deno.env.delete("DENO_DIR");
      Deno.env.delete("SKIFF_CALLER_DENO_LOG");
    }
  }),
);

Deno.test(
  "where one came to no end there is none, and what it left is removed",
  inFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/rehearsal/data/containers`, { recursive: true });
    const before = { ...rehearsedCommands() };
    await rehearse(folder);
    assertEquals(rehearsedCommands(), before);
    assertEquals(Array.from(Deno.readDirSync(folder)), []);
  }),
);

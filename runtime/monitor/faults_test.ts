import { assertEquals, assertIncludes } from "../../tests/assertions.ts";
import { FaultLog, readFaults } from "./faults.ts";

Deno.test("faults are counted, the last is kept, and of many ever fewer are written", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assertEquals(readFaults(folder), undefined);
    const log = new FaultLog(folder);
    log.record(new Error("first"));
    assertEquals(readFaults(folder)?.count, 1);
    for (let count = 2; count <= 100; count++) log.record(new Error(`number ${count}`));
    const { count, message } = readFaults(folder)!;
    assertEquals(count, 64);
    assertIncludes(message, "number 64");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  new FaultLog(`${folder}/gone`).record("nobody can write that");
});

import { deepStrictEqual as assertEquals } from "node:assert";
import { ExportParser } from "../spec/journal.ts";
import { JournalLine, PIECE_BYTES } from "./journal_line.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** As journald reads it: as an export, but for the empty line at the end. */
function fieldsOf(entry: Uint8Array): Record<string, string> {
  const [fields] = new ExportParser().feed(Uint8Array.from([...entry, 10]));
  return Object.fromEntries([...fields!].map(([name, value]) => [name, new TextDecoder().decode(value)]));
}

Deno.test("a line is an entry with its newline, a piece of one says so and leaves the rest", () => {
  const line = new JournalLine("stderr", [["CONTAINER_NAME", "web"]]);
  const sent: Record<string, string>[] = [];
  const send = (entry: Uint8Array) => {
    sent.push(fieldsOf(entry));
    return true;
  };
  line.add(bytes("one\n"));
  assertEquals(line.give(4, false, send), true);
  line.add(bytes("piece and rest"));
  assertEquals(line.give(6, true, send), true);
  assertEquals(new TextDecoder().decode(line.text), "and rest");
  assertEquals(line.give(line.text.length, false, send), true);
  assertEquals(sent, [
    { PRIORITY: "3", CONTAINER_NAME: "web", MESSAGE: "one\n" },
    { CONTAINER_PARTIAL_MESSAGE: "true", PRIORITY: "3", CONTAINER_NAME: "web", MESSAGE: "piece " },
    { PRIORITY: "3", CONTAINER_NAME: "web", MESSAGE: "and rest" },
  ]);
});

Deno.test("what is not taken stays as it is", () => {
  const line = new JournalLine("stdout", []);
  line.add(bytes("kept text"));
  assertEquals(line.give(4, true, () => false), false);
  assertEquals(new TextDecoder().decode(line.text), "kept text");
  line.remove(5);
  assertEquals([new TextDecoder().decode(line.text), line.room], ["kept", PIECE_BYTES - 4]);
});

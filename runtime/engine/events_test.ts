import { assertEquals } from "../../tests/assertions.ts";
import { appendToLog } from "../../ffi/append_file.ts";
import { eventsPath, recordEvent } from "../state/events.ts";
import { type Engine, openEngine } from "./engine.ts";
import { events, type EventsOptions } from "./events.ts";

async function withEngine(test: (engine: Engine) => Promise<void>): Promise<void> {
  const top = Deno.makeTempDirSync();
  try {
    using engine = openEngine({ dataFolder: `${top}/data`, runtimeFolder: `${top}/run` });
    await test(engine);
  } finally {
    Deno.removeSync(top, { recursive: true });
  }
}

const tell = (engine: Engine, name: string) =>
  recordEvent(engine.folders, { type: "container", action: "create", id: "ab", name });

async function names(engine: Engine, options: EventsOptions = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of events(engine, options)) found.push(...batch.map(({ name }) => name));
  return found;
}

Deno.test("a replay reads the log and the one before it, from and up to a moment", () =>
  withEngine(async (engine) => {
    const path = eventsPath(engine.folders);
    const line = (time: string, name: string) =>
      `${JSON.stringify({ time, type: "container", action: "create", id: "ab", name })}\n`;
    appendToLog(path, line("2026-01-01T00:00:00.000000001Z", "first"), 0);
    appendToLog(path, "torn by a full disk\n", 1000);
    appendToLog(path, line("2026-01-02T00:00:00.000000001Z", "second"), 1000);
    assertEquals(await names(engine), ["first", "second"]);
    assertEquals(await names(engine, { sinceMs: Date.UTC(2026, 0, 2) }), ["second"]);
    assertEquals(await names(engine, { untilMs: Date.UTC(2026, 0, 2) }), ["first"]);
    assertEquals(await names(engine, { filter: ({ name }) => name === "second" }), ["second"]);
  }));

Deno.test("who follows hears each event once, across the moment when the log is full", () =>
  withEngine(async (engine) => {
    tell(engine, "before");
    const stop = new AbortController();
    const heard: string[] = [];
    const following = (async () => {
      for await (const batch of events(engine, { follow: true, signal: stop.signal })) {
        heard.push(...batch.map(({ name }) => name));
        if (heard.at(-1) === "1") {
          Deno.renameSync(eventsPath(engine.folders), `${eventsPath(engine.folders)}.1`);
        }
        if (heard.at(-1) === "4") stop.abort();
        else tell(engine, String(heard.length + 1));
      }
    })();
    // it watches before its first look, so this is heard whenever it comes
    await Promise.resolve();
    tell(engine, "1");
    await following;
    assertEquals(heard, ["1", "2", "3", "4"]);
  }));

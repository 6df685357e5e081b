import { assert, assertEquals, assertMatch } from "../../tests/assertions.ts";
import type { ExitRecord, StateRecord } from "./plan.ts";
import {
  bootId,
  isRunning,
  processStartTime,
  readExit,
  readState,
  removeRecords,
  writeExit,
  writeState,
} from "./records.ts";

const STATE: StateRecord = {
  version: 1,
  status: "running",
  monitorPid: 10,
  initPid: 11,
  initStartTime: "123",
  startedAt: "2016-10-06T00:17:09.669794202Z",
  bootId: "b",
};
const EXIT: ExitRecord = {
  version: 1,
  exitCode: 3,
  error: "",
  startedAt: STATE.startedAt,
  finishedAt: STATE.startedAt,
  oomKilled: false,
};

Deno.test("records come back as written, and only the user may read them", () => {
  const folder = Deno.makeTempDirSync();
  assertEquals([readState(folder), readExit(folder)], [undefined, undefined]);
  writeState(folder, STATE);
  writeExit(folder, EXIT);
  assertEquals([readState(folder), readExit(folder)], [STATE, EXIT]);
  assertEquals([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), ["exit.json", "state.json"]);
  assertEquals(Deno.statSync(`${folder}/exit.json`).mode! & 0o777, 0o600);
  removeRecords(folder);
  removeRecords(folder);
  assertEquals([...Deno.readDirSync(folder)], []);
  Deno.removeSync(folder);
});

Deno.test("on a full disk the exit record takes the place of the state, or the state stays", () => {
  const folder = Deno.makeTempDirSync();
  const full = () => {
    throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
  };
  const { writeTextFileSync } = Deno;
  const { writeSync } = Deno.FsFile.prototype;
  const fail = () => {
    try {
      writeExit(folder, EXIT);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  try {
    writeState(folder, STATE);
    Deno.writeTextFileSync = full;
    // a write over what is there that gets as far as its sixth byte
    let room = 6;
    Deno.FsFile.prototype.writeSync = function (bytes) {
      if (room === 0) {
        Deno.FsFile.prototype.writeSync = writeSync;
        return full();
      }
      room -= 2;
      return writeSync.call(this, bytes.subarray(0, 2));
    };
    assertEquals([fail(), readState(folder), readExit(folder)], [
      "no space left on device",
      STATE,
      undefined,
    ]);

    // short writes are gone on with
    Deno.FsFile.prototype.writeSync = function (bytes) {
      return writeSync.call(this, bytes.subarray(0, 50));
    };
    assertEquals([fail(), readState(folder)], [undefined, undefined]);
    assertEquals({ ...readExit(folder)! }, { ...STATE, ...EXIT });
    assertEquals([...Deno.readDirSync(folder)].map((entry) => entry.name), ["exit.json"]);

    removeRecords(folder);
    assertEquals([fail(), [...Deno.readDirSync(folder)]], ["no space left on device", []]);
  } finally {
    Deno.writeTextFileSync = writeTextFileSync;
    Deno.FsFile.prototype.writeSync = writeSync;
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a torn or foreign record reads as none", () => {
  const folder = Deno.makeTempDirSync();
  for (const text of ["", "{", "null", "[]", '{"exitCode":"3"}']) {
    Deno.writeTextFileSync(`${folder}/exit.json`, text);
    assertEquals(readExit(folder), undefined);
  }
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a process is named by pid and start time", () => {
  assertMatch(processStartTime(Deno.pid), /^\d+$/);
  assertEquals(processStartTime(0x7ffffffe), "");
  assert(isRunning(Deno.pid, processStartTime(Deno.pid)));
  assert(!isRunning(Deno.pid, "1") && !isRunning(0x7ffffffe, ""));
  assertMatch(bootId(), /^[0-9a-f-]{36}$/);
});

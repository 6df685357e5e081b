import { deepStrictEqual as assertEquals } from "node:assert";
import { processStartTime, writeExit, writeState } from "../monitor/records.ts";
import { listExecSessions, removeEndedSessions } from "./exec_sessions.ts";

Deno.test("sessions that have ended, or never began, are not listed, and go when there are many", () => {
  const container = Deno.makeTempDirSync();
  try {
    const make = (name: string) => {
      Deno.mkdirSync(`${container}/exec/${name}`, { recursive: true });
      return `${container}/exec/${name}`;
    };
    const state = (initPid: number, initStartTime: string) => ({
      version: 1,
      status: "running" as const,
      monitorPid: 1,
      initPid,
      initStartTime,
      startedAt: "",
      bootId: "",
    });
    const end = { version: 1, exitCode: 0, error: "", startedAt: "", finishedAt: "", oomKilled: false };
    make("begins");
    const longAgo = new Date(Date.now() - 3_600_000);
    Deno.utimeSync(make("killed-early"), longAgo, longAgo);
    // it runs, and the disk was full
    Deno.utimeSync(make("has-no-records"), longAgo, longAgo);
    using monitor = Deno.openSync(`${container}/exec/has-no-records`, { read: true });
    monitor.lockSync(true);
    writeState(make("runs"), state(Deno.pid, processStartTime(Deno.pid)));
    writeState(make("killed"), state(Deno.pid, "1"));
    for (let count = 0; count < 20; count++) writeExit(make(`ended${count}`), end);
    assertEquals(listExecSessions(container).sort(), ["begins", "has-no-records", "runs"]);
    removeEndedSessions(container);
    const left = Array.from(Deno.readDirSync(`${container}/exec`), ({ name }) => name);
    assertEquals(left.sort(), ["begins", "has-no-records", "runs"]);
  } finally {
    Deno.removeSync(container, { recursive: true });
  }
});

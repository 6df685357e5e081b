import { deepStrictEqual as assertEquals } from "node:assert";
import { writeExit, writeState } from "../monitor/records.ts";
import { readBootId } from "../state/boot.ts";
import {
  type ContainerRow,
  findContainer,
  insertContainer,
  type RecordedState,
} from "../state/containers.ts";
import { type Database, openDatabase } from "../state/db.ts";
import { tryLock } from "../state/locks.ts";
import { containerRow } from "../../tests/container_row.ts";
import { lockPath, observeContainers } from "./state.ts";

const ID = "ab".repeat(32);

const row = (change: Partial<ContainerRow> = {}) => containerRow({ id: ID, ...change });

const end = {
  version: 1,
  exitCode: 7,
  error: "",
  startedAt: "2026-01-01T00:00:01Z",
  finishedAt: "2026-01-01T00:00:02Z",
  oomKilled: false,
};
const running = {
  version: 1,
  status: "running" as const,
  monitorPid: 4194303,
  initPid: 4194302,
  initStartTime: "1",
  startedAt: "2026-01-01T00:00:01Z",
  bootId: readBootId(),
};

interface Store {
  db: Database;
  containers: string;
  dir: string;
  /** What `observeContainers` finds of the one row. */
  look(): Promise<{ status: string; exitCode: number; pid: number } | undefined>;
}

/** A store with one row and, unless `folder` is false, its folder with a lock file. */
async function withStore(
  change: Partial<ContainerRow>,
  test: (store: Store) => Promise<void>,
  folder = true,
): Promise<void> {
  const root = Deno.makeTempDirSync();
  const db = await openDatabase(`${root}/skiff.db`);
  const containers = `${root}/containers`;
  const dir = `${containers}/${ID}`;
  Deno.mkdirSync(folder ? dir : containers, { recursive: true });
  if (folder) Deno.writeTextFileSync(lockPath(dir), "");
  insertContainer(db, row());
  db.run("UPDATE containers SET state = ?", change.state ?? "starting");
  if (change.finishedAt) db.run("UPDATE containers SET finished_at = ?, exit_code = 3", change.finishedAt);
  const look = async () => {
    const [found] = await observeContainers(db, containers, [findContainer(db, ID)!]);
    return found && { status: found.status.status, exitCode: found.status.exitCode, pid: found.status.pid };
  };
  try {
    await test({ db, containers, dir, look });
  } finally {
    db[Symbol.dispose]();
    Deno.removeSync(root, { recursive: true });
  }
}

const recorded = (db: Database): RecordedState | undefined => findContainer(db, ID)?.state;

Deno.test("a container that was never started is created", () =>
  withStore({ state: "created" }, async ({ db, look }) => {
    assertEquals(await look(), { status: "created", exitCode: 0, pid: 0 });
    assertEquals(recorded(db), "created");
  }));

Deno.test("a held lock and a state record mean that it runs", () =>
  withStore({}, async ({ db, dir, look }) => {
    using _monitor = tryLock(lockPath(dir));
    writeState(dir, running);
    assertEquals(await look(), { status: "running", exitCode: 0, pid: 4194302 });
    assertEquals(recorded(db), "starting");
  }));

Deno.test("an exit record is folded into the row once the lock is free", () =>
  withStore({}, async ({ db, dir, look }) => {
    writeState(dir, running);
    writeExit(dir, end);
    assertEquals(await look(), { status: "exited", exitCode: 7, pid: 0 });
    assertEquals(recorded(db), "exited");
    assertEquals(findContainer(db, ID)?.finishedAt, end.finishedAt);
  }));

Deno.test("while the monitor clears up, the end is told but not yet folded", () =>
  withStore({}, async ({ db, dir, look }) => {
    using _monitor = tryLock(lockPath(dir));
    writeState(dir, running);
    writeExit(dir, end);
    assertEquals(await look(), { status: "exited", exitCode: 7, pid: 0 });
    assertEquals(recorded(db), "starting");
  }));

Deno.test("a monitor that died without a record has taken the container along: 137", () =>
  withStore({}, async ({ db, dir, look }) => {
    writeState(dir, running);
    assertEquals(await look(), { status: "exited", exitCode: 137, pid: 0 });
    assertEquals(findContainer(db, ID)?.error, "the monitor of the container was killed");
    assertEquals(recorded(db), "exited");
  }));

Deno.test("what a dead monitor's container left alive is killed", () =>
  withStore({}, async ({ dir, look }) => {
    const child = new Deno.Command("sleep", { args: ["600"] }).spawn();
    const stat = Deno.readTextFileSync(`/proc/${child.pid}/stat`);
    const initStartTime = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!;
    writeState(dir, { ...running, initPid: child.pid, initStartTime });
    const [found, status] = await Promise.all([look(), child.status]);
    assertEquals(found?.exitCode, 137);
    assertEquals(status.signal, "SIGKILL");
  }));

Deno.test("a process that only has the dead one's number is left alone", () =>
  withStore({}, async ({ dir, look }) => {
    const child = new Deno.Command("sleep", { args: ["600"] }).spawn();
    writeState(dir, { ...running, initPid: child.pid, initStartTime: "1" });
    await look();
    child.kill("SIGTERM");
    assertEquals((await child.status).signal, "SIGTERM");
  }));

Deno.test("nothing of another boot is killed", () =>
  withStore({}, async ({ dir, look }) => {
    writeState(dir, { ...running, initPid: 1, bootId: "another" });
    assertEquals((await look())?.status, "exited");
  }));

Deno.test("a start that never came to a monitor leaves the container as it was", async () => {
  await withStore({ state: "starting" }, async ({ db, look }) => {
    assertEquals((await look())?.status, "created");
    assertEquals(recorded(db), "created");
  });
  await withStore({ state: "starting", finishedAt: end.finishedAt }, async ({ db, look }) => {
    assertEquals(await look(), { status: "exited", exitCode: 3, pid: 0 });
    assertEquals(recorded(db), "exited");
  });
});

Deno.test("a row without a folder is gone", () =>
  withStore({}, async ({ db, look }) => {
    assertEquals(await look(), undefined);
    assertEquals(recorded(db), undefined);
  }, false));

Deno.test("a removal that was killed is seen as such, not as a container", () =>
  withStore({ state: "removing" }, async ({ look }) => {
    assertEquals((await look())?.status, "removing");
  }));

Deno.test("the folder of a container that waits or has ended is only asked on demand", async () => {
  for (const state of ["created", "exited"] as const) {
    await withStore({ state }, async ({ db, containers, look }) => {
      assertEquals((await look())?.status, state);
      const rows = [findContainer(db, ID)!];
      assertEquals(await observeContainers(db, containers, rows, { checkFolders: true }), []);
      assertEquals(recorded(db), undefined);
    }, false);
  }
});

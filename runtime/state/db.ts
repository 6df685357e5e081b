/**
 * skiff.db: one SQLite file in WAL mode, opened at first use.
 *
 * A statement that meets a busy database is retried for some milliseconds by SQLite and then by `transaction`
 * between turns of the event loop, so that nobody is blocked for long. A connection never crosses a fork.
 * @see https://www.sqlite.org/wal.html
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { HostError, SkiffError } from "../errors.ts";
import { FOLD_LOG, isLogLong } from "./long_log.ts";
import { keepLogRoom } from "./log_room.ts";
import { MIGRATIONS } from "./migrations.ts";

export type SqlValue = string | number | bigint | null;
export type Row = Record<string, SqlValue>;

/** How long SQLite itself may wait inside one statement. */
const BUSY_TIMEOUT_MS = 40;
const GIVE_UP_MS = 20_000;

/** Open, and written to by this process. */
const written = new Set<Database>();

export class Database implements Disposable {
  readonly #connection: DatabaseSync;
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();

  constructor(connection: DatabaseSync, path: string) {
    this.#connection = connection;
    this.#path = path;
  }

  /** Every row that the query gives. */
  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }

  /** The first row, or undefined. */
  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  /** Runs a statement and returns how many rows it changed. */
  run(sql: string, ...values: SqlValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  /**
   * Runs `body` as one write transaction; all of it happens, or nothing. `body` is synchronous and may run
   * again when the database was busy at its begin.
   */
  transaction<T>(body: () => T, signal?: AbortSignal): Promise<T> {
    // begin to commit in one turn of the event loop: two transactions of one connection must not mix
    return retryWhileBusy(() => {
      this.exec("BEGIN IMMEDIATE");
      try {
        const value = body();
        this.exec("COMMIT");
        written.add(this);
        return value;
      } catch (error) {
        try {
          this.exec("ROLLBACK");
        } catch {
          // SQLite has rolled back by itself, as after a full disk
        }
        throw error;
      }
    }, signal);
  }

  /** Folds the write-ahead log into the database where it is long and nobody is in it. Never throws. */
  foldLongLog(): void {
    try {
      if (isLogLong(this.#path)) this.exec(`PRAGMA busy_timeout = 0; ${FOLD_LOG}`);
      keepLogRoom(this.#path);
    } catch {
      // Another command is in it, or the disk is full: everything is in the log as well.
    }
  }

  [Symbol.dispose](): void {
    written.delete(this);
    this.#statements.clear();
    this.#connection.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/**
 * What a command that has written does last of all. It ends without closing its connection, as that would sync each
 * time; but then nobody remembers how much of the log is in the database already: every later command reads all of
 * the log, and each that writes syncs the whole of it again (10 ms for 300 pages).
 */
export function foldLongLogs(): void {
  for (const database of written) database.foldLongLog();
}

/** In a rehearsal, the one that all commands open. */
let inMemory: Database | undefined;

/**
 * As long as it lasts, each database that is opened is one in memory. On a disk SQLite would draw random numbers, and a
 * process that is kept as a file must not have drawn any.
 */
export async function rehearseInMemory(): Promise<Disposable> {
  inMemory = await openDatabase(":memory:");
  return {
    [Symbol.dispose]: () => {
      inMemory?.[Symbol.dispose]();
      inMemory = undefined;
    },
  };
}

/** Opens the database, making or migrating it where needed. */
export async function openDatabase(path: string, signal?: AbortSignal): Promise<Database> {
  if (inMemory) return inMemory;
  const { DatabaseSync } = await import("node:sqlite");
  let connection: DatabaseSync | undefined;
  try {
    connection = connect(path, DatabaseSync);
    const database = new Database(connection, path);
    await retryWhileBusy(() => configure(database), signal);
    await migrate(database, path, signal);
    return database;
  } catch (error) {
    connection?.close();
    if (error instanceof SkiffError || signal?.aborted) throw error;
    if (isReadOnly(error)) {
      throw new HostError(
        `write to data folder "${path.replace(/\/[^/]*$/, "")}": its file system is read-only`,
        {
          cause: error,
          hint: "remount it, or set XDG_DATA_HOME to a folder that you can write to",
        },
      );
    }
    throw new SkiffError(`open database "${path}": ${(error as Error).message}`, { cause: error });
  }
}

/** EROFS, which Deno has no class of its own for. */
function isReadOnly(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EROFS";
}

function connect(path: string, driver: typeof DatabaseSync): DatabaseSync {
  // SQLite gives its -wal and -shm files the mode of the main file
  if (path !== ":memory:") {
    Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 }).close();
  }
  const connection = new driver(path);
  connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return connection;
}

function configure(database: Database): void {
  if (database.get("PRAGMA journal_mode")?.journal_mode !== "wal") database.exec("PRAGMA journal_mode = WAL");
  // NORMAL never corrupts; a power cut may undo the last transactions, which the files then correct
  database.exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
}

/** Brings an older database up to date; refuses one that a newer skiff has written. */
async function migrate(database: Database, path: string, signal?: AbortSignal): Promise<void> {
  const target = MIGRATIONS.length;
  if (schemaVersion(database) === target) return;
  await database.transaction(() => {
    const found = schemaVersion(database);
    if (found > target) {
      throw new SkiffError(
        `open database "${path}": it was written by a newer skiff (schema ${found}, this one knows ${target})`,
        { hint: "use the newer skiff" },
      );
    }
    for (const migration of MIGRATIONS.slice(found)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${target}`);
  }, signal);
}

function schemaVersion(database: Database): number {
  return Number(database.get("PRAGMA user_version")?.user_version ?? 0);
}

async function retryWhileBusy<T>(action: () => T, signal?: AbortSignal): Promise<T> {
  const deadline = performance.now() + GIVE_UP_MS;
  for (let pauseMs = 1;; pauseMs = Math.min(pauseMs * 2, 40)) {
    signal?.throwIfAborted();
    try {
      return action();
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
  }
}

/** Nothing can be recorded now; what was asked for can often be told all the same. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && error.message.includes("database or disk is full");
}

/** Deno's node:sqlite gives no result code, so the fixed texts of sqlite3_errstr() have to do. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && /database (table |schema )?is locked/.test(error.message);
}

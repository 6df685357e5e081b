/**
 * Calls, before a process is frozen, what commands call of the runtime. The runtime compiles each of its own functions when
 * it is first called; what is called here every command finds compiled, a tenth of a millisecond each.
 *
 * Nothing of it may draw a random number, start a thread or leave a descriptor open.
 */

import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { openAllFamilies } from "../../ffi/libc.ts";
import { lendHash } from "../spec/digest.ts";

export function warmUp(): void {
  openAllFamilies();
  useFiles();
  useText();
  useAddresses();
  useSignals();
  useDatabase();
  createHash("sha256").update(new Uint8Array(1)).digest("hex");
  lendHash(createHash);
}

function useFiles(): void {
  using file = Deno.openSync("/dev/null", { read: true, write: true });
  file.statSync();
  file.readSync(new Uint8Array(1));
  file.writeSync(new Uint8Array(1));
  file.tryLockSync(false);
  Deno.readTextFileSync("/dev/null");
  Deno.readFileSync("/dev/null");
  Deno.statSync("/");
  Deno.lstatSync("/");
  Array.from(Deno.readDirSync("/proc/self/ns"));
  for (const absent of ["/dev/null/absent", "/proc/absent"]) {
    try {
      Deno.statSync(absent);
    } catch {
      // the making of the error is what is wanted
    }
  }
  Deno.env.get("HOME");
  Deno.env.has("HOME");
  Deno.uid();
  Deno.gid();
  Deno.umask(Deno.umask(0o022));
}

function useText(): void {
  const encoder = new TextEncoder();
  // Each command does it so often that V8 would compile it in the middle of one, and with it how the runtime looks at arguments.
  for (let call = 0; call < 1000; call++) {
    new TextDecoder().decode(encoder.encode("text"));
    new TextDecoder("utf-8", { fatal: true }).decode(encoder.encode("text"));
  }
  new TextDecoder("utf-8", { fatal: true }).decode(encoder.encode("text"), { stream: true });
}

/** Those of registries. A port that cannot be ends a connection before it is begun. */
function useAddresses(): void {
  const url = new URL("http://name:password@127.0.0.1:5000/v2/?query#fragment");
  url.protocol = "https:";
  const parts = [
    url.origin,
    url.host,
    url.hostname,
    url.port,
    url.pathname,
    url.search,
    url.username,
    url.password,
  ];
  URL.parse("/v2/", url)?.toString().startsWith(parts.join());
  Deno.connect({ hostname: "127.0.0.1", port: -1 }).catch(() => {});
}

function useSignals(): void {
  const [first, second] = [new AbortController(), new AbortController()];
  const either = AbortSignal.any([first.signal, second.signal]);
  const listener = () => {};
  either.addEventListener("abort", listener, { once: true });
  either.removeEventListener("abort", listener);
  either.addEventListener("abort", listener, { once: true });
  either.throwIfAborted();
  first.abort();
  if (either.aborted && either.reason !== undefined) clearTimeout(setTimeout(listener, 1000));
}

/** In memory: SQLite's own random numbers are left alone. */
function useDatabase(): void {
  using db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE warm (name TEXT, size INTEGER)");
  db.prepare("INSERT INTO warm VALUES (?, ?)").run("name", 1);
  const query = db.prepare("SELECT * FROM warm WHERE name = ?");
  query.get("name");
  query.all("name");
}

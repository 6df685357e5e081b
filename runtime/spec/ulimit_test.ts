import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { parseUlimit, resolveUlimits, RLIMIT_TYPES, rlimitNumber, UNLIMITED } from "./ulimit.ts";

Deno.test("a ulimit has a soft and a hard value, or one for both", () => {
  equal(parseUlimit("nofile=1024:2048"), { type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 });
  equal(parseUlimit("nproc=64"), { type: "RLIMIT_NPROC", soft: 64, hard: 64 });
  equal(parseUlimit("core=-1"), { type: "RLIMIT_CORE", soft: UNLIMITED, hard: UNLIMITED });
  equal(parseUlimit("memlock=0:-1"), { type: "RLIMIT_MEMLOCK", soft: 0, hard: UNLIMITED });
});

Deno.test("a ulimit that cannot be understood is refused in docker's words", () => {
  const refused: [string, string][] = [
    ["nofile", "invalid ulimit argument: nofile"],
    ["=5", "invalid ulimit argument: =5"],
    ["nofile=", "invalid ulimit argument: nofile="],
    ["nofile=x", "invalid ulimit argument: nofile=x"],
    ["nofile=1.5", "invalid ulimit argument: nofile=1.5"],
    ["nofile=99999999999999999999", "invalid ulimit argument: nofile=99999999999999999999"],
    ["colour=1", "invalid ulimit type: colour"],
    ["toString=1", "invalid ulimit type: toString"],
    ["nofile=1:2:3", "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"],
    ["nofile=5:4", "ulimit soft limit must be less than or equal to hard limit: 5 > 4"],
    ["nofile=-1:4", "ulimit soft limit must be less than or equal to hard limit: -1 > 4"],
  ];
  for (const [text, message] of refused) {
    throws(() => parseUlimit(text), { name: "InvalidArgumentError", message });
  }
});

Deno.test("the last --ulimit of a kind wins, and host keeps the caller's limits", () => {
  const root = { rootless: false, hardLimit: () => 4096 };
  equal(resolveUlimits(["nofile=1", "core=0", "nofile=2:-1"], root), [
    { type: "RLIMIT_NOFILE", soft: 2, hard: UNLIMITED },
    { type: "RLIMIT_CORE", soft: 0, hard: 0 },
  ]);
  equal(resolveUlimits(["nofile=1", "host"], root), []);
});

Deno.test("unlimited is the caller's hard limit where the caller cannot raise it", () => {
  equal(resolveUlimits(["nofile=-1:-1"], { rootless: true, hardLimit: () => 4096 }), [
    { type: "RLIMIT_NOFILE", soft: 4096, hard: 4096 },
  ]);
});

Deno.test("every limit has its number for prlimit(2)", () => {
  equal(RLIMIT_TYPES.map(rlimitNumber), RLIMIT_TYPES.map((_, index) => index));
  throws(() => rlimitNumber("RLIMIT_NONE"), { message: "invalid ulimit type: RLIMIT_NONE" });
});

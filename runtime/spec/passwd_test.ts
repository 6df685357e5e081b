import { deepStrictEqual as equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { ACCOUNT_FILE_LIMIT_BYTES, resolveUser } from "./passwd.ts";

const PASSWD = [
  "root:x:0:0:root:/root:/bin/sh",
  "# a comment",
  "",
  "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
  "web:x:33:33::/var/www:/bin/sh",
  "1000:x:0:0:digits as a name:/root:/bin/sh",
  "alice:x:1000:1000::/home/alice:/bin/sh",
  "homeless:x:1001:1001:::",
].join("\n");
const GROUP = "root:x:0:\nwww:x:33:\nstaff:x:50:web,alice\naudio:x:29:bob, alice\nnot-web:x:51:webmaster\n";

const resolve = (user: string, groupAdd: string[] = []) => resolveUser(user, PASSWD, GROUP, groupAdd);

Deno.test("no user is uid 0 with root's home", () => {
  equal(resolve(""), { uid: 0, gid: 0, additionalGids: [], home: "/root", name: "root", isListed: true });
});

Deno.test("a name gives uid, primary group, home and the groups that list it", () => {
  equal(resolve("alice"), {
    uid: 1000,
    gid: 1000,
    additionalGids: [50, 29],
    home: "/home/alice",
    name: "alice",
    isListed: true,
  });
});

Deno.test("a uid with an entry is treated as its name", () => {
  equal(resolve("33"), {
    uid: 33,
    gid: 33,
    additionalGids: [50],
    home: "/var/www",
    name: "web",
    isListed: true,
  });
});

Deno.test("a uid without an entry has group 0, home / and no further groups", () => {
  equal(resolve("4242"), { uid: 4242, gid: 0, additionalGids: [], home: "/", name: "4242", isListed: false });
});

Deno.test("an account named with digits does not capture the uid", () => {
  equal(resolve("1000").uid, 1000);
  equal(resolveUser("1000", "1000:x:0:0::/root:/bin/sh", null, []), {
    uid: 1000,
    gid: 0,
    additionalGids: [],
    home: "/",
    name: "1000",
    isListed: false,
  });
});

Deno.test("an explicit group replaces the primary one and the listed ones", () => {
  equal(resolve("alice:staff"), {
    uid: 1000,
    gid: 50,
    additionalGids: [],
    home: "/home/alice",
    name: "alice",
    isListed: true,
  });
  equal(resolve("alice:7").gid, 7);
  equal(resolve(":www"), {
    uid: 0,
    gid: 33,
    additionalGids: [],
    home: "/root",
    name: "root",
    isListed: true,
  });
});

Deno.test("--group-add takes names and ids", () => {
  equal(resolve("web:www", ["audio", "600", "600"]).additionalGids, [29, 600]);
  throws(() => resolve("web", ["nosuch"]), {
    message: "unable to find group nosuch: no matching entries in group file",
  });
});

Deno.test("an entry without a home gets /", () => {
  equal(resolve("homeless").home, "/");
});

Deno.test("a name that is not there is refused in docker's and podman's words", () => {
  for (const passwd of [PASSWD, "", null]) {
    throws(() => resolveUser("nosuch", passwd, GROUP, []), {
      name: "InvalidArgumentError",
      message: "unable to find user nosuch: no matching entries in passwd file",
    });
  }
  throws(() => resolve("alice:nosuch"), {
    message: "unable to find group nosuch: no matching entries in group file",
  });
});

Deno.test("ids without files need none", () => {
  equal(resolveUser("5:6", null, null, ["7"]), {
    uid: 5,
    gid: 6,
    additionalGids: [7],
    home: "/",
    name: "5",
    isListed: false,
  });
});

Deno.test("ids out of range are refused, not wrapped to 0", () => {
  for (const id of ["-1", "-0", "2147483648", "4294967295", "4294967296", "18446744073709551616"]) {
    const message = "uids and gids must be in range 0-2147483647";
    throws(() => resolve(id), { message });
    throws(() => resolve(`0:${id}`), { message });
    throws(() => resolve("root", [id]), { message });
  }
  equal(resolve("2147483647").uid, 2147483647);
});

Deno.test("passwd entries with ids out of range are no entries", () => {
  for (const id of ["-1", "4294967296", "4294967295", "0x0", " 0", "", "1e1"]) {
    throws(() => resolveUser("evil", `evil:x:${id}:0::/:/bin/sh`, null, []), {
      message: "unable to find user evil: no matching entries in passwd file",
    });
    throws(() => resolveUser("0:evil", null, `evil:x:${id}:`, []), {
      message: "unable to find group evil: no matching entries in group file",
    });
  }
});

Deno.test("a long line is skipped and a huge file refused", () => {
  const long = `alice:x:0:0:${"a".repeat(70_000)}:/:/bin/sh\nalice:x:7:7::/home:/bin/sh`;
  equal(resolveUser("alice", long, null, []).uid, 7);
  throws(() => resolveUser("alice", "x".repeat(ACCOUNT_FILE_LIMIT_BYTES + 1), null, []), {
    message: "read /etc/passwd: larger than 4194304 bytes",
  });
});

Deno.test("a file of nothing but newlines takes no time", () => {
  const started = performance.now();
  equal(resolveUser("12", "\n".repeat(ACCOUNT_FILE_LIMIT_BYTES), null, []).uid, 12);
  equal(performance.now() - started < 60_000, true);
});

Deno.test("any text of a file and any user word end in ids in range or in an error", () => {
  fc.assert(fc.property(fc.string(), fc.string(), fc.string(), (user, passwd, group) => {
    try {
      const { uid, gid } = resolveUser(user, passwd, group, []);
      return [uid, gid].every((id) => Number.isInteger(id) && id >= 0 && id <= 0x7fffffff);
    } catch (error) {
      return (error as Error).name === "InvalidArgumentError";
    }
  }));
});

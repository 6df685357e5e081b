/** `skiff doctor` on whole and broken machines, as every kind of user. */
import { onBroken } from "./broken_machine.ts";
import { assert, assertEquals, assertIncludes, assertMatch, type Host, hostTest } from "./harness.ts";

interface Line {
  Check: string;
  Status: string;
  Detail: string;
  Remedy: string;
}

/** What is not well, by check. */
function complaints(json: string): Record<string, Line> {
  const lines = JSON.parse(json) as Line[];
  return Object.fromEntries(
    lines.filter(({ Status }) => Status === "degraded" || Status === "fails").map((
      line,
    ) => [line.Check, line]),
  );
}

hostTest("doctor finds a whole machine whole, in lines and in JSON", { needs: ["uidmap"] }, async (host) => {
  const { code, stdout, stderr } = await host.skiff(["doctor"]);
  assertEquals([code, stderr], [0, ""], stdout);
  assertMatch(stdout, /^ok {8}user {13}\S+ \(\d+\)/m);
  assertMatch(stdout, /^ok {8}container {8}runs, in \d+ ms$/m);
  assert(!/^(degraded|fails)/m.test(stdout), stdout);
  const json = JSON.parse(await host.ok("doctor", "--json")) as Line[];
  assertEquals(json.map((line) => line.Check), [
    ...["program", "start", "user", "data folder", "runtime folder", "subordinate ids", "user namespace"],
    ...["storage driver", "/proc", "network", "fuse", "seccomp", "cgroups", "container"],
  ]);
  assertEquals(Object.keys(json[0]!), ["Check", "Status", "Detail", "Remedy"]);
});

hostTest("doctor works as root", { asRoot: true, needs: ["root"] }, async (host) => {
  const { code, stdout } = await host.skiff(["doctor", "--json"]);
  assertEquals([code, complaints(stdout)], [0, {}], stdout);
});

interface Case {
  script: string;
  code: number;
  check: string;
  detail: RegExp;
  remedy: RegExp;
}

const READ_ONLY = "mount --bind $HOME $HOME && mount -o remount,bind,ro $HOME";

/** Each with another home, since what is known of a machine is remembered there. */
const CASES: Record<string, Case> = {
  "no newuidmap": {
    script: "mount --bind /dev/null /usr/bin/newuidmap",
    code: 1,
    check: "subordinate ids",
    detail: /^newuidmap is not installed: containers have one id, and owners of files are pretended$/,
    remedy: /^install the package uidmap /,
  },
  "no tun device": {
    script: "mount -t tmpfs none /dev/net",
    code: 1,
    check: "network",
    detail: /^containers have no network: \/dev\/net\/tun does not exist$/,
    remedy: /^modprobe tun; in a container: --device \/dev\/net\/tun$/,
  },
  "no range": {
    script: "mount --bind /dev/null /etc/subuid",
    code: 1,
    check: "subordinate ids",
    detail: /^\/etc\/subuid has no range for skiff-test: /,
    remedy: /^as root: usermod --add-subuids (\d+-\d+) --add-subgids \1 skiff-test$/,
  },
  "a small range": {
    script: "echo skiff-test:700000:1000 > $HOME/../subuid; mount --bind $HOME/../subuid /etc/subuid",
    code: 1,
    check: "subordinate ids",
    detail: /^containers have 1001 users and 65537 groups; images with higher ids cannot be unpacked$/,
    remedy: /65536 ids/,
  },
  "no helper that is setuid": {
    script: "cp /usr/bin/newuidmap $HOME/../helper; mount --bind $HOME/../helper /usr/bin/newuidmap",
    code: 2,
    check: "user namespace",
    detail: /newuidmap/,
    remedy: /^check that the helper is setuid root/,
  },
  "no helper for groups that is setuid": {
    script: "cp /usr/bin/newgidmap $HOME/../helper; mount --bind $HOME/../helper /usr/bin/newgidmap",
    code: 2,
    check: "user namespace",
    detail: /map ids with \S*newgidmap: newgidmap: /,
    remedy: /^check that the helper is setuid root/,
  },
  "a disk that is nearly full": {
    script: "mount -t tmpfs -o size=50m,mode=700,uid=$(stat -c %u $HOME) none $HOME",
    code: 1,
    check: "data folder",
    detail: /, where \d\d MB are free$/,
    remedy: /^skiff system prune /,
  },
  "a home that is read-only": {
    script:
      `${READ_ONLY}; mkdir -p $HOME/../vartmp && chmod 1777 $HOME/../vartmp && mount --bind $HOME/../vartmp /var/tmp`,
    code: 1,
    check: "data folder",
    detail: /^\/var\/tmp\/skiff-\d+ \(.*\), as .* cannot be made: read-only file system$/,
    remedy: /^set XDG_DATA_HOME/,
  },
};

/** A /dev with what programs need, and without /dev/fuse. */
const NO_FUSE = `mkdir $HOME/../dev && mount -t tmpfs -o mode=755 none $HOME/../dev && cd $HOME/../dev
  mkdir net pts shm
  for one in null zero full random urandom tty net/tun; do : >$one; mount --bind /dev/$one $one; done
  mount --rbind /dev/pts pts; ln -s pts/ptmx ptmx; ln -s /proc/self/fd fd; cd /; mount --rbind $HOME/../dev /dev`;

hostTest("doctor notes that there is no FUSE, and containers run", {
  needs: ["root", "uidmap"],
}, async (host) => {
  const { code, stdout } = await onBroken(host, { script: NO_FUSE }, "doctor", "--json");
  assertEquals([code, complaints(stdout)], [0, {}], stdout);
  const fuse = (JSON.parse(stdout) as Line[]).find(({ Check }) => Check === "fuse")!;
  assertEquals(
    [fuse.Status, fuse.Detail],
    ["note", "no run --lazy, and no :idmap without root: open /dev/fuse: there is no FUSE here"],
  );
  assertIncludes(fuse.Remedy, "modprobe fuse");
});

async function examine(host: Host, { script, code, check, detail, remedy }: Case): Promise<void> {
  const { stdout, stderr, code: found } = await onBroken(host, { script }, "doctor", "--json");
  assertEquals([found, stderr], [code, ""], stdout);
  const line = complaints(stdout)[check];
  assert(line !== undefined, stdout);
  assertMatch(line.Detail, detail);
  assertMatch(line.Remedy, remedy);
  assertEquals(line.Status, code === 2 ? "fails" : "degraded");
  const runs = (JSON.parse(stdout) as Line[]).some((one) => one.Check === "container" && one.Status === "ok");
  assertEquals(runs, code === 1, stdout);
}

for (const [name, one] of Object.entries(CASES)) {
  hostTest(`doctor names the remedy: ${name}`, { needs: ["root", "uidmap"] }, (host) => examine(host, one));
}

hostTest(
  "doctor tells of a data folder that became read-only",
  { needs: ["root", "uidmap"] },
  async (host) => {
    await host.ok("ps");
    const { code, stdout } = await onBroken(host, { script: READ_ONLY }, "doctor");
    assertEquals(code, 2);
    assertIncludes(stdout, "fails     data folder      write to data folder ");
  },
);

/**
 * The self-extracting form: first starts, damaged and hostile caches, and what it tells the program.
 * A probe is packed in the place of the command line, so that these tests stand on their own.
 * @see scripts/packed_header.sh
 */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  Host,
  hostTest,
  type Result,
  waitFor,
} from "./harness.ts";
import { BASE, makeBase } from "./fixtures.ts";
import { testIds } from "./needs.ts";

const root = new URL("..", import.meta.url).pathname;

interface Report {
  args: string[];
  form: string;
  file: string;
  nofile: string;
  runtime: string;
  headerVariables: string[];
  left: Record<string, string>;
  /** Names of variables whose value is "the caller's". */
  ofCaller: string[];
}

async function build(out: string, entry = "tests/packed_probe.ts"): Promise<void> {
  const { success, stderr } = await new Deno.Command(`${root}scripts/build`, {
    args: ["--dev", "--form", "packed", "--entry", root + entry, "--out", out],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

let built: Promise<string> | undefined;

/** The packed probe, made once for this file's tests. */
function probe(): Promise<string> {
  built ??= (async () => {
    await makeBase();
    const file = `${BASE}/probe-${Deno.pid}`;
    await build(file);
    globalThis.addEventListener("unload", () => Deno.removeSync(file));
    return file;
  })();
  return built;
}

/** Runs the probe with a cache folder of its own (not the one that all tests share). */
async function start(host: Host, env: Record<string, string> = {}, file?: string): Promise<Result> {
  return await host.program([file ?? await probe(), "a b", ""], {
    env: { XDG_CACHE_HOME: `${host.home}/cache`, ...env },
  });
}

function report(result: Result): Report {
  assertEquals(result.stderr, "");
  assertEquals(result.code, 0);
  return JSON.parse(result.stdout);
}

/** The one unpacked folder below `cache`. */
function unpackedIn(cache: string): string {
  const names = [...Deno.readDirSync(`${cache}/skiff`)].map(({ name }) => name);
  assertEquals(names.length, 1, names.join(" "));
  assertMatch(names[0]!, /^[0-9a-f]{16}$/);
  return `${cache}/skiff/${names[0]}`;
}

/** A shell script as root in a mount namespace of its own; `as_user CMD…` runs CMD as the test user. */
async function inMountNamespace(host: Host, script: string): Promise<Result> {
  const ids = testIds()!;
  const asUser = `as_user() { setpriv --reuid=${ids.uid} --regid=${ids.gid} --init-groups env -i \
HOME="$HOME" \${XDG_CACHE_HOME:+XDG_CACHE_HOME="$XDG_CACHE_HOME"} PATH=/usr/bin:/bin "$@"; }\n`;
  const { code, signal, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
    args: ["-m", "--propagation", "private", "/bin/sh", "-c", asUser + script],
    clearEnv: true,
    env: {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      PROBE: await probe(),
      UID: String(ids.uid),
      GID: String(ids.gid),
      HOME: host.home,
      FOLDER: host.folder,
    },
  }).output();
  return { code, signal, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

hostTest(
  "the program is told its form, file and arguments, and sees the caller's environment",
  {},
  async (host) => {
    const env = { DENO_DIR: "/caller", NODE_OPTIONS: "--require /nowhere", PATH: "/caller/bin:/usr/bin" };
    const seen = report(await start(host, env));
    assertEquals(seen.args, ["a b", ""]);
    assertEquals(seen.form, "packed");
    assertEquals(seen.file, await probe());
    assertEquals(seen.nofile, "1024");
    assertEquals(seen.headerVariables.sort(), ["SKIFF_FILE", "SKIFF_FORM"]);
    assertEquals(seen.left, env);
  },
);

hostTest("what the caller has exported stays as it is, by whatever name", {}, async (host) => {
  const header = await Deno.readTextFile(`${root}scripts/packed_header.sh`);
  const assigned = header.matchAll(/(?:^|[\s;{(|&"])([a-zA-Z]\w*)=/gm);
  const read = header.matchAll(/\b(?:read -r|for) ((?:\w+ ?)+)/g);
  const own = [...assigned, ...read].flatMap(([, words]) => words!.trim().split(" "));
  // what a plain name of them would be
  const names = new Set(own.map((name) => name.replace(/^skiff_/, "")).filter((name) => /^[a-z]/.test(name)));
  assert(["dir", "id", "mode", "name", "value"].every((name) => names.has(name)), [...names].join(" "));
  names.add("_"); // each bash exports it
  const env = Object.fromEntries([...names].map((name) => [name, "the caller's"]));
  for (const which of ["first", "second"]) {
    assertEquals(report(await start(host, env)).ofCaller, [...names].sort(), `${which} start`);
  }
});

hostTest("the first start unpacks into a private folder, and only the first", {}, async (host) => {
  const seen = report(await start(host));
  const folder = unpackedIn(`${host.home}/cache`);
  assertEquals(seen.runtime, `${folder}/skiff`);
  const { ino, mode, uid } = Deno.statSync(folder);
  assertEquals([mode! & 0o7777, uid], [0o700, host.ids.uid]);
  assertEquals(Deno.statSync(`${folder}/skiff`).mode! & 0o7777, 0o500);
  assertEquals(Deno.statSync(`${folder}/main.js`).mode! & 0o7777, 0o400);
  report(await start(host));
  assertEquals(Deno.statSync(folder).ino, ino);
});

hostTest("the first start on a terminal asks nothing", {}, async (host) => {
  const { code, stdout, stderr } = await host.program(
    ["/usr/bin/script", "-qec", `'${await probe()}'`, "/dev/null"],
    { env: { XDG_CACHE_HOME: `${host.home}/cache` } },
  );
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^\{.*\}\s*$/); // the report alone
  unpackedIn(`${host.home}/cache`);
});

hostTest("a relative path and a link to the file start it too", {}, async (host) => {
  const file = await probe();
  await Deno.symlink(file, `${host.home}/link`);
  await host.own(`${host.home}/link`);
  const { stdout } = await host.sh(
    'cd "$1" 2>/dev/null; XDG_CACHE_HOME=$HOME/cache ./link x && ls -A cache/skiff',
  );
  assertIncludes(stdout, `"file":"${host.home}/link"`);
});

hostTest("six first starts at once all work and leave one folder", {}, async (host) => {
  const results = await Promise.all(Array.from({ length: 6 }, () => start(host)));
  for (const result of results) report(result);
  unpackedIn(`${host.home}/cache`);
});

hostTest("a damaged cache is unpacked anew", {}, async (host) => {
  report(await start(host));
  const folder = unpackedIn(`${host.home}/cache`);
  const damages: Record<string, () => void> = {
    "a truncated runtime": () => {
      Deno.chmodSync(`${folder}/skiff`, 0o700);
      Deno.truncateSync(`${folder}/skiff`, 1000);
      Deno.chmodSync(`${folder}/skiff`, 0o500);
    },
    "a missing program": () => Deno.removeSync(`${folder}/main.js`),
    "a longer program": () => {
      Deno.chmodSync(`${folder}/main.js`, 0o600);
      Deno.writeTextFileSync(`${folder}/main.js`, "\n", { append: true });
      Deno.chmodSync(`${folder}/main.js`, 0o400);
    },
    "a program others may write": () => Deno.chmodSync(`${folder}/main.js`, 0o422),
    "a folder others may write": () => Deno.chmodSync(folder, 0o777),
    "a folder the user may not write": () => Deno.chmodSync(folder, 0o500),
    "a link in the program's place": () => {
      Deno.renameSync(`${folder}/main.js`, `${host.home}/main.js`);
      Deno.symlinkSync(`${host.home}/main.js`, `${folder}/main.js`);
    },
    ...(Deno.uid() === 0
      ? { "a program of another owner": () => Deno.chownSync(`${folder}/main.js`, 1, 1) }
      : {}),
  };
  for (const [damage, inflict] of Object.entries(damages)) {
    const before = Deno.statSync(folder).ino;
    inflict();
    const result = await start(host);
    assertEquals([result.code, result.stderr], [0, ""], damage);
    assert(Deno.statSync(folder).ino !== before, `${damage} was not noticed`);
    unpackedIn(`${host.home}/cache`);
  }
});

hostTest(
  "compiled code that is kept beside the program may be gone, damaged or out of reach",
  {},
  async (host) => {
    report(await start(host));
    const folder = unpackedIn(`${host.home}/cache`);
    const kept = `${folder}/cache`;
    const files = [...Deno.readDirSync(kept)].filter((entry) => entry.isFile).map(({ name }) =>
      `${kept}/${name}`
    );
    assert(files.length > 0, "nothing is kept");
    const damages: Record<string, () => void> = {
      "cut off": () => files.forEach((file) => Deno.truncateSync(file, 100)),
      "overwritten": () => files.forEach((file) => Deno.writeTextFileSync(file, "no database".repeat(1000))),
      "out of reach": () => Deno.chmodSync(kept, 0),
      "another's": () => Deno.uid() === 0 && Deno.chownSync(kept, 1, 1),
      "gone": () => Deno.removeSync(kept, { recursive: true }),
      "a link": () => {
        Deno.removeSync(kept, { recursive: true });
        Deno.symlinkSync("/etc", kept);
      },
    };
    for (const [damage, inflict] of Object.entries(damages)) {
      inflict();
      const result = await start(host);
      assertEquals([result.code, result.stderr, unpackedIn(`${host.home}/cache`)], [0, "", folder], damage);
    }
  },
);

hostTest("a start that is ended while it unpacks leaves nothing", {}, async (host) => {
  const names = () => {
    try {
      return [...Deno.readDirSync(`${host.home}/cache/skiff`)].map(({ name }) => name);
    } catch {
      return [];
    }
  };
  const isWhole = (name: string) => /^[0-9a-f]{16}$/.test(name);
  let hasEnded = false;
  await waitFor("a start that is ended in time", async () => {
    await Deno.remove(`${host.home}/cache`, { recursive: true }).catch(() => {});
    const running = host.spawnProgram([await probe()], { env: { XDG_CACHE_HOME: `${host.home}/cache` } });
    hasEnded = false;
    running.result.then(() => hasEnded = true);
    await waitFor("the unpacking", () => hasEnded || names().some((name) => name.startsWith(".new-")));
    if (!hasEnded) running.child.kill("SIGTERM");
    await running.stdin.close().catch(() => {});
    await running.result;
    // what has been quicker than the signal is no such start
    return !names().some(isWhole);
  });
  assertEquals(names(), []);
});

hostTest("what a killed start left is removed by a later one", {}, async (host) => {
  const left = `${host.home}/cache/skiff/.new-abcdef`;
  await host.sh(`umask 077; mkdir -p ${left}; echo x >${left}/skiff; touch -d '2 hours ago' ${left}`);
  report(await start(host));
  unpackedIn(`${host.home}/cache`);
});

hostTest("versions unpacked more than a month ago make room for a new one", {}, async (host) => {
  const [old, recent] = ["0123456789abcdef", "fedcba9876543210"].map((id) =>
    `${host.home}/cache/skiff/${id}`
  );
  await host.sh(
    `umask 077; mkdir -p ${old} ${recent}; touch -d '40 days ago' ${old}; touch -d '20 days ago' ${recent}`,
  );
  report(await start(host));
  const names = [...Deno.readDirSync(`${host.home}/cache/skiff`)].map(({ name }) => name);
  assertEquals([names.length, names.includes("0123456789abcdef")], [2, false]);
});

hostTest("a damaged download is named and nothing of it is kept", {}, async (host) => {
  const whole = await Deno.readFile(await probe());
  const file = `${host.folder}/damaged`;
  const truncated = whole.subarray(0, whole.length - 5000);
  const flipped = whole.slice();
  flipped[20_000_000]! ^= 1;
  const inHeader = whole.subarray(0, 3000);
  for (const bytes of [truncated, flipped]) {
    await Deno.writeFile(file, bytes, { mode: 0o755 });
    const { code, stdout, stderr } = await start(host, {}, file);
    assertEquals(stderr, `Error: unpack skiff: ${file} is damaged\nhint: download it again\n`);
    assertEquals([code, stdout], [125, ""]);
    assertEquals([...Deno.readDirSync(`${host.home}/cache/skiff`)].length, 0);
  }
  await Deno.writeFile(file, inHeader, { mode: 0o755 });
  const { code } = await start(host, {}, file);
  assert(code !== 0, "a header cut off must not look like success");
});

hostTest("a full disk is named with the space that is needed", { needs: ["root"] }, async (host) => {
  const { code, stdout, stderr } = await inMountNamespace(
    host,
    `mkdir $FOLDER/full; mount -t tmpfs -o size=20m,mode=700,uid=$UID,gid=$GID none $FOLDER/full
    XDG_CACHE_HOME=$FOLDER/full as_user $PROBE; code=$?; find $FOLDER/full -mindepth 2; exit $code`,
  );
  assertMatch(
    stderr,
    /^Error: unpack skiff into .*\/full\/skiff: no space left \(\d+ MB are needed\)\nhint: XDG_CACHE_HOME names another folder\n$/,
  );
  assertEquals([code, stdout], [125, ""]);
});

hostTest(
  "a noexec cache is passed over, and named when it was the last",
  { needs: ["root"] },
  async (host) => {
    const mount =
      "mkdir -p $FOLDER/noexec; mount -t tmpfs -o noexec,mode=700,uid=$UID,gid=$GID none $FOLDER/noexec\n";
    const passed = await inMountNamespace(host, `${mount}XDG_CACHE_HOME=$FOLDER/noexec as_user $PROBE`);
    assertEquals(report(passed).runtime, `${unpackedIn(`${host.home}/.cache`)}/skiff`);
    const last = await inMountNamespace(
      host,
      `${mount}cat $PROBE >$FOLDER/probe; chmod 755 $FOLDER/probe
    mount -t tmpfs -o noexec,mode=1777 none /tmp/skiff-test/fixtures; HOME=/nowhere
    mount --bind $FOLDER/noexec $FOLDER/home; mkdir -p /tmp/skiff-$UID-cache
    mount -t tmpfs -o noexec,mode=700,uid=$UID none /tmp/skiff-$UID-cache
    XDG_CACHE_HOME=$FOLDER/noexec as_user $FOLDER/probe; code=$?; umount /tmp/skiff-$UID-cache
    rmdir /tmp/skiff-$UID-cache; exit $code`,
    );
    assertEquals(last.code, 125);
    assertIncludes(last.stderr, `${host.folder}/noexec/skiff: on a file system mounted noexec\n`);
    assertIncludes(last.stderr, `/tmp/skiff-${host.ids.uid}-cache/skiff: on a file system mounted noexec\n`);
  },
);

/** /tmp is made fresh, with the probe in it, so that nothing of this machine's /tmp is in the way. */
const FRESH_TMP =
  `exec 3<$PROBE; mount -t tmpfs -o mode=1777 none /tmp; cat <&3 >/tmp/probe; chmod 755 /tmp/probe
HOME=/nowhere\n`;

hostTest("without a writable home it unpacks below /tmp, in a folder of the user's own", {
  needs: ["root"],
}, async (host) => {
  const result = await inMountNamespace(host, `${FRESH_TMP}as_user /tmp/probe`);
  assertMatch(
    report(result).runtime,
    new RegExp(`^/tmp/skiff-${host.ids.uid}-cache/skiff/[0-9a-f]{16}/skiff$`),
  );
});

hostTest("a squatted folder in /tmp is refused", { needs: ["root"] }, async (host) => {
  const place = `/tmp/skiff-${host.ids.uid}-cache`;
  const squats: Record<string, string> = {
    "another user's": `mkdir ${place}; chown 1:1 ${place}; chmod 777 ${place}`,
    "open to others": `mkdir ${place}; chown $UID ${place}; chmod 777 ${place}`,
    "a link to the user's own folder": `mkdir -m 700 /tmp/x; chown $UID /tmp/x; ln -s /tmp/x ${place}`,
  };
  for (const [squat, script] of Object.entries(squats)) {
    const { code, stderr } = await inMountNamespace(host, `${FRESH_TMP}${script}\nas_user /tmp/probe`);
    assertEquals(
      [code, stderr.split("\n")[0]],
      [125, "Error: unpack skiff: no folder to unpack it into:"],
      squat,
    );
    assertIncludes(stderr, `\n  ${place}/skiff: not a folder that only this user can change\n`);
  }
});

hostTest("a cache below a folder that others may write is passed over", {}, async (host) => {
  await host.sh("mkdir -p open/cache; chmod 777 open; chmod 700 open/cache");
  const seen = report(await start(host, { XDG_CACHE_HOME: `${host.home}/open/cache` }));
  assertEquals(seen.runtime, `${unpackedIn(`${host.home}/.cache`)}/skiff`);
});

hostTest("a cache behind a link is used where the link leads", {}, async (host) => {
  await host.sh("mkdir -m 700 elsewhere; ln -s elsewhere cache");
  const seen = report(await start(host));
  assertEquals(seen.runtime, `${unpackedIn(`${host.home}/elsewhere`)}/skiff`);
});

hostTest("no tool of the caller's PATH is run", {}, async (host) => {
  const script = `mkdir bin; for tool in stat tail gzip tar sha256sum mktemp find mv rm mkdir chmod cd; do
    printf '#!/bin/sh\\ntouch %s/canary\\n' "$HOME" >bin/$tool; done; chmod 755 bin/*`;
  assertEquals((await host.sh(script)).code, 0);
  report(await start(host, { PATH: `${host.home}/bin:/usr/bin:/bin` }));
  const control = await host.program(["/bin/sh", "-c", "tar"], {
    env: { PATH: `${host.home}/bin:/usr/bin` },
  });
  assertEquals(control.code, 0);
  assert(Deno.statSync(`${host.home}/canary`).isFile, "the control must leave its canary");
  await Deno.remove(`${host.home}/canary`);
  report(await start(host, { PATH: `${host.home}/bin:/usr/bin:/bin` }));
  assertEquals((await host.sh("ls canary")).code, 2);
});

hostTest("root unpacks to a folder of root, wherever HOME and XDG_CACHE_HOME point", {
  needs: ["root"],
}, async (host) => {
  const { code, stdout, stderr } = await inMountNamespace(
    host,
    `mount -t tmpfs -o mode=755 none /var/cache; XDG_CACHE_HOME=$HOME XDG_RUNTIME_DIR=$HOME $PROBE`,
  );
  assertEquals([code, stderr], [0, ""]);
  assertMatch(JSON.parse(stdout).runtime, /^\/var\/cache\/skiff\/[0-9a-f]{16}\/skiff$/);
  assertEquals([...Deno.readDirSync(host.home)].map(({ name }) => name), [".config"]);
});

hostTest("root refuses a folder that is not root's", { needs: ["root"] }, async (host) => {
  const { code, stderr } = await inMountNamespace(
    host,
    `mount -t tmpfs -o mode=755,uid=$UID none /var/cache; mount -t tmpfs -o mode=777 none /var/lib; $PROBE`,
  );
  assertEquals(code, 125);
  assertIncludes(stderr, "\n  /var/cache/skiff: not a folder that only this user can change\n");
  assertIncludes(stderr, "\n  /var/lib/skiff: not a folder that only this user can change\n");
});

hostTest("the first start passes on every descriptor of the caller's, too", {}, async (host) => {
  const { code, stdout, stderr } = await host.sh(
    `for n in 3 4 5 6 7 8 9; do echo $n >file$n; done; export XDG_CACHE_HOME=$HOME/fresh
    $SKIFF run -q --rm --network none --preserve-fds 7 host sh -c 'cat <&3; cat <&9; test -e /proc/self/fd/10 || echo no more' \
      3<file3 4<file4 5<file5 6<file6 7<file7 8<file8 9<file9`,
  );
  assertEquals([code, stdout, stderr], [0, "3\n9\nno more\n", ""]);
});

hostTest("two builds of the program give the same bytes", {}, async (host) => {
  const files = [`${host.folder}/one`, `${host.folder}/another`];
  for (const file of files) await build(file, "cli/main.ts");
  const [first, second] = await Promise.all(files.map((file) => Deno.readFile(file)));
  assertEquals(first!.length, second!.length);
  assert(first!.every((byte, index) => byte === second![index]), "the bytes differ");
});

hostTest("the executable is at most 50 MB", {}, (host) => {
  assert(Deno.statSync(host.binary).size <= 50e6, `${Deno.statSync(host.binary).size} bytes`);
});

hostTest("a folder that was removed, and too few addresses, are told in a line", {}, async (host) => {
  await host.ok("--version");
  const gone = await host.sh(`mkdir gone; cd gone; rmdir ../gone; $SKIFF --version 2>&1 | grep -v getcwd`);
  assertEquals(gone.stdout, "Error: find the current folder: it has been removed\nhint: cd to another\n");
  const few = await host.sh(`ulimit -v 20000000; $SKIFF --version`);
  const told =
    "Error: start with 20000000 kB of addresses: the runtime needs 60000000\nhint: ulimit -v unlimited\n";
  assertEquals([few.code, few.stderr], [125, told]);
  const LIMITS: [limits: string, told: string][] = [
    ["-Sd 500000", "500000 kB of data: the runtime needs 700000\nhint: ulimit -d unlimited"],
    ["-Ss 256", "256 kB of stack: the runtime needs 512\nhint: ulimit -s 8192"],
    ["-n 64", "64 descriptors: the runtime needs 100\nhint: ulimit -Hn 1024"],
  ];
  for (const [limits, text] of LIMITS) {
    const { code, stderr } = await host.sh(`ulimit ${limits}; $SKIFF --version`);
    assertEquals([code, stderr], [125, `Error: start with ${text}\n`]);
  }
  const ENOUGH = "ulimit -v 60000000; ulimit -d 700000; ulimit -s 512; ulimit -n 100";
  for (const cold of ["", "1"]) {
    const { code, stderr } = await host.sh(
      `${ENOUGH}; $SKIFF run -q --rm --network none host true`,
      { env: { SKIFF_COLD_START: cold } },
    );
    assertEquals([code, stderr], [0, ""]);
  }
});

hostTest("who is 0 of a user namespace of the caller's is told to start outside of it", {}, async (host) => {
  await host.ok("--version");
  const { code, stderr } = await host.sh('unshare -r "$SKIFF" --version');
  assertEquals(code, 125);
  assertIncludes(stderr, "hint: start skiff outside of this user namespace: it makes one of its own\n");
});

hostTest("the runtime keeps its own log to itself", {}, async (host) => {
  for (const cold of ["", "1"]) {
    const env = { DENO_LOG: "trace", SKIFF_COLD_START: cold };
    const { stdout, stderr } = await host.skiff(
      ["run", "--rm", "--network", "none", "-e", "DENO_LOG", "host", "printenv", "DENO_LOG"],
      { env },
    );
    assertEquals([stdout, stderr], ["trace\n", ""]);
  }
});

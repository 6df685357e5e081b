/** `-v …:idmap`: files of the host's user are the container's user's, rootless by a file system of our own. */

import { onBroken } from "./broken_machine.ts";
import {
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
  waitFor,
} from "./harness.ts";
import { compileProbe } from "./probes.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap", "fuse"] as Need[] };

/** A folder of the test user's with a file and a folder. */
async function makeTree(host: Host, name = "tree"): Promise<string> {
  const tree = `${host.home}/${name}`;
  await Deno.mkdir(`${tree}/folder`, { recursive: true });
  await Deno.writeTextFile(`${tree}/file`, "from the host\n");
  await host.own(tree, `${tree}/folder`, `${tree}/file`);
  return tree;
}

async function inside(host: Host, options: string[], script: string): Promise<string> {
  const words = ["-q", "--rm", "--network", "none", ...options, await host.image(), "sh", "-ec", script];
  const { code, stdout, stderr } = await host.run(...words);
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

/** `uid:gid` on the host. */
function ownersOf(...paths: string[]): string[] {
  return paths.map((path) => {
    const { uid, gid } = Deno.lstatSync(path);
    return `${uid}:${gid}`;
  });
}

hostTest(
  "idmap: files belong to the container's user inside and to the host's user outside",
  NEEDS,
  async (host) => {
    const tree = await makeTree(host);
    const { uid, gid } = host.ids;
    const mine = `${uid}:${gid}`;
    const show = "stat -c %u:%g /data /data/file";
    for (const user of ["1000:1001", "0", "65:66"]) {
      const seen = user === "0" ? "0:0" : user;
      assertEquals(
        await inside(
          host,
          ["-u", user, "-v", `${tree}:/data:idmap`],
          `${show}; echo new > /data/new; mkdir /data/d`,
        ),
        `${seen}\n${seen}`,
      );
      assertEquals(ownersOf(`${tree}/new`, `${tree}/d`), [mine, mine]);
      await Deno.remove(`${tree}/new`);
      await Deno.remove(`${tree}/d`);
    }
    // without it they are root's
    assertEquals(await inside(host, ["-u", "1000", "-v", `${tree}:/data`], show), "0:0\n0:0");
    // the container's root makes files for the same user, and may give them away
    const script = `touch /data/x; stat -c %u:%g /data/x; chown 5:6 /data/x; stat -c %u:%g /data/x
chown 0:0 /data/x; su -s /bin/sh nobody -c 'touch /data/y' 2>/dev/null || echo kept out; rm /data/x`;
    assertEquals(await inside(host, ["-v", `${tree}:/data:idmap`], script), "0:0\n5:6\nkept out");
    // one file, a volume, --mount, read-only, a part of the folder
    const user = ["-u", "7:8"];
    assertEquals(
      await inside(
        host,
        [...user, "-v", `${tree}/file:/etc/thing:idmap,ro`],
        "stat -c %u:%g /etc/thing; cat /etc/thing; echo x 2>/dev/null > /etc/thing || echo ro",
      ),
      "7:8\nfrom the host\nro",
    );
    assertEquals(
      await inside(
        host,
        [...user, "-v", "kept:/v:idmap", "--mount", `type=bind,src=${tree},dst=/m,idmap=true`],
        "touch /v/x; stat -c %u:%g /v /v/x /m",
      ),
      "7:8\n7:8\n7:8",
    );
    assertEquals(await inside(host, ["-v", "kept:/v"], "stat -c %u:%g /v /v/x"), "0:0\n0:0");
    // U gives everything to the same user, which costs no chown on disk
    assertEquals(await inside(host, [...user, "-v", `${tree}:/data:idmap,U`], show), "7:8\n7:8");
    assertEquals(ownersOf(tree, `${tree}/file`), [mine, mine]);
    // a namespace of its own: the user has another number there
    assertEquals(
      await inside(
        host,
        ["--userns", "keep-id", "-u", "5:6", "-v", `${tree}:/data:idmap`],
        `${show}; touch /data/k`,
      ),
      "5:6\n5:6",
    );
    assertEquals(ownersOf(`${tree}/k`), [mine]);
  },
);

hostTest("idmap: ranges say whose files are shown as whose", NEEDS, async (host) => {
  const tree = await makeTree(host);
  const { uid, gid, subuid } = host.ids;
  const show = "stat -c %u:%g /data/file";
  const seen = (idmap: string, script = show) => inside(host, ["-v", `${tree}:/data:idmap=${idmap}`], script);
  assertEquals(await seen(`uids=@${uid}-7-1;gids=@${gid}-8-1`), "7:8");
  // container 7 is the seventh of the subordinate ids
  assertEquals(await seen(`uids=${uid}-${subuid + 6}-1`), "7:0");
  // an id in no range is nobody, and nobody makes files
  assertEquals(
    await seen(`uids=@${uid + 1}-7-1`, `${show}; touch /data/x 2>/dev/null || echo refused`),
    "65534:0\nrefused",
  );
  // nobody has no rights to it either, though there is such a user in the container, nor has its root
  await Deno.chmod(`${tree}/file`, 0o600);
  for (
    const [user, container, what] of [["65534", uid + 1, ""], ["0", uid + 1, ""], ["7", uid, "from the host"]]
  ) {
    const idmap = `${tree}:/data:idmap=uids=@${container}-7-1;gids=@${gid}-8-1`;
    const script = "cat /data/file 2>/dev/null || true";
    assertEquals(await inside(host, ["-u", String(user), "-v", idmap], script), what);
  }
  const refused = async (words: string) => {
    const { code, stderr } = await host.run(
      "--rm",
      "-v",
      `${tree}:/data:${words}`,
      await host.image(),
      "true",
    );
    assertEquals(code, 125);
    return stderr.split("\n").find((line) => line.startsWith("Error: "))!;
  };
  assertIncludes(await refused("idmap=uids=1-2"), 'invalid option type "idmap=uids=1-2"');
  assertIncludes(await refused("idmap=uids=1-2-0"), 'mount option "idmap=uids=1-2-0": want [uids=');
  assertIncludes(await refused("idmap,idmap"), "can only specify 1 'idmap' option");
  assertIncludes(await refused("idmap,O"), "can't use 'O' with other options");
  assertEquals(host.containers(), []);
});

/** Every call that changes or shows files, as root and as a user; prints what is wrong. */
const OPERATIONS = `mkdir /data/t && cd /data/t
echo one > a; echo two >> a; [ "$(cat a)" = "$(printf 'one\\ntwo')" ] || echo append
mv a b; ln b c; ln -s b l; [ "$(readlink l)" = b ] || echo link; [ "$(cat l)" = "$(cat c)" ] || echo follow
[ "$(stat -c %i:%h b)" = "$(stat -c %i:%h c)" ] || echo hard link
chmod 640 b; [ $(stat -c %a c) = 640 ] || echo mode; chmod 6750 b; echo x >> b; [ $(stat -c %a b) = 750 ] || echo suid
mkfifo f; (echo through > f &); [ "$(cat f)" = through ] || echo fifo
mkdir -p d/e/f; touch -d '2001-02-03 04:05:06' d; [ $(stat -c %Y d) = 981173106 ] || echo times
mv d g; [ -d g/e/f ] || echo moved folder; echo in > g/e/file; mv g/e/file g/file; mv b g/file; [ $(ls g | wc -l) = 2 ] || echo over
rmdir g 2>/dev/null && echo not empty; rm -r g c l f; [ -z "$(ls -A)" ] || echo left
dd if=/dev/urandom of=big bs=65536 count=50 2>/dev/null; cp big copy; cmp big copy || echo copy
truncate -s 100 big; [ $(stat -c %s big) = 100 ] || echo cut; truncate -s 5000000 big; tail -c 1000 big | tr -d '\\0' | wc -c | grep -qx 0 || echo grown
exec 5>gone; rm gone; echo open >&5; [ $(stat -L -c %s /proc/self/fd/5) = 5 ] || echo unlinked; exec 5>&-
seq 700 | while read n; do : > many_$n; done; [ $(ls | wc -l) = 702 ] || echo many; rm many_*
long=$(printf '%0255d' 0); : > $long; [ -f $long ] || echo long; rm $long; touch 0$long 2>/dev/null && echo too long
: > "$(printf 'odd\\n\\377')"; rm odd*; sync; df . > /dev/null || echo df
mkdir w; cd w; rmdir ../w; touch x 2>/dev/null && echo in no folder; cd ..
rm -r /data/t`;

hostTest("idmap: does what a file system does, for root and for a user", NEEDS, async (host) => {
  const tree = await makeTree(host);
  for (const user of ["0", "1000:1000"]) {
    assertEquals(await inside(host, ["-u", user, "-v", `${tree}:/data:idmap`], `set +e; ${OPERATIONS}`), "");
    assertEquals([...Deno.readDirSync(tree)].map(({ name }) => name).sort(), ["file", "folder"]);
  }
  // the same on a plain bind, so that the list itself is right
  assertEquals(await inside(host, ["-v", `${tree}:/data`], `set +e; ${OPERATIONS}`), "");
});

hostTest(
  "idmap: a container outlives the server of its mount, and nothing outlives the container",
  NEEDS,
  async (host) => {
    const tree = await makeTree(host);
    const servers = () => host.processes().filter(({ command }) => command.startsWith("skiff: idmap"));
    const image = await host.image();
    const start = (name: string) =>
      host.ok(
        "run",
        "-q",
        "-d",
        "--name",
        name,
        "--network",
        "none",
        "-u",
        "7",
        "-v",
        `${tree}:/data:idmap`,
        image,
        "sleep",
        "9999",
      );
    await start("one");
    const [server, ...others] = servers();
    assertEquals(others, []);
    host.kill9(server!.pid);
    await waitFor("the server of the mount is gone", () => servers().length === 0);
    const { code, stderr } = await host.skiff(["exec", "one", "sh", "-c", "echo here; cat /data/file"]);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /\/data\/file.*(Transport endpoint is not connected|Software caused connection abort)/,
    );
    await host.ok("rm", "-f", "one");
    // who is started again by its restart policy has a server again
    await host.ok(
      ...["run", "-q", "-d", "--name", "again", "--network", "none", "--restart", "always"],
      ...["-v", `${tree}:/data:idmap`, image, "sh", "-c", "cat /data/file; exec sleep 9999"],
    );
    await host.untilLogged("again", "from the host");
    host.kill9(servers()[0]!.pid);
    host.kill9(Number(await host.ok("inspect", "again", "--format", "{{.State.Pid}}")));
    await waitFor(
      "the second run has read its mount",
      async () => (await host.ok("logs", "again")).split("from the host").length === 3,
    );
    await host.ok("rm", "-f", "-t", "0", "again");
    await start("two");
    host.kill9(Number(await host.ok("inspect", "two", "--format", "{{.State.ConmonPid}}")));
    await waitFor("all is gone with the monitor", () => host.processes().length === 0);
    await host.ok("rm", "-f", "two");
    assertEquals(await Deno.readTextFile(`${tree}/file`), "from the host\n");
  },
);

hostTest("idmap: links that are swapped under it lead nowhere", {
  needs: [...NEEDS.needs, "gcc"],
}, async (host) => {
  const tree = await makeTree(host);
  const outside = `${host.home}/outside`;
  await Deno.mkdir(outside);
  await Deno.writeTextFile(`${outside}/file`, "untouched");
  await host.own(outside, `${outside}/file`);
  await Deno.mkdir(`${tree}/target`);
  await Deno.symlink(outside, `${tree}/link`);
  await host.own(`${tree}/target`);
  const flip = await compileProbe("flip_probe", host.folder);
  const victim = (data: string) =>
    `set +e; i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo changed > ${data}/target/file; echo >> ${data}/target/new
done 2>/dev/null; echo done`;
  const mount = ["--network", "none", "-u", "7", "-v", `${tree}:/data:idmap`];
  const flipper = await host.ok(
    ...["run", "-q", "-d", ...mount, "-v", `${flip}:/probe:ro`, await host.image()],
    ...["/probe", "/data/target", "/data/link"],
  );
  await Promise.all(["a", "b"].map((_) => inside(host, mount.slice(2), victim("/data"))));
  assertEquals(await Deno.readTextFile(`${outside}/file`), "untouched");
  assertEquals([...Deno.readDirSync(outside)].length, 1);
  // the attack is alive: by path, outside of the container, the same writes arrive there
  for (let round = 0; round < 20 && await Deno.readTextFile(`${outside}/file`) === "untouched"; round++) {
    await host.sh(victim(tree));
  }
  assertEquals(await Deno.readTextFile(`${outside}/file`), "changed\n");
  await host.ok("rm", "-f", flipper.trim());
});

hostTest("idmap: without /dev/fuse it is refused with what helps", {
  needs: [...NEEDS.needs, "root"],
}, async (host) => {
  const tree = await makeTree(host);
  const image = await host.image();
  const words = ["run", "--rm", "--network", "none", "-v", `${tree}:/data:idmap`, image, "true"];
  const closed = await onBroken(host, {
    script: "cp -a /dev/fuse $HOME/fuse; chmod 600 $HOME/fuse; mount --bind $HOME/fuse /dev/fuse",
  }, ...words);
  assertEquals(closed.code, 125);
  assertIncludes(closed.stderr, "open /dev/fuse: permission denied");
  assertIncludes(closed.stderr, "mode 0666");
  const missing = await onBroken(host, {
    script:
      "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/tty c 5 0; mknod -m 666 /dev/urandom c 1 9",
  }, ...words);
  assertEquals(missing.code, 125);
  assertIncludes(missing.stderr, "open /dev/fuse: there is no FUSE here");
  assertIncludes(missing.stderr, "modprobe fuse");
  await Deno.remove(`${host.home}/fuse`);
});

hostTest("idmap: with a single id everybody is the one user", {
  needs: [...NEEDS.needs, "root"],
}, async (host) => {
  const tree = await makeTree(host);
  const script = "mount --bind /dev/null /usr/bin/newuidmap";
  const words = ["run", "-q", "--rm", "--network", "none", "-u", "7:8", "-v", `${tree}:/data:idmap`];
  const write = "cat /data/file; echo new > /data/new; stat -c %u:%g /data/new";
  const { code, stdout, stderr } = await onBroken(
    host,
    { script },
    ...words,
    await host.image(),
    "sh",
    "-c",
    write,
  );
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "from the host\n0:0\n");
  assertEquals(ownersOf(`${tree}/new`), [`${host.ids.uid}:${host.ids.gid}`]);
});

hostTest("idmap: as root the kernel maps the mount", {
  needs: ["root", "registry", "busybox"],
  asRoot: true,
}, async (host) => {
  const tree = await makeTree(host);
  for (const path of [tree, `${tree}/file`, `${tree}/folder`]) await Deno.chown(path, 1234, 1235);
  const script =
    "stat -c %u:%g /data/file; touch /data/new; stat -c %u:%g /data/new; grep -c ' /data fuse' /proc/mounts || true";
  assertEquals(await inside(host, ["-u", "7:8", "-v", `${tree}:/data:idmap`], script), "7:8\n7:8\n0");
  assertEquals(ownersOf(`${tree}/new`), ["1234:1235"]);
  assertEquals(
    await inside(
      host,
      ["-v", `${tree}:/data:idmap=uids=1234-50-1;gids=@1235-60-1`],
      "stat -c %u:%g /data/file",
    ),
    "50:60",
  );
});

hostTest("idmap: locks are seen by other containers and by the host", {
  needs: [...NEEDS.needs, "gcc"],
}, async (host) => {
  const tree = await makeTree(host);
  const probe = await compileProbe("lock_probe", host.folder);
  const mount = ["--network", "none", "-u", "7", "-v", `${tree}:/data:idmap`, "-v", `${probe}:/probe:ro`];
  await host.ok("run", "-q", "-d", "--name", "other", ...mount, await host.image(), "sleep", "9999");
  const here = async (how: string) => (await host.sh(`${probe} ${how} ${tree}/file`)).stdout.trim();
  const there = async (how: string) => (await host.ok("exec", "other", "/probe", how, "/data/file")).trim();
  for (const kind of ["", "flock"]) {
    const words = [
      "run",
      "-q",
      "--rm",
      "-i",
      ...mount,
      await host.image(),
      "/probe",
      `hold${kind}`,
      "/data/file",
    ];
    const first = host.spawn(words);
    await waitFor("the first has the lock", () => first.output.stdout.includes("held"));
    assertEquals([await here(`try${kind}`), await there(`try${kind}`)], ["busy", "busy"]);
    // who waits gets it when the first lets go
    const second = host.spawnProgram([probe, `hold${kind}`, `${tree}/file`]);
    await first.stdin.close();
    assertEquals((await first.result).code, 0);
    await waitFor("the second has the lock", () => second.output.stdout.includes("held"));
    const third = host.spawn(["exec", "-i", "other", "/probe", `hold${kind}`, "/data/file"]);
    assertEquals(await there(`try${kind}`), "busy");
    await second.stdin.close();
    await waitFor("the third has the lock", () => third.output.stdout.includes("held"));
    assertEquals(await here(`try${kind}`), "busy");
    await third.stdin.close();
    assertEquals((await third.result).code, 0);
    assertEquals([await here(`try${kind}`), await there(`try${kind}`)], ["got", "got"]);
  }
  await host.ok("rm", "-f", "other");
});

/** Programs of the machine, which a container of the image `host` has. */
const WORK = `cd /data
git init -q repo && cd repo && for d in 1 2 3; do mkdir d$d; seq 50 | while read n; do echo $d $n > d$d/$n; done; done
git add . && git -c user.name=a -c user.email=a@b commit -qm one && git mv d1 d4 && rm d2/7 && echo x >> d3/3
git status --porcelain | wc -l; git stash -q 2>/dev/null; git reset -q --hard && git gc -q && git fsck --strict 2>&1 | grep -v notice; git status --porcelain
cd .. && tar -cf repo.tar repo && mkdir out && tar -xf repo.tar -C out && diff -r repo out/repo && echo same
python3 - <<'END'
import fcntl, mmap, os, signal, sqlite3, struct
def insert(count):
    db = sqlite3.connect("db", timeout=120)
    for n in range(count):
        with db: db.execute("insert into t values (?)", (n,))
for mode in ("delete", "wal"):
    with sqlite3.connect("db") as db:
        db.execute("pragma journal_mode=" + mode); db.execute("create table if not exists t(a)")
    db.close()
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            insert(15); os._exit(0)
        children.append(pid)
    print([os.waitpid(pid, 0)[1] for pid in children])
print(sqlite3.connect("db").execute("select count(*) from t").fetchone()[0], sqlite3.connect("db").execute("pragma integrity_check").fetchone()[0])
with open("mapped", "w+b") as file:
    file.truncate(100000)
    with mmap.mmap(file.fileno(), 0) as memory:
        memory[50000:50005] = b"paged"; memory.flush()
    file.seek(50000); print(file.read(5))
fd = os.open("holes", os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b"x", 1 << 20); print(os.lseek(fd, 0, os.SEEK_DATA) > 0); os.posix_fallocate(fd, 0, 1 << 21); print(os.fstat(fd).st_size)
os.setxattr("holes", "user.note", b"kept"); print(os.getxattr("holes", "user.note"), os.listxattr("holes"))
try: os.setxattr("holes", "security.note", b"x")
except OSError as error: print(error.strerror)
copy = os.open("copied", os.O_RDWR | os.O_CREAT)
print(os.copy_file_range(fd, copy, 1000, 1 << 20, 0), os.pread(copy, 1, 0))
os.rename("copied", "moved"); os.chmod("moved", 0o600); print(os.stat("moved").st_mode & 0o777, os.stat("moved").st_uid)
# pages are written in their place though the file that was opened last appends
with open("mapped", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
    log = os.open("mapped", os.O_WRONLY | os.O_APPEND)
    memory[0:5] = b"place"; memory.flush(); print(os.stat("mapped").st_size); os.close(log)
# a lock of an open file goes with it
signal.alarm(120)
whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
first, second = (os.open("locked", os.O_RDWR | os.O_CREAT) for _ in range(2))
fcntl.fcntl(first, fcntl.F_OFD_SETLK, whole)
try: fcntl.fcntl(second, fcntl.F_OFD_SETLK, whole)
except OSError as error: print(error.strerror)
os.close(first); fcntl.fcntl(second, fcntl.F_OFD_SETLKW, whole); signal.alarm(0)
# more folders are read at once than there are buffers
os.mkdir("many")
for n in range(500): open("many/%0100d" % n, "w").close()
readers = [os.scandir("many") for _ in range(100)]
names = [set() for _ in readers]
for _ in range(500):
    for reader, seen in zip(readers, names): seen.add(next(reader).name)
print({len(seen) for seen in names})
END`;

hostTest("idmap: git, tar and SQLite work on it, and what they leave belongs to the host's user", {
  needs: ["uidmap", "fuse", "git", "python3"],
}, async (host) => {
  const tree = await makeTree(host);
  const words = [
    "-q",
    "--rm",
    "--network",
    "none",
    "-u",
    "0",
    "-e",
    "HOME=/tmp",
    "-v",
    `${tree}:/data:idmap`,
  ];
  const { code, stdout, stderr } = await host.run(...words, "host", "sh", "-c", WORK);
  assertEquals(code, 0, stderr);
  assertEquals(stdout.trim().split("\n"), [
    "52",
    "same",
    "[0, 0, 0]",
    "[0, 0, 0]",
    "90 ok",
    "b'paged'",
    "True",
    "2097152",
    "b'kept' ['user.note']",
    "Operation not permitted",
    "1000 b'x'",
    "384 0",
    "100000",
    "Resource temporarily unavailable",
    "{500}",
  ]);
  assertEquals((await Deno.readTextFile(`${tree}/mapped`)).slice(0, 5), "place");
  const { stdout: foreign } = await host.sh(`find ${tree} ! -uid ${host.ids.uid} -o ! -gid ${host.ids.gid}`);
  assertEquals(foreign, "");
  assertEquals((await host.sh(`git -C ${tree}/repo fsck --strict`)).code, 0);
});

/** A file is made where the mount still takes it for absent; then a user opens or makes it. */
const APPEARING = `import os
os.mkdir("/data/open"); os.chmod("/data/open", 0o777)
for mode in (0o600, 0o666):
    name = "open/%o" % mode
    assert not os.path.exists("/data/" + name)
    os.fchmod(os.open("/plain/" + name, os.O_CREAT | os.O_WRONLY), mode)
    pid = os.fork()
    if pid == 0:
        os.setgroups([]); os.setgid(5); os.setuid(5)
        try: os.open("/data/" + name, os.O_CREAT | os.O_RDWR); print("opened", flush=True)
        except OSError as error: print(error.strerror, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)`;

hostTest("idmap: who makes a file that is there by now needs the right to open it", {
  needs: ["uidmap", "fuse", "python3"],
}, async (host) => {
  const tree = await makeTree(host);
  const words = ["-q", "--rm", "--network", "none", "-v", `${tree}:/data:idmap`, "-v", `${tree}:/plain`];
  const { code, stdout, stderr } = await host.run(...words, "host", "python3", "-c", APPEARING);
  assertEquals(code, 0, stderr);
  assertEquals(stdout, "Permission denied\nopened\n");
});

hostTest("idmap: what the host's user may by another group of his, the container may not", {
  needs: [...NEEDS.needs, "root"],
}, async (host) => {
  const tree = await makeTree(host);
  const { uid, gid } = host.ids;
  await Deno.writeTextFile(`${tree}/log`, "of a group");
  await Deno.chown(`${tree}/log`, 0, 4);
  await Deno.chmod(`${tree}/log`, 0o640);
  const script =
    `shift 5; set -- /usr/bin/setpriv --reuid=${uid} --regid=${gid} --groups=4 --inh-caps=-all "$@"
/usr/bin/setpriv --reuid=${uid} --regid=${gid} --groups=4 cat $HOME/tree/log`;
  const words = ["run", "-q", "--rm", "--network", "none", "-v", `${tree}:/data:idmap`, await host.image()];
  const read =
    "cat /data/file; for user in root nobody; do su -s /bin/sh $user -c 'cat /data/log' 2>/dev/null; done; echo";
  const { code, stdout, stderr } = await onBroken(host, { script }, ...words, "sh", "-c", read);
  assertEquals(code, 0, stderr);
  // the first is the host's user, who may
  assertEquals(stdout, "of a groupfrom the host\n\n");
});

/** What a user makes who is neither the mount's nor root, in a folder of his own group and in one that gives its group. */
const MADE = `import os
os.umask(0)
for folder, mode in (("/data/plain", 0o777), ("/data/group", 0o2777)):
    os.mkdir(folder); os.chmod(folder, mode)
    pid = os.fork()
    if pid == 0:
        os.setgroups([]); os.setgid(6); os.setuid(5); os.chdir(folder)
        os.mkdir("folder"); os.symlink("x", "link"); os.mkfifo("pipe"); os.mknod("node"); os.close(os.open("file", os.O_CREAT | os.O_RDWR, 0o4755))
        fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
        stat = os.fstat(fd); print("temporary", oct(stat.st_mode), stat.st_uid, stat.st_gid, flush=True); os._exit(0)
    os.waitpid(pid, 0)
    for name in sorted(os.listdir(folder)):
        stat = os.lstat(folder + "/" + name); print(name, oct(stat.st_mode), stat.st_uid, stat.st_gid, flush=True)
print("all", flush=True)
import time; time.sleep(9999)`;

hostTest("idmap: what others make is theirs, and its server still ends with the monitor", {
  needs: ["uidmap", "fuse", "python3"],
}, async (host) => {
  const tree = await makeTree(host);
  const words = ["run", "-q", "-d", "--name", "made", "--network", "none", "-v", `${tree}:/data:idmap`];
  await host.ok(...words, "-u", "0", "--entrypoint", "python3", "host", "-c", MADE);
  await waitFor("all is made", async () => /^all$/m.test(await host.ok("logs", "made")));
  const made = (folder: string, group: number) => [
    `temporary 0o100640 5 ${group}`,
    `file 0o104755 5 ${group}`,
    `folder ${folder} 5 ${group}`,
    `link 0o120777 5 ${group}`,
    `node 0o100600 5 ${group}`,
    `pipe 0o10666 5 ${group}`,
  ];
  const expected = [...made("0o40777", 6), ...made("0o42777", 0), "all"];
  assertEquals((await host.ok("logs", "made")).trim().split("\n"), expected);
  assertEquals(Deno.lstatSync(`${tree}/plain/folder`).uid, host.ids.subuid + 4);
  host.kill9(Number(await host.ok("inspect", "made", "--format", "{{.State.ConmonPid}}")));
  await waitFor("all is gone with the monitor", () => host.processes().length === 0);
  await host.ok("rm", "-f", "made");
});

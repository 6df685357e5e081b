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
import { runAsRootOfOwn } from "./own_network.ts";
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
    const servers = () => host.processes().filter(({ command }) => command.startsWith("skiff: idmap /"));
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

/** Reads /data/large four times, in pieces and mapped, and says whether all is the same and what it begins with. */
const LARGE_READS = `import hashlib, mmap
def once(step):
    with open('/data/large', 'rb') as file:
        mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
        read = hashlib.sha256()
        while data := file.read(step): read.update(data)
        return read.hexdigest() == hashlib.sha256(mapped).hexdigest() and read.hexdigest()
sums = [once(step) for step in (1 << 20, 300000, 4096, 1 << 24)]
with open('/data/large', 'rb') as file: print(len(set(sums)), file.read(5).decode(), sums[0])`;

hostTest(
  "idmap: a large file is the same in each reading, and what the host makes of it is seen in the next",
  {
    needs: ["uidmap", "fuse", "python3"],
  },
  async (host) => {
    const tree = await makeTree(host);
    await host.ok(
      ...["run", "-q", "-d", "--name", "reads", "--network", "none", "-v", `${tree}:/data:idmap`],
      ...["host", "sleep", "9999"],
    );
    const data = new Uint8Array((17 << 20) + 5).map((_, index) => index * 7 + (index >> 9));
    for (const [step, word] of ["first", "other"].entries()) {
      data.set(new TextEncoder().encode(word));
      await Deno.writeFile(`${tree}/large`, data);
      await host.own(`${tree}/large`);
      // the same size; what is remembered of its time ends by itself
      await Deno.utime(`${tree}/large`, 1000 + step, 1000 + step);
      const seen = () => host.ok("exec", "reads", "stat", "-c", "%Y", "/data/large");
      await waitFor("the host's change is seen", async () => (await seen()).trim() === String(1000 + step));
      const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
      assertEquals(
        (await host.ok("exec", "reads", "python3", "-c", LARGE_READS)).trim(),
        `1 ${word} ${sum}`,
      );
    }
  },
);

const READ_TWICE = `
import hashlib
for time in range(2):
    sum = hashlib.sha256()
    with open('/data/large', 'rb', 0) as file:
        while data := file.read(1 << 20): sum.update(data)
print(sum.hexdigest())`;

hostTest("idmap: what is read twice comes into the kernel's cache, and is no older there than on the host", {
  needs: ["uidmap", "fuse", "python3"],
}, async (host) => {
  const tree = await makeTree(host);
  await host.ok(
    ...["run", "-q", "-d", "--name", "keeps", "--network", "none", "-v", `${tree}:/data:idmap`],
    ...["host", "sleep", "9999"],
  );
  const data = new Uint8Array((17 << 20) + 5).map((_, index) => index * 5 + (index >> 9));
  const inside = async (...words: string[]) => (await host.ok("exec", "keeps", ...words)).trim();
  const readTwice = async () => {
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
    await waitFor("all is as the host has it", async () => await inside("python3", "-c", READ_TWICE) === sum);
  };
  const changes = [
    () => Deno.writeFile(`${tree}/large`, data),
    async () => {
      await Deno.writeFile(`${tree}/new`, data);
      await Deno.rename(`${tree}/new`, `${tree}/large`);
    },
    () => inside("sh", "-c", "printf inside | dd of=/data/large conv=notrunc bs=1 seek=9000000 2>/dev/null"),
  ];
  for (const [step, change] of changes.entries()) {
    const isInside = step === changes.length - 1;
    data.set(
      new TextEncoder().encode(isInside ? "inside" : `host ${step}`),
      isInside ? 9_000_000 : 9_000_010,
    );
    await change();
    if (!isInside) await host.own(`${tree}/large`);
    await readTwice();
    // the machine may need some of the memory for other things, or all that there was: the next reading brings it back
    let looks = 0;
    await waitFor("the kernel has the file", async () => {
      if (++looks % 5 === 0) await inside("python3", "-c", READ_TWICE);
      return Number(await inside("fincore", "-b", "-n", "-o", "RES", "/data/large")) > data.length / 2;
    });
    await readTwice();
  }
});

hostTest(
  "idmap: what the kernel believes for long is forgotten when the host changes it",
  NEEDS,
  async (host) => {
    const tree = await makeTree(host);
    const sh = async (script: string) => {
      const { code, stderr } = await host.sh(`cd ${tree} && ${script}`);
      assertEquals(code, 0, stderr);
    };
    await sh(
      "for name in kept grown same mode gone replaced moved; do echo $name > $name; done; mkdir a a/b; echo x > a/b/c",
    );
    await host.ok(
      ...["run", "-q", "-d", "--name", "sees", "--network", "none", "-w", "/data"],
      ...["-v", `${tree}:/data:idmap`, await host.image(), "sleep", "9999"],
    );
    const inside = async (script: string) => (await host.ok("exec", "sees", "sh", "-c", script)).trim();
    const all = `for f in *; do stat -c '%n %s %a' $f; [ -d $f ] || cat $f; done; find a | sort; cat a/?/c`;
    const onHost = async () => (await host.sh(`cd ${tree} && { ${all}; }`)).stdout.trim();
    // what was changed just now is not believed for long
    const isSettled = () => Date.now() - Deno.statSync(`${tree}/a/b/c`).ctime!.getTime() > 3000;
    await waitFor("the files are settled", isSettled);
    const before = await inside(all);
    const begin = performance.now();
    assertEquals(await inside(all), before);
    const oneLookMs = performance.now() - begin;
    await host.ok("exec", "-d", "sees", "sh", "-c", "tail -n +1 -f grown > /tmp/followed");
    await sh(
      `echo more >> grown; printf 'SAME\\n' > same; chmod 600 mode; rm gone; echo other > r2; mv r2 replaced
mv moved elsewhere; mv a/b a/z; mkdir a/b; echo y > a/b/c; echo new > new`,
    );
    const expected = await onHost();
    assertEquals(expected === before, false);
    // by what is told of it: nothing that was believed has ended by itself so soon, but where all is slow
    const soonMs = 20_000 + 10 * oneLookMs;
    const names = (await host.sh(`cd ${tree} && ls -d *`)).stdout.trim();
    await waitFor("all is seen", async () => (await inside(all)) === expected, soonMs);
    const followed = async () => (await inside("cat /tmp/followed")) === "grown\nmore";
    await waitFor("a follower sees it", followed, soonMs);
    // what the container does itself is seen at once
    const own =
      "echo 1 > own; stat -c %s own; echo 12 >> own; stat -c %s own; mv own o2; [ ! -e own ]; stat -c %s o2";
    assertEquals(
      await inside(`set -e; ${own}; rm o2; mkdir o2; rmdir o2; [ ! -e o2 ]; ls -d *`),
      `2\n5\n5\n${names}`,
    );
    // names that are believed for what they were before: beside a link, and by a rename inside
    await inside("cat same; ls a/z");
    await sh("ln same linked");
    await inside("stat linked; mv a/z a/w");
    await sh("echo 2 > other; mv other same; mv a/w a/v; mkdir a/w; echo > a/w/its");
    const replaced = async () =>
      (await inside("cat same linked; ls a/w a/v; true")) === "2\nSAME\na/v:\nc\n\na/w:\nits";
    await waitFor("what took the names is seen", replaced, soonMs);
  },
);

hostTest("idmap: who waits for a server that is killed goes on, even where its notices wait for him", {
  needs: ["fuse"],
}, async () => {
  // ECONNABORTED, and from then on ENOTCONN
  assertEquals(await runAsRootOfOwn("--mount", "./fuse_end_run.ts"), { asked: 103, later: 107 });
});

for (const asRoot of [false, true]) {
  hostTest(`idmap: an image's files are the user's${asRoot ? ", as root" : ""}`, {
    needs: [...NEEDS.needs, ...(asRoot ? ["root" as const] : [])],
    asRoot,
  }, async (host) => {
    const image = await host.image();
    await host.ok("pull", "-q", image);
    const seen = async (idmap: string, script: string) => {
      const mount = ["--mount", `type=image,src=${image},dst=/m${idmap}`];
      return (await host.run("-q", "--rm", "-u", "7:8", ...mount, image, "sh", "-c", script)).stdout;
    };
    const owner = "stat -c %u:%g /m /m/bin/busybox";
    assertEquals(await seen("", owner), "0:0\n0:0\n");
    assertEquals(await seen(",idmap", owner), "7:8\n7:8\n");
    assertEquals(await seen(",subpath=bin,idmap", "stat -c %u:%g /m/busybox"), "7:8\n");
    assertEquals(await seen(",rw,idmap", "echo mine >/m/new; cat /m/new; stat -c %u /m/new"), "mine\n7\n");
  });
}

/** Holds a copy of another process's descriptor until its input ends. @see pidfd_getfd(2) */
const HOLD_DESCRIPTOR = `import ctypes, os, sys
pid, fd = map(int, sys.argv[1:])
own = ctypes.CDLL(None, use_errno=True).syscall(438, os.pidfd_open(pid), fd, 0)
if own == -1: sys.exit(os.strerror(ctypes.get_errno()))
os.write(1, b'held\\n')
sys.stdin.read()`;

hostTest("idmap: who asks a server that was killed goes on, though another has a descriptor of the mount", {
  needs: [...NEEDS.needs, "python3", "root"],
}, async (host) => {
  const tree = await makeTree(host);
  const image = await host.image();
  await host.ok(
    ...["run", "-q", "-d", "--name", "asks", "--network", "none", "-v", `${tree}:/data:idmap`],
    ...[image, "sleep", "9999"],
  );
  const server = host.processes().find(({ command }) => command.startsWith("skiff: idmap /"))!.pid;
  const fuse = [...Deno.readDirSync(`/proc/${server}/fd`)].map(({ name }) => name)
    .find((fd) => Deno.readLinkSync(`/proc/${server}/fd/${fd}`) === "/dev/fuse")!;
  const holder = new Deno.Command("python3", {
    args: ["-c", HOLD_DESCRIPTOR, `${server}`, fuse],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  try {
    const reader = holder.stdout.getReader();
    assertEquals(new TextDecoder().decode((await reader.read()).value), "held\n");
    await reader.cancel();
    // asked while nobody answers, and after that
    Deno.kill(server, "SIGSTOP");
    const asker = host.spawn(["exec", "asks", "ls", "/data/other"]);
    host.kill9(server);
    for (const asked of [await asker.result, await host.skiff(["exec", "asks", "ls", "/data/other"])]) {
      assertEquals(asked.code, 1);
      assertMatch(asked.stderr, /Transport endpoint is not connected|Software caused connection abort/);
    }
    // the container goes on, and its next run has another server
    await host.ok("restart", "-t", "0", "asks");
    assertEquals(await host.ok("exec", "asks", "cat", "/data/file"), "from the host");
  } finally {
    await holder.stdin.close();
    await holder.status;
  }
});

/** A user's files in a sticky folder are replaced by another's in another mount, and the user tries to take those away. */
const STICKY = `import os
os.mkdir('/data/s'); os.chmod('/data/s', 0o1777)
def as_user(uid, act):
    pid = os.fork()
    if pid == 0:
        os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
        try:
            act()
        except PermissionError:
            os._exit(13)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def replaced(name):
    as_user(6, lambda: open('/data/s/' + name, 'x').close())
    os.stat('/data/s/' + name)
    open('/plain/s/new', 'x').close(); os.chown('/plain/s/new', 5, 5)
    os.rename('/plain/s/new', '/plain/s/' + name)
seen = set()
for index in range(20):
    for act in (os.unlink, lambda path: os.rename(path, path + '.mine'), lambda path: os.replace(own, path)):
        name = 'x%d' % len(os.listdir('/plain/s'))
        own = '/data/s/own'
        as_user(6, lambda: open(own, 'w').close())
        replaced(name)
        seen.add((as_user(6, lambda: act('/data/s/' + name)), os.stat('/plain/s/' + name).st_uid))
print(seen)
print(as_user(5, lambda: os.unlink('/data/s/x0')), as_user(6, lambda: os.unlink(own)))
os.chown('/data/s', 7, 7)`;

hostTest("idmap: in a sticky folder nobody takes away what has become another's", {
  needs: ["uidmap", "fuse", "python3"],
}, async (host) => {
  const tree = await makeTree(host);
  const mounts = ["-v", `${tree}:/data:idmap`, "-v", `${tree}:/plain`];
  const run = (...words: string[]) => host.run("-q", "--rm", "--network", "none", ...mounts, ...words);
  const { stdout } = await run("host", "python3", "-c", STICKY);
  assertEquals(stdout.trim().split("\n"), ["{(13, 5)}", "0 0"]);
  // root is above the owners by a capability
  const words = ["host", "rm", "/data/s/x2"];
  const { code, stderr } = await run("--cap-drop", "FOWNER", ...words);
  assertEquals([code, stderr.includes("Operation not permitted")], [1, true]);
  assertEquals((await run(...words)).code, 0);
});

/** Looks at each of 300 files by its name, and replaces some, as `git checkout` does. */
const LOOKS = `import os, sys, time
sizes = {os.stat('/data/many/f%d' % index).st_size for index in range(300)}
begin = time.monotonic()
for index in range(100):
    path = '/data/more/f%d' % index
    os.unlink(path)
    with open(path, 'x') as file: file.write('%d' % index)
print(sizes, len(os.listdir('/data/more')), open('/data/more/f99').read(), time.monotonic() - begin < 20)`;

hostTest("idmap: who looks up name after name is told of the others at once, whoever has the folder's lock", {
  needs: ["uidmap", "fuse", "python3"],
}, async (host) => {
  const tree = await makeTree(host);
  const script =
    `cd ${tree} && mkdir many more && for i in $(seq 0 299); do echo x > many/f$i; echo > more/f$i; done`;
  assertEquals((await host.sh(script)).code, 0);
  // what was changed just now is not believed for long
  const isSettled = () => Date.now() - Deno.statSync(`${tree}/more/f299`).ctime!.getTime() > 3000;
  await waitFor("the files are settled", isSettled);
  await host.ok(
    ...["run", "-q", "-d", "--name", "looks", "--network", "none", "-v", `${tree}:/data:idmap`],
    ...["host", "sleep", "9999"],
  );
  const server = host.processes().find(({ command }) => command.startsWith("skiff: idmap /"))!.pid;
  const requests = () => Number(/^syscr: (\d+)/m.exec(Deno.readTextFileSync(`/proc/${server}/io`))![1]);
  const look = "import os; [os.stat('/data/many/f%d' % index) for index in range(300)]";
  const before = requests();
  await host.ok("exec", "looks", "python3", "-c", look);
  // on a slow machine some are faster than the listing
  const asked = requests() - before;
  assertEquals(asked < 200, true, `${asked} requests for 300 names`);
  const told = await host.ok("exec", "looks", "python3", "-c", LOOKS);
  assertEquals(told.trim(), "{2} 300 99 True");
  assertEquals(Deno.readTextFileSync(`${tree}/more/f99`), "99");
});

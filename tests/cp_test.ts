/** cp, by the rules of docker and podman; what podman 4.3 does in these cases was looked at beside it. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
} from "./harness.ts";

/** Everything about a tree that cp has to keep, one line each, times without those of folders. */
const LIST = `find . -mindepth 1 | sort | while read -r f; do
  if [ -h "$f" ]; then echo "$f -> $(readlink $f)"
  elif [ -d "$f" ]; then stat -c '%n %a %u:%g' "$f"
  else stat -c '%n %a %u:%g %s %Y %h' "$f"; fi
done`;

/** A tree with all that is not plain, made as the test user. */
async function makeTree(host: Host): Promise<string> {
  const { code, stderr } = await host.sh(`mkdir -p tree/sub/deep tree/empty && cd tree
    echo one >one && ln one sub/again && ln -s one link && ln -s ../missing dangling && ln -s /etc/passwd absolute
    truncate -s 3M hole && printf x >>hole && chmod 4750 one && chmod 700 empty && chmod 1777 sub/deep
    mkfifo fifo && printf '%s' "$(seq 1 9000)" >"sub/deep/a  b" && touch -d '2020-01-02 03:04:05' one hole fifo "sub/deep/a  b" && touch -d '2021-02-03 04:05:06' empty`);
  assertEquals([code, stderr], [0, ""]);
  return `${host.home}/tree`;
}

const listOnHost = async (host: Host, path: string) => (await host.sh(LIST, { cwd: path })).stdout;

driverTest("cp keeps a tree through stopped and running containers, and back", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const tree = await makeTree(host);
  const expected = (await listOnHost(host, tree)).replaceAll(`${host.ids.uid}:${host.ids.gid}`, "0:0");
  await host.ok("create", "--name", "box", "--network", "none", "-v", "vol:/vol", image, "sleep", "600");
  // created: into the root, and into a volume as inside the container
  await host.ok("cp", tree, "box:/tmp/new");
  await host.ok("cp", `${tree}/.`, "box:/vol");
  await host.ok("start", "box");
  const inside = (path: string) => host.ok("exec", "box", "sh", "-c", `cd ${path}; ${LIST}`);
  assertEquals([await inside("/tmp/new") + "\n", await inside("/vol") + "\n"], [expected, expected]);
  assertEquals(await host.ok("exec", "box", "stat", "-c", "%b", "/vol/hole"), "8", "the hole is kept");
  // running
  await host.ok("cp", tree, "box:/tmp");
  assertEquals(await inside("/tmp/tree") + "\n", expected);
  await host.ok(
    "exec",
    "box",
    "sh",
    "-c",
    "chown 1000:1000 /vol/one; chmod 4750 /vol/one; mount | grep -q 'tmpfs on /dev'; echo t >/dev/shm/t",
  );
  await host.ok("cp", "box:/vol", "back");
  const own = (text: string) => text.replaceAll("0:0", `${host.ids.uid}:${host.ids.gid}`);
  // a copy out belongs to the caller
  assertEquals(await listOnHost(host, `${host.home}/back`), own(expected));
  // what ext4 was advised for the time of the copy (T) is taken back
  const attributes = await host.sh("lsattr -d back 2>/dev/null | cut -d' ' -f1");
  assertEquals(attributes.stdout.includes("T"), false);
  await host.ok("cp", "box:/dev/shm/t", "t");
  assertEquals(Deno.readTextFileSync(`${host.home}/t`), "t\n");
  await host.ok("stop", "-t", "0", "box");
  await host.ok("cp", "box:/tmp/new/.", "stopped");
  // fuse-overlayfs, mounted anew, shows a number of its own for each name of a file
  const names = (text: string) => host.driver === "fuse-overlayfs" ? text.replaceAll(/ [12]$/gm, "") : text;
  assertEquals(names(await listOnHost(host, `${host.home}/stopped`)), names(own(expected)));
  // the root's own files, not those of the volume
  const exported = await host.sh(`"$SKIFF" ${host.driverArgs.join(" ")} export box | tar tv --numeric-owner`);
  assertEquals([exported.code, exported.stderr], [0, ""]);
  for (
    const line of [
      /^drwxr-xr-x 0\/0 .* vol\/$/m,
      /^[h-]rwsr-x--- 0\/0 .* tmp\/new\/sub\/again( link to tmp\/new\/one)?$/m,
    ]
  ) {
    assertMatch(exported.stdout, line);
  }
  assert(!/ (vol|proc|dev)\/./.test(exported.stdout), exported.stdout);
  // as a tar archive, with the container's ids
  await host.ok("create", "--name", "other", "-u", "alice", "--network", "none", image, "sleep", "600");
  const through = await host.sh(
    `"$SKIFF" ${host.driverArgs.join(" ")} cp box:/vol - | tee a.tar | gzip | "$SKIFF" ${
      host.driverArgs.join(" ")
    } cp -a=false - other:/tmp; tar tvf a.tar --numeric-owner`,
  );
  assertEquals([through.code, through.stderr], [0, ""]);
  assertIncludes(through.stdout, "-rwsr-x--- 1000/1000");
  assert(host.driver === "fuse-overlayfs" || through.stdout.includes("vol/sub/again link to vol/one"));
  // between containers: to its user, or with -a=false to the same owners
  await host.ok("cp", "box:/vol", "other:/tmp/mine");
  await host.ok("cp", "--archive=false", "box:/vol", "other:/tmp/same");
  await host.ok("start", "other");
  const other = (path: string) => host.ok("exec", "-u", "0", "other", "sh", "-c", `cd ${path}; ${LIST}`);
  assertEquals(await other("/tmp/mine") + "\n", expected.replaceAll("0:0", "1000:1000"));
  const same = await other("/tmp/same");
  assert(/^\.\/one 4750 1000:1000/m.test(same) && /^\.\/hole 644 0:0/m.test(same), same);
  assertEquals(await other("/tmp/vol"), same);
});

hostTest("cp names its target and refuses by the rules of podman", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  await makeTree(host);
  await host.sh(
    "echo a >a.txt; ln -s a.txt lf; ln -s tree/sub ld; ln -s nowhere dang; tar cf a.tar a.txt; xz -k a.tar",
  );
  await host.ok("create", "--name", "c", "-w", "/home", "--network", "none", image, "sleep", "600");
  const refused: [from: string, to: string, error: string][] = [
    [
      "a.txt",
      "c:/tmp/no/such",
      '"/tmp/no/such" could not be found on container c: no such file or directory',
    ],
    ["a.txt", "c:/tmp/nodir/", '"/tmp/nodir/" could not be found on container c: no such file or directory'],
    ["missing", "c:/tmp", '"missing" could not be found on the host: no such file or directory'],
    ["dang", "c:/tmp", '"dang" could not be found on the host: no such file or directory'],
    ["tree", "c:/etc/passwd", "destination must be a directory when copying a directory"],
    ["c:/missing", "x", '"/missing" could not be found on container c: no such file or directory'],
    ["c:/etc", "a.txt", "destination must be a directory when copying a directory"],
    ["c:/etc", "no/such", '"no/such" could not be found on the host: no such file or directory'],
    ["-", "c:/etc/passwd", "destination must be a directory when copying from stdin"],
    ["-", "c:/tmp", "source must be a (compressed) tar archive when copying from stdin"],
    ["a.txt", "b.txt", 'copy "a.txt" to "b.txt": neither is CONTAINER:PATH'],
    ["c:", "x", 'invalid arguments "c:", "x": you must specify paths'],
    ["nope:/etc", "x", 'no container with name or ID "nope" found: no such container'],
    ["c:/bin/busybox", "/dev/null", 'invalid destination: "/dev/null" must be a directory or a regular file'],
  ];
  for (const [from, to, error] of refused) {
    const { code, stdout, stderr } = await host.skiff(["cp", from, to]);
    assertEquals([from, to, code, stdout, stderr], [from, to, 125, "", `Error: ${error}\n`]);
  }
  const xz = await host.sh('"$SKIFF" cp - c:/tmp <a.tar.xz');
  assertEquals([xz.code, xz.stderr.split("\n")[0]], [125, "Error: unpack archive: it is compressed with xz"]);
  await host.sh('for to in c:rel c:/tmp c:/tmp/new c:/etc/hostname; do "$SKIFF" cp a.txt $to; done');
  for (
    const args of [["lf", "c:/tmp/"], ["ld", "c:/tmp/"], ["c:/bin/sh", "c:/tmp/"], ["c:/tmp/ld", "c:/tmp/ld"]]
  ) {
    await host.ok("cp", ...args);
  }
  const list = async () =>
    await host.ok("cp", "c:/tmp", "-").then((text) => text.length > 0) &&
    (await host.sh('"$SKIFF" cp c:/tmp - | tar t | sort; "$SKIFF" cp c:/home/rel - | tar xO')).stdout.split(
      "\n",
    );
  const names =
    "tmp/ tmp/a.txt tmp/busybox tmp/ld/ tmp/ld/again tmp/ld/deep/ tmp/ld/ld/ tmp/ld/ld/again tmp/ld/ld/deep/";
  const found = await list();
  for (const name of [...names.split(" "), "tmp/lf", "tmp/new"]) {
    assert(found && found.includes(name), `${name} in ${found}`);
  }
  assert(found && found.at(-2) === "a", "a relative path begins at the working directory");
  // a folder for a file, and the other way round
  await host.sh("mkdir -p x/a.txt y; echo f >y/ld");
  for (const from of ["x/.", "y/."]) {
    const { code, stderr } = await host.skiff(["cp", from, "c:/tmp"]);
    assertEquals([code, stderr.includes("--overwrite")], [125, true]);
    await host.ok("cp", "--overwrite", from, "c:/tmp");
  }
  const after = await list();
  assert(
    after && after.includes("tmp/a.txt/") && after.includes("tmp/ld") && !after.includes("tmp/ld/"),
    `${after}`,
  );
  // where a file is mounted it is written in place; a kernel's file is read, a device left out
  await host.ok("start", "c");
  await host.ok("cp", "a.txt", "c:/etc/hosts");
  assertEquals(await host.ok("exec", "c", "cat", "/etc/hosts"), "a");
  await host.ok("cp", "c:/proc/meminfo", "meminfo");
  assertIncludes(Deno.readTextFileSync(`${host.home}/meminfo`), "MemTotal");
  const root = await host.skiff(["cp", "c:/", "root"]);
  assertEquals([root.code, [...Deno.readDirSync(`${host.home}/root/proc`)].length], [0, 0]);
  assertIncludes(root.stderr, "Warning: left out ");
});

hostTest("cp counts ids as a container with a user namespace of its own does", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  await host.sh("echo a >a");
  for (const [userns, owner] of [["keep-id", `${host.ids.uid}:${host.ids.gid}`], ["nomap", "0:0"]]) {
    await host.ok(
      "create",
      "--name",
      userns!,
      "--userns",
      userns!,
      "--network",
      "none",
      image,
      "sleep",
      "600",
    );
    await host.ok("cp", "a", `${userns}:/tmp/stopped`);
    await host.ok("start", userns!);
    await host.ok("cp", "a", `${userns}:/tmp/running`);
    const { stdout } = await host.skiff([
      "exec",
      userns!,
      "stat",
      "-c",
      "%u:%g",
      "/tmp/stopped",
      "/tmp/running",
    ]);
    assertEquals([userns, stdout], [userns, `${owner}\n${owner}\n`]);
    const tar = await host.sh(`"$SKIFF" cp ${userns}:/tmp/running - | tar tv --numeric-owner`);
    assertIncludes(tar.stdout, owner!.replace(":", "/"));
  }
});

hostTest("cp of many files leaves them, and nothing of its own, where they belong", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  await host.sh("mkdir many && cd many && chmod 750 . && for i in $(seq 400); do echo $i >$i; done");
  const sum = (path: string) => `cd ${path} && ls -A | sort | md5sum; cat * | md5sum; stat -c %a .`;
  const expected = (await host.sh(sum(`${host.home}/many`))).stdout.trim();
  // a container to be removed is mounted as one whose power may be cut: that it was copied into before is no matter
  const id = await host.ok("create", "--rm", "--name", "box", "--network", "none", image, "sleep", "600");
  await host.ok("cp", "many", "box:/first");
  await host.ok("cp", "many/.", "box:/first");
  const folder = `${host.home}/.local/share/skiff/containers/${id}`;
  assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name).includes("work-copy"), false);
  // as one that was killed leaves it behind
  await host.sh(`mkdir -p ${folder}/work-copy/work/incompat/volatile`);
  await host.ok("cp", "many", "box:/second");
  await host.ok("start", "box");
  await host.ok("cp", "many", "box:/third");
  for (const name of ["first", "second", "third"]) {
    assertEquals(await host.ok("exec", "box", "sh", "-c", sum(`/${name}`)), expected);
    await host.ok("cp", `box:/${name}`, `out${name}`);
    assertEquals((await host.sh(sum(`${host.home}/out${name}`))).stdout.trim(), expected);
  }
  assertEquals(await host.ok("exec", "box", "ls", "-A", "/").then((all) => all.includes(".skiff-")), false);
});

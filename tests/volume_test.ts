/** volume create, ls, inspect, rm, prune, rename, exists; words and exit codes are podman's. */
import { assert, assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

hostTest("a volume is created, listed with its users, inspected, renamed and removed", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  assertEquals(await host.ok("volume", "create", "-l", "team=web", "--label", "a", "data"), "data");
  assertEquals((await host.ok("volume", "create")).length, 64);
  const code = async (...args: string[]) => {
    const { code, stderr } = await host.skiff(["volume", ...args]);
    return [code, stderr];
  };
  assertEquals(await code("create", "data"), [
    125,
    "Error: volume with name data already exists: volume already exists\n",
  ]);
  assertEquals([
    await code("create", "--ignore", "data"),
    await code("exists", "data"),
    await code("exists", "no"),
  ], [
    [0, ""],
    [0, ""],
    [1, ""],
  ]);
  assertEquals(await code("rm"), [125, "Error: choose either one or more volumes or all\n"]);
  assertEquals(await code("rm", "no"), [1, 'Error: no volume with name "no" found: no such volume\n']);
  assertEquals(await code("ls", "--filter", "bogus=1"), [
    125,
    'Error: "bogus" is an invalid volume filter\n',
  ]);

  const run = ["run", "-d", "--network", "none", "-v", "data:/d"];
  await host.ok(...run, "--name", "web", image, "sh", "-c", "echo kept >/d/file; echo up; exec sleep 600");
  await host.untilLogged("web");
  await host.ok("create", "--name", "idle", "--network", "none", "-v", "data:/d:ro", image, "cat", "/d/file");
  assertEquals(
    await host.ok(
      "volume",
      "ls",
      "--format",
      "{{.Name}} {{.Driver}} {{.Containers}} {{.Labels.team}}",
      "--filter",
      "name=dat",
    ),
    "data local idle,web web",
  );
  assertIncludes(await host.ok("volume", "ls"), "DRIVER      VOLUME NAME");
  const [info] = JSON.parse(await host.ok("volume", "inspect", "data"));
  assertEquals([info.Name, info.Labels, info.MountCount, info.Mountpoint], [
    "data",
    { team: "web", a: "" },
    1,
    `${host.data}/volumes/data/_data`,
  ]);
  assertEquals(await host.ok("volume", "ls", "-q", "--filter", "dangling=false"), "data");
  const used = await host.skiff(["volume", "rm", "data"]);
  assertEquals([
    used.code,
    used.stderr.startsWith("Error: volume data is being used by the following container(s): "),
  ], [
    2,
    true,
  ]);
  // a running container goes on, one that starts later finds it
  await host.ok("volume", "rename", "data", "moved");
  await host.ok("exec", "web", "sh", "-c", "echo more >>/d/file");
  assertEquals(await host.ok("start", "-a", "idle"), "kept\nmore");
  await host.ok("restart", "-t", "0", "web");
  assertEquals(await host.ok("volume", "ls", "-q", "--filter", "dangling=false"), "moved");
  assertEquals((await code("rename", "moved", "moved"))[0], 125);
  assertEquals(await host.ok("volume", "rm", "--force", "moved"), "moved");
  assertEquals([await host.ok("ps", "-aq"), host.containers()], ["", []]);

  await host.ok("volume", "create", "-l", "keep", "kept");
  await host.ok("volume", "create", "-o", "o=uid=3,gid=4", "old");
  // fields that the documents have only where they are something
  const fields = "{{.UID}} {{.GID}} {{.Status}} {{.LockNumber}} {{.StorageID}} {{.Timeout}}";
  for (const words of [["ls", "--filter", "name=old"], ["inspect", "old"]]) {
    assertEquals(await host.ok("volume", ...words, "--format", fields), "3 4 map[] 0  0");
  }
  assertEquals(await host.ok("volume", "prune", "-f", "--filter", "since=old"), "");
  assertEquals(await host.ok("volume", "prune", "-f", "--filter", "driver=other"), "");
  const asked = await host.sh('echo n | "$SKIFF" volume prune');
  assertEquals([asked.code, asked.stdout.includes("old\n"), asked.stdout.includes("[y/N]")], [0, true, true]);
  const pruned = (await host.ok("volume", "prune", "-f", "--filter", "label!=keep")).split("\n");
  assertEquals([pruned.length, pruned.includes("old"), await host.ok("volume", "ls", "-q")], [
    2,
    true,
    "kept",
  ]);
  assertEquals(
    (await code("prune", "--filter", "bogus=1"))[1],
    'Error: "bogus" is an invalid volume filter\n',
  );
});

hostTest("a volume of type tmpfs is one for all that use it, and gone with the last of them", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.makeImage({
    layers: [{
      entries: [...busyboxEntries(), { path: "m/", uid: 7 }, { path: "m/given", content: "image" }],
    }],
    config: { Env: ["PATH=/bin"] },
  });
  const words = ["type=tmpfs", "device=tmpfs", "o=size=1m,mode=1770,uid=5,gid=6,noexec"];
  await host.ok("volume", "create", ...words.flatMap((word) => ["-o", word]), "memory");
  const [info] = JSON.parse(await host.ok("volume", "inspect", "memory"));
  assertEquals(info.Options, { type: "tmpfs", device: "tmpfs", o: "size=1m,mode=1770,uid=5,gid=6,noexec" });
  const keeper = ["--network", "none", "-v", "memory:/m", image, "sleep", "600"];
  await host.ok("run", "-d", "--name", "one", ...keeper);
  const see =
    "stat -c %a:%u:%g /m; df -k /m | tail -1 | awk '{print $1, $2}'; grep -o ' /m .*noexec' /proc/mounts | cut -c1-3; ls /m";
  assertEquals(await host.ok("exec", "one", "sh", "-c", see), "1770:5:6\ntmpfs 1024\n /m");
  await host.ok("exec", "one", "sh", "-c", "echo shared >/m/file");
  // several at once, and twice in one; read-only and a part of it as well
  const cat = ["run", "--rm", "--network", "none"];
  const seen = await Promise.all([
    host.ok(...cat, "-v", "memory:/x:ro", "-v", "memory:/y", image, "cat", "/x/file"),
    host.ok(...cat, "--userns", "keep-id", "-u", "0", "-v", "memory:/m", image, "cat", "/m/file"),
    host.ok(...cat, "--mount", "type=volume,src=memory,dst=/f,subpath=file", image, "cat", "/f"),
  ]);
  assertEquals(seen, ["shared", "shared", "shared"]);
  // the first goes, the second keeps it
  await host.ok("run", "-d", "--name", "two", ...keeper);
  await host.ok("rm", "-f", "-t", "0", "one");
  assertEquals(await host.ok("exec", "two", "cat", "/m/file"), "shared");
  await host.ok("cp", "two:/m/file", "file");
  await host.ok("stop", "-t", "0", "two");
  await host.ok("start", "two");
  assertEquals(await host.ok("exec", "two", "ls", "/m"), "", "it is made anew");
  // nothing of it on the host, nor while it is mounted
  assertEquals([...Deno.readDirSync(`${host.data}/volumes/memory/_data`)], []);
  assertEquals(Deno.readTextFileSync("/proc/self/mountinfo").includes(`${host.data}/volumes`), false);
  await host.ok("rm", "-f", "-t", "0", "two");
  // made by --mount; without options about the owner it gets the image's content, once
  const made = `type=volume,src=made,dst=/m,volume-opt=type=tmpfs,volume-opt=o=size=2m,volume-label=a=b`;
  await host.ok("run", "-d", "--name", "three", "--mount", made, image, "sleep", "600");
  assertEquals(
    await host.ok("exec", "three", "sh", "-c", "stat -c %u /m; cat /m/given; df -k /m | grep -o 2048"),
    "7\nimage2048",
  );
  await host.ok("exec", "three", "sh", "-c", "rm /m/given; touch /m/other; chown 9 /m");
  assertEquals(await host.ok(...cat, "-v", "made:/m", image, "sh", "-c", "ls /m; stat -c %u /m"), "other\n9");
  assertEquals(
    await host.ok("volume", "inspect", "--format", "{{.Labels.a}} {{.Options.o}}", "made"),
    "b size=2m",
  );
  const bad = await host.run("--mount", "type=volume,src=bad,dst=/m,volume-opt=type=nfs", image, "true");
  assert(bad.code === 125 && bad.stderr.includes('create volume of type "nfs"'), bad.stderr);
  assertEquals((await host.skiff(["volume", "exists", "bad"])).code, 1);
});

hostTest("as root, a volume may be of any type that the kernel mounts", {
  needs: ["root", "registry", "busybox"],
  asRoot: true,
}, async (host) => {
  const image = await host.image();
  await host.sh("mkdir low up work && echo low >low/file");
  const overlay = `lowerdir=${host.home}/low,upperdir=${host.home}/up,workdir=${host.home}/work`;
  await host.ok(
    "volume",
    "create",
    "-o",
    "type=overlay",
    "-o",
    "device=any",
    "-o",
    `o=${overlay}`,
    "layered",
  );
  await host.ok("volume", "create", "-o", "type=tmpfs", "-o", "o=size=1m", "memory");
  const run = [
    "run",
    "-d",
    "--network",
    "none",
    "-v",
    "layered:/l",
    "-v",
    "memory:/m",
    image,
    "sleep",
    "600",
  ];
  for (const name of ["one", "two"]) await host.ok(...run.slice(0, 2), "--name", name, ...run.slice(2));
  await host.ok("exec", "one", "sh", "-c", "echo new >>/l/file; echo here >/m/file");
  assertEquals(await host.ok("exec", "two", "cat", "/l/file", "/m/file"), "low\nnew\nhere");
  assertEquals(Deno.readTextFileSync(`${host.home}/low/file`), "low\n");
  assertEquals(Deno.readTextFileSync(`${host.home}/up/file`), "low\nnew\n");
  await host.ok("rm", "-f", "-t", "0", "one", "two");
  await host.ok("volume", "create", "-o", "type=nosuchfs", "-o", "device=any", "odd");
  assertEquals(
    (await host.run("--rm", "-v", "odd:/d", image, "true")).stderr,
    'Error: mount volume of type "nosuchfs": the kernel has no such file system\n',
  );
  const bad = ["volume", "create", "-o", "type=ext4", "-o", "device=/dev/zero", "disk"];
  await host.ok(...bad);
  const { code, stderr } = await host.run("--rm", "-v", "disk:/d", image, "true");
  assert(code === 125 && stderr.startsWith('Error: mount volume of type "ext4" (/dev/zero): '), stderr);
});

hostTest("a folder of the host can be a volume; what needs a mount for all is refused", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  await host.sh("mkdir site; echo page >site/index");
  const site = `${host.home}/site`;
  await host.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${site}`, "site");
  assertEquals((await host.run("--rm", "-v", "site:/s", image, "cat", "/s/index")).stdout, "page\n");
  assertEquals((await host.run("--rm", "-v", "site:/s", image, "sh", "-c", "echo new >/s/new")).code, 0);
  await host.ok("volume", "create", "--opt", "o=uid=1000,gid=1000", "alice");
  assertEquals(
    (await host.run("--rm", "-v", "alice:/a", image, "stat", "-c", "%u:%g", "/a")).stdout,
    "1000:1000\n",
  );
  for (
    const [words, error] of [
      [["type=tmpfs", "o=bogus"], 'create volume: unknown mount option "bogus": invalid mount option'],
      [["type=nfs", "o=addr=1.2.3.4"], 'create volume of type "nfs"'],
      [["type=none", "device=/"], 'type "none" needs o=bind'],
      [["device=/"], 'device "/" needs a type, or o=bind'],
      [["bogus=1"], "invalid mount option bogus for driver 'local'"],
      [["o=bind", "device=relative"], 'device "relative" must be an absolute path'],
      [["o=bind", "device=/missing"], 'no such folder "/missing"'],
      [["o=uid=4000000"], 'give volume "x" to 4000000:0'],
    ] as const
  ) {
    const { code, stderr } = await host.skiff([
      "volume",
      "create",
      ...words.flatMap((word) => ["-o", word]),
      "x",
    ]);
    assert(code === 125 && stderr.includes(error), `${words}: ${code} ${stderr}`);
  }
  assertEquals((await host.skiff(["volume", "exists", "x"])).code, 1);
  // an overlay of the user's own folders needs no root
  await host.sh("mkdir low up work; echo low >low/file");
  const layered = `lowerdir=${host.home}/low,upperdir=${host.home}/up,workdir=${host.home}/work`;
  await host.ok(
    "volume",
    "create",
    "-o",
    "type=overlay",
    "-o",
    "device=overlay",
    "-o",
    `o=${layered}`,
    "lay",
  );
  const added = await host.run("--rm", "-v", "lay:/l", image, "sh", "-c", "echo new >>/l/file; cat /l/file");
  assertEquals([added.stdout, await Deno.readTextFile(`${host.home}/low/file`)], ["low\nnew\n", "low\n"]);
  // a removal takes the name away, not what the host has there
  await host.ok("volume", "rm", "site");
  assertEquals([...Deno.readDirSync(site)].map(({ name }) => name).sort(), ["index", "new"]);
});

hostTest("a volume with nocopy begins empty where the image has files, and shows its options in order", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  await host.ok("volume", "create", "-o", "o=noquota", "-o", "nocopy", "-l", "b=2", "-l", "a=1", "bare");
  await host.ok("volume", "create", "filled");
  const ran = await host.run("--rm", "-v", "bare:/etc", "-v", "filled:/bin", image, "/bin/ls", "-A", "/etc");
  // what the engine itself puts into /etc is mounted there
  assert(!ran.stdout.split("\n").includes("passwd"), ran.stdout + ran.stderr);
  // control: a volume without it is filled
  assertEquals(ran.code, 0, ran.stderr);
  const [told] = JSON.parse(await host.ok("volume", "inspect", "bare"));
  assertEquals(Object.entries({ ...told.Labels, ...told.Options }).join(" "), "a,1 b,2 nocopy, o,noquota");
  assertEquals(told.NeedsCopyUp, false);
});

hostTest(
  "a volume with nocopy gets the owner and mode of the image's folder, or the user, as podman has it",
  {
    needs: ["registry", "busybox", "uidmap"],
  },
  async (host) => {
    const image = await host.image("busybox");
    await host.ok(
      "create",
      "--name",
      "base",
      "--network",
      "none",
      image,
      "sh",
      "-c",
      "mkdir -m 2750 /own; chown 5:6 /own; echo >/own/x",
    );
    await host.ok("start", "-a", "base");
    const owned = await host.ok("commit", "-q", "base");
    const seen = async (user: string, mount: string, folder: string) => {
      const show = `stat -c %u:%g:%a ${folder}; ls ${folder}`;
      const ran = await host.run(
        "-q",
        "--rm",
        "--network",
        "none",
        "-u",
        user,
        "-v",
        mount,
        owned,
        "sh",
        "-c",
        show,
      );
      assertEquals(ran.code, 0, ran.stderr);
      return ran.stdout.trim();
    };
    await host.ok("volume", "create", "-o", "nocopy", "bare");
    assertEquals(await seen("0", "bare:/own", "/own"), "5:6:2750");
    assertEquals(await seen("0", "mounted:/own:nocopy", "/own"), "5:6:2750");
    assertEquals(await seen("7:8", "fresh:/new:nocopy", "/new"), "7:8:755");
    // control
    assertEquals(await seen("0", "filled:/own", "/own"), "5:6:2750\nx");
  },
);

hostTest("crafted names and contents of volumes lead nowhere", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const outside = `${host.home}/outside`;
  await host.sh("mkdir -p outside/folder; echo canary >outside/file");
  const unharmed = () => {
    assertEquals([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["file", "folder"]);
    assertEquals(Deno.readTextFileSync(`${outside}/file`), "canary\n");
  };
  await host.ok("volume", "create", "good");
  for (const name of ["../../outside", "a/b", ".hidden", "-x", "x\n", "..", "x".repeat(256), "ünïcode"]) {
    for (const args of [["create", "--", name], ["rename", "good", name]]) {
      const { code, stdout } = await host.skiff(["volume", ...args]);
      assertEquals([args, code, stdout], [args, 125, ""]);
    }
    for (const verb of ["rm", "inspect", "exists"]) {
      const { code } = await host.skiff(["volume", verb, "--", name]);
      assert(code === 1 || code === 125, `${verb} ${name}: ${code}`);
    }
    unharmed();
  }
  // links in the image's content, in what a container writes, and at the place of the volume
  const image = await host.makeImage({
    layers: [{
      entries: [
        ...busyboxEntries(),
        { path: "data/" },
        { path: "data/absolute", link: outside },
        { path: "place", link: `${outside}/folder` },
      ],
    }],
    config: { Env: ["PATH=/bin"] },
  });
  const script =
    `ln -s ${outside} /data/own; ln -s / /data/root; ln -s ../../../../../../../..${outside} /data/climbing; echo x >/data/absolute/file; true`;
  const run = await host.run("--rm", "-v", "trap:/data", image, "sh", "-c", script);
  assertEquals(run.code, 0, run.stderr);
  assertEquals((await host.run("--rm", "-v", "other:/place", image, "true")).code, 125);
  await host.ok("volume", "rename", "trap", "moved");
  await host.ok("volume", "inspect", "moved");
  assertEquals(await host.ok("volume", "rm", "moved", "other"), "moved\nother");
  unharmed();
  // Control: who goes through such a link by its name empties the folder that it points at.
  const control = await host.sh("mkdir data; ln -s ../outside data/own; rm -rf data/own/*; ls outside");
  assertEquals([control.code, control.stdout], [0, ""]);
});

/** volume clone, snapshot, restore, export and import: what they keep, and what they leave when something goes wrong. */
import { assert, assertEquals, assertIncludes, type Host, hostTest, type Need } from "./harness.ts";
import { type Entry, makeTar } from "./images.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap", "getfattr"] as Need[] };

/** Owners, modes, links, holes and attributes of a folder, as root of the user's namespace sees it. */
async function describe(host: Host, folder: string): Promise<string> {
  const script =
    `cd "$1" && find . -printf '%p %y %m %U:%G %n %s %l %T@\\n' | sort && getfattr -Rh -d -m user . &&
    stat -c %b sparse && stat -c %i one two | uniq | wc -l`;
  await Deno.writeTextFile(`${host.home}/describe`, script);
  const { code, stdout, stderr } = await host.sh(`"$SKIFF" unshare sh describe "${folder}"`);
  assertEquals(code, 0, stderr);
  return stdout;
}

const volumeFolder = (host: Host, name: string) => `${host.data}/volumes/${name}/_data`;

/** A volume with a bit of everything. */
async function makeVolume(host: Host, name: string): Promise<void> {
  await host.ok("volume", "create", "-l", "team=web", name);
  const script = `cd ${volumeFolder(host, name)}
    echo first >one; ln one two; ln -s ../../../.. up; mkdir -m 2750 folder; echo deep >folder/file; mkfifo pipe
    dd if=/dev/zero of=sparse bs=1 count=1 seek=200000000 2>/dev/null; setfattr -n user.note -v kept one
    touch -d '2001-02-03 04:05:06.789' folder/file; chown 5:6 folder; chown 7 folder/file; chown 9:9 .; chmod 751 .`;
  await Deno.writeTextFile(`${host.home}/fill`, script);
  const { code, stderr } = await host.sh('"$SKIFF" unshare sh -e fill');
  assertEquals(code, 0, stderr);
}

hostTest(
  "volumes are cloned, kept as snapshots, restored, exported and imported with all they hold",
  NEEDS,
  async (host) => {
    await makeVolume(host, "data");
    const before = await describe(host, volumeFolder(host, "data"));
    assertIncludes(before, 'user.note="kept"');
    assertEquals(await host.ok("volume", "clone", "-l", "a=b", "data", "copy"), "copy");
    assertEquals(await host.ok("volume", "snapshot", "data@before"), "data@before");
    assertEquals(await describe(host, volumeFolder(host, "copy")), before);
    assertEquals(await host.ok("volume", "inspect", "-f", "{{.Labels.team}} {{.Labels.a}}", "copy"), "web b");
    await host.ok("volume", "export", "-o", "data.tar", "data@before");
    // an owner that was chosen stays chosen, of a snapshot's clone as well
    await host.ok("volume", "create", "-o", "o=uid=7", "owned");
    await host.ok("volume", "snapshot", "owned@empty");
    await host.ok("volume", "clone", "owned@empty", "owned-copy");
    assertEquals(await host.ok("volume", "inspect", "-f", "{{.Options.o}}", "owned-copy"), "uid=7");
    assert(Deno.lstatSync(`${host.data}/volumes/owned-copy/owner-chosen`).isFile);
    await host.ok("volume", "rm", "owned", "owned-copy");
    await host.ok("volume", "create", "fresh");
    const piped = await host.sh('zstd -qc data.tar | "$SKIFF" volume import fresh -');
    assertEquals(piped.code, 0, piped.stderr);
    assertEquals(await describe(host, volumeFolder(host, "fresh")), before);

    // a container that runs is in the way of a restore and of an import, and of nothing else
    const image = await host.image();
    const change = "echo changed >/d/one; rm /d/folder/file; echo up; exec sleep 600";
    await host.ok(
      "run",
      "-q",
      "-d",
      "--name",
      "web",
      "--network",
      "none",
      "-v",
      "data:/d",
      image,
      "sh",
      "-c",
      change,
    );
    await host.untilLogged("web");
    for (const args of [["restore", "data@before"], ["import", "data", "data.tar"]]) {
      const { code, stderr } = await host.skiff(["volume", ...args]);
      assertEquals([code, stderr], [
        125,
        `Error: ${args[0]} volume "${
          args[1]
        }": container "web" runs with it\nstop it first: skiff stop web\n`,
      ]);
    }
    const after = await host.ok("volume", "snapshot", "data");
    assertEquals(await host.ok("volume", "ls", "-q", "--snapshots"), `data@before\n${after}`);
    await host.ok("rm", "-f", "-t", "0", "web");
    assertEquals(await host.ok("volume", "restore", "data@before"), "data");
    assertEquals(await describe(host, volumeFolder(host, "data")), before);
    await host.ok("volume", "restore", after);
    const read = await host.run("--rm", "-q", "-v", "data:/d", image, "cat", "/d/one", "/d/two");
    assertEquals(read.stdout, "changed\nchanged\n");
    // over what is there, as podman does
    await host.ok("volume", "import", "data", "data.tar");
    assertEquals((await host.run("--rm", "-v", "data:/d", image, "cat", "/d/folder/file")).stdout, "deep\n");

    // snapshots go by their volume's name, and with it
    await host.ok("volume", "rename", "data", "moved");
    assertEquals(await host.ok("volume", "rm", "moved@before"), "moved@before");
    assertEquals(JSON.parse(await host.ok("volume", "inspect", "moved"))[0].Snapshots.length, 1);
    for (
      const [args, error] of [
        [["clone", "moved", "copy"], "volume with name copy already exists: volume already exists"],
        [["clone", "moved@none", "x"], "no such volume: moved@none"],
        [["clone", "moved", "a/b"], 'name volume "a/b": names must match'],
        [["snapshot", "moved@../x"], 'name snapshot "../x": names must match'],
        [["restore", "moved"], 'restore "moved": want VOLUME@SNAPSHOT'],
        [["restore", "moved@before"], 'no snapshot "moved@before" found: no such volume'],
        [["rm", "moved@before"], 'no snapshot "moved@before" found: no such volume'],
        [["export", "none"], 'no volume with name "none" found: no such volume'],
        [["import", "moved", "missing.tar"], 'open "missing.tar": No such file or directory'],
        [["import", "moved", "fill"], 'import volume "moved": it is no tar archive'],
      ] as const
    ) {
      const { code, stderr } = await host.skiff(["volume", ...args]);
      assert(code !== 0 && stderr.includes(error), `${args}: ${code} ${stderr}`);
    }
    await host.ok("volume", "create", "-o", "type=tmpfs", "memory");
    assertIncludes(
      (await host.skiff(["volume", "clone", "memory", "x"])).stderr,
      'a file system of type "tmpfs"',
    );
    await host.ok("volume", "create", "-o", "o=bind", "-o", `device=${host.home}`, "home");
    assertIncludes(
      (await host.skiff(["volume", "import", "home", "data.tar"])).stderr,
      `is the folder "${host.home}"`,
    );
    await host.ok("volume", "rm", "--all");
    assertEquals([...Deno.readDirSync(`${host.data}/volumes`)], []);
    assertEquals([...Deno.readDirSync(`${host.data}/tmp`)], []);
  },
);

hostTest("archives that a volume is given lead nowhere, and a broken one leaves it as it was", {
  needs: ["busybox", "uidmap"],
}, async (host) => {
  const outside = `${host.home}/outside`;
  await host.sh("mkdir -p outside/folder; echo canary >outside/file; echo canary >outside/folder/file");
  const unharmed = () => {
    assertEquals([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["file", "folder"]);
    for (const path of ["file", "folder/file"]) {
      const { size, mode, nlink } = Deno.lstatSync(`${outside}/${path}`);
      assertEquals([size, mode! & 0o777, nlink], [7, 0o644, 1]);
    }
  };
  const hostile: Record<string, Entry[]> = {
    "climbs by its name": [{ path: "../../../../../../../..".concat(outside, "/stray"), content: "x" }],
    "has an absolute name": [{ path: `${outside}/stray`, content: "x" }],
    "writes through a link": [{ path: "l", link: outside }, { path: "l/stray", content: "x" }],
    "writes through a link that climbs": [
      { path: "l", link: `../../../../../../../../..${outside}` },
      { path: "l/file", content: "x", mode: 0o777 },
    ],
    "makes a folder of a link": [{ path: "l", link: `${outside}/folder` }, { path: "l/", mode: 0o777 }],
    "links a file of the host": [
      { path: "h", type: "hardlink", link: `${outside}/file` },
      { path: "h", content: "x" },
    ],
    "links through a link": [
      { path: "l", link: outside },
      { path: "h", type: "hardlink", link: "l/file" },
    ],
    "replaces the root": [{ path: ".", link: outside }, { path: "stray", content: "x" }],
    "makes a device": [{ path: "d", type: "char", device: [1, 3] }],
  };
  for (const [what, entries] of Object.entries(hostile)) {
    await host.ok("volume", "create", "trap");
    await Deno.writeFile(`${host.home}/trap.tar`, makeTar(entries));
    const { code, stderr } = await host.skiff(["volume", "import", "trap", "trap.tar"]);
    assert(code === 0 || code === 125, `${what}: ${code} ${stderr}`);
    unharmed();
    // neither does a second archive over what the first has left, nor what reads it
    await Deno.writeFile(`${host.home}/again.tar`, makeTar([{ path: "l/stray", content: "x" }]));
    await host.skiff(["volume", "import", "trap", "again.tar"]);
    await host.skiff(["volume", "clone", "trap", "clone"]);
    const exported = await host.sh('"$SKIFF" volume export trap | tar xO 2>/dev/null');
    assert(!exported.stdout.includes("canary"), `${what}: ${exported.stdout}`);
    unharmed();
    await host.ok("volume", "rm", "-f", "trap", "clone");
    unharmed();
  }
  // Control: who unpacks such an archive by names follows the link.
  const control = await host.sh(
    `mkdir naive; ln -s ${outside} naive/l; cp trap.tar naive; cd naive; echo x >l/control; ls ${outside}`,
  );
  assertIncludes(control.stdout, "control");
  await Deno.remove(`${outside}/control`);

  await host.ok("volume", "create", "kept");
  await Deno.writeFile(
    `${host.home}/good.tar`,
    makeTar([{ path: "a", content: "first" }, { path: "b/c", content: "x" }]),
  );
  await host.ok("volume", "import", "kept", "good.tar");
  const big = makeTar([{ path: "a", content: "second" }, { path: "z", content: new Uint8Array(300_000) }]);
  await Deno.writeFile(`${host.home}/cut.tar`, big.slice(0, 100_000));
  const cut = await host.skiff(["volume", "import", "kept", "cut.tar"]);
  assertEquals(cut.code, 125);
  assertEquals(await Deno.readTextFile(`${volumeFolder(host, "kept")}/a`), "first");
  assertEquals([...Deno.readDirSync(volumeFolder(host, "kept"))].length, 2);
  assertEquals([...Deno.readDirSync(`${host.data}/tmp`)], []);
});

hostTest("who is killed while a volume is copied leaves the old state or nothing", {
  needs: ["busybox", "uidmap"],
  timeoutMs: 300_000,
}, async (host) => {
  await host.ok("volume", "create", "data");
  await host.sh(`cd ${volumeFolder(host, "data")}; for i in $(seq 200); do echo old >f$i; done`);
  await host.ok("volume", "snapshot", "data@old");
  await host.sh(`cd ${volumeFolder(host, "data")}; for i in $(seq 200); do echo new >f$i; done`);
  await host.ok("volume", "export", "-o", "new.tar", "data");
  const contents = async (folder: string) =>
    (await host.sh(`cd ${folder} && cat f* | sort | uniq -c | sed 's/^ *//'`)).stdout;
  const whole = ["200 old\n", "200 new\n"];
  const work: Record<string, { args: string[]; check: () => Promise<void> }> = {
    clone: {
      args: ["clone", "data", "copy"],
      check: async () => {
        if ((await host.skiff(["volume", "exists", "copy"])).code !== 0) return;
        assertEquals(await contents(volumeFolder(host, "copy")), await contents(volumeFolder(host, "data")));
        await host.ok("volume", "rm", "copy");
      },
    },
    snapshot: {
      args: ["snapshot", "data@made"],
      check: async () => {
        const names = await host.ok("volume", "ls", "-q", "--snapshots");
        if (!names.includes("data@made")) return;
        const folder = volumeFolder(host, "data").replace("_data", "snapshots/made/_data");
        assertEquals(await contents(folder), await contents(volumeFolder(host, "data")));
        await host.ok("volume", "rm", "data@made");
      },
    },
    restore: { args: ["restore", "data@old"], check: () => Promise.resolve() },
    import: { args: ["import", "data", "new.tar"], check: () => Promise.resolve() },
  };
  for (const { args, check } of Object.values(work)) {
    const begin = performance.now();
    await host.ok("volume", ...args);
    const usualMs = performance.now() - begin;
    await check();
    for (let point = 0; point < 6; point++) {
      const running = host.spawn(["volume", ...args]);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * usualMs));
      try {
        running.child.kill("SIGKILL");
      } catch { /* it was faster */ }
      await running.result;
      assert(whole.includes(await contents(volumeFolder(host, "data"))), `${args}: torn`);
      await check();
    }
  }
  // what the killed have left goes with the next removal
  await host.ok("volume", "create", "last");
  await host.ok("volume", "rm", "last");
  assertEquals([...Deno.readDirSync(`${host.data}/tmp`)], []);
  assertEquals([...Deno.readDirSync(`${host.data}/volumes`)].map(({ name }) => name), ["data"]);
});

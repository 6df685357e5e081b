/** User namespaces of root's containers: their ids are those of the host, and the layers are shown to fit. */

import { onBroken } from "./broken_machine.ts";
import { assertEquals, assertIncludes, type Host, hostTest, type Need } from "./harness.ts";
import { busyboxEntries, type Entry } from "./images.ts";

const NEEDS = { needs: ["root", "registry", "busybox"] as Need[], asRoot: true };

const MAP = "tr -s ' ' < /proc/self/uid_map | sed 's/^ //'; tr -s ' ' < /proc/self/gid_map | sed 's/^ //'";

async function inside(host: Host, options: string[], script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(
    ...["-q", "--rm", ...(options.includes("--network") ? [] : ["--network", "none"]), ...options],
    ...[await host.image(), "sh", "-ec", script],
  );
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

/** On a machine whose root has ranges for automatic user namespaces. */
async function withRanges(host: Host, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await onBroken(host, {
    script: `mount --bind ${host.data} /var/lib/skiff
echo containers:2000000:70000 > $HOME/subuid; echo containers:3000000:70000 > $HOME/subgid
mount --bind $HOME/subuid /etc/subuid; mount --bind $HOME/subgid /etc/subgid`,
  }, ...words);
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

for (const driver of ["overlay", "vfs"] as const) {
  hostTest(`as root a container has ids of its own (${driver})`, { ...NEEDS, driver }, async (host) => {
    const image = await host.image();
    const maps = ["--uidmap", "0:100000:2000", "--gidmap", "0:200000:3000"];
    const script = `${MAP}; stat -c %u:%g / /bin/busybox /etc/hosts /dev/shm; touch /x; stat -c %u:%g /x`;
    const root = "0:0";
    assertEquals(
      await inside(host, maps, script),
      ["0 100000 2000", "0 200000 3000", root, root, root, root, root].join("\n"),
    );
    await host.ok(
      ...["run", "-q", "-d", "--network", "none", "--name", "own", ...maps, "-v", "data:/data", image],
      ...["sh", "-c", "echo new > /etc/new; chown 7:8 /etc/new; touch /data/kept; exec sleep 9999"],
    );
    const [uid, gid] = ["{{.State.Pid}}", "{{json .HostConfig.IDMappings}}"];
    const pid = await host.ok("inspect", "own", "--format", uid);
    assertIncludes(await Deno.readTextFile(`/proc/${pid.trim()}/status`), "Uid:\t100000\t100000");
    assertEquals(
      JSON.parse(await host.ok("inspect", "own", "--format", gid)),
      { UidMap: ["0:100000:2000"], GidMap: ["0:200000:3000"] },
    );
    assertEquals((await host.ok("exec", "-u", "alice", "own", "id", "-u")).trim(), "1000");
    const owner = (path: string) => {
      const { uid, gid } = Deno.lstatSync(`${host.data}/${path}`);
      return `${uid}:${gid}`;
    };
    assertEquals(owner("volumes/data/_data/kept"), "100000:200000");
    // in and out of it, running and stopped, ids are the container's
    const file = `${host.home}/file`;
    await Deno.writeTextFile(file, "from the host\n");
    await host.ok("cp", file, "own:/etc/copied");
    assertEquals((await host.ok("exec", "own", "stat", "-c", "%u:%g", "/etc/copied")).trim(), "0:0");
    const changes = ["C /etc", "A /etc/copied", "A /etc/new", "A /data"].sort();
    const diff = async () => (await host.ok("diff", "own")).trim().split("\n").sort();
    assertEquals((await diff()).filter((line) => line !== "C /"), changes);
    await host.ok("stop", "-t", "0", "own");
    assertEquals((await diff()).filter((line) => line !== "C /"), changes);
    await host.ok("cp", file, "own:/etc/late");
    await host.ok("cp", "own:/etc/new", `${host.home}/new`);
    assertEquals(await Deno.readTextFile(`${host.home}/new`), "new\n");
    const committed = (await host.ok("commit", "-q", "own")).trim();
    // in the image ids are those of any image
    const seen = await host.run("-q", "--rm", "--network", "none", committed, "stat", "-c", "%u:%g %n", ...[
      "/etc/new",
      "/etc/late",
      "/etc/copied",
      "/bin/busybox",
      "/etc",
    ]);
    assertEquals(seen.stdout, "7:8 /etc/new\n0:0 /etc/late\n0:0 /etc/copied\n0:0 /bin/busybox\n0:0 /etc\n");
    await host.ok("start", "own");
    assertEquals(
      (await host.ok("exec", "own", "stat", "-c", "%u:%g", "/etc/late", "/etc/new")).trim(),
      "0:0\n7:8",
    );
    await host.ok("rm", "-f", "-t", "0", "own");
    // nothing of it stays mounted, and layers were copied only where the kernel shows none with other owners
    assertEquals((await Deno.readTextFile("/proc/self/mounts")).includes(host.data), false);
    const forms = [...Deno.readDirSync(`${host.data}/layers`)].flatMap(({ name }) =>
      [...Deno.readDirSync(`${host.data}/layers/${name}`)].map((entry) => entry.name)
    );
    if (driver === "overlay" && isMapping(host)) {
      assertEquals(forms.filter((name) => name.includes("-u")), []);
    }
  });
}

for (const driver of ["overlay", "vfs"] as const) {
  const options = { ...NEEDS, driver };
  hostTest(
    `as root a device of the image opens nothing in a user namespace (${driver})`,
    options,
    async (host) => {
      // zero stands for the machine's disk
      const device: Entry = { path: "node", type: "char", device: [1, 5], mode: 0o666 };
      const image = await host.makeImage({ layers: [{ entries: [...busyboxEntries(), device] }] });
      const open = async (options: string[], ...command: string[]) => {
        const { stdout, stderr } = await host.run(
          "-q",
          "--rm",
          "--network",
          "none",
          ...options,
          image,
          ...command,
        );
        return stdout === "\0" ? "opened" : stderr.trim();
      };
      const read = ["head", "-c1", "/node"];
      const denied = "head: /node: Permission denied";
      assertEquals(await open(["--userns", "keep-id"], ...read), denied);
      assertEquals(await open(["--uidmap", "0:100000:2000"], ...read), denied);
      assertEquals(await open(["--userns", "keep-id", "--privileged"], ...read), denied);
      const allow = `mount -o remount,bind,dev / 2> /dev/null; ${read.join(" ")}`;
      assertEquals(await open(["--userns", "keep-id", "--privileged"], "sh", "-c", allow), denied);
      // nor one that another container has made in a folder that they share
      const shared = ["--privileged", "-v", `${host.home}:/shared`];
      await host.ok(
        "run",
        "-q",
        "--rm",
        "--network",
        "none",
        ...shared,
        image,
        "mknod",
        "/shared/node",
        "c",
        "1",
        "5",
      );
      assertEquals(
        await open(["--userns", "keep-id", "-v", `${host.home}:/shared`], "head", "-c1", "/shared/node"),
        "head: /shared/node: Permission denied",
      );
      // control: who is to have the machine's devices opens it
      assertEquals(await open(["--privileged"], ...read), "opened");
    },
  );
}

hostTest(
  "as root the root of a user namespace takes back no flag of what is mounted",
  NEEDS,
  async (host) => {
    // zero stands for the machine's disk
    const device: Entry = { path: "node", type: "char", device: [1, 5], mode: 0o666 };
    const image = await host.makeImage({ layers: [{ entries: [...busyboxEntries(), device] }] });
    const shared = `${host.home}/shared`;
    await Deno.mkdir(shared, { mode: 0o777 });
    await Deno.chmod(shared, 0o777);
    await Deno.writeTextFile(`${shared}/file`, "mine");
    const run = async (options: string[], script: string) => {
      const { stdout } = await host.run(
        ...["-q", "--rm", "--network", "none", "--privileged", ...options, image, "sh", "-c", script],
      );
      return stdout.trim().split("\n");
    };
    await run(
      ["-v", `${shared}:/shared`, "-v", "volume:/volume"],
      "cp -a /node /shared; cp -a /node /volume",
    );
    const mounts = [
      ...["-v", `${shared}:/shared`, "-v", `${shared}:/over:O`, "-v", "volume:/volume"],
      ...["--mount", `type=image,src=${image},dst=/image`, "-v", `${shared}:/ro:ro`],
      ...["-v", `${shared}/file:/one:ro`],
    ];
    // as it is, mounted again, and by way of a copy
    const script = `for path in /shared /over /volume /image; do
  mount -o remount,bind,dev $path; head -c1 $path/node >/dev/null && echo opened $path; done
mkdir /copy; mount --bind /shared /copy; mount -o remount,bind,dev /copy; head -c1 /copy/node >/dev/null && echo opened
mount -o remount,bind,rw /ro; touch /ro/new && echo written; rm -f /ro/new
mount -o remount,bind,rw /one; echo theirs >/one && echo overwritten; echo end`;
    for (const map of [["--userns", "keep-id"], ["--uidmap", "0:100000:2000"]]) {
      assertEquals(await run([...map, ...mounts], script), ["end"], map.join(" "));
      assertEquals(await Deno.readTextFile(`${shared}/file`), "mine");
      // what they are for goes on
      assertEquals(
        await run(
          [...map, ...mounts],
          "cat /shared/file /over/file /one; touch /shared/a && rm /shared/a && echo",
        ),
        ["mineminemine"],
      );
    }
    // control: without a user namespace of its own
    assertEquals(await run(mounts, script), [
      ...["opened /shared", "opened /over", "opened /volume", "opened /image"],
      ...["opened", "written", "overwritten", "end"],
    ]);
  },
);

/** Whether the kernel was found to map layers here. */
function isMapping(host: Host): boolean {
  return JSON.parse(Deno.readTextFileSync(`${host.data}/storage.json`)).reasons["idmapped-layers"] === null;
}

hostTest("as root automatic ids are those of the user containers", NEEDS, async (host) => {
  const image = await host.image();
  const run = ["run", "-q", "-d", "--network", "none", "--userns"];
  await Promise.all(
    [0, 1].map((n) =>
      withRanges(host, ...run, "auto:size=1500", "--name", `auto${n}`, image, "sleep", "9999")
    ),
  );
  const maps = await Promise.all([0, 1].map((n) => host.ok("exec", `auto${n}`, "sh", "-c", MAP)));
  assertEquals(maps.map((text) => text.trimEnd()).sort(), [
    "0 2000000 1500\n0 3000000 1500",
    "0 2001500 1500\n0 3001500 1500",
  ]);
  // who is in the image or asked for by number has an id
  const plain = (words: string[]) =>
    withRanges(host, "run", "-q", "--rm", "--network", "none", "--userns", ...words, "sh", "-c", MAP);
  assertEquals(await plain(["auto", image]), "0 2003000 1024\n0 3003000 1024");
  assertEquals(await plain(["auto", "-u", "5000", image]), "0 2003000 5001\n0 3003000 5001");
  assertEquals(
    await plain(["auto:size=10,uidmapping=5:99:1", image]),
    "5 99 1\n0 2003000 5\n6 2003005 4\n0 3003000 10",
  );
  // another's is joined, with its network
  assertEquals(
    await inside(host, ["--userns", "container:auto0", "--network", "container:auto0"], MAP),
    (await host.ok("exec", "auto0", "sh", "-c", MAP)).trimEnd(),
  );
  await host.ok("rm", "-f", "-t", "0", "auto0", "auto1");
});

hostTest(
  "as root automatic ids are none that another container was given by number, and enough for the image's user",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const create = ["create", "-q", "--network", "none"];
    await host.ok(...create, "--uidmap", "0:2000000:100", "--gidmap", "0:3000500:100", image, "true");
    await withRanges(host, ...create, "--userns", "auto:size=1000", "--name", "auto", image, "true");
    assertEquals(
      JSON.parse(await host.ok("inspect", "auto", "--format", "{{json .HostConfig.IDMappings}}")),
      { UidMap: ["0:2000100:1000"], GidMap: ["0:3000000:500", "500:3000600:500"] },
    );
    // nor are they too few for a user of the image's that no file of it names
    const numbered = await host.makeImage({
      layers: [{ entries: busyboxEntries() }],
      config: { User: "7000:7500" },
    });
    await withRanges(host, ...create, "--userns", "auto", "--name", "numbered", numbered, "true");
    assertEquals(
      JSON.parse(await host.ok("inspect", "numbered", "--format", "{{json .HostConfig.IDMappings}}")),
      { UidMap: ["0:2001100:7501"], GidMap: ["0:3001100:7501"] },
    );
  },
);

hostTest(
  "as root a user namespace can leave ids as they are, and what cannot be is told",
  NEEDS,
  async (host) => {
    const own = Deno.readLinkSync("/proc/self/ns/user");
    const kept = await inside(host, ["--userns", "keep-id"], `${MAP}; readlink /proc/self/ns/user; id -u`);
    const [uids, gids, namespace, uid] = kept.split("\n");
    assertEquals([uids, gids, uid], ["0 0 4294967295", "0 0 4294967295", "0"]);
    assertEquals(namespace === own, false);
    assertEquals(
      await inside(host, ["--userns", "keep-id:uid=1000,gid=1000"], "id -un; id -g"),
      "alice\n1000",
    );
    assertEquals(await inside(host, ["--userns", "host"], "readlink /proc/self/ns/user"), own);
    // one id, which /dev/pts and sysfs of another's network have to do with
    assertEquals(
      await inside(host, ["--uidmap", "0:100000:1", "--network", "host"], MAP),
      "0 100000 1\n0 100000 1",
    );
    for (
      const [words, message] of [
        [["--userns", "nomap"], "nomap is only supported in rootless mode"],
        [["--subuidname", "no-such"], 'no subuid ranges found for user "no-such" in /etc/subuid'],
        [
          ["--userns", "auto"],
          'cannot find mappings for user "containers": no subuid ranges found for user "containers" in /etc/subuid',
        ],
        [["--uidmap", "1:1:10"], "map ids: UID 0 is not mapped, so the container could not be set up"],
        [
          ["--subuidname", "root", "--uidmap", "0:1:1"],
          "--subuidname/--subgidname and --uidmap/--gidmap are mutually exclusive",
        ],
      ] as const
    ) {
      const { code, stderr } = await onBroken(
        host,
        {
          script: `mount --bind ${host.data} /var/lib/skiff
: > $HOME/none; mount --bind $HOME/none /etc/subuid; mount --bind $HOME/none /etc/subgid`,
        },
        "run",
        "--rm",
        ...words,
        await host.image(),
        "true",
      );
      assertEquals([code, stderr.split("\n")[0]], [125, `Error: ${message}`]);
    }
    assertEquals(host.containers(), []);
  },
);

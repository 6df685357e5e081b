/** `--mount`, `--volumes-from`, `--image-volume` and the rarer words of `-v` and `--tmpfs`, seen from inside. */

import {
  assertEquals,
  assertIncludes,
  assertMatch,
  driverTest,
  type Host,
  hostTest,
  type Need,
} from "./harness.ts";
import { busyboxEntries, busyboxImage } from "./images.ts";

const NEEDS = { needs: ["registry", "busybox", "uidmap"] as Need[] };

async function inside(host: Host, options: string[], script: string, image?: string): Promise<string> {
  const words = ["-q", "--rm", ...options, image ?? await host.image(), "sh", "-c", script];
  const { code, stdout, stderr } = await host.run(...words);
  assertEquals(code, 0, stderr);
  return stdout.trimEnd();
}

async function refusal(host: Host, options: string[]): Promise<string> {
  const { code, stderr } = await host.run("-q", "--rm", ...options, await host.image(), "true");
  assertEquals(code, 125, stderr);
  assertEquals(host.containers(), []);
  return stderr.split("\n").find((line) => line.startsWith("Error: "))!.slice("Error: ".length);
}

/** A folder of the user's with a file in it. */
async function makeShared(host: Host, name = "shared"): Promise<string> {
  const folder = `${host.home}/${name}`;
  await Deno.mkdir(`${folder}/below`, { recursive: true });
  await Deno.writeTextFile(`${folder}/file`, "from the host\n");
  await host.own(folder, `${folder}/below`, `${folder}/file`);
  return folder;
}

hostTest("--mount makes binds, volumes, tmpfs and devpts", NEEDS, async (host) => {
  const shared = await makeShared(host);
  assertEquals(
    await inside(
      host,
      ["--mount", "type=bind,src=./shared,dst=/s,ro"],
      "cat /s/file; touch /s/x 2>/dev/null || echo ro",
    ),
    "from the host\nro",
  );
  const tmpfs = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700";
  assertMatch(
    await inside(host, ["--mount", tmpfs], "grep ' /t ' /proc/mounts"),
    /rw,nosuid,nodev\S*,size=1024k,mode=700/,
  );
  await inside(host, ["--mount", "type=volume,src=data,dst=/v"], "mkdir -p /v/a/b; echo deep > /v/a/b/c");
  assertEquals(
    await inside(host, ["--mount", "src=data,dst=/v,subpath=a/b,type=volume"], "cat /v/c"),
    "deep",
  );
  const pts = await inside(
    host,
    ["--mount", "type=devpts,dst=/p,mode=0620,max=4"],
    "grep ' /p ' /proc/mounts; ls /p",
  );
  assertMatch(pts, /^devpts \/p devpts \S*mode=620,ptmxmode=000,max=4.*\nptmx$/);
  assertEquals(await Deno.readTextFile(`${shared}/file`), "from the host\n");
  assertIncludes(
    await refusal(host, ["--mount", "type=bind,src=/nope,dst=/m"]),
    "statfs /nope: no such file or directory",
  );
  assertIncludes(
    await refusal(host, ["--mount", "type=tmpfs,dst=/s", "-v", "./shared:/s"]),
    "duplicate mount destination",
  );
  assertIncludes(await refusal(host, ["--mount", "type=image,src=nowhere/none,dst=/m"]), "no such image");
});

hostTest("--mount makes ramfs and globs, keeps links, and tells below from above", NEEDS, async (host) => {
  const shared = await makeShared(host);
  await host.sh("ln -s nowhere link; ln -s shared other");
  const stat = "stat -c %a:%u /r; grep -o ' /r ramfs' /proc/mounts";
  const ramfs = "type=ramfs,dst=/r,tmpfs-mode=0750,tmpfs-size=1m";
  assertEquals(await inside(host, ["--mount", ramfs], stat), "750:0\n /r ramfs");
  assertEquals(await inside(host, ["-u", "7", "--mount", `${ramfs},U`], stat), "750:7\n /r ramfs");
  assertEquals(await inside(host, ["--userns", "nomap", "--mount", ramfs], stat), "750:0\n /r ramfs");
  assertEquals(
    await inside(host, ["-u", "7", "--mount", "type=tmpfs,dst=/r,U"], "stat -c %a:%u /r"),
    "1777:7",
  );
  const glob = ["--mount", "type=glob,src=./s*d/[a-f]*,dst=/g,ro"];
  assertEquals(
    await inside(host, glob, "ls /g; cat /g/file; touch /g/file 2>/dev/null || echo ro"),
    "below\nfile\nfrom the host\nro",
  );
  const place = ["--mount", `type=glob,src=${shared}/fil?`];
  assertEquals(await inside(host, place, `cat ${shared}/file`), "from the host");
  assertIncludes(
    await refusal(host, ["--mount", `type=glob,src=${shared}/no*`]),
    `no file paths matching glob "${shared}/no*"`,
  );
  const link = (source: string, rest: string) => ["--mount", `type=bind,src=${source},dst=/l,${rest}`];
  assertEquals(await inside(host, link("./link", "no-dereference"), "readlink /l"), "nowhere");
  assertEquals(await inside(host, link("./other", "no-dereference=false"), "cat /l/file"), "from the host");
  assertIncludes(await refusal(host, link("./other", "noatime")), "how access times are kept is for root");
  assertIncludes(
    await refusal(host, ["--mount", "type=tmpfs,dst=/t,noswap"]),
    "noswap is not supported: the kernel keeps it from users without root",
  );
  // what is mounted below a read-only folder: read-only as well, or as it was
  await Deno.writeTextFile(
    `${host.home}/session`,
    `mount -t tmpfs none "$1/below"
    for rest in ro ro,bind-recursive=writable ro,bind-recursive=disabled; do
      "$SKIFF" run -q --rm --network none --mount "type=bind,src=$1,dst=/s,$rest" "$2" sh -c \
        'touch /s/x 2>/dev/null && echo top; touch /s/below/x 2>/dev/null && echo below; echo .'
    done`,
  );
  const seen = await host.sh(`"$SKIFF" unshare sh ${host.home}/session ${shared} ${await host.image()}`);
  assertEquals([seen.stdout, seen.code], [".\nbelow\n.\n.\n", 0], seen.stderr);
});

hostTest("a subpath is resolved inside its volume", NEEDS, async (host) => {
  await Deno.writeTextFile(`${host.home}/secret`, "of the host");
  await host.own(`${host.home}/secret`);
  // what a former container may have left
  await inside(
    host,
    ["-v", "v:/v"],
    `ln -s / /v/root; ln -s ../../../../../.. /v/up; ln -s ${host.home} /v/home; echo in > /v/in`,
  );
  for (const subpath of ["root", "up", "../../.."]) {
    assertEquals(
      await inside(host, ["--mount", `type=volume,src=v,dst=/m,subpath=${subpath}`], "cat /m/in"),
      "in",
    );
  }
  const { code, stdout } = await host.run(
    ..."-q --rm --mount type=volume,src=v,dst=/m,subpath=home".split(" "),
    await host.image(),
    "cat",
    "/m/secret",
  );
  assertEquals([code, stdout], [125, ""]);
  // the links would lead out of it where they were followed: the attack is live
  assertEquals(await Deno.readTextFile(`${host.data}/volumes/v/_data/home/secret`), "of the host");
});

driverTest("another image is mounted read-only, or written to without changing it", NEEDS, async (host) => {
  const other = await host.makeImage({
    layers: [{ entries: [...busyboxEntries(), { path: "etc/other", content: "other\n" }] }],
  });
  await host.ok("pull", "-q", other);
  const mount = (rest: string) => ["--mount", `type=image,src=${other},dst=/m${rest}`];
  assertEquals(
    await inside(host, mount(""), "cat /m/etc/other; touch /m/x 2>/dev/null || echo ro"),
    "other\nro",
  );
  assertEquals(await inside(host, mount(",rw=true"), "echo mine > /m/etc/other; cat /m/etc/other"), "mine");
  assertEquals(await inside(host, mount(",subpath=etc"), "cat /m/other"), "other");
  const keepId = ["--userns", "keep-id", "-u", "0"];
  assertEquals(
    await inside(host, [...keepId, ...mount("")], "cat /m/etc/other; stat -c %u /m/etc"),
    "other\n0",
  );
});

hostTest("a folder with O is written over, and each start begins afresh", NEEDS, async (host) => {
  const shared = await makeShared(host);
  const script = "cat /s/file; echo changed > /s/file; rm -r /s/below; ls /s";
  await host.ok(
    "create",
    "-q",
    "--network",
    "none",
    "--name",
    "over",
    "-v",
    `${shared}:/s:O`,
    await host.image(),
    "sh",
    "-c",
    script,
  );
  for (let start = 0; start < 2; start++) {
    assertEquals(await host.ok("start", "-a", "over"), "from the host\nfile");
  }
  assertEquals(await Deno.readTextFile(`${shared}/file`), "from the host\n");
  await host.ok("rm", "over");
  const [upper, work] = [`${host.home}/upper`, `${host.home}/work`];
  await Deno.mkdir(upper);
  await Deno.mkdir(work);
  await host.own(upper, work);
  const options = ["-v", `${shared}:/s:O,upperdir=${upper},workdir=${work}`];
  assertEquals(await inside(host, options, "cat /s/kept 2>/dev/null; echo kept > /s/kept"), "");
  assertEquals(await inside(host, options, "cat /s/kept"), "kept");
  assertEquals(await Deno.readTextFile(`${upper}/kept`), "kept\n");
});

driverTest("a root folder with :O stays as it is, and each run begins afresh", NEEDS, async (host) => {
  const root = `${host.home}/root`;
  await Deno.mkdir(`${root}/bin`, { recursive: true });
  await Deno.copyFile("/bin/busybox", `${root}/bin/busybox`);
  await host.own(root, `${root}/bin`, `${root}/bin/busybox`);
  const shell = ["/bin/busybox", "sh", "-c", "test -e /made && echo again; echo > /made"];
  await host.ok("create", "-q", "--network", "none", "--name", "over", "--rootfs", `${root}:O`, ...shell);
  assertEquals([await host.ok("start", "-a", "over"), await host.ok("start", "-a", "over")], ["", ""]);
  assertEquals([...Deno.readDirSync(root)].map(({ name }) => name), ["bin"]);
  const { code, stderr } = await host.run("--rootfs", "/nope:O", "true");
  assertEquals([code, stderr], [125, "Error: no such file: /nope\n"]);
});

hostTest("U gives a folder to the program's user, links excepted", NEEDS, async (host) => {
  const shared = await makeShared(host);
  await Deno.writeTextFile(`${host.home}/outside`, "");
  await host.own(`${host.home}/outside`);
  await host.sh(`ln -s ../outside ${shared}/link`);
  const script = "stat -c %u:%g /s /s/file /s/below; touch /s/below/new";
  assertEquals(
    await inside(host, ["-u", "1000:100", "-v", `${shared}:/s:U`], script),
    "1000:100\n1000:100\n1000:100",
  );
  assertEquals((await Deno.stat(`${shared}/file`)).uid, host.ids.subuid + 999);
  assertEquals((await Deno.stat(`${host.home}/outside`)).uid, host.ids.uid);
  assertEquals(
    await inside(host, ["--mount", `type=bind,src=${shared},dst=/s,U,ro`], "stat -c %u:%g /s/file"),
    "0:0",
  );
  assertEquals(await inside(host, ["-u", "7", "-v", "own:/o:U"], "stat -c %u /o"), "7");
  const memory = ["-u", "7", "--mount", "type=tmpfs,dst=/t,ro,U"];
  assertEquals(await inside(host, memory, "stat -c %u /t; touch /t/x 2>/dev/null || echo ro"), "7\nro");
  assertMatch(await refusal(host, ["-v", "/usr/bin:/s:U"]), /give mount to 0:0: .*not permitted/);
});

hostTest("a tmpfs gets the image's files, its own mode and no more", NEEDS, async (host) => {
  assertEquals(
    await inside(host, ["--tmpfs", "/etc"], "stat -c %a /etc; ls /etc/passwd"),
    "1777\n/etc/passwd",
  );
  assertEquals(await inside(host, ["--tmpfs", "/etc:notmpcopyup"], "ls /etc | grep -c passwd || true"), "0");
  const script = "stat -c %a /home; ls /home; touch /home/x 2>/dev/null || echo ro";
  assertEquals(await inside(host, ["--tmpfs", "/home:mode=711,ro"], script), "711\nalice\nro");
});

hostTest(
  "--volumes-from takes binds and volumes, and keeps them when their container goes",
  NEEDS,
  async (host) => {
    const shared = await makeShared(host);
    const image = await host.image();
    const source = ["-v", `${shared}:/b:ro`, "-v", "named:/n", "-v", "/anonymous", "--tmpfs", "/t"];
    await host.ok(
      "run",
      "-q",
      "-d",
      "--rm",
      "--network",
      "none",
      "--name",
      "source",
      ...source,
      image,
      "sh",
      "-c",
      "echo x > /anonymous/x; echo up; sleep 1000",
    );
    await host.untilLogged("source");
    const mounted =
      "for d in b n anonymous t; do grep \" /$d \" /proc/mounts | cut -d' ' -f2,4 | cut -d, -f1; done";
    assertEquals(await inside(host, ["--volumes-from", "source"], mounted), "/b ro\n/n rw\n/anonymous rw");
    assertEquals(
      await inside(host, ["--volumes-from", "source:ro,z"], mounted),
      "/b ro\n/n ro\n/anonymous ro",
    );
    assertEquals(
      await inside(host, ["--volumes-from", "source", "--tmpfs", "/n"], "stat -f -c %T /n"),
      "tmpfs",
    );
    await host.ok(
      "create",
      "-q",
      "--network",
      "none",
      "--name",
      "heir",
      "--volumes-from",
      "source",
      image,
      "cat",
      "/anonymous/x",
    );
    await host.ok("stop", "-t", "0", "source");
    assertEquals(await host.ok("start", "-a", "heir"), "x");
    await host.ok("rm", "-v", "heir");
    assertEquals(Array.from(Deno.readDirSync(`${host.data}/volumes`), ({ name }) => name), ["named"]);
    assertIncludes(
      await refusal(host, ["--volumes-from", "nobody"]),
      'no container with name or ID "nobody" found',
    );
    assertIncludes(
      await refusal(host, ["--volumes-from", "nobody:foo"]),
      "volumes from another container can only use z,ro,rw options",
    );
  },
);

hostTest("--image-volume makes the image's volumes a tmpfs, or ignores them", NEEDS, async (host) => {
  const image = await host.makeImage(await busyboxImage({ Volumes: { "/home": {} } }));
  const look = async (mode: string) => {
    const script = "grep ' /home ' /proc/mounts | cut -d' ' -f3; ls /home";
    return await inside(host, ["--image-volume", mode], script, image);
  };
  assertEquals(await look("tmpfs"), "tmpfs\nalice");
  assertEquals(await look("ignore"), "alice");
  assertMatch(await look("bind"), /^\w+\nalice$/);
  assertEquals(await inside(host, ["--image-volume", "ignore", "-v", "v:/home"], "ls /home", image), "alice");
  assertEquals(
    await refusal(host, ["--image-volume", "foo"]),
    'invalid image volume mode "foo" required value: bind, anonymous, tmpfs, ignore',
  );
});

hostTest("mounts that cannot be are told before an image is pulled for them", {}, async (host) => {
  // nobody listens there: the image cannot be had
  const told = async (...words: string[]) => {
    const { code, stderr } = await host.skiff(["create", ...words, "localhost:1/nosuch", "true"]);
    assertEquals(code, 125);
    return stderr;
  };
  assertIncludes(await told("-v", `${host.home}:/x`), "connect to localhost:1");
  const missing = `${host.home}/missing`;
  for (
    const [words, cause] of [
      [["-v", "/a:b"], 'invalid container path "b"'],
      [["-v", `${missing}:/x`], `statfs ${missing}: no such file or directory`],
      [["-v", `${host.home}:/x`, "--tmpfs", "/x"], 'mount "/x": duplicate mount destination'],
      [["--mount", "type=frob,dst=/x"], 'invalid filesystem type "frob"'],
      [["--mount", `type=glob,src=${missing}*,dst=/x`], "no file paths matching glob"],
      [["--mount", "type=volume,src=v,dst=/x,volume-opt=type=nfs"], 'create volume of type "nfs"'],
      [["--volumes-from", "nosuch"], 'no container with name or ID "nosuch" found'],
    ] as const
  ) assertIncludes(await told(...words), cause);
});

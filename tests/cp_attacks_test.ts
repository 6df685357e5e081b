/** A container that lays traps for cp: names that change while they are copied, programs that would like to be run. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type TestOptions,
  waitFor,
} from "./harness.ts";
import { busyboxEntries } from "./images.ts";
import { compileProbe } from "./probes.ts";

/** As the test user, and as real root, whom nothing of the host would stop. */
function attackTest(name: string, options: TestOptions, fn: (host: Host) => Promise<void>): void {
  hostTest(name, options, fn);
  hostTest(`as root, ${name}`, { ...options, needs: ["root", ...(options.needs ?? [])], asRoot: true }, fn);
}

/** A container in which /data/dir, with a file, and /data/link, which leads out, change places without a pause. */
async function startFlipper(host: Host, name: string, link: string): Promise<number> {
  const image = await host.image();
  const flip = await compileProbe("flip_probe", host.folder);
  const script = `mkdir -p /data/dir; echo inside >/data/dir/file; ln -s '${link}' /data/link; cd /data
    exec /probe dir link`;
  const id = await host.ok(
    ...[
      "run",
      "-d",
      "--name",
      name,
      "--network",
      "none",
      "-v",
      `${flip}:/probe:ro`,
      image,
      "sh",
      "-c",
      script,
    ],
  );
  await waitFor("the flipper", async () => (await host.ok("logs", id)).includes("ready"));
  return Number(await host.ok("inspect", "--format", "{{.State.Pid}}", id));
}

/** What the container has in its own files: what it made, or what was copied in. */
const OWN = /^(inside|mine)\n$/;

attackTest("cp follows no name that a container changes meanwhile, either way (CVE-2018-15664)", {
  needs: ["registry", "busybox", "gcc"],
  timeoutMs: 240_000,
}, async (host) => {
  const outside = `${host.home}/outside`;
  const build = await host.sh(
    "mkdir outside mine mine/dir; echo canary >outside/file; echo mine >mine/dir/file; tar cf mine.tar -C mine dir",
  );
  assertEquals(build.code, 0);
  const unharmed = () => {
    assertEquals([...Deno.readDirSync(outside)].map(({ name }) => name), ["file"]);
    assertEquals(Deno.readTextFileSync(`${outside}/file`), "canary\n");
  };
  let out = 0, into = 0;
  for (
    const [index, link] of [outside, `../../../../../../../..${outside}`]
      .entries()
  ) {
    const box = `box${index}`;
    const pid = await startFlipper(host, box, link);
    // a busy machine lets fewer through
    const isEnough = () => index === 0 || (out >= 2 && into >= 6);
    for (let round = 0; round < 3 || (round < 30 && !isEnough()); round++) {
      // out of it: the file by its name, and the tree that changes below
      const file = await host.skiff(["cp", `${box}:/data/dir/file`, `got${round}`]);
      if (file.code === 0) {
        out++;
        assertMatch(Deno.readTextFileSync(`${host.home}/got${round}`), OWN);
      }
      const tree = await host.sh(
        `rm -rf tree; "$SKIFF" cp ${box}:/data tree; cat tree/*/file tree/file 2>&1; true`,
      );
      // what lies there by now is a folder or a link, and through the link this host would show its own file
      const real = [...Deno.readDirSync(`${host.home}/tree`)].filter((entry) => entry.isDirectory);
      for (const { name } of real) {
        assertMatch(Deno.readTextFileSync(`${host.home}/tree/${name}/file`), OWN);
      }
      assert(tree.code === 0 && real.length <= 2, tree.stderr);
      const tar = await host.sh(`"$SKIFF" cp ${box}:/data/dir - | tar xO; true`);
      assert(!tar.stdout.includes("canary"), tar.stdout);
      // into it: to the name, into the folder, over the tree, from an archive
      for (
        const script of [
          `"$SKIFF" cp mine/dir/file ${box}:/data/dir/file`,
          `"$SKIFF" cp mine/dir ${box}:/data/dir`,
          `"$SKIFF" cp --overwrite mine/. ${box}:/data`,
          `"$SKIFF" cp - ${box}:/data <mine.tar`,
        ]
      ) {
        if ((await host.sh(script)).code === 0) into++;
        unharmed();
      }
      // --overwrite may have put a folder in the link's place
      const again = `cd /data; until [ -h dir ] || [ -h link ]; do rm -rf link; ln -s '${link}' link; done
        [ -d dir ] || [ -d link ] || mkdir link; for d in dir link; do echo inside >$d/file; done 2>/dev/null; true`;
      await host.ok("exec", box, "sh", "-c", again);
    }
    if (link !== outside) continue;
    // Control: who goes into the container by names meets the link, and reads and writes the host's file.
    const control = await host.sh(`for i in $(seq 1 100000); do
      if grep -q canary /proc/${pid}/root/data/dir/file 2>/dev/null; then echo read; break; fi; done
      for i in $(seq 1 100000); do echo harmed 2>/dev/null >/proc/${pid}/root/data/dir/file
      if grep -q harmed outside/file; then echo written; break; fi; done; echo canary >outside/file`);
    assertEquals(control.stdout, "read\nwritten\n");
  }
  assert(out >= 2 && into >= 6, `only ${out} copies out and ${into} copies in went through at all`);
});

/** Any of these leaves a mark in its own root and, should it run on the host, beside the test. */
const TROJAN = (mark: string) => `#!/bin/sh\necho "$0" >>/mark; echo "$0" >>${mark}; exec cat\n`;

attackTest(
  "cp runs no program and loads no library of the container, nor one of the caller's PATH (CVE-2019-14271)",
  {
    needs: ["registry", "busybox", "gcc"],
  },
  async (host) => {
    const mark = `${host.home}/mark`;
    await host.sh(`mkdir path; cat >trojan.c <<'END'
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void run(void) {
	const char *marks[] = { "/mark", "${mark}" };
	for (int i = 0; i < 2; i++) {
		int fd = open(marks[i], O_CREAT | O_WRONLY | O_APPEND, 0666);
		if (write(fd, "library\\n", 8) < 0) close(fd);
	}
}
END
    gcc -shared -fPIC -o trojan.so trojan.c && mkdir site && echo s >site/s && tar czf site.tgz site`);
    const programs = [
      "unpigz",
      "pigz",
      "gzip",
      "gunzip",
      "xz",
      "unxz",
      "bzip2",
      "zstd",
      "tar",
      "cp",
      "getent",
      "sh",
    ];
    for (const name of programs.slice(0, -1)) {
      await Deno.writeTextFile(`${host.home}/path/${name}`, TROJAN(mark), { mode: 0o755 });
    }
    const library = Deno.readFileSync(`${host.home}/trojan.so`);
    const folders = ["lib", "lib64", "usr/lib", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    const libraries = [
      "libnss_files.so.2",
      "libnss_compat.so.2",
      "libc.so.6",
      "ld-linux-x86-64.so.2",
      "liblzma.so.5",
    ];
    const replaced = new Set(programs.slice(0, -1).flatMap((name) => [`bin/${name}`, `usr/bin/${name}`]));
    const image = await host.makeImage({
      layers: [{
        entries: [
          ...busyboxEntries().filter(({ path }) => !replaced.has(path)),
          ...[...replaced].map((path) => ({ path, mode: 0o755, content: TROJAN(mark) })),
          ...folders.flatMap((folder) => [
            { path: `${folder}/` },
            ...libraries.map((name) => ({ path: `${folder}/${name}`, mode: 0o755, content: library })),
          ]),
          { path: "etc/nsswitch.conf", content: "passwd: files compat\ngroup: files compat\n" },
          { path: "etc/ld.so.preload", content: "/lib/libnss_files.so.2\n" },
        ],
      }],
      config: { Env: ["PATH=/bin"], User: "alice" },
    });
    await host.ok("create", "--name", "box", "--network", "none", image, "sleep", "600");
    const path = { PATH: `${host.home}/path:${host.env.PATH}` };
    const copies =
      `"$SKIFF" cp site box:/tmp && "$SKIFF" cp - box:/tmp <site.tgz && "$SKIFF" cp box:/etc etc-$1 &&
    "$SKIFF" cp box:/usr - >out-$1.tar && "$SKIFF" export box >all-$1.tar`;
    for (const state of ["created", "running"]) {
      const { code, stderr } = await host.program(["/bin/sh", "-c", copies, "sh", state], {
        env: { ...path, SKIFF: host.binary },
      });
      assertEquals([state, code, stderr], [state, 0, ""]);
      if (state === "created") await host.ok("start", "box");
    }
    assertEquals(
      await host.ok("exec", "box", "ls", "-l", "/tmp/site/s").then((line) => line.split(/ +/)[2]),
      "alice",
    );
    const marks = await host.skiff(["exec", "-u", "0", "box", "cat", "/mark"]);
    assertIncludes(marks.stderr, "No such file");
    assert(!await exists(mark), "a program of the container or of the PATH ran on the host");
    // Control: run or loaded, each of them leaves its mark.
    await host.ok("exec", "-u", "0", "box", "unpigz");
    assertEquals(await host.ok("exec", "-u", "0", "box", "cat", "/mark"), "/bin/unpigz");
    await host.program(["/bin/sh", "-c", "echo x | xz"], { env: path });
    await host.program(["/bin/ls"], { env: { LD_PRELOAD: `${host.home}/trojan.so` } });
    assertMatch(Deno.readTextFileSync(mark), /\/path\/xz\nlibrary\n/);
  },
);

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

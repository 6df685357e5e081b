/**
 * Hostile contexts, archives and repositories (ATTACKS 2, 14 to 16 in builds). Each case has a control that shows that
 * the attack works on who is not on his guard.
 */

import { assert, assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";

const CANARY = "canary-7f3a";

/** A secret of the machine that the test user can read, and the folder it lies in. */
async function makeSecret(host: Host): Promise<{ folder: string; file: string }> {
  const folder = `${host.home}/secret`;
  await host.sh(`mkdir secret && echo ${CANARY} >secret/file`, { cwd: host.home });
  return { folder, file: `${folder}/file` };
}

/** What the image of a Dockerfile holds, all in one text; or what the build said. */
async function contentOf(
  host: Host,
  context: string,
  dockerfile: string,
): Promise<{ code: number; text: string }> {
  const out = `${host.home}/out`;
  const { code, stderr } = await host.skiff(["build", "-q", "-o", out, "-f", "-", context], {
    stdin: dockerfile,
  });
  if (code !== 0) return { code, text: stderr };
  const { stdout } = await host.sh(
    `cd ${out} && find . | sort && find . -type f -exec cat {} +; rm -rf ${out}`,
  );
  return { code, text: stdout };
}

hostTest("no link of a context leads out of it", {}, async (host) => {
  const secret = await makeSecret(host);
  const context = `${host.home}/context`;
  await host.sh(
    `mkdir -p context/d && cd context && ln -s ${secret.file} file && ln -s ${secret.folder} folder && ` +
      `ln -s ../secret up && ln -s ../../secret d/up && ln -s / root && ln -s /proc/self/cwd cwd && ` +
      `ln -s ${secret.file} Dockerfile && ln -s ${secret.file} .dockerignore`,
    { cwd: host.home },
  );
  // control: whoever follows them by name reads the secret
  for (const name of ["file", "folder/file", "up/file", "d/up/file"]) {
    const { stdout } = await host.sh(`cat ${context}/${name}`);
    assertEquals({ name, stdout }, { name, stdout: `${CANARY}\n` });
  }
  const lines = [
    ...[
      "file",
      "folder",
      "folder/file",
      "up",
      "up/file",
      "d/up",
      "d/up/file",
      "root/etc/passwd",
      "cwd",
      "fold*/file",
    ]
      .map((path) => `COPY ${path} /x/`),
    ...["file", "folder/", "up/"].map((path) => `ADD ${path} /x/`),
    "COPY --parents folder/file /x/",
    "COPY --parents d/./up/file /x/",
    "COPY . /x/",
    "COPY * /x/",
    `COPY ../secret /x/`,
  ];
  for (const line of lines) {
    const { text } = await contentOf(host, context, `FROM scratch\n${line}\nCOPY <<EOF /made\n\nEOF\n`);
    assertEquals({ line, leaks: text.includes(CANARY) }, { line, leaks: false });
  }
  const { code, stderr } = await host.skiff(["build", "-q", context]);
  assert(code !== 0 && !stderr.includes(CANARY), stderr);
  assert(
    stderr.endsWith(`it is a link that leads out of the context; -f ${context}/Dockerfile follows it\n`),
    stderr,
  );
});

hostTest(
  "a folder that becomes a link while it is copied leads nowhere",
  { needs: ["python3"] },
  async (host) => {
    const secret = await makeSecret(host);
    const context = `${host.home}/context`;
    await host.sh(
      `mkdir -p context/flip && echo own >context/flip/file && ln -s ${secret.folder} context/other`,
      {
        cwd: host.home,
      },
    );
    // RENAME_EXCHANGE, until the file that stops it is there
    const flipper = host.spawnProgram(["/usr/bin/python3", "-c", FLIP, context, `${host.home}/stop`]);
    try {
      // control: by name the secret is read, sooner or later
      const control = await host.sh(
        `for i in $(seq 100000); do if grep -qs ${CANARY} ${context}/flip/file; then echo leaked; exit; fi; done`,
      );
      assertEquals(control.stdout, "leaked\n");
      for (let round = 0; round < 12; round++) {
        const source = round % 2 === 0 ? "flip" : "flip/file";
        const { text } = await contentOf(host, context, `FROM scratch\nCOPY ${source} /x${round}/\n`);
        assert(!text.includes(CANARY), `${source}: ${text}`);
      }
    } finally {
      await Deno.writeTextFile(`${host.home}/stop`, "");
      await flipper.result;
    }
  },
);

const FLIP = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
while not os.path.exists(sys.argv[2]):
    for _ in range(200): libc.renameat2(-100, b"flip", -100, b"other", 2)
`;

hostTest(
  "no archive of an ADD or a context writes outside of its folder",
  { needs: ["python3"] },
  async (host) => {
    const { home } = host;
    await Deno.writeTextFile(`${home}/make.py`, MAKE_ARCHIVES);
    const made = await host.sh(
      `umask 022; mkdir -p context outside && echo own >outside/victim && chmod 600 outside/victim && ` +
        `python3 make.py ${home}/outside context`,
      { cwd: home },
    );
    assertEquals(made.code, 0, made.stderr);
    const names = (await host.sh("ls context", { cwd: home })).stdout.trim().split("\n");
    assert(names.length >= 6);
    const state = () =>
      host.sh("ls -lnR --time-style=+ outside; cat outside/*", { cwd: home }).then(({ stdout }) => stdout);
    const before = await state();
    // control: unpacked by names alone, each of them changes something outside
    for (const name of names) {
      await host.sh(
        `rm -rf control && mkdir -p control/a/b && python3 unpack.py context/${name} control/a/b`,
        { cwd: home },
      );
      const { stdout } = await host.sh("ls -lnR --time-style=+ outside control/*; cat outside/*", {
        cwd: home,
      });
      const escaped = !stdout.startsWith(before.slice(0, -1)) ||
        /evil/.test(stdout.split("control/a/b:")[0]!);
      assertEquals({ name, escaped }, { name, escaped: true });
      await host.sh(
        "rm -rf outside control && mkdir outside && umask 022 && echo own >outside/victim && chmod 600 outside/victim",
        { cwd: home },
      );
    }
    assertEquals(await state(), before);
    for (const name of names) {
      // beside the folder lies what must stay as it is
      const dockerfile = `FROM scratch\nCOPY <<EOF /a/victim\nkept\nEOF\nADD ${name} /a/b/c/\n`;
      const { code, text } = await contentOf(host, `${home}/context`, dockerfile);
      if (code === 0) {
        const outside = text.split("\n").filter((line) => /^\.\//.test(line) && !line.startsWith("./a/b/c"));
        assertEquals({ name, outside }, { name, outside: ["./a", "./a/b", "./a/victim"] });
        assertIncludes(text, "kept");
      }
      const stdin = await Deno.readFile(`${home}/context/${name}`);
      await host.skiff(["build", "-q", "-"], { stdin });
      assertEquals({ name, state: await state() }, { name, state: before });
    }
  },
);

const MAKE_ARCHIVES = `
import io, sys, tarfile
outside, folder = sys.argv[1], sys.argv[2]
def entry(name, data=b"evil", **more):
    info = tarfile.TarInfo(name)
    info.size = len(data) if "type" not in more else 0
    for key, value in more.items(): setattr(info, key, value)
    return info, data
ARCHIVES = {
    "dots": [entry("../evil")],
    "dots-deep": [entry("x/../../evil")],
    "absolute": [entry(outside + "/evil")],
    "link-folder": [entry("l", type=tarfile.SYMTYPE, linkname=outside), entry("l/evil")],
    "link-up": [entry("l", type=tarfile.SYMTYPE, linkname=".."), entry("l/evil")],
    "link-file": [entry("l", type=tarfile.SYMTYPE, linkname=outside + "/victim"), entry("l")],
    "hard-link": [entry("h", type=tarfile.LNKTYPE, linkname=outside + "/victim"), entry("h")],
}
for name, entries in ARCHIVES.items():
    with tarfile.open(folder + "/" + name + ".tar", "w") as archive:
        for info, data in entries: archive.addfile(info, io.BytesIO(data) if info.size else None)
# what somebody does who trusts the names
open("unpack.py", "w").write('''
import os, sys, tarfile
for info in tarfile.open(sys.argv[1]):
    path = os.path.join(sys.argv[2], info.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if info.issym(): os.symlink(info.linkname, path)
    elif info.islnk(): os.link(info.linkname, path)
    else: open(path, "wb").write(tarfile.open(sys.argv[1]).extractfile(info).read() if False else b"evil")
''')
`;

hostTest(
  "a repository runs nothing here and reads no file of this machine",
  { needs: ["git"] },
  async (host) => {
    const { home } = host;
    const secret = await makeSecret(host);
    const made = await host.sh(
      `set -e; umask 022; git config --global user.name t; git config --global user.email t@example.org
git init -q -b main victim; cd victim; cp ${secret.file} file; git add -A; git commit -q -m v; cd ..
git init -q -b main repo; cd repo
printf '[submodule "s"]\\n\\tpath = s\\n\\turl = ${home}/victim\\n' >.gitmodules
git -c protocol.file.allow=always submodule --quiet add --force ${home}/victim s
printf '* filter=evil diff=evil\\n' >.gitattributes
ln -s ${secret.file} link; ln -s ${secret.folder} folder
printf 'FROM scratch\\nCOPY . /c/\\n' >Dockerfile; git add -A; git commit -q -m r
mkdir -p ../served; cp -r .git ../served/repo.git; cd ../served/repo.git; git update-server-info`,
      { cwd: home, env: { HOME: home } },
    );
    assertEquals(made.code, 0, made.stderr);
    // the user's own configuration has a filter and a hook, which the repository asks for
    await host.sh(
      `git config --global filter.evil.smudge "touch ${home}/smudged; cat"; mkdir hooks; ` +
        `printf '#!/bin/sh\\ntouch ${home}/hooked\\n' >hooks/post-checkout; chmod 755 hooks/post-checkout; ` +
        `git config --global core.hooksPath ${home}/hooks`,
      { cwd: home, env: { HOME: home } },
    );
    await using server = serveFolder(`${home}/served`);
    const address = `${server.url}/repo.git`;
    // control: git itself, with that configuration, runs both and takes the files of this machine
    await host.sh(`git -c protocol.file.allow=always clone -q --recurse-submodules ${address} control`, {
      cwd: home,
    });
    const control = await host.sh(`cat control/s/file control/link; ls smudged hooked`, { cwd: home });
    assertEquals(control.stdout, `${CANARY}\n${CANARY}\nhooked\nsmudged\n`);
    await host.sh("rm -f smudged hooked", { cwd: home });

    const taken = await host.skiff(["build", "-q", address]);
    assertEquals(taken.code, 1);
    assertIncludes(taken.stderr, "transport 'file' not allowed");
    assert(!taken.stderr.includes(CANARY), taken.stderr);
    for (const line of ["link", "folder", "folder/file"]) {
      const { text } = await contentOf(host, `${home}/repo`, `FROM scratch\nCOPY ${line} /x/\n`);
      assert(!text.includes(CANARY), text);
    }
    for (const scheme of ["ext::sh -c touch% " + home + "/ext", `file://${home}/victim`]) {
      const { text } = await contentOf(host, home, `FROM scratch\nADD ${scheme}#main /x/\n`);
      assert(!text.includes(CANARY), text);
    }
    assertEquals((await host.sh("ls ext smudged hooked 2>/dev/null", { cwd: home })).stdout, "");
  },
);

hostTest(
  "files are given to nobody whose id does not fit, whatever the accounts of the image say",
  {},
  async (host) => {
    const context = `${host.home}/context`;
    const secret = await makeSecret(host);
    await host.sh(
      `mkdir -p context/big context/minus context/pipe context/link context/long && cd context && echo f >f && ` +
        `echo 'eve:x:4294967296:0::/:' >big/passwd && echo 'eve:x:-1:-1::/:' >minus/passwd && mkfifo pipe/passwd && ` +
        `ln -s ${secret.file} link/passwd && { head -c 5000000 /dev/zero | tr '\\0' 'x'; echo; echo 'eve:x:1:1::/:'; } >long/passwd`,
      { cwd: host.home },
    );
    // control: who opens the pipe waits for ever
    assertEquals((await host.sh(`timeout 1 cat ${context}/pipe/passwd`)).code, 124);
    const CASES: [owner: string, passwd: string, said: string][] = [
      ["4294967296", "", "must be in range 0-2147483647"],
      ["0:4294967295", "", "must be in range 0-2147483647"],
      ["-1", "", "must be in range 0-2147483647"],
      ["eve", "big", "unable to find user eve"],
      ["eve", "minus", "unable to find user eve"],
      ["eve", "pipe", "unable to find user eve"],
      ["eve", "link", "unable to find user eve"],
      ["eve", "long", "/etc/passwd"],
    ];
    for (const [owner, passwd, said] of CASES) {
      const accounts = passwd === "" ? "" : `COPY ${passwd} /etc/\n`;
      const { code, text } = await contentOf(
        host,
        context,
        `FROM scratch\n${accounts}COPY --chown=${owner} f /f\n`,
      );
      assertEquals({ owner, passwd, isBuilt: code === 0 }, { owner, passwd, isBuilt: false });
      assertIncludes(text, said);
      assert(!text.includes(CANARY), text);
    }
  },
);

hostTest("a file of a terabyte of nothing costs neither disk nor time", {}, async (host) => {
  const context = `${host.home}/context`;
  const made = await host.sh(
    `mkdir context && cd context && truncate -s 1T holes && tar -S -cf holes.tar holes && ` +
      `printf 'FROM scratch AS a\\nADD holes.tar /x/\\nCOPY holes /y\\nFROM scratch\\nCOPY --from=a / /z/\\n' >Dockerfile`,
    { cwd: host.home },
  );
  assertEquals(made.code, 0, made.stderr);
  // control: it is as large as it says
  assertEquals((await host.sh(`stat -c %s holes`, { cwd: context })).stdout, `${2 ** 40}\n`);
  const { code, stderr } = await host.skiff(["build", "-q", context]);
  assertEquals(code, 0, stderr);
  const { stdout } = await host.sh(`du -sm --apparent-size ${host.data}/blobs; du -sm ${host.data}`);
  const [blobs, all] = stdout.split("\n").map((line) => Number(line.split("\t")[0]));
  assert(blobs! < 10 && all! < 20, stdout);
});

/** Files of a folder by http on loopback. */
function serveFolder(folder: string): { url: string } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    try {
      return new Response(await Deno.readFile(`${folder}${new URL(request.url).pathname}`));
    } catch {
      return new Response("not here", { status: 404 });
    }
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

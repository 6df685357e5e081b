/** COPY, ADD, WORKDIR and what a build reads its files from. */

import { FORMS } from "./build_copy/forms.ts";
import { CONTEXT_TIME, makeContext } from "./build_copy/context.ts";
import { type ImageEntry, linesBelow, readTree } from "./build_copy/tree.ts";
import { assertEquals, assertIncludes, driverTest, type Host, hostTest, waitFor } from "./harness.ts";
import { configurePodman, runLines } from "./podman_parity/engines.ts";

function dockerfile(forms: readonly { name: string; line: string }[]): string {
  const lines = forms.map(({ name, line }) => line.replaceAll(/\bT\b/g, `/t/${name}`));
  return [
    "FROM scratch AS other",
    "COPY --chown=7:8 stage/o /o/owned",
    "COPY stage/o /o/sub/plain",
    "FROM scratch",
    "COPY base/ /",
    ...lines,
    'CMD ["nothing"]',
    "",
  ].join("\n");
}

async function exported(host: Host, path: string): Promise<Map<string, ImageEntry>> {
  const tree = readTree(await Deno.readFile(path));
  await host.program(["rm", "-f", path]);
  return tree;
}

/** The trees of an image that an engine makes of the forms. */
async function buildForms(
  host: Host,
  engine: "skiff" | "podman",
  context: string,
  forms: readonly { name: string; line: string }[],
): Promise<Map<string, ImageEntry>> {
  const [file, tar] = [`${host.home}/${engine}.docker`, `${host.home}/${engine}.tar`];
  await Deno.writeTextFile(file, dockerfile(forms));
  const outcomes = await runLines(host, engine, "", [
    `E build ${engine === "podman" ? "--layers=false" : ""} -q -t forms -f ${file} ${context}`,
    `E create --name made forms && E export -o ${tar} made && E rm made`,
    // podman leaves a process that holds its namespace
    engine === "podman" ? "E system migrate" : "true",
  ]);
  for (const { code, stderr } of outcomes) {
    assertEquals({ code, stderr: code === 0 ? "" : stderr }, { code: 0, stderr: "" });
  }
  return await exported(host, tar);
}

hostTest("COPY and ADD make the trees of the reference", { needs: ["zstd", "xz", "bzip2"] }, async (host) => {
  const context = await makeContext(host);
  const tree = await buildForms(host, "skiff", context, FORMS);
  for (const { name, tree: lines } of FORMS) {
    assertEquals({ name, lines: linesBelow(tree, `t/${name}`) }, { name, lines: [...lines].sort() });
  }
  // files and the folders of a copied folder keep their times
  for (const path of ["t/new-file", "t/contents/sub/", "t/contents/link", "t/link/f.txt", "t/stage/owned"]) {
    assertEquals({ path, mtime: tree.get(path)?.mtime }, { path, mtime: CONTEXT_TIME });
  }
  assertEquals(tree.get("t/question/x.go")?.text, "go2\n");
  assertEquals(tree.get("t/heredoc")?.text, "hello\n");
  assertEquals(tree.get("t/heredocs/two")?.text, "2\n");
});

hostTest("COPY and ADD make the trees that podman makes", {
  needs: ["root", "podman", "crun", "python3", "zstd", "xz", "bzip2"],
  timeoutMs: 900_000,
}, async (host) => {
  await configurePodman(host);
  const context = await makeContext(host);
  const shared = FORMS.filter(({ podman }) => podman === undefined);
  const tree = await buildForms(host, "podman", context, shared);
  for (const { name, tree: lines } of shared) {
    assertEquals({ name, lines: linesBelow(tree, `t/${name}`) }, { name, lines: [...lines].sort() });
  }
});

hostTest("COPY follows the links of the image, and says what cannot be", {}, async (host) => {
  const context = await makeContext(host);
  const build = (...lines: string[]) => {
    const stdin = ["FROM scratch", "COPY base/ /", ...lines, 'CMD ["nothing"]', ""].join("\n");
    return host.skiff(["build", "-q", "-t", "links", "-f", "-", context], { stdin });
  };
  const made = await build(
    "COPY f.txt /lib/",
    "COPY f.txt /flink",
    "COPY f.txt /t/newlink/",
    "WORKDIR /w/x",
    "COPY f.txt .",
    "COPY f.txt inner/",
    "WORKDIR y",
  );
  assertEquals(made.code, 0, made.stderr);
  await host.ok("create", "--name", "made", "links");
  await host.ok("export", "-o", `${host.home}/links.tar`, "made");
  const tree = await exported(host, `${host.home}/links.tar`);
  assertEquals(tree.get("lib")?.line, " -> usr/lib");
  assertEquals(tree.get("usr/lib/f.txt")?.text, "f\n");
  assertEquals(tree.get("flink")?.line, " -> /real/file");
  assertEquals(tree.get("real/file")?.text, "f\n");
  assertEquals(tree.get("t/newlink")?.line, " -> /t/made");
  assertEquals(tree.get("t/made/f.txt")?.text, "f\n");
  assertEquals(linesBelow(tree, "w"), [
    "./ 755",
    "x/ 755",
    "x/f.txt 644",
    "x/inner/ 755",
    "x/inner/f.txt 644",
    "x/y/ 755",
  ]);

  const FAULTS: [line: string, said: string][] = [
    ["COPY missing /x", '"/missing": not found'],
    ["COPY f.txt missing/file /x/", '"/missing/file": not found'],
    ["COPY --parents d/missing /x/", '"/d/missing": not found'],
    ["COPY e/dangling /x", '"/e/dangling": not found'],
    ["COPY e/absolute /x", '"/e/absolute": not found'],
    ["COPY ../../etc/passwd /x", '"/etc/passwd": not found'],
    ["COPY d /t/is-file", "cannot copy to non-directory: /t/is-file"],
    ["COPY f.txt /t/is-file/", "mkdir /t/is-file: not a directory"],
    ["COPY --chown=nobody-here f.txt /x", "unable to find user nobody-here"],
    ["COPY --chown=0:nobody-here f.txt /x", "unable to find group nobody-here"],
    ["COPY f.txt x.sh /x", "the destination must be a directory and end with a /"],
  ];
  for (const [line, said] of FAULTS) {
    const { code, stderr } = await build(line);
    assertEquals({ line, code }, { line, code: 1 });
    assertIncludes(stderr, said);
    // the place in the Dockerfile
    assertIncludes(stderr, `   3 | >>> ${line}`);
  }
});

hostTest(
  ".dockerignore, the Dockerfile's own and --ignorefile say what a context holds",
  {},
  async (host) => {
    const context = `${host.home}/context`;
    const outside = `${host.home}/outside`;
    await host.sh(
      `mkdir -p context/keep/deep context/drop/kept outside && cd context && ` +
        `for f in a.md b.txt keep/c.md keep/deep/d.txt drop/e drop/kept/f; do echo $f >$f; done && ` +
        `printf '**/*.md\\ndrop\\n!drop/kept\\n' >.dockerignore && echo '*' >all.ignore && ` +
        `printf 'FROM scratch\\nCOPY . /c/\\n' >Dockerfile && cp Dockerfile Own && cp Dockerfile ../outside/Other && ` +
        `printf 'keep\\nOwn*\\n' >Own.dockerignore && printf '*\\n!b.txt\\n' >../outside/Other.dockerignore`,
    );
    const paths = async (...words: string[]) => {
      const destination = `${host.home}/out`;
      const { code, stderr } = await host.skiff(["build", "-q", "-o", destination, ...words, context]);
      assertEquals(code, 0, stderr);
      const { stdout } = await host.sh(
        `cd ${destination} 2>/dev/null && find . -type f | sort; rm -rf ${destination}`,
      );
      return stdout.trim().split("\n").filter((line) => line !== "");
    };
    assertEquals(await paths(), [
      "./c/.dockerignore",
      "./c/Dockerfile",
      "./c/Own",
      "./c/Own.dockerignore",
      "./c/all.ignore",
      "./c/b.txt",
      "./c/drop/kept/f",
      "./c/keep/deep/d.txt",
    ]);
    assertEquals(await paths("-f", `${context}/Own`), [
      "./c/.dockerignore",
      "./c/Dockerfile",
      "./c/a.md",
      "./c/all.ignore",
      "./c/b.txt",
      "./c/drop/e",
      "./c/drop/kept/f",
    ]);
    assertEquals(await paths("-f", `${outside}/Other`), ["./c/b.txt"]);
    assertEquals(await paths("--ignorefile", `${context}/all.ignore`), []);
    // a home has our own store in it, which is no part of any context
    const stdin = 'FROM scratch\nCOPY . /h/\nCMD ["nothing"]\n';
    const home = await host.skiff(["build", "-q", "-t", "home", "-f", "-", host.home], { stdin });
    assertEquals(home.code, 0, home.stderr);
    await host.ok("create", "--name", "made", "localhost/home");
    await host.ok("export", "-o", `${host.home}/home.tar`, "made");
    const found = [...(await exported(host, `${host.home}/home.tar`)).keys()];
    assertEquals(found.includes("h/context/a.md"), true);
    assertEquals(found.filter((path) => path.includes("share/skiff")), []);
  },
);

hostTest("a context comes as an archive or Dockerfile on stdin, from an address, and from a repository", {
  needs: ["git", "zstd", "xz"],
}, async (host) => {
  const folder = `${host.home}/context`;
  const made = await host.sh(
    `umask 022; mkdir -p context/inner served && cd context && echo f >inner/f && chmod 600 inner/f && ` +
      `printf 'FROM scratch\\nCOPY inner /c/\\nCMD ["x"]\\n' >Dockerfile && ` +
      `printf 'FROM scratch\\nCOPY inner /other/\\nCMD ["x"]\\n' >inner/Other && ` +
      `tar -cf ../served/c.tar . && zstd -q ../served/c.tar && xz -k ../served/c.tar && cp Dockerfile ../served/ && ` +
      // a repository that is served as files, with a branch and a tag
      `git init -q -b main . && git config user.name t && git config user.email t@example.org && git add -A && ` +
      `git commit -q -m one && git tag v1 && echo two >inner/f && git commit -q -a -m two && ` +
      `git checkout -q -b side && echo side >inner/f && git commit -q -a -m side && git checkout -q main && ` +
      `cp -r .git ../served/repo.git && cd ../served/repo.git && git update-server-info && mkdir hooks.d && ` +
      `printf '#!/bin/sh\\ntouch ${host.home}/hook-ran\\n' >hooks/post-checkout && chmod 755 hooks/post-checkout`,
    { env: { HOME: host.home } },
  );
  assertEquals(made.code, 0, made.stderr);
  await using server = serveFolder(`${host.home}/served`);
  const commit = (await host.sh(`git -C ${folder} rev-parse v1`)).stdout.trim();
  /** The files that the image of a context has. */
  const files = async (words: string[], stdin?: Uint8Array | string) => {
    const destination = `${host.home}/out`;
    const { code, stderr } = await host.skiff(["build", "-q", "-o", destination, ...words], {
      stdin,
      cwd: host.home,
    });
    if (code !== 0) return stderr;
    const { stdout } = await host.sh(
      `cd ${destination} && find . -type f -printf '%P %m ' -exec head -n1 {} \\; | sort; rm -rf ${destination}`,
    );
    return stdout.trim();
  };
  const tar = (name: string) => Deno.readFile(`${host.home}/served/${name}`);
  const one = "c/Other 644 FROM scratch\nc/f 600 f";
  assertEquals(await files(["-"], await tar("c.tar")), one);
  assertEquals(await files(["-"], await tar("c.tar.zst")), one);
  assertEquals(await files(["-"], await tar("c.tar.xz")), one);
  assertEquals((await files(["-f", "inner/Other", "-"], await tar("c.tar"))).replaceAll("other/", "c/"), one);
  assertEquals(await files(["-"], "FROM scratch\nCOPY <<EOF /only\nhere\nEOF\n"), "only 644 here");
  assertIncludes(await files(["-"], "FROM scratch\nCOPY inner /c/\n"), '"/inner": not found');
  assertEquals(
    await files(["-f", "-", folder], "FROM scratch\nCOPY inner/f /of-stdin\n"),
    "of-stdin 644 two",
  );
  assertEquals(await files([`${server.url}/c.tar.zst`]), one);
  assertIncludes(await files([`${server.url}/Dockerfile`]), '"/inner": not found');
  assertIncludes(await files([`${server.url}/missing.tar`]), "there is no such file");

  const lines = (text: string) => text.split("\n").filter((line) => line.includes("/f "));
  const repository = `${server.url}/repo.git`;
  assertEquals(lines(await files([repository])), ["c/f 644 two"]);
  assertEquals(lines(await files([`${repository}#v1`])), ["c/f 644 f"]);
  assertEquals(lines(await files([`${repository}#side`])), ["c/f 644 side"]);
  assertEquals(lines(await files([`${repository}#${commit}`])), ["c/f 644 f"]);
  assertEquals(
    await files(["-f", "Other", `${repository}#main:inner`]).then((text) => text.includes('"/inner"')),
    true,
  );
  const head = "FROM scratch\nCOPY .git/HEAD /\nCOPY --from=named .git/HEAD /named\n";
  const withGit = ["--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"];
  const named = ["--build-context", `named=${repository}#side`, "-f", "-", repository];
  const ids = (await files([...withGit, ...named], head)).split("\n").map((line) => line.split(" ")[2]);
  const wanted = await host.sh(`git -C ${folder} rev-parse main side`);
  assertEquals(ids, wanted.stdout.trim().split("\n"));
  assertIncludes(await files(named, head), '"/.git/HEAD": not found');
  assertIncludes(await files([`${repository}#nowhere`]), "nowhere");
  assertIncludes(
    await files([`${repository}#:missing`]),
    'subdirectory "missing" of the repository not found',
  );
  assertIncludes(await files([`${repository}#--upload-pack=touch /tmp/x`]), "malformed");

  // the same as sources of ADD
  const add = `FROM scratch\nADD ${repository}#v1 /r/\nADD --keep-git-dir=true ${repository} /g/\n` +
    `ADD ${server.url}/Dockerfile /d/\nADD --chmod=644 ${server.url}/c.tar /t/\n` +
    `ADD --checksum=sha256:${await sha256(
      await tar("c.tar"),
    )} --unpack=true ${server.url}/c.tar /u/\nCMD ["x"]\n`;
  const added = (await files(["-"], add)).split("\n").map((line) => line.split(" ").slice(0, 2).join(" "));
  for (
    const line of [
      "r/inner/f 644",
      "g/inner/f 644",
      "g/.git/HEAD 644",
      "d/Dockerfile 600",
      "t/c.tar 644",
      "u/inner/f 600",
    ]
  ) {
    assertEquals({ line, isThere: added.includes(line) }, { line, isThere: true });
  }
  assertEquals(added.some((line) => line.startsWith("r/.git")), false);
  const wrong = `FROM scratch\nADD --checksum=sha256:${"0".repeat(64)} ${server.url}/c.tar /t/\n`;
  assertIncludes(await files(["-"], wrong), "digest mismatch sha256:");
  assertEquals(
    await host.sh(`ls ${host.home}/hook-ran ${host.data}/tmp 2>/dev/null`).then(({ stdout }) =>
      stdout.trim()
    ),
    `${host.data}/tmp:`,
  );
});

/** Files of a folder by http on loopback. */
function serveFolder(folder: string): { url: string } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    try {
      const path = `${folder}${decodeURIComponent(new URL(request.url).pathname)}`;
      const headers = { "last-modified": new Date(CONTEXT_TIME * 1000).toUTCString() };
      return new Response(await Deno.readFile(path), { headers });
    } catch {
      return new Response("not here", { status: 404 });
    }
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Layers of `EVERYWHERE`, and the one of all, whoever builds it: no name, id or time of a machine gets into one. */
const EVERYWHERE_LAYERS = [
  "8a2f3f1d5dcee33c73d706ea0c84af678a926f919dc6479d0116ccddf2ff16dc",
  "5a0b8c88ab1e4ab876cb00eb3fb9c1b51d2fbbab0e9fb981c289b5bfa73f175a",
];
const EVERYWHERE = `FROM scratch AS other
COPY --chown=7:8 f.txt /o/owned
COPY f.txt /o/plain
FROM scratch
COPY base/ /
COPY d /t/d
COPY --chown=alice d /t/alice
COPY --link --chown=3:4 d /t/link
COPY --from=other /o /t/o
COPY --chmod=u+x,g= d/a /lib/
ADD a.tar.gz /t/ar/
ADD --chown=9 a.tar.gz /t/ar9/
WORKDIR /w/x
COPY --parents d/./sub/c.txt /t/p/
`;

type Skiff = (...words: string[]) => Promise<string>;

async function layersOf(skiff: Skiff, context: string, dockerfile: string): Promise<string[]> {
  const built: string[] = [];
  for (const how of ["--no-cache", "--squash-all"]) {
    const id = await skiff("build", "-q", how, "--timestamp", "0", "-f", dockerfile, context);
    const layers = await skiff("image", "inspect", "-f", "{{json .RootFS.Layers}}", id.trim());
    built.push(await sha256(new TextEncoder().encode(layers.trim())));
  }
  return built;
}

driverTest("a build makes the same layers", { needs: ["zstd", "xz", "bzip2"] }, async (host) => {
  const context = await makeContext(host);
  await Deno.writeTextFile(`${host.home}/everywhere`, EVERYWHERE);
  const layers = await layersOf((...words) => host.ok(...words), context, `${host.home}/everywhere`);
  assertEquals(layers, EVERYWHERE_LAYERS);
});

hostTest(
  "a build as root makes the same layers",
  { needs: ["root", "zstd", "xz", "bzip2"], asRoot: true },
  async (host) => {
    const context = await makeContext(host);
    await Deno.writeTextFile(`${host.home}/everywhere`, EVERYWHERE);
    const layers = await layersOf((...words) => host.ok(...words), context, `${host.home}/everywhere`);
    assertEquals(layers, EVERYWHERE_LAYERS);
  },
);

hostTest(
  "a user with one id makes the same layers",
  { needs: ["root", "zstd", "xz", "bzip2"] },
  async (host) => {
    const context = await makeContext(host);
    const id = 54322;
    const home = `${host.folder}/nobodys`;
    await Deno.mkdir(home);
    await new Deno.Command("cp", { args: ["-a", context, `${home}/context`] }).output();
    await Deno.writeTextFile(`${home}/everywhere`, EVERYWHERE);
    await new Deno.Command("chown", { args: ["-R", `${id}:${id}`, home] }).output();
    const skiff: Skiff = async (...words) => {
      const { code, stdout, stderr } = await new Deno.Command("/usr/bin/setpriv", {
        args: [`--reuid=${id}`, `--regid=${id}`, "--clear-groups", "--inh-caps=-all", host.binary, ...words],
        clearEnv: true,
        env: { ...host.env, HOME: home, USER: "", XDG_CACHE_HOME: `${home}/.cache` },
        cwd: home,
      }).output();
      assertEquals({ code, stderr: code === 0 ? "" : new TextDecoder().decode(stderr) }, {
        code: 0,
        stderr: "",
      });
      return new TextDecoder().decode(stdout);
    };
    try {
      assertEquals(await layersOf(skiff, `${home}/context`, `${home}/everywhere`), EVERYWHERE_LAYERS);
      // owners that are only written down are told apart by the cache as well
      const layers = new Set<string>();
      for (const owner of [5, 6]) {
        const file = `${home}/owner-${owner}`;
        const copies = `COPY --chown=${owner}:${owner} <<F /f\nhi\nF\nFROM scratch\nCOPY --from=one /f /f\n`;
        await Deno.writeTextFile(file, `FROM scratch AS one\n${copies}`);
        const image = (await skiff("build", "-q", "-f", file, `${home}/context`)).trim();
        layers.add(await skiff("image", "inspect", "-f", "{{json .RootFS.Layers}}", image));
      }
      assertEquals(layers.size, 2);
    } finally {
      await Deno.remove(`/tmp/skiff-${id}`, { recursive: true }).catch(() => {});
    }
  },
);

hostTest("what of a large context cannot be read is named", { needs: ["root"] }, async (host) => {
  const context = `${host.home}/context`;
  // so many that several processes read them; the second is never the first one's
  const made = await host.sh(
    `mkdir context && cd context && printf 'FROM scratch\\nCOPY f* /f/\\n' >Dockerfile && ` +
      `i=1000; while [ $i -lt 2100 ]; do echo $i >f$i; i=$((i+1)); done`,
  );
  assertEquals(made.code, 0, made.stderr);
  await Deno.chown(`${context}/f1001`, 0, 0);
  await Deno.chmod(`${context}/f1001`, 0);
  const { code, stderr } = await host.skiff(["build", context]);
  assertEquals(code, 1);
  assertIncludes(stderr, 'Error: failed to read "/f1001": permission denied');
});

hostTest(
  "what a COPY reads decides whether it is done again: names, modes, bytes and owners, never times",
  {},
  async (host) => {
    const context = `${host.home}/context`;
    await host.sh(
      `umask 022; mkdir -p context/d && cd context && echo one >d/one && echo two >d/two && ln -s one d/link && ` +
        `echo skip >skipped && printf 'skipped\\nDockerfile\\n.dockerignore\\n' >.dockerignore && ` +
        `printf 'FROM scratch AS files\\nCOPY . /c/\\nFROM scratch\\nCOPY --from=files /c/d /d/\\n' >Dockerfile`,
    );
    /** Which of the two steps were found in the cache, after a change made in the context. */
    const after = async (change: string) => {
      const changed = await host.sh(`cd context && ${change}`);
      assertEquals(changed.code, 0, changed.stderr);
      const { code, stderr } = await host.skiff(["build", "--progress", "plain", context]);
      assertEquals(code, 0, stderr);
      return [...stderr.matchAll(/^#(\d+) \[.*\] COPY/gm)].map(([, step]) =>
        stderr.includes(`#${step} CACHED\n`)
      );
    };
    assertEquals(await after("true"), [false, false]);
    assertEquals(await after("true"), [true, true]);
    assertEquals(await after("touch -d 2001-01-01 d d/one; touch -h d/link"), [true, true]);
    assertEquals(await after("cp -r d e && rm -r d && mv e d"), [true, true]);
    assertEquals(await after("echo other >skipped"), [true, true]);
    assertEquals(await after("chmod 600 d/one"), [false, false]);
    assertEquals(await after("echo new >beside"), [false, true]);
    // as long, and as old as before
    assertEquals(await after("touch -r d/two stamp && echo TWO >d/two && touch -r stamp d/two && rm stamp"), [
      false,
      false,
    ]);
    assertEquals(await after("ln -sfn two d/link"), [false, false]);
    assertEquals(await after("mv d/two d/three"), [false, false]);
    assertEquals(await after("mkdir d/empty"), [false, false]);
    assertEquals(await after("rmdir d/empty"), [true, true]);
  },
);

hostTest("a build that is killed while it copies leaves nothing behind the next", {}, async (host) => {
  const context = `${host.home}/context`;
  const made = await host.sh(
    `mkdir context && cd context && for d in $(seq 40); do mkdir $d; for f in $(seq 50); do echo $d $f >$d/$f; done; done; ` +
      `printf 'FROM scratch\\nCOPY . /c/\\n' >Dockerfile`,
  );
  assertEquals(made.code, 0, made.stderr);
  const left = () =>
    [...Deno.readDirSync(`${host.data}/tmp`)].filter(({ name }) => name.startsWith("steps-")).length;
  for (const delayMs of [0, 20, 60]) {
    const build = host.spawn(["build", "-q", context]);
    // it may be over before anybody looks
    let hasEnded = false;
    const end = build.result.then(() => hasEnded = true);
    const hasBegun = () => {
      try {
        return left() > 0;
      } catch {
        return false; // the data folder is not made yet
      }
    };
    await waitFor("the copy's folder", () => hasEnded || hasBegun());
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    try {
      build.child.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await end;
  }
  const id = await host.ok("build", "-q", context);
  assertEquals(left(), 0);
  const { stdout } = await host.skiff(["build", "-q", "-o", "-", context]);
  assertEquals(id.startsWith("sha256:"), true);
  const tree = readTree(new TextEncoder().encode(stdout));
  assertEquals([...tree.keys()].filter((path) => /^c\/\d+\/\d+$/.test(path)).length, 2000);
});

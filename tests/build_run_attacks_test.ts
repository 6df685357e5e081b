/**
 * Hostile steps and images in RUN (ATTACKS 2, 15, 16, 26, 36 in builds): mounts, caches, secrets. Each has a control
 * that shows that the attack works on who is not on his guard.
 */
import { assert, assertEquals, assertIncludes, type Host, hostTest, waitFor } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

const CANARY = "canary-5d21";

/** A folder of the machine that the test user may read and write, outside of every context and store. */
async function makeOutside(host: Host): Promise<string> {
  const folder = `${host.home}/outside`;
  await host.sh(`mkdir outside && echo ${CANARY} >outside/file`, { cwd: host.home });
  return folder;
}

async function outsideNow(folder: string): Promise<string[]> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  return [...names, await Deno.readTextFile(`${folder}/file`)];
}

const UNTOUCHED = ["file", `${CANARY}\n`];

function build(host: Host, dockerfile: string, ...options: string[]) {
  const context = `${host.home}/context`;
  Deno.mkdirSync(context, { recursive: true });
  return host.skiff(["build", "--progress", "plain", "--no-cache", ...options, "-f", "-", context], {
    stdin: dockerfile,
  });
}

hostTest("the source of a mount is looked for inside the tree that it is of", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const outside = await makeOutside(host);
  const image = await host.makeImage({
    layers: [{
      entries: [
        ...busyboxEntries(),
        { path: "link", link: outside },
        { path: "up", link: `../../../../../../../../..${outside}` },
        { path: "d/" },
        { path: "d/through", link: "/link/file" },
      ],
    }],
  });
  // control: by name they lead there
  assertEquals((await host.sh(`ln -s ${outside} link; cat link/file`)).stdout, `${CANARY}\n`);
  for (const source of ["/link", "/up", "/d/through", `/../../..${outside}`, "/proc/self/root"]) {
    for (const type of ["bind,rw", "cache"]) {
      const { code, stderr } = await build(
        host,
        `FROM ${image}\nRUN --mount=type=${type},from=${image},source=${source},target=/m ` +
          `find /m; cat /m /m/file; echo changed >/m/file; echo x >/m/new\n`,
      );
      assert(!stderr.includes(CANARY), `${type} ${source}: ${stderr}`);
      assert(code !== 0, `${type} ${source}: ${stderr}`);
      assertEquals(await outsideNow(outside), UNTOUCHED);
    }
  }
});

hostTest("a cache's id names no path, and what one step leaves in it leads no mount of another out", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const outside = await makeOutside(host);
  const id = `../../../../../../../../../..${outside}`;
  // control: as a path it leads there
  await host.sh(`umask 077; mkdir -p ${host.data}/build-cache`);
  assertEquals((await host.sh(`cat ${host.data}/build-cache/${id}/file`)).stdout, `${CANARY}\n`);
  const written = await build(
    host,
    `FROM ${image}
RUN --mount=type=cache,target=/c,id=${id} test ! -e /c/file && echo changed >/c/file && echo x >/c/new
RUN mkdir -p ${outside}
RUN --mount=type=cache,target=/c,id=links ln -s ${outside} /c/sub && ln -s ${outside}/file /c/one && ln -s / /c/root
RUN --mount=type=cache,target=/c,id=links --mount=type=tmpfs,target=/c/sub/made \\
    --mount=type=tmpfs,target=/c/root/tmp/t --mount=type=secret,id=s,target=/c/sub/secret \\
    echo x >/c/sub/made/new; echo y >/c/sub/new; ls -d ${outside}
`,
    ...["--secret", `id=s,src=${outside}/file`],
  );
  assertEquals(written.code, 0, written.stderr);
  assertEquals(await outsideNow(outside), UNTOUCHED);
  const names = [...Deno.readDirSync(`${host.data}/build-cache`)].map(({ name }) => name);
  assertEquals(names.filter((name) => !/^[0-9a-f]{64}$/.test(name)), []);
  // control: who follows the link by name from outside of a container writes there
  const { stdout } = await host.sh(
    `link=$(find ${host.data}/build-cache -name sub -type l) && echo x >"$link/new" && ls ${outside}`,
  );
  assertEquals(stdout, "file\nnew\n");
});

hostTest("two steps race one cache: a mount point that flips to a link leads nowhere", {
  needs: ["registry", "busybox"],
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image("busybox");
  const outside = await makeOutside(host);
  const flips = build(
    host,
    `FROM ${image}
RUN --mount=type=cache,target=/c,id=raced echo begun; \\
    until [ -e /c/stop ]; do mkdir -p /c/sub; rm -rf /c/sub; ln -s ${outside} /c/sub; rm -f /c/sub; done
`,
  );
  for (let turn = 0; turn < 6; turn++) {
    await build(
      host,
      `FROM ${image}\nRUN --mount=type=cache,target=/c,id=raced --mount=type=tmpfs,target=/c/sub/deep ` +
        `--mount=type=secret,id=s,target=/c/sub/s sh -c 'echo x >/c/sub/deep/new; echo x >/c/sub/new'\n`,
      ...["--secret", `id=s,src=${outside}/file`],
    );
    assertEquals(await outsideNow(outside), UNTOUCHED);
  }
  await build(host, `FROM ${image}\nRUN --mount=type=cache,target=/c,id=raced touch /c/stop\n`);
  assertEquals((await flips).code, 0);
});

hostTest("what a step writes into a mount of the context stays out of the context", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  // control: nothing but the engine keeps the user from writing there
  const made = await host.sh(
    `mkdir -p context && cd context && echo a >file && echo b >>file && chmod 666 file`,
  );
  assertEquals(made.code, 0);
  const { code, stderr } = await build(
    host,
    `FROM ${image}\nRUN --mount=type=bind,target=/x,rw rm /x/file; echo changed >/x/file; touch /x/new; ls /x\n`,
  );
  assertEquals(code, 0, stderr);
  assertIncludes(stderr, " new");
  assertEquals([...Deno.readDirSync(`${host.home}/context`)].map(({ name }) => name), ["file"]);
  assertEquals(await Deno.readTextFile(`${host.home}/context/file`), "a\nb\n");
});

hostTest("while a step has a secret, no other process and no file has it", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const secret = "s3cr3t-while-it-runs";
  const running = host.spawn(
    ["build", "--progress", "plain", "--secret", "id=s,env=THE_SECRET", "-f", "-", host.home],
    { env: { THE_SECRET: secret } },
  );
  const writer = running.stdin;
  await writer.write(new TextEncoder().encode(
    `FROM ${image}\nRUN --mount=type=secret,id=s --mount=type=secret,id=s,env=INSIDE echo begun; sleep 1000\n`,
  ));
  await writer.close();
  await waitFor("the step to run", () => /^#\d+ \d+\.\d+ begun$/m.test(running.output.stderr));
  const holding = (what: "cmdline" | "environ") =>
    host.processes().filter(({ pid }) => readProc(pid, what).includes(secret)).map(({ pid }) =>
      readProc(pid, "cmdline").replaceAll("\0", " ").trim()
    );
  assertEquals(holding("cmdline"), []);
  // the control: the program has it, and the build was given it by its caller
  const names = holding("environ");
  assert(names.some((name) => name.includes("sleep 1000")), names.join("\n"));
  assertEquals(names.filter((name) => !/sleep 1000|^\/bin\/sh|build --progress/.test(name)), []);
  const found = await host.sh(`grep -rl ${secret} "$HOME" "$XDG_RUNTIME_DIR" 2>/dev/null; true`);
  assertEquals(found.stdout, "");
  running.child.kill("SIGKILL");
  await running.result;
  await waitFor("the step to end", () => host.containers().length === 0);
});

hostTest("a secret is in nothing that a build leaves behind or writes out", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const secret = "s3cr3t-of-the-build", proxy = "http://me:s3cr3t-of-the-proxy@proxy.example:1";
  const everywhere = `grep -rlaE 's3cr3t-of-the-(build|proxy)' "$HOME" "${host.data}" 2>/dev/null; true`;
  const args = (name: string) => [
    ...["build", "--progress", "plain", "--network", "none", "--secret", "id=s,env=THE_SECRET"],
    ...["--build-arg", `HTTPS_PROXY=${proxy}`, "-t", name, "--metadata-file", `${host.home}/${name}.json`],
    ...["-o", "type=image", "-o", `type=oci,compression=uncompressed,dest=${host.home}/${name}.tar`],
    ...["--cache-to", `type=local,dest=${host.home}/${name}-cache,mode=max`, "-"],
  ];
  const step = "RUN --mount=type=secret,id=s,required --mount=type=secret,id=s,env=INSIDE " +
    `test "$(cat /run/secrets/s)" = "$INSIDE" && test "$https_proxy" = ${
      proxy.replace("me:s3cr3t", "me:s3c'r3t'")
    }`;
  const made = async (name: string, more: string) => {
    const { code, stderr } = await host.skiff(args(name), {
      env: { THE_SECRET: secret },
      stdin: `FROM ${image}\n${step} && echo it was there >/seen ${more}\n`,
    });
    assertEquals(code, 0, stderr);
    await waitFor("the step to end", () => host.containers().length === 0);
    return (await host.sh(everywhere)).stdout.split("\n").filter((line) => line !== "");
  };
  assertEquals(await made("clean", ""), []);
  const told = [["history", "--no-trunc", "clean"], ["inspect", "clean"], ["buildx", "du", "--verbose"]];
  for (const words of told) assert(!/s3cr3t-of/.test(await host.ok(...words)), words.join(" "));
  // the control: one that a step itself keeps is found in the store, the archive and the cache
  const found = await made("leaky", "; cat /run/secrets/s >/kept");
  for (const place of [`${host.home}/leaky.tar`, `${host.home}/leaky-cache/`, `${host.data}/`]) {
    assert(found.some((path) => path.startsWith(place)), `${place}: ${found}`);
  }
});

hostTest("a step has no descriptor of ours, and no working folder outside", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image("busybox");
  const listed = await build(
    host,
    `FROM ${image}\nRUN for f in /proc/self/fd/*; do echo fd $(basename $f); done\n`,
  );
  assertEquals(listed.code, 0, listed.stderr);
  const numbers = [...listed.stderr.matchAll(/^#\d+ \d+\.\d+ fd (\d+)$/gm)].map(([, number]) =>
    Number(number)
  );
  assert(numbers.includes(2) && numbers.every((number) => number <= 3 || number === 10), String(numbers));
  for (let fd = 3; fd < 30; fd += 3) {
    const { code, stderr } = await build(
      host,
      `FROM ${image}\nWORKDIR /proc/self/fd/${fd}\nRUN ls ../../../../../../..${host.home}; pwd\n`,
    );
    assert(code !== 0 || !stderr.includes("context"), `${fd}: ${stderr}`);
  }
});

function readProc(pid: number, what: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${what}`);
  } catch {
    return ""; // it has ended
  }
}

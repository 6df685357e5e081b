/**
 * Commands that start from a frozen process, each in a cache folder of its own.
 * @see runtime/frozen/freeze.ts
 */
import { generateKeyPairSync } from "node:crypto";
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  waitFor,
} from "./harness.ts";

const isX86 = Deno.build.arch === "x86_64";

/** A script that starts skiff from the test's own cache; `frozen` is the file's place. */
async function script(host: Host, text: string, env: Record<string, string> = {}) {
  const read =
    'read -r boot </proc/sys/kernel/random/boot_id; frozen=$(echo "$XDG_CACHE_HOME"/skiff/*/"$boot")\n';
  return await host.sh(read + text, { env: { XDG_CACHE_HOME: `${host.home}/cache`, ...env } });
}

function frozenFolder(host: Host): string {
  const cache = `${host.home}/cache/skiff`;
  const boot = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
  return `${cache}/${[...Deno.readDirSync(cache)][0]!.name}/${boot}`;
}

/** Of the first layer of an encrypted image in a layout: what is said of how its key is wrapped. */
function wrappedKey(layout: string) {
  const read = (path: string) => JSON.parse(Deno.readTextFileSync(`${layout}/${path}`));
  const [{ digest }] = read("index.json").manifests;
  const [{ annotations }] = read(`blobs/${digest.replace(":", "/")}`).layers;
  return JSON.parse(atob(JSON.parse(atob(annotations["org.opencontainers.image.enc.keys.jwe"])).protected));
}

const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

/** Two starts, and then the file is there. */
async function freeze(host: Host, env: Record<string, string> = {}): Promise<string> {
  for (let start = 0; start < 2; start++) {
    const { code, stderr } = await script(host, '"$SKIFF" version >/dev/null', env);
    assertEquals([code, stderr], [0, ""]);
  }
  const folder = frozenFolder(host);
  await waitFor("the frozen process", async () => {
    const why = await Deno.readTextFile(`${folder}/why`).catch(() => "");
    if (why !== "") throw new Error(why);
    return await exists(`${folder}/skiff`);
  });
  return `${folder}/skiff`;
}

/** Which file a command runs from. */
const thawed = async (host: Host, before = "", env: Record<string, string> = {}) =>
  (await script(host, `${before} "$SKIFF" __thawed`, env)).stdout.split(" ")[0]!;

/** Gives the header's text, and makes `program` in the home: what stands before it, and nothing that it could fall back to. */
async function takeApart(host: Host): Promise<string> {
  const bytes = (await Deno.readFile(host.binary)).subarray(0, 100_000);
  const text = new TextDecoder("latin1").decode(bytes);
  const start = text.indexOf("#!/bin/sh\n"), end = text.indexOf("\0", start);
  assert(start > 0, "there must be a program before the header");
  bytes.set(new TextEncoder().encode("exit 9".padEnd(end - start, "\n")), start);
  await Deno.writeFile(`${host.home}/program`, bytes, { mode: 0o755 });
  return text.slice(start, end);
}

if (isX86) {
  hostTest(
    "the second start of a boot freezes a process, from which all later ones start",
    {},
    async (host) => {
      assertMatch(await thawed(host), /\/skiff\/[0-9a-f]{16}\/skiff$/);
      const file = await freeze(host);
      const { mode, uid } = await Deno.stat(file);
      assertEquals([mode! & 0o7777, uid], [0o500, host.ids.uid]);
      assertEquals(
        await waitFor(
          "its own folder to be tidy",
          async () => !(await exists(file.replace(/skiff$/, "why"))),
        ),
        true,
      );
      assertEquals(await thawed(host), file);
      assertMatch(await thawed(host, "SKIFF_COLD_START=1"), /\/skiff\/[0-9a-f]{16}\/skiff$/);
    },
  );

  hostTest(
    "it has rehearsed commands, of which nothing is left but what V8 has learnt",
    {},
    async (host) => {
      await freeze(host);
      const { stdout } = await script(
        host,
        `"$SKIFF" __thawed | cut -d " " -f 2; ls -A "$frozen"; SKIFF_COLD_START=1 "$SKIFF" __thawed | cut -d " " -f 2
       for i in 1 2 3; do "$SKIFF" create host true; done | sort -u | wc -l
       "$SKIFF" ps -a --format '{{.Names}}' | sort -u | wc -l; "$SKIFF" version --format '{{.Client.Form}}'`,
      );
      assertEquals(stdout, "1+1\nsize\nskiff\n0+0\n3\n3\npacked\n");
    },
  );

  hostTest(
    "where a rehearsal cannot be, a process is kept without one",
    { needs: ["root"] },
    async (host) => {
      await script(host, '"$SKIFF" version >/dev/null');
      const folder = frozenFolder(host);
      // root's: nothing of it can be removed
      await Deno.mkdir(`${folder}/rehearsal/inner`, { recursive: true });
      await freeze(host);
      assertEquals((await script(host, '"$SKIFF" __thawed')).stdout.split(" ").slice(0, 2), [
        `${folder}/skiff`,
        "0+0",
      ]);
    },
  );

  hostTest(
    "what starts from it has its own words, variables, folder, limits and numbers",
    {},
    async (host) => {
      const file = await freeze(host, { FIRST_CALLERS: "secret-of-the-first" });
      const { stdout, stderr, code } = await script(
        host,
        `[ "$("$SKIFF" __thawed | cut -d " " -f 1)" = "$frozen/skiff" ] || exit 9
       [ "$(sh -c 'echo "$$"; exec "$SKIFF" __thawed' | sed 's/.* //' | uniq | wc -l)" = 1 ] || exit 8
       cd /usr; umask 027
       "$SKIFF" run --rm -i -e MINE -e OTHER=1 -v ./bin:/here:ro host sh -c 'cat; echo "$MINE $OTHER"; test -x /here/sh; exit 5' <<X
in
X
       echo "code $?"
       "$SKIFF" run -d --name a host sleep 100 >/dev/null && "$SKIFF" run -d --name b host sleep 100 >/dev/null
       "$SKIFF" exec a sh -c 'ulimit -n; echo "$0" "$@"' x 'a b' ''
       "$SKIFF" ps --format '{{.Names}} {{.Status}}' | sed 's/ Up.*//' | sort
       "$SKIFF" rm -f -t 0 a >/dev/null; "$SKIFF" rm -f -t 0 b >/dev/null; "$SKIFF" no-such-verb; echo "code $?"`,
        { MINE: "mine" },
      );
      assertEquals(code, 0, stderr);
      assertEquals(stdout, "in\nmine 1\ncode 5\n1024\nx a b \na\nb\ncode 125\n");
      assertIncludes(stderr, "no-such-verb");
      const bytes = new TextDecoder("latin1").decode(await Deno.readFile(file));
      // the words that it was frozen with are found, so the search would find the variable
      assertIncludes(bytes, "__freeze_now");
      assert(
        !bytes.includes("secret-of-the-first"),
        "a variable of the command that froze it is in the file",
      );
    },
  );

  hostTest(
    "what it is told of processors and the clock is the command's, not of the process that was kept",
    {},
    async (host) => {
      await freeze(host);
      const asked = `taskset -c 0 "$SKIFF" info --format '{{.Host.CPUs}}'
      "$SKIFF" events --stream=false --since 1h >/dev/null; "$SKIFF" create --name a host true >/dev/null
      "$SKIFF" inspect a --format '{{json .Created}}'; date +%s; "$SKIFF" rm a >/dev/null`;
      const [cpus, created, now] = (await script(host, asked)).stdout.split("\n");
      assertEquals(cpus, "1");
      assert(Math.abs(Date.parse(JSON.parse(created!)) / 1000 - Number(now)) < 60, `${created} ${now}`);
    },
  );

  hostTest("random numbers and ids are each start's own", {}, async (host) => {
    await freeze(host);
    const { stdout } = await script(
      host,
      'for i in 1 2 3; do "$SKIFF" create host true; done; "$SKIFF" ps -a --format "{{.Names}}"; "$SKIFF" rm -a >/dev/null',
    );
    const lines = stdout.trim().split("\n");
    assertEquals([lines.length, new Set(lines).size], [6, 6]);
  });

  hostTest("secrets of TLS and keys that encrypt are each start's own", {}, async (host) => {
    await freeze(host);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const hellos: string[] = [];
    const listening = (async () => {
      for await (const client of listener) {
        const bytes = new Uint8Array(4096);
        const count = await client.read(bytes) ?? 0;
        hellos.push(bytes.subarray(0, count).toHex());
        client.close();
      }
    })().catch(() => {});
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    await Deno.writeTextFile(`${host.home}/key`, String(publicKey.export({ format: "pem", type: "spki" })));
    const { stdout, stderr } = await script(
      host,
      `chmod 644 key; "$SKIFF" __thawed
      tar -cf - -C /etc hostname | "$SKIFF" import -q - image >/dev/null
      for i in 1 2 3; do
        "$SKIFF" pull -q --retry 0 127.0.0.1:${listener.addr.port}/x
        "$SKIFF" push -q --encryption-key jwe:key image oci:$PWD/to$i >/dev/null
      done; "$SKIFF" rmi -f image >/dev/null`,
    );
    assertEquals(stdout.split(" ")[0], `${frozenFolder(host)}/skiff`, stderr);
    // the random of a ClientHello, and its share of an x25519 key (RFC 8446, 4.1.2, 4.2.8)
    const randoms = hellos.map((hello) => /^16.{20}(.{64})/.exec(hello)?.[1]);
    const shares = hellos.map((hello) => /001d0020(.{64})/.exec(hello)?.[1]);
    const keys = [1, 2, 3].map((number) => wrappedKey(`${host.home}/to${number}`).epk.x);
    for (const drawn of [randoms, shares, keys]) {
      assertEquals(new Set(drawn).size, drawn.length, String(drawn));
      assert(drawn.length >= 3 && !drawn.includes(undefined), `${drawn} ${stderr}`);
    }
    listener.close();
    await listening;
  });

  hostTest("where something is in its way a command starts without it, and works", {}, async (host) => {
    await freeze(host);
    const cold = /\/skiff\/[0-9a-f]{16}\/skiff$/;
    // a descriptor of the caller's where the runtime's own were, none where there was one, fewer than there were
    assertMatch(
      (await script(host, "exec bash -c '\"$SKIFF\" __thawed 201</dev/null'")).stdout.split(" ")[0]!,
      cold,
    );
    assertMatch((await script(host, '"$SKIFF" __thawed <&-')).stdout.split(" ")[0]!, cold);
    assertMatch(await thawed(host, "ulimit -n 150;"), cold);
    // addresses that are the same at every start are the kernel's stack, too
    assertEquals(
      (await script(host, 'setarch -R "$SKIFF" version | head -n 1')).stdout,
      "Client:       skiff\n",
    );
  });

  hostTest("a file that is not as it was made is not executed, and made anew", {}, async (host) => {
    const canary = `${host.home}/canary`;
    const changes = {
      "cut off": "chmod 700 $file; truncate -s 4096 $file; chmod 500 $file",
      "cut off by a page": "chmod 700 $file; truncate -s -4096 $file; chmod 500 $file",
      "writable for others": "chmod 777 $file",
      "in a folder of all": "chmod 777 $frozen",
      "another program": `rm -f $file; printf '#!/bin/sh\\ntouch ${canary}\\n' >$file; chmod 500 $file`,
      "a link": "mv $file moved; ln -s $PWD/moved $file",
      "a folder": "rm -f $file; mkdir -m 500 $file",
    };
    for (const [change, text] of Object.entries(changes)) {
      const file = await freeze(host);
      assertEquals(await thawed(host), file, change);
      const changed = await script(host, `file=$frozen/skiff; ${text}`);
      assertEquals([changed.code, changed.stderr], [0, ""], change);
      if (change === "another program") {
        // it would do its work, were it executed
        await host.program([file]);
        await Deno.remove(canary);
      }
      assert(/\/skiff\/[0-9a-f]{16}\/skiff$/.test(await thawed(host)), change);
      assert(!(await exists(canary)), change);
    }
    await freeze(host);
  });

  hostTest(
    "the program before the header and the header hand over the same words and variables",
    {},
    async (host) => {
      const file = await freeze(host);
      // in the place of the process: it tells what it was given
      const teller = `#!/bin/sh\nprintf '%s|' "$@"; echo; exec /usr/bin/env -0 | sort -z | tr '\\0' '\\n'\n`;
      await Deno.remove(file);
      await Deno.writeTextFile(file, teller, { mode: 0o500 });
      await Deno.writeTextFile(file.replace(/skiff$/, "size"), `${teller.length}\n`);
      await host.own(file);
      await Deno.writeTextFile(`${host.home}/header`, await takeApart(host));
      const SETUPS: Record<string, string> = {
        "as it is": "",
        "a relative path": "SKIFF=./program",
        "a path from another folder": "mkdir sub; cd sub; SKIFF=../program",
        "a link": "ln -s program link; SKIFF=./link",
        "a variable of another folder": "PWD=/",
        "no variable of the folder": "ENTER='env -u PWD'",
        "the top folder": "cd /",
        "odd words and values":
          `ODD=$(printf 'a\\377\\nb='); export ODD; set -- "$ODD" '' 'a b' '*' -- -x "\$0"`,
        "names of no shell's": `set -- x; ENTER="env a.b=1 1st=2 SKIFF_FORM=no SKIFF_FILE=no SKIFF_NOFILE=x"`,
        "what the runtime would obey":
          `ENTER="env DENO_DIR=/x NODE_OPTIONS= DENO_LOG=trace MALLOC_ARENA_MAX=7"`,
        "other limits": "ulimit -Sn 300",
        "another cache behind it": 'ENTER="env XDG_RUNTIME_DIR=$XDG_CACHE_HOME XDG_CACHE_HOME=/nowhere"',
        "no cache by name": 'ENTER="env -u XDG_CACHE_HOME HOME=/nowhere XDG_RUNTIME_DIR=$XDG_CACHE_HOME"',
        "few variables": `ENTER="env -i PATH=$PATH XDG_CACHE_HOME=$XDG_CACHE_HOME"`,
      };
      for (const [setup, line] of Object.entries(SETUPS)) {
        const { code, stdout, stderr } = await script(
          host,
          `header=$(cat header); SKIFF=$PWD/program; ENTER=env; ${line}
          $ENTER "$SKIFF" "$@" && echo ==== && $ENTER sh -c "$header" "$SKIFF" "$@"; rm -rf "$HOME/link" "$HOME/sub"`,
        );
        const [program, header] = stdout.split("====\n");
        assertEquals([code, stderr], [0, ""], setup);
        assertEquals(program, header, setup);
        assertMatch(program!, /\nSKIFF_FILE=\/.*(program|link)\n/);
      }
    },
  );

  hostTest("root's start from a folder of root's, and there the header is not asked either", {
    needs: ["root"],
  }, async (host) => {
    await takeApart(host);
    const { stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
      args: [
        ...["-m", "--propagation", "private", "/bin/sh", "-c"],
        `mount -t tmpfs -o mode=755 none /var/cache; "$SKIFF" version >/dev/null; "$SKIFF" version >/dev/null
        read -r boot </proc/sys/kernel/random/boot_id; at=0
        until test -e /var/cache/skiff/*/$boot/skiff || [ $((at += 1)) -gt 100 ]; do sleep 0.2; done
        export HOME="$1" XDG_CACHE_HOME="$1"; "$1/program" __thawed; chmod 777 /var/cache; "$1/program" __thawed; echo $?`,
        ...["sh", host.home],
      ],
      clearEnv: true,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", SKIFF: host.binary },
    }).output();
    const [program, code] = new TextDecoder().decode(stdout).split("\n");
    assertMatch(program!, /^\/var\/cache\/skiff\/[0-9a-f]{16}\/[0-9a-f-]{36}\/skiff /);
    assertEquals([code, new TextDecoder().decode(stderr)], ["9", ""]);
  });

  hostTest("a process that cannot be frozen is told why, once, and commands work", {}, async (host) => {
    const { code } = await script(
      host,
      'ulimit -n 150; for i in 1 2 3; do "$SKIFF" version >/dev/null || exit 1; done',
    );
    assertEquals(code, 0);
    const folder = frozenFolder(host);
    const why = await waitFor("the reason", () => Deno.readTextFile(`${folder}/why`).catch(() => ""));
    assertIncludes(why, "freeze: too few descriptors");
    assertMatch(await thawed(host), /\/skiff\/[0-9a-f]{16}\/skiff$/);
    assert(!(await exists(`${folder}/skiff`)));
  });

  hostTest("no tool of the caller's PATH makes it, and commands have the caller's PATH", {}, async (host) => {
    const made = await host.sh(`mkdir bin; for tool in stat mkdir env find rm sh touch; do
      printf '#!/bin/sh\\n/usr/bin/touch %s/canary\\n' "$HOME" >bin/$tool; done; chmod 755 bin/*`);
    assertEquals(made.code, 0);
    const PATH = `${host.home}/bin:/usr/bin:/bin`;
    await freeze(host, { PATH });
    assert(!(await exists(`${host.home}/canary`)));
    assertEquals(
      (await script(host, '"$SKIFF" run --rm -e PATH host echo x; mkdir', { PATH })).stdout,
      "x\n",
    );
    assert(await exists(`${host.home}/canary`), "the control must leave its canary");
    const { stdout } = await script(host, '"$SKIFF" run --rm -e PATH host /usr/bin/printenv PATH', { PATH });
    assertEquals(stdout.trim(), PATH);
  });

  hostTest("many second starts at once freeze one process", {}, async (host) => {
    await script(host, '"$SKIFF" version >/dev/null');
    const { code, stdout } = await script(
      host,
      'for i in 1 2 3 4 5 6 7 8; do "$SKIFF" __thawed & done; wait',
    );
    assertEquals([code, stdout.trim().split("\n").length], [0, 8]);
    const file = `${frozenFolder(host)}/skiff`;
    await waitFor("the frozen process", () => exists(file));
    assertEquals(await thawed(host), file);
  });
}

/** The standard streams of a container as its programs see them. */

import { assertEquals, assertMatch, hostTest, waitFor } from "./harness.ts";

const REOPEN = "echo out > /dev/stdout; echo err > /dev/stderr";

hostTest(
  "a program of any user may open its /dev/stdout again",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image();
    const run = await host.run("-q", "--rm", "--user", "1000", image, "sh", "-c", REOPEN);
    assertEquals([run.code, run.stdout, run.stderr], [0, "out\n", "err\n"]);
    await host.ok("run", "-d", "--name", "shared", "--network", "none", image, "sleep", "1000");
    const exec = await host.skiff(["exec", "--user", "1000", "shared", "sh", "-c", REOPEN]);
    assertEquals([exec.code, exec.stdout, exec.stderr], [0, "out\n", "err\n"]);
  },
);

hostTest(
  "without -i there is no input, and with it the caller's",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image();
    const words = ["run", "--rm", "--network", "none"];
    const without = await host.skiff([...words, image, "cat"], { stdin: "data" });
    assertEquals([without.code, without.stdout], [0, ""]);
    const given = await host.skiff([...words, "-i", image, "cat"], { stdin: "data" });
    assertEquals([given.code, given.stdout], [0, "data"]);
  },
);

hostTest(
  "every byte of binary output arrives and is logged",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image();
    const script = 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i+1)); done';
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes))).toHex();
    const { code, stdout, stderr } = await host.sh(
      `$SKIFF run --name all --network none ${image} sh -c '${script}' | sha256sum; $SKIFF logs all | sha256sum`,
    );
    assertEquals([code, stdout], [0, `${sum}  -\n${sum}  -\n`], stderr);
  },
);

hostTest(
  "a reader that goes away ends an exec, and a container of run --rm",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const image = await host.image();
    const { stdout, stderr } = await host.sh(
      `{ $SKIFF run -q --rm --network none ${image} yes; echo $? >&2; } | head -n 1; $SKIFF ps -aq`,
    );
    assertEquals([stdout, stderr], ["y\n", "141\n"]);
    await host.ok("run", "-d", "--name", "shared", "--network", "none", image, "sleep", "1000");
    await host.sh("$SKIFF exec shared yes | head -n 1");
    await waitFor("the end of yes", async () => !(await host.ok("exec", "shared", "ps")).includes("yes"));
  },
);

hostTest("--preserve-fds passes the caller's descriptors on, and no others", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  await Deno.writeTextFile(`${host.home}/three`, "three\n");
  await Deno.writeTextFile(`${host.home}/four`, "four\n");
  await host.own(`${host.home}/three`, `${host.home}/four`);
  const passed = `3<${host.home}/three 4<${host.home}/four 5</dev/null`;
  const look = "cat <&3; cat <&4; echo /proc/self/fd/*";
  // the shell has opened the last to list them
  const seen = "three\nfour\n/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3 /proc/self/fd/4";
  const start = `$SKIFF run -q --network none --preserve-fds 2`;
  await host.ok("run", "-d", "--name", "c", "--network", "none", image, "sleep", "1000");
  for (
    const command of [
      `${start} --rm ${image}`,
      `${start} --rm --init ${image}`, // pid 1 holds none of them
      `${start} --rm --userns keep-id ${image}`,
      `${start} --rm --timeout 60 ${image}`, // its monitor forks again
      `$SKIFF exec --preserve-fds 2 c`,
    ]
  ) {
    const { code, stdout, stderr } = await host.sh(`${command} sh -c '${look}' ${passed}`);
    assertEquals([code, stdout.startsWith(seen), stderr], [0, true, ""], `${command}: ${stdout}`);
    assertEquals(stdout.includes("/proc/self/fd/6"), false, `${command}: ${stdout}`);
    const none = await host.sh(`${command} nope ${passed}`);
    assertEquals(none.code, 127, none.stderr);
  }
  // under their own numbers
  const some = "cat <&7; cat <&8; echo /proc/self/fd/*";
  const own = /^three\nfour\n\/proc\/self\/fd\/0 .*\/fd\/7 \/proc\/self\/fd\/8\n$/;
  for (
    const command of [
      `$SKIFF run -q --network none --preserve-fd 7,8 --rm ${image}`,
      `$SKIFF run -q --network none --preserve-fd=8 --preserve-fd 7 --rm --init --userns keep-id ${image}`,
      `$SKIFF exec --preserve-fd 7,8 c`,
    ]
  ) {
    const { code, stdout, stderr } = await host.sh(
      `${command} sh -c '${some}' 7<${host.home}/three 8<${host.home}/four 9</dev/null`,
    );
    assertEquals([code, stderr], [0, ""], command);
    assertMatch(stdout, own);
  }
  for (
    const [words, message] of [
      [
        "--preserve-fd 9",
        "file descriptor 9 is not available - the preserve-fd option requires that file descriptors must be passed",
      ],
      ["--preserve-fd 2", "cannot preserve FD 2: it is one of the standard streams"],
      ["--preserve-fd 5 --preserve-fds 1", "cannot specify both --preserve-fds and --preserve-fd"],
      [
        "--preserve-fd x",
        'invalid argument "x" for "--preserve-fd" flag: strconv.ParseUint: parsing "x": invalid syntax',
      ],
    ]
  ) {
    const { code, stderr } = await host.sh(
      `$SKIFF run --rm --network none ${words} ${image} true 3</dev/null 5</dev/null`,
    );
    assertEquals([code, stderr], [125, `Error: ${message}\n`]);
  }
  const missing = await host.sh(`${start} --rm ${image} true 3</dev/null 5</dev/null`);
  assertEquals([missing.code, missing.stderr], [
    125,
    "Error: file descriptor 4 is not available - the preserve-fds option requires that file descriptors must be passed\n",
  ]);
});

/** Attacks from beside: other local users, squatted folders, hostile PATH and environment, leaked secrets. */
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  Host,
  hostTest,
  LocalRegistry,
  type Need,
  type Result,
  testIds,
  waitFor,
} from "./harness.ts";
import { busyboxImage, pushImage } from "./images.ts";

/** Seen in nobody else's words. */
const TOKEN = `hunter2-${crypto.randomUUID()}`;
const PASSWORD = "correct-horse-7319";
/** bcrypt of it, as `htpasswd -B` makes it. */
const HTPASSWD = "alice:$2b$04$2G4xptRJuzO31U4J14J//eMQt57IS/CG8fKiKvBQEzBOd8HjpgENC\n";

/** Every entry below a folder; what an image brought is passed over, for it keeps its own modes. */
function* walk(folder: string): Generator<{ path: string; info: Deno.FileInfo }> {
  for (const { name } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    const info = Deno.lstatSync(path);
    yield { path, info };
    if (info.isDirectory && !/\/(layers|volumes|upper|work|merged|root|rootfs)$/.test(path)) {
      yield* walk(path);
    }
  }
}

async function asNobody(script: string): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command("/usr/bin/setpriv", {
    args: ["--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c", script],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

/** State that other users could read, and folders they could change, were the data folder's 0700 not there. */
function openFiles(host: Host): string[] {
  const open: string[] = [];
  for (const { path, info } of walk(host.data)) {
    if (info.isSymlink) continue;
    const isState = /\.(db|db-wal|db-shm|json)$/.test(path) || /\/log[^/]*$/.test(path) || info.isSocket;
    const forbidden = info.isDirectory ? 0o022 : isState ? 0o077 : 0o022;
    if ((info.mode! & forbidden) !== 0) {
      open.push(`${path.slice(host.data.length)} ${(info.mode! & 0o777).toString(8)}`);
    }
  }
  return open;
}

hostTest("other local users see nothing of the data folder, whatever the caller's umask", {
  needs: ["registry", "busybox", "root"],
}, async (host) => {
  const image = await host.image();
  const { code, stderr } = await host.sh(
    `umask 000; $SKIFF run -d --network none -e SECRET=x ${image} sleep 1000`,
  );
  assertEquals(code, 0, stderr);
  assertEquals(Deno.statSync(host.data).mode! & 0o7777, 0o700);
  assertEquals(openFiles(host), []);
  // the folders above are made open, so that only skiff's own modes stand in the way
  for (const path of [host.home, `${host.home}/.local`, `${host.home}/.local/share`]) {
    Deno.chmodSync(path, 0o755);
  }
  assertEquals((await asNobody(`ls ${host.home}/.local/share`)).code, 0, "the control must see the parent");
  for (const path of [host.data, `${host.data}/skiff.db`, `${host.data}/containers`]) {
    assertIncludes((await asNobody(`ls ${path}/ || cat ${path}`)).stderr, "Permission denied");
  }
});

hostTest(
  "what is made under a umask that closes it to ourselves is open to us all the same",
  {},
  async (host) => {
    const { code, stdout, stderr } = await host.sh(
      "umask 0777; $SKIFF create -q --name shut --network none host true && $SKIFF start -a shut && $SKIFF ps -aq | wc -l",
    );
    assertEquals([code, stdout.split("\n").slice(1), stderr], [0, ["1", ""], ""]);
    assertEquals(openFiles(host), []);
  },
);

hostTest(
  "a data folder that others may enter is closed where it is empty, else refused",
  {},
  async (host) => {
    for (const [make, mode] of [["chmod 777 .", "777"], ["touch x; chmod 755 .", "755"]]) {
      await host.sh(`umask 022; mkdir -p .local/share/skiff; cd .local/share/skiff; ${make}`);
      const { code, stderr } = await host.skiff(["ps"]);
      assertEquals(code, 125);
      assertMatch(
        stderr,
        new RegExp(`^Error: use folder ".*skiff": its mode is ${mode}, so others can reach it\n`),
      );
    }
    await Deno.remove(`${host.data}/x`);
    assertEquals(await host.ok("ps", "-q"), "");
    assertEquals(Deno.statSync(host.data).mode! & 0o7777, 0o700);
  },
);

/** Runs a script as root in a mount namespace with a fresh /tmp, in which `as_user` starts skiff. */
async function withFreshTmp(host: Host, script: string): Promise<Result> {
  const ids = testIds()!;
  const whole = `exec 3<"$SKIFF"; mount --bind "$CACHE" $place
    mount -t tmpfs -o mode=1777 none /tmp; cat <&3 >/tmp/skiff; chmod 755 /tmp/skiff
    mkdir -m 700 /tmp/home; chown ${ids.uid} /tmp/home
    as_user() { setpriv --reuid=${ids.uid} --regid=${ids.gid} --init-groups env -i HOME=/tmp/home \
      XDG_CACHE_HOME=$place PATH=/usr/bin:/bin SKIFF_TEST_FOLDER=$SKIFF_TEST_FOLDER /tmp/skiff "$@"; }
    ${script}`;
  // outside of the /tmp that is covered; what is mounted on it is gone with the namespace
  const place = await Deno.makeTempDir({ dir: "/var/tmp" });
  await Deno.chmod(place, 0o755);
  const { code, signal, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
    args: ["-m", "--propagation", "private", "/bin/sh", "-c", whole],
    clearEnv: true,
    env: {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      SKIFF: host.binary,
      CACHE: host.env.XDG_CACHE_HOME!,
      place,
      SKIFF_TEST_FOLDER: host.folder,
    },
  }).output();
  await Deno.remove(place);
  return { code, signal, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

hostTest("a squatted runtime folder in /tmp is refused", { needs: ["root", "uidmap"] }, async (host) => {
  const { uid } = host.ids;
  const place = `/tmp/skiff-${uid}`;
  const control = await withFreshTmp(host, "as_user run --rm --network none host true");
  assertEquals(control.code, 0, control.stderr);
  const squats: [string, RegExp][] = [
    [`mkdir -m 777 ${place}`, /it belongs to user 0, not to \d+/],
    [`mkdir ${place}; chown ${uid} ${place}; chmod 777 ${place}`, /its mode is 777, so others can reach it/],
    [`mkdir -m 700 /tmp/x; chown ${uid} /tmp/x; ln -s /tmp/x ${place}`, /it is a symlink/],
    [`touch ${place}`, /it is not a folder/],
  ];
  for (const [squat, cause] of squats) {
    const { code, stdout, stderr } = await withFreshTmp(
      host,
      `${squat}; as_user run --rm --network none host echo started`,
    );
    assertEquals([code, stdout], [125, ""], squat);
    assertMatch(stderr, new RegExp(`Error: use folder "${place}": ${cause.source}`));
  }
});

hostTest("a registry's password is found in no file and no output", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const htpasswdFile = `${host.folder}/htpasswd`;
  await Deno.writeTextFile(htpasswdFile, HTPASSWD);
  const storage = `${host.folder}/registry`;
  // filled without a login, then served with one
  {
    await using open = await LocalRegistry.start({ storage });
    await pushImage(open, "private", "latest", await busyboxImage());
  }
  await using closed = await LocalRegistry.start({ storage, htpasswdFile });
  await host.declareInsecure(closed.address);
  const image = `${closed.address}/private:latest`;
  const refused = await host.skiff(["pull", image]);
  assertEquals(refused.code, 125, "the control: without the password there is no image");

  const encoded = btoa(`alice:${PASSWORD}`);
  const auth = `${host.home}/.config/containers/auth.json`;
  await Deno.writeTextFile(auth, JSON.stringify({ auths: { [closed.address]: { auth: encoded } } }), {
    mode: 0o600,
  });
  await host.own(auth);
  const outputs = [
    await host.skiff(["--log-level", "debug", "pull", image]),
    await host.skiff(["run", "-d", "--network", "none", "--name", "c", image, "sleep", "1000"]),
    await host.skiff(["inspect", "c"]),
    await host.skiff(["image", "inspect", image]),
    await host.skiff(["logs", "c"]),
    await host.skiff(["info"]),
  ];
  const secrets = [PASSWORD, encoded];
  for (const { code, stdout, stderr } of outputs) {
    assertEquals(code, 0, stderr);
    for (const secret of secrets) assert(!(stdout + stderr).includes(secret), "the password was printed");
  }
  const grep = await host.program([
    "/bin/grep",
    "-rlaF",
    ...secrets.flatMap((secret) => ["-e", secret]),
    host.data,
  ]);
  assertEquals(grep.stdout, "");
});

hostTest("a value from an env file is in nobody's arguments, and no other user can read it", {
  needs: ["registry", "busybox", "root"],
}, async (host) => {
  const image = await host.image();
  await host.sh(`umask 077; echo TOKEN=${TOKEN} >env`);
  const id = await host.ok(
    "run",
    "-d",
    "--network",
    "none",
    "--env-file",
    `${host.home}/env`,
    image,
    "sleep",
    "1000",
  );
  assertEquals(await host.ok("exec", id, "sh", "-c", "echo $TOKEN"), TOKEN);
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    let words = "";
    try {
      words = Deno.readTextFileSync(`/proc/${name}/cmdline`);
    } catch { /* it has ended */ }
    assert(!words.includes(TOKEN), `in the arguments of process ${name}`);
  }
  for (const { path, info } of walk(`${host.data}/containers`)) {
    if (info.isFile && Deno.readTextFileSync(path).includes(TOKEN)) {
      assertEquals(info.mode! & 0o777, 0o600, path);
    }
  }
});

/** Programs that leave a mark when they are run, in a folder to put first on PATH. */
async function trojans(host: Host): Promise<{ path: string; mark: string }> {
  const mark = `${host.home}/canary`;
  const names =
    "newuidmap newgidmap fuse-overlayfs mount umount getsubids sh stat tar gzip fusermount3 nsenter";
  const script = `mkdir -p trojans; for name in ${names}; do
    printf '#!/bin/sh\\necho %s >>%s\\n' $name ${mark} >trojans/$name; done; chmod 755 trojans/*`;
  assertEquals((await host.sh(script)).code, 0);
  const path = `${host.home}/trojans:/usr/bin:/bin`;
  // the control: through this PATH the trojan is what runs
  await host.program(["/bin/sh", "-c", "newuidmap"], { env: { PATH: path } });
  assertEquals(Deno.readTextFileSync(mark), "newuidmap\n");
  Deno.removeSync(mark);
  return { path, mark };
}

for (const asRoot of [false, true]) {
  for (const driver of ["overlay", "fuse-overlayfs"] as const) {
    const needs: Need[] = driver === "overlay" ? [] : [driver];
    hostTest(`helpers are not taken from a PATH of trojans (${asRoot ? "root" : "the user"}, ${driver})`, {
      asRoot,
      driver,
      needs: ["registry", "busybox", "root", ...needs],
    }, async (host) => {
      const { path, mark } = await trojans(host);
      const image = await host.image();
      const words = [
        "--rm",
        "--network",
        "none",
        "--tls-verify=false",
        image,
        "echo",
        "hello",
      ];
      const { code, stdout, stderr } = await host.skiff(["run", ...words], { env: { PATH: path } });
      assertEquals([code, stdout], [0, "hello\n"], stderr);
      assertEquals(await Deno.readTextFile(mark).catch(() => ""), "");
    });
  }
}

hostTest("a helper that stays gets none of the caller's variables", {
  driver: "fuse-overlayfs",
  needs: ["registry", "busybox", "fuse-overlayfs", "root"],
}, async (host) => {
  const image = await host.image();
  const { code, stderr } = await host.skiff(
    ["run", "-d", "--network", "none", "--name", "c", image, "sleep", "1000"],
    { env: { CALLER_SECRET: "swordfish-7319", LD_LIBRARY_PATH: "/nowhere" } },
  );
  assertEquals(code, 0, stderr);
  const helper = await waitFor("fuse-overlayfs runs", () => {
    for (const { name } of Deno.readDirSync("/proc")) {
      try {
        const words = Deno.readTextFileSync(`/proc/${name}/cmdline`);
        if (words.includes("fuse-overlayfs\0") && words.includes(host.folder)) return name;
      } catch { /* no process, or gone */ }
    }
  });
  const environment = Deno.readTextFileSync(`/proc/${helper}/environ`);
  assert(!environment.includes("swordfish-7319"), "the helper sees the caller's secret");
  assert(!environment.includes("LD_LIBRARY_PATH"), "the helper sees the caller's LD_LIBRARY_PATH");
});

hostTest("a monitor leaves no core, which would hold the container's environment", {}, async (host) => {
  const { code, stderr } = await host.sh(
    'ulimit -c unlimited && exec "$SKIFF" run -d --name cores -e SECRET=canary --network none host sleep 600',
  );
  assertEquals([code, stderr.includes("Error")], [0, false]);
  const format = "{{.State.ConmonPid}} {{.State.Pid}}";
  const [monitor, program] = (await host.ok("inspect", "--format", format, "cores")).trim().split(" ");
  const limit = (pid?: string) =>
    Deno.readTextFileSync(`/proc/${pid}/limits`).match(/^Max core file size +(\S+)/m)?.[1];
  // the control: the program has the caller's limit
  assertEquals([limit(monitor), limit(program)], ["0", "unlimited"]);
});

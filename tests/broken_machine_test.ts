/** Machines with pieces missing: skiff works around them and says once what an administrator does about it. */
import { onBroken } from "./broken_machine.ts";
import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
} from "./harness.ts";

const NEEDS: Need[] = ["root", "uidmap"];
const RUN = ["run", "--rm", "--network", "none"];

/** Warns in one line that matches, once, and each time the container works. */
async function worksWithOneWarning(
  call: (...words: string[]) => Promise<{ code: number; stdout: string; stderr: string }>,
  warning: RegExp,
  ...image: string[]
): Promise<void> {
  const first = await call(...RUN, ...image, "echo", "fine");
  assertEquals([first.code, first.stdout], [0, "fine\n"], first.stderr);
  const lines = first.stderr.split("\n").filter((line) => line.startsWith("Warning: "));
  assertEquals(lines.length, 1, first.stderr);
  assertMatch(lines[0]!, warning);
  const second = await call(...RUN, ...image, "echo", "fine");
  assertEquals([second.code, second.stdout, second.stderr], [0, "fine\n", ""]);
}

hostTest("a newuidmap that fails with many words is told, by its first ones", {}, async (host) => {
  const mapper = "yes 'no such range' | head -n 1000 >&2; exit 1";
  const script = `printf '#!/bin/sh\\n%s\\n' "${mapper}" >$HOME/mapper; chmod 755 $HOME/mapper
    mount --bind $HOME/mapper /usr/bin/newuidmap; mount --bind $HOME/mapper /usr/bin/newgidmap`;
  // where nobody else has made the namespace yet
  const words = ["--runroot", `${host.home}/own`, "run", "--rm", "--rootfs", "/", "true"];
  const { code, stderr } = await onBroken(host, { script }, ...words);
  assertEquals(code, 125);
  assertIncludes(stderr, "Error: map ids with /usr/bin/newuidmap: no such range\nno such range\n");
});

hostTest("without newuidmap one id is mapped", { needs: NEEDS }, async (host) => {
  const script = "mount --bind /dev/null /usr/bin/newuidmap";
  const call = (...words: string[]) => onBroken(host, { script }, ...words);
  await worksWithOneWarning(
    call,
    /newuidmap is not installed; install the package uidmap \(Debian, Ubuntu, /,
    "host",
  );
});

hostTest("a network that needs what the machine lacks names it", { needs: NEEDS }, async (host) => {
  await host.ok("network", "create", "web");
  const script = "mount -t tmpfs none /dev/net";
  const { code, stderr } = await onBroken(
    host,
    { script },
    "run",
    "--rm",
    "--network",
    "web",
    "host",
    "true",
  );
  assertEquals([code, stderr], [
    125,
    "Error: make the networks' namespace: /dev/net/tun does not exist (modprobe tun; in a container: --device /dev/net/tun)\n",
  ]);
});

hostTest("subordinate ids come from where nsswitch.conf says", { needs: [...NEEDS, "gcc"] }, async (host) => {
  const plugin = `${host.folder}/lib/libsubid_skifftest.so`;
  await Deno.mkdir(`${host.folder}/lib`);
  const source = new URL("./probes/subid_plugin.c", import.meta.url).pathname;
  const compiled = await new Deno.Command("gcc", { args: ["-shared", "-fPIC", "-o", plugin, source] })
    .output();
  assert(compiled.success, new TextDecoder().decode(compiled.stderr));
  const libraries = (await new Deno.Command("dirname", {
    args: [await Deno.realPath("/lib/x86_64-linux-gnu/libc.so.6").catch(() => "/usr/lib/libc.so.6")],
  }).output()).stdout;
  const folder = new TextDecoder().decode(libraries).trim();
  const script = `
    mount -t overlay overlay -o lowerdir=${host.folder}/lib:${folder} ${folder}
    printf 'passwd: files\\ngroup: files\\nsubid: skifftest\\n' > ${host.folder}/nsswitch.conf
    mount --bind ${host.folder}/nsswitch.conf /etc/nsswitch.conf`;
  const mapped = await onBroken(host, { script }, ...RUN, "host", "cat", "/proc/self/uid_map");
  assertEquals(mapped.stdout.trim().split(/\s+/), ["0", String(host.ids.uid), "1", "1", "700000", "5000"]);
  assertEquals([mapped.code, mapped.stderr], [0, ""]);
});

hostTest("without the kernel's overlay, fuse-overlayfs is used, else copies", {
  needs: [...NEEDS, "registry", "busybox", "fuse-overlayfs", "strace"],
}, async (host) => {
  const image = await host.image();
  const warnings = (text: string) =>
    text.split("\n").filter((line) => line.startsWith("Warning: ")).join("\n");
  const run = [
    ...RUN,
    image,
    "sh",
    "-c",
    "echo fine; rm /bin/wc; awk '$2 == \"/\" { print $3 }' /proc/mounts",
  ];

  // traced, newuidmap has no rights, so that there must be a namespace to join
  await host.ok(...RUN, "-d", "--name", "member", "host", "sleep", "1000");
  // in the trial the kernel refuses the second mount, the overlay; what was found is remembered
  const refused = "/usr/bin/strace -f -qq -o /dev/null -e trace=mount -e inject=mount:error=EPERM:when=2";
  const { code, stderr } = await onBroken(host, { script: "", wrapper: refused.split(" ") }, "info");
  assertEquals([code, stderr], [0, ""]);
  await host.ok("rm", "-f", "-t", "0", "member");
  const fused = await host.skiff(run);
  assertEquals([fused.code, fused.stdout], [0, "fine\nfuse.fuse-overlayfs\n"], fused.stderr);
  assertMatch(
    warnings(fused.stderr),
    /^Warning: the kernel's overlay cannot be used \(mount: Operation not permitted\), so fuse-overlayfs is, which is slower; use Linux 5.12 or newer, which mounts overlay without root$/,
  );
  const again = await host.skiff(run);
  assertEquals([again.code, again.stdout, again.stderr], [0, "fine\nfuse.fuse-overlayfs\n", ""]);

  // of another overlay none can be the upper part; and on a machine that knows nothing yet, fuse-overlayfs is missing
  const parts = ["lower", "upper", "work"].map((name) => `${host.folder}/${name}`);
  await Promise.all(parts.map((path) => Deno.mkdir(path)));
  const [lower, upper, work] = parts;
  const script = `cp -a $HOME/. ${upper} && chown --reference=$HOME ${upper} && chmod 700 ${upper}
    rm ${upper}/.local/share/skiff/told-driver ${upper}/.local/share/skiff/storage.json
    mount -t overlay overlay -o lowerdir=${lower},upperdir=${upper},workdir=${work} $HOME
    mount --bind /dev/null /usr/bin/fuse-overlayfs`;
  const copied = await onBroken(host, { script }, ...run);
  assertEquals([copied.code, copied.stdout], [0, "fine\noverlay\n"], copied.stderr);
  assertMatch(
    warnings(copied.stderr),
    /^Warning: the kernel's overlay cannot be used \(mknodat: Operation not permitted\), nor fuse-overlayfs \(fuse-overlayfs is not installed\), so each container gets a copy of its image; install the package fuse-overlayfs, or keep data on ext4, xfs or btrfs, in a container on a volume$/,
  );
  // as in a container: no whiteout can hide what of the machine is not shown
  const own = await onBroken(host, { script }, ...RUN, "-h", "ship", "host", "cat", "/etc/hostname");
  assertEquals([own.code, own.stdout], [0, "ship\n"], own.stderr);
});

hostTest("a read-only home leaves containers in /var/tmp", { needs: NEEDS }, async (host) => {
  const elsewhere = `/var/tmp/skiff-${host.ids.uid}`;
  const script = `
    mount --bind $HOME $HOME && mount -o remount,bind,ro $HOME
    mkdir -p ${host.folder}/vartmp && chmod 1777 ${host.folder}/vartmp && mount --bind ${host.folder}/vartmp /var/tmp`;
  const call = (...words: string[]) => onBroken(host, { script }, ...words);
  await worksWithOneWarning(
    call,
    new RegExp(
      `^Warning: containers and images are kept in ${elsewhere}, as ${host.home}/.local/share/skiff cannot be made: ` +
        "read-only file system; set XDG_DATA_HOME to a local folder of yours",
    ),
    "host",
  );
});

hostTest("a data folder that became read-only is told, not replaced", { needs: NEEDS }, async (host) => {
  await host.ok("ps");
  const script = "mount --bind $HOME $HOME && mount -o remount,bind,ro $HOME";
  const { code, stdout, stderr } = await onBroken(host, { script }, ...RUN, "host", "true");
  assertEquals([code, stdout], [125, ""]);
  assertEquals(
    stderr,
    `Error: write to data folder "${host.data}": its file system is read-only\n` +
      "remount it, or set XDG_DATA_HOME to a folder that you can write to\n",
  );
});

hostTest("where user namespaces are forbidden, the sysctl is named", {
  needs: [...NEEDS, "strace"],
}, async (host) => {
  // as a user of a namespace of whose kind there may be no more
  const home = `${host.folder}/inner`;
  await Deno.mkdir(home, { mode: 0o700 });
  await Deno.chown(home, host.ids.subuid, host.ids.subuid);
  const inner =
    "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --reuid=1 --regid=1 --clear-groups env " +
    `HOME=${home} XDG_CACHE_HOME=${home} "$@"`;
  const none = await onBroken(
    host,
    {
      script: "",
      wrapper: ["/usr/bin/unshare", "--user", "--map-root-user", "--map-auto", "/bin/sh", "-c", inner, "sh"],
    },
    ...RUN,
    "host",
    "true",
  );
  assertEquals([none.code, none.stdout], [125, ""]);
  assertIncludes(
    none.stderr,
    "Error: create user namespace: unshare: No space left on device: the sysctl user.max_user_namespaces is 0\n" +
      "as root: sysctl -w user.max_user_namespaces=28633 && echo user.max_user_namespaces=28633 > /etc/sysctl.d/90-skiff.conf\n",
  );
  const refused = await onBroken(
    host,
    {
      // a runtime folder where no other container of the user offers its namespace
      script:
        `run=/tmp/skiff-${host.ids.uid}; [ ! -d /run/user/${host.ids.uid} ] || run=/run/user/${host.ids.uid}
        mkdir -p $run ${host.folder}/run && mount --bind ${host.folder}/run $run
        chown --reference=$HOME $run && chmod 700 $run`,
      wrapper: "/usr/bin/strace -f -qq -o /dev/null -e trace=unshare -e inject=unshare:error=EPERM".split(
        " ",
      ),
    },
    ...RUN,
    "host",
    "true",
  );
  assertEquals([refused.code, refused.stdout], [125, ""]);
  assertIncludes(refused.stderr, "Error: create user namespace: unshare: Operation not permitted: ");
  assert(!refused.stderr.includes("    at "), refused.stderr);
});

hostTest("inside a container that hides parts of /proc, its view is used", { needs: NEEDS }, async (host) => {
  // the control: the kernel refuses a fresh procfs here
  const inner = `export HOME=/tmp/home; mkdir -p $HOME
    unshare -r --pid --fork --mount-proc true 2>/dev/null && echo a fresh procfs
    /skiff run --rm --network none host sh -c 'echo fine; cat /proc/1/environ /proc/kcore; echo x > /proc/sys/kernel/hostname'
    /skiff run --rm --network none host true
    id=$(/skiff run -d --network none host sleep 600)
    /skiff exec $id sh -c 'test -e /proc/self/status && echo exec works'
    /skiff rm -f -t 0 $id > /dev/null`;
  const options = ["-u", "1000", "--security-opt", "seccomp=unconfined", "-v", `${host.binary}:/skiff:ro`];
  const { code, stdout, stderr } = await host.run("--rm", ...options, "host", "sh", "-c", inner);
  assertEquals([code, stdout], [0, "fine\nexec works\n"], stderr);
  const warnings = stderr.split("\n").filter((line) => line.includes("/proc is hidden"));
  assertEquals(warnings.length, 1, stderr);
  assertIncludes(
    warnings[0]!,
    "start the outer container with --security-opt unmask=ALL (docker: systempaths=unconfined)",
  );
  assertIncludes(stderr, "cat: /proc/1/environ: Permission denied");
  assertIncludes(stderr, "/proc/sys/kernel/hostname: Read-only file system");
  // where its filter forbids even the user namespace, that is told
  const filtered = options.filter((word) => !/seccomp/.test(word) && word !== "--security-opt");
  const refused = await host.run("--rm", ...filtered, "host", "sh", "-c", inner);
  assertMatch(
    refused.stderr,
    /^Error: create user namespace: unshare: Operation not permitted: skiff runs in a container \(podman or skiff\) whose seccomp filter forbids it\nstart the outer container with --security-opt seccomp=unconfined$/m,
  );
});

/** What login, cron, su and sudo leave of the environment. */
function sessions(host: Host): Record<string, Record<string, string>> {
  const { PATH, XDG_CACHE_HOME } = host.env as { PATH: string; XDG_CACHE_HOME: string };
  const base = { PATH, XDG_CACHE_HOME };
  const home = "/home/of-the-user";
  return {
    login: {
      ...base,
      HOME: home,
      XDG_RUNTIME_DIR: `/run/user/${host.ids.uid}`,
      XDG_DATA_HOME: `${home}/.local/share`,
    },
    cron: { ...base, HOME: home, LOGNAME: "skiff-test", SHELL: "/bin/sh" },
    "su without -": { ...base, HOME: home, XDG_RUNTIME_DIR: "/run/user/0", XDG_DATA_HOME: "/root" },
    "sudo -u, which keeps HOME": { ...base, HOME: "/root", SUDO_USER: "root", SUDO_UID: "0" },
  };
}

hostTest("login, cron, su and sudo see the same containers", { needs: NEEDS }, async (host) => {
  const passwd = `${host.folder}/passwd`;
  const text = await Deno.readTextFile("/etc/passwd");
  await Deno.writeTextFile(
    passwd,
    text.replace(/^(skiff-test:.*):[^:]*:([^:]*)$/m, "$1:/home/of-the-user:$2"),
  );
  const script = `mount --bind ${passwd} /etc/passwd
    mkdir -p ${host.folder}/homes/of-the-user && mount --bind ${host.folder}/homes /home
    mount --bind $HOME /home/of-the-user`;
  const from = (env: Record<string, string>, ...words: string[]) => onBroken(host, { script, env }, ...words);
  const all = sessions(host);
  const started = await from(
    all.login!,
    "run",
    "-d",
    "--name",
    "one",
    "--network",
    "none",
    "host",
    "sleep",
    "600",
  );
  assertEquals(started.code, 0, started.stderr);
  for (const [name, env] of Object.entries(all)) {
    const seen = await from(env, "ps", "--format", "{{.Names}}");
    assertEquals([seen.stdout, seen.stderr, seen.code], ["one\n", "", 0], name);
    const inside = await from(env, "exec", "one", "echo", "inside");
    assertEquals([inside.stdout, inside.code], ["inside\n", 0], `${name}: ${inside.stderr}`);
  }
  assertEquals((await from(all.cron!, "rm", "-f", "-t", "0", "one")).stdout, "one\n");
});

hostTest(
  "a container outlives the runtime folder of its session, and can be ended",
  { needs: NEEDS },
  async (host) => {
    const { uid } = host.ids;
    // one namespace for all: a session that begins, ends and is followed by a cron job
    const script = `mkdir -p /run/user && mount -t tmpfs tmpfs /run/user && mkdir -m 700 /run/user/${uid}
    chown --reference=$HOME /run/user/${uid}; ln -s /run/user/${uid} ${host.folder}/run; chmod 1777 /run/user`;
    const words = `run="$0 run -d --network none"
    one=$($run --name one host sleep 600); two=$($run --name two -u 1000 --stop-timeout 1 host sleep 600)
    three=$($run --name three --restart always host sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done')
    until [ "$($0 logs three)" = up ]; do :; done
    rm -rf /run/user/${uid}
    $0 ps --format '{{.Names}} {{.State}}' | sort; $0 exec two echo inside
    $0 rm -f -t 0 one; $0 stop two; $0 stop -t 5 three; $0 ps -a --format '{{.Names}} {{.State}} {{.ExitCode}}'; $0 rm two three`;
    const { code, stdout, stderr } = await onBroken(host, {
      script,
      wrapper: ["/bin/sh", "-c", words],
    });
    assertEquals([code, stdout.split("\n")], [0, [
      ...["one running", "three running", "two running", "inside", "one", "two", "three"],
      ...["three exited 3", "two exited 137", "two", "three", ""],
    ]], stderr);
  },
);

hostTest("root without CAP_SYS_ADMIN, as in most containers, has a user namespace like anybody", {
  needs: ["root"],
  asRoot: true,
}, async (host) => {
  // the control: it may not mount
  const script = `setpriv --bounding-set -sys_admin --inh-caps -sys_admin -- sh -c '
    mount -t tmpfs tmpfs /mnt 2>/dev/null && echo mounted
    "$SKIFF" run --rm --network none host sh -c "id -u; cat /etc/hostname; cat /etc/shadow"; "$SKIFF" doctor'`;
  const { code, stdout, stderr } = await host.sh(script);
  assertEquals(code, 1, stdout + stderr);
  assert(!/^root:/m.test(stdout), "what others cannot read is hidden from it");
  const [id, name, ...findings] = stdout.trimEnd().split("\n");
  assertEquals(id, "0");
  assertMatch(name!, /^[0-9a-f]{12}$/);
  assertMatch(findings.join("\n"), /^degraded +subordinate ids +/m);
  assertMatch(findings.join("\n"), /^ok +container +runs, in \d+ ms$/m);
  assertMatch(stderr, /^Warning: only one user id can be mapped, /m);
});

hostTest("a disk that fills up ends no container, and how each ends is told and remembered", {
  needs: ["root", "registry", "busybox"],
}, async (host) => {
  const { uid, gid } = host.ids;
  const steps = `skiff="$0"
    $skiff run -qd --name up --health-cmd true --health-interval disable "$@" sleep 600 >/dev/null
    $skiff create -qi --name ends "$@" sh -c 'head -c 3000000 /dev/zero >/part; mv /part /big; read go; exit 5' >/dev/null
    $skiff volume create v >/dev/null
    mkfifo $HOME/go; $skiff start -ai ends <$HOME/go & exec 9>$HOME/go
    until $skiff exec ends test -s /big 2>/dev/null; do :; done
    dd if=/dev/zero of=$XDG_DATA_HOME/filler bs=1k 2>/dev/null
    $skiff create "$@" true 2>/dev/null; echo create $?
    echo go >&9; wait $!; echo start $?
    $skiff healthcheck run up; echo healthcheck $?
    $skiff ps -a --format '{{.Names}} {{.State}} {{.ExitCode}}'
    $skiff stop -t0 up; echo stop $?
    $skiff rm ends; echo rm $?
    dd if=/dev/zero of=$XDG_DATA_HOME/more bs=1k 2>/dev/null
    $skiff volume rm v; echo volume rm $?
    $skiff rmi -f "$@" >/dev/null; echo rmi $?
    rm $XDG_DATA_HOME/filler $XDG_DATA_HOME/more
    $skiff ps -a --format '{{.Names}} {{.State}} {{.ExitCode}}'; $skiff images -q
    $skiff rm -fat0 >/dev/null`;
  const { stdout, stderr } = await onBroken(host, {
    script: `mkdir $HOME/full; mount -t tmpfs -o size=24m,mode=700,uid=${uid},gid=${gid} none $HOME/full`,
    env: { ...host.env, XDG_DATA_HOME: `${host.home}/full` },
    wrapper: ["/bin/sh", "-c", steps],
  }, await host.image());
  // before Linux 6.6 a tmpfs has no attributes of users, which overlay needs
  const told = stderr.replace(/^Warning: the kernel's overlay cannot be used .*\n/gm, "");
  assertEquals([stdout.split("\n"), told], [[
    "create 125",
    "start 5",
    "healthcheck 0",
    "ends exited 5",
    "up running 0",
    "up",
    "stop 0",
    "ends",
    "rm 0",
    "v",
    "volume rm 0",
    "rmi 0",
    "",
  ], ""]);
});

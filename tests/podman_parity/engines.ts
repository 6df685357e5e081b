/**
 * Runs the same shell lines with skiff and with podman, each with a store of its own, and takes down what each
 * line printed and how it ended.
 */

import type { Host } from "../harness.ts";

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export type EngineName = "skiff" | "podman";

/**
 * podman's place: without cgroup v2 where it is mounted beside v1 (Debian's crun starts nothing as long as it sees
 * it), and with a runtime folder that no other podman of the user has. A subreaper, because podman waits seconds for
 * a pid 1 that is slow to collect; 36 is PR_SET_CHILD_SUBREAPER.
 */
const CELL = `
mount --make-rshared /
[ ! -e /sys/fs/cgroup/unified/cgroup.controllers ] || umount -l /sys/fs/cgroup/unified
mkdir -p /tmp/podman-run-$CELL_UID
mount -t tmpfs -o mode=700,uid=$CELL_UID,gid=$CELL_GID none /tmp/podman-run-$CELL_UID
exec "$@"`;
const SUBREAPER = `
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
child = os.fork()
if child == 0: os.execvp(sys.argv[1], sys.argv[1:])
while True:
    ended, status = os.wait()
    if ended == child: sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

/** \`E\` is the engine, \`I\` the image; nothing hangs for ever. */
function scriptOf(folder: string, lines: readonly string[]): string {
  const steps = lines.map((line, index) =>
    `{ ${line}\n} >$OUT/${index}.out 2>$OUT/${index}.err </dev/null; echo $? >$OUT/${index}.code`
  );
  return [
    `OUT=${folder}`,
    "umask 022; mkdir -p $OUT/work; cd $OUT/work",
    'E() { timeout --foreground -k 1 150 $ENGINE "$@"; }',
    ...steps,
  ].join("\n");
}

/** Runs the lines one after another in one shell; they share its variables and files. */
export async function runLines(
  host: Host,
  engine: EngineName,
  image: string,
  lines: readonly string[],
): Promise<Outcome[]> {
  const folder = `${host.home}/${engine}-${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(folder);
  await host.own(folder);
  const storage = `--root ${host.home}/podman-root --runroot ${host.home}/podman-run`;
  const env = {
    ...host.env,
    I: image,
    ENGINE: engine === "skiff" ? host.binary : `podman ${storage} --cgroup-manager=cgroupfs`,
  };
  const asUser = [...host.prefix, "/bin/bash", "-c", scriptOf(folder, lines)];
  const words = engine === "skiff" ? asUser : [
    ...["/usr/bin/unshare", "-m", "/bin/bash", "-ec", CELL, "cell"],
    ...["/usr/bin/python3", "-c", SUBREAPER, ...asUser],
  ];
  const { code, stderr } = await new Deno.Command(words[0]!, {
    args: words.slice(1),
    clearEnv: true,
    env: { ...env, CELL_UID: String(host.ids.uid), CELL_GID: String(host.ids.gid) },
    cwd: "/",
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (code !== 0) {
    throw new Error(`${engine}: the script exits with ${code}: ${new TextDecoder().decode(stderr)}`);
  }
  return lines.map((_, index) => {
    const text = (what: string) =>
      Deno.readTextFileSync(`${folder}/${index}.${what}`).replaceAll(folder, "FOLDER");
    return { code: Number(text("code")), stdout: text("out"), stderr: text("err") };
  });
}

/** Registries and a storage driver for podman, as skiff has them. */
export async function configurePodman(host: Host): Promise<void> {
  const folder = `${host.home}/.config/containers`;
  const files = {
    // `commit` takes the folders from here alone
    "storage.conf": `[storage]\ndriver = "overlay"\ngraphroot = "${host.home}/podman-root"\n` +
      `runroot = "${host.home}/podman-run"\n`,
    "containers.conf": '[engine]\nevents_logger = "file"\n[containers]\nlog_driver = "k8s-file"\n',
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(`${folder}/${name}`, text);
    await host.own(`${folder}/${name}`);
  }
}

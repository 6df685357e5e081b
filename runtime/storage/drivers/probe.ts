/**
 * Whether a driver really works here: mounted in a forked child's own mount namespace, then used the way a
 * container does. Kernel versions and distributions' patches tell less.
 */

import { forkInUserNamespace } from "../../namespaces/fork_task.ts";
import { errnoText, SyscallError } from "../../../ffi/errno.ts";
import {
  close,
  dup2,
  Fd,
  lstat,
  mkdirat,
  mknodat,
  open,
  pipe2,
  readAll,
  symlinkat,
  unlinkat,
  writeAll,
} from "../../../ffi/file.ts";
import { bindIdMapped, emptyUserNamespace } from "../../../ffi/idmapped_mount.ts";
import { openFamilies } from "../../../ffi/libc.ts";
import { filesystemType, mount, umount2 } from "../../../ffi/mount.ts";
import { unshare } from "../../../ffi/namespaces.ts";
import { _exit, execve, waitpidBlocking } from "../../../ffi/process.ts";
import { fork } from "../../../ffi/fork.ts";
import { fsetxattr } from "../../../ffi/xattr.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
} from "../../../ffi/constants/fcntl.ts";
import { MNT_DETACH, MS_PRIVATE, MS_REC } from "../../../ffi/constants/mount.ts";
import { CLONE_NEWNS } from "../../../ffi/constants/sched.ts";
import { S_IFCHR } from "../../../ffi/constants/stat.ts";
import type { StorageContext } from "../layers.ts";
import { removeTree } from "../remove_tree.ts";

/** @see linux/magic.h */
const FUSE_SUPER_MAGIC = 0x65735546;

/** The folders of a trial: `lower` has a file, a folder and a whiteout. */
interface Trial {
  dir: string;
  lower: string[];
  upper: string;
  work: string;
  target: string;
}

export function probeOverlay(context: StorageContext): Promise<string | null> {
  const isRootless = context.namespaces.isRootless;
  return probe(context, isRootless ? "user." : "trusted.", (trial) => {
    mount("overlay", trial.target, "overlay", 0, overlayOptions(trial, isRootless));
  });
}

/** As root, with layers whose ids are shown as others. */
export function probeMappedLayers(context: StorageContext): Promise<string | null> {
  return probe(context, "trusted.", (trial) => {
    using namespace = new Fd(emptyUserNamespace("0 1000 1000\n", "0 1000 1000\n"));
    const lower = trial.lower.map((path, index) => {
      const place = `${trial.dir}/mapped-${index}`;
      mkdirat(AT_FDCWD, place, 0o755);
      bindIdMapped(path, place, namespace.number);
      return place;
    });
    mount("overlay", trial.target, "overlay", 0, overlayOptions({ ...trial, lower }, false));
    const { uid, gid } = lstat(`${trial.target}/file`);
    if (uid !== 1000 || gid !== 1000) throw new ProbeFailed("it shows owners as they are on the disk");
    for (const path of lower) umount2(path, MNT_DETACH);
  });
}

export function probeFuseOverlayfs(context: StorageContext, program: string): Promise<string | null> {
  return probe(context, context.namespaces.isRootless ? "user." : "trusted.", (trial) => {
    const options = `lowerdir=${trial.lower.map(escapePath).join(":")},upperdir=${escapePath(trial.upper)},` +
      `workdir=${escapePath(trial.work)}`;
    const pid = fork();
    if (pid === 0) {
      try {
        // It remarks on options of the kernel's; nothing of that is for the user.
        const nowhere = open("/dev/null", O_WRONLY);
        for (const stdio of [0, 1, 2]) dup2(nowhere, stdio);
        execve(program, [program, "-o", options, trial.target], ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"]);
      } finally {
        _exit(127);
      }
    }
    // It goes to the background by itself once its file system is there, and ends when that is unmounted.
    const { status } = waitpidBlocking(pid);
    if (status !== 0) throw new ProbeFailed(`fuse-overlayfs ends with status ${status}`);
    const fd = open(trial.target, O_PATH | O_CLOEXEC);
    const type = filesystemType(fd);
    close(fd);
    if (type !== FUSE_SUPER_MAGIC) throw new ProbeFailed("fuse-overlayfs mounts nothing");
  });
}

function overlayOptions({ lower, upper, work }: Trial, userxattr: boolean): string {
  const options = [
    `lowerdir=${lower.map(escapePath).join(":")}`,
    `upperdir=${escapePath(upper)}`,
    `workdir=${escapePath(work)}`,
    ...(userxattr ? ["userxattr"] : []),
  ];
  return options.join(",");
}

class ProbeFailed extends Error {}

async function probe(
  context: StorageContext,
  marks: "user." | "trusted.",
  mountTrial: (trial: Trial) => void,
): Promise<string | null> {
  openFamilies("file", "xattr", "process", "mount", "namespaces", "fork", "poll", "signal");
  const dir = `${context.folders.tmp}/probe-${crypto.randomUUID()}`;
  Deno.mkdirSync(dir, { mode: 0o700 });
  const [result, resultFd] = pipe2(O_CLOEXEC);
  try {
    const task = await forkInUserNamespace(context.namespaces, [resultFd], () => {
      try {
        unshare(CLONE_NEWNS);
        mount(null, "/", null, MS_REC | MS_PRIVATE);
        tryOut(dir, marks, mountTrial);
        return 0;
      } catch (error) {
        writeAll(resultFd, new TextEncoder().encode(describe(error)));
        return 1;
      } finally {
        removeTree(AT_FDCWD, dir);
      }
    }).finally(() => close(resultFd));
    const { status } = await task.wait();
    const text = new TextDecoder().decode(readAll(result, 65536));
    return status === 0 ? null : text || `the trial ended with status ${status}`;
  } finally {
    close(result);
    await Deno.remove(dir, { recursive: true }).catch(() => {});
  }
}

function tryOut(dir: string, marks: "user." | "trusted.", mountTrial: (trial: Trial) => void): void {
  const trial: Trial = {
    dir,
    lower: [`${dir}/top`, `${dir}/bottom`],
    upper: `${dir}/upper`,
    work: `${dir}/work`,
    target: `${dir}/target`,
  };
  for (
    const name of ["top", "bottom", "upper", "work", "target", "bottom/opaque", "top/opaque", "bottom/folder"]
  ) {
    mkdirat(AT_FDCWD, `${dir}/${name}`, 0o755);
  }
  for (const name of ["bottom/file", "bottom/gone", "bottom/opaque/gone"]) writeFile(`${dir}/${name}`);
  mknodat(AT_FDCWD, `${dir}/top/gone`, S_IFCHR, 0, 0);
  const opaque = open(`${dir}/top/opaque`, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  fsetxattr(opaque, `${marks}overlay.opaque`, new Uint8Array([0x79]));
  close(opaque);
  mountTrial(trial);
  try {
    if (exists(`${trial.target}/gone`)) throw new ProbeFailed("it shows files that a layer removed");
    if (exists(`${trial.target}/opaque/gone`)) throw new ProbeFailed("it shows what an opaque folder hides");
    if (!exists(`${trial.target}/file`)) throw new ProbeFailed("it does not show a layer's file");
    writeFile(`${trial.target}/file`);
    writeFile(`${trial.target}/new`);
    symlinkat("file", AT_FDCWD, `${trial.target}/link`);
    unlinkat(AT_FDCWD, `${trial.target}/file`);
    if (exists(`${trial.target}/file`)) throw new ProbeFailed("it cannot remove a layer's file");
  } finally {
    umount2(trial.target, MNT_DETACH);
  }
}

function writeFile(path: string): void {
  const fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644);
  writeAll(fd, new Uint8Array([0x78]));
  close(fd);
}

function exists(path: string): boolean {
  try {
    close(open(path, O_PATH | O_CLOEXEC));
    return true;
  } catch {
    return false;
  }
}

/** `\` escapes what overlay reads as a separator. @see overlayfs.rst, mount options */
function escapePath(path: string): string {
  return path.replace(/[\\,:]/g, "\\$&");
}

function describe(error: unknown): string {
  if (error instanceof SyscallError) return `${error.syscall}: ${errnoText(error.errno)}`;
  return (error as Error).message;
}

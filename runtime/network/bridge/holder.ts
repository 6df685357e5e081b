/**
 * The holder of a user's bridges ("skiff: networks"): one process for all containers on them, forked by the monitor of
 * the first and gone with the last. It stays in the host's network namespace, where the stack behind the uplink opens its
 * sockets, and reaches the bridges by descriptors (see namespace.ts).
 *
 * Nothing here is lost with it: its members, the monitors, tell another holder what they keep (see member.ts).
 */

import { LOCK_EX, LOCK_NB, O_CLOEXEC, O_CREAT, O_RDWR } from "../../../ffi/constants/fcntl.ts";
import { MNT_DETACH, MS_REC, MS_SLAVE } from "../../../ffi/constants/mount.ts";
import { CLONE_NEWNS } from "../../../ffi/constants/sched.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../../ffi/constants/socket.ts";
import { EAGAIN, isErrno } from "../../../ffi/errno.ts";
import { close, closeAllExcept, dup2, flock, open } from "../../../ffi/file.ts";
import { mount, umount2 } from "../../../ffi/mount.ts";
import { unshare } from "../../../ffi/namespaces.ts";
import { _exit, chdir, geteuid, setsid } from "../../../ffi/process.ts";
import { setProcessTitle } from "../../../ffi/process_title.ts";
import { accept4, peerCredentials } from "../../../ffi/socket.ts";
import { registerMember } from "../../namespaces/user_namespace.ts";
import type { ProcessLoop } from "../monitor_network.ts";
import type { BridgeChange, HolderPlan, PublishedPort } from "../plan.ts";
import { openHostGround } from "../lazy_code.ts";
import { type Bridges, type Container, samePort } from "./bridges.ts";
import type { BridgeGround } from "./ground.ts";
import {
  type HolderListeners,
  holderPaths,
  lockAlive,
  lockHolder,
  ownNetns,
  removeHolderLocks,
  removeHolderSockets,
} from "./holder_paths.ts";
import { type MemberMessage, receiveMessage, sendMessage } from "./messages.ts";
import { prepareOwnGround } from "./own_ground.ts";
import { RequestServer } from "./request_server.ts";

export interface HolderOptions extends HolderPlan {
  listeners: HolderListeners;
  makeLoop(): ProcessLoop;
  /** Much was done, and then little is for a while: the time to give memory back. */
  onLull?(): void;
}

/** How long a holder waits for the monitor that forked it, or for one that has the bridges' namespace. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 20;

/** In a forked child of a monitor: never returns. */
export function runHolder(options: HolderOptions): never {
  const { listeners, members } = options;
  // what is loaded later would be read by a descriptor that is closed here
  const ground = options.isOfMachine ? openHostGround()().prepareHostGround(options) : prepareOwnGround();
  closeAllExcept([listeners.members, listeners.requests]);
  setsid();
  detachStandardStreams();
  setProcessTitle("skiff: networks");
  chdir("/");
  leaveContainerMounts(options.data);
  if (members !== "") registerMember(members);
  new Holder(options, options.makeLoop(), ground).runBlocking();
  _exit(0);
}

/** A container's monitor, and the container as it has told it. */
interface Member {
  connection: number;
  container?: Container;
  /** It waits until there is a namespace, and its ports have come. */
  isWaiting: boolean;
  /** Ports that are still to come before it is attached. */
  portsDue: number;
  /** It has the descriptors of the namespace. */
  keeps: boolean;
  /** Why a port could not be changed as it was told since it asked last. */
  portFailure?: string;
}

class Holder {
  readonly #options: HolderOptions;
  readonly #loop: ProcessLoop;
  readonly #ground: BridgeGround;
  readonly #members = new Set<Member>();
  #bridges: Bridges | undefined;
  /** What members keep: the namespace's descriptors and that of the lock. */
  #kept: number[] = [];

  constructor(options: HolderOptions, loop: ProcessLoop, ground: BridgeGround) {
    this.#options = options;
    this.#loop = loop;
    this.#ground = ground;
  }

  runBlocking(): void {
    const { members, requests } = this.#options.listeners;
    this.#loop.watch(members, () => this.#guard(() => this.#accept()));
    const server = new RequestServer(this.#loop, requests, (change) => this.#change(change));
    this.#loop.watch(requests, () => this.#guard(() => server.accept()));
    this.#loop.after(PATIENCE_MS, () => this.#endIfAlone());
    this.#loop.runBlocking();
  }

  /** A fault ends no container: it is told to who can record it. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#recordFault(error);
    }
  }

  #recordFault(error: unknown): void {
    const message = (error instanceof Error ? error.stack ?? error.message : String(error)).slice(0, 2000);
    for (const { connection } of this.#members) {
      if (sendMessage(connection, { op: "fault", message })) return;
    }
  }

  #accept(): void {
    for (;;) {
      let connection: number;
      try {
        connection = accept4(this.#options.listeners.members, SOCK_NONBLOCK | SOCK_CLOEXEC);
      } catch (error) {
        if (isErrno(error, EAGAIN)) return;
        throw error;
      }
      // the socket is 0600 in a 0700 folder; this holds where someone loosened that
      if (peerCredentials(connection).uid !== geteuid()) {
        close(connection);
        continue;
      }
      const member: Member = { connection, isWaiting: false, portsDue: 0, keeps: false };
      this.#members.add(member);
      this.#loop.watch(connection, () => this.#guard(() => this.#hear(member)));
    }
  }

  #hear(member: Member): void {
    for (;;) {
      const received = receiveMessage<MemberMessage>(member.connection);
      if (received === "nothing") return;
      if (received === "gone") return this.#leave(member);
      this.#guard(() => this.#take(member, received.message, received.fds));
    }
  }

  #take(member: Member, message: MemberMessage, fds: number[]): void {
    if (message.op !== "keep") fds.splice(DESCRIPTORS[message.op] ?? 0).forEach(close);
    switch (message.op) {
      case "keep":
        member.keeps = true;
        if (this.#bridges) fds.forEach(close);
        else this.#adopt(fds);
        return;
      case "attach": {
        const [netns, netlink] = fds;
        if (netns === undefined || netlink === undefined) return fds.forEach(close);
        if (member.isWaiting) forget(member);
        else if (member.container) this.#bridges?.remove(member.container);
        member.container = { plan: message.plan, netns, netlink, ports: [] };
        if (this.#options.isOfMachine && !isInOwnNetwork(member.connection)) {
          return this.#refuse(member, "join networks: the bridges are in another network namespace");
        }
        member.portsDue = message.ports ?? 0;
        return this.#attach(member);
      }
      case "publish": {
        const [listener] = fds;
        if (listener === undefined || !member.container) return fds.forEach(close);
        const { container } = member;
        container.ports.push({ port: message.port, listener });
        if (!member.isWaiting) {
          return this.#changePort(member, () => this.#bridges?.publish(container, [message.port]));
        }
        if (--member.portsDue === 0) this.#attach(member);
        return;
      }
      case "unpublish": {
        const { container } = member;
        if (!container) return;
        if (member.isWaiting) return this.#takeBack(member, container, message.port);
        return this.#changePort(member, () => this.#bridges?.unpublish(container, message.port));
      }
      case "settle":
        sendMessage(member.connection, { op: "settled", message: member.portFailure });
        member.portFailure = undefined;
    }
  }

  /** The first failure is told to who asks; each is a fault as well, for who does not. */
  #changePort(member: Member, action: () => void): void {
    try {
      action();
    } catch (error) {
      member.portFailure ??= (error as Error).message.slice(0, 2000);
      throw error;
    }
  }

  /** A port that has come already, or will not come. */
  #takeBack(member: Member, container: Container, port: PublishedPort): void {
    const at = container.ports.findIndex((one) => samePort(one.port, port));
    if (at !== -1) return close(container.ports.splice(at, 1)[0]!.listener);
    if (member.portsDue > 0 && --member.portsDue === 0) this.#attach(member);
  }

  #attach(member: Member): void {
    member.isWaiting = true;
    if (member.portsDue > 0) return;
    if (!this.#bridges && !this.#openNamespace(member)) return;
    member.isWaiting = false;
    const { connection } = member;
    try {
      this.#bridges!.add(member.container!);
    } catch (error) {
      member.container = undefined;
      sendMessage(connection, { op: "failed", message: (error as Error).message });
      return;
    }
    if (!member.keeps) member.keeps = sendMessage(connection, { op: "keep" }, this.#kept);
    sendMessage(connection, { op: "attached" });
  }

  /** Makes it, unless monitors have one of a holder before: theirs is waited for. */
  #openNamespace(member: Member): boolean {
    const alive = open(holderPaths(this.#options).alive, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
    try {
      flock(alive, LOCK_EX | LOCK_NB);
    } catch (error) {
      close(alive);
      if (!isErrno(error, EAGAIN)) throw error;
      this.#loop.after(PATIENCE_MS, () => {
        if (member.isWaiting) this.#refuse(member, "the containers that hold the networks do not answer");
      });
      return false;
    }
    try {
      this.#adopt([...this.#ground.make(), alive], member);
      return true;
    } catch (error) {
      close(alive);
      this.#refuse(member, (error as Error).message);
      return false;
    }
  }

  #refuse(member: Member, message: string): void {
    forget(member);
    sendMessage(member.connection, { op: "failed", message });
  }

  /** The descriptors of a namespace and of its lock. `founder` is served by the caller. */
  #adopt(fds: number[], founder?: Member): void {
    this.#bridges = this.#ground.open(fds.slice(0, -1), {
      loop: this.#loop,
      onFault: (error) => this.#recordFault(error),
      onLull: () => this.#options.onLull?.(),
    });
    if (!this.#bridges) return fds.forEach(close);
    this.#kept = fds;
    for (const member of this.#members) if (member.isWaiting && member !== founder) this.#attach(member);
    // what belongs to nobody after a while belonged to who has ended meanwhile
    this.#loop.after(PATIENCE_MS, () => this.#guard(() => this.#bridges!.removeStrangers()));
  }

  #leave(member: Member): void {
    this.#members.delete(member);
    this.#loop.unwatch(member.connection);
    close(member.connection);
    try {
      if (member.isWaiting) forget(member);
      else if (member.container) this.#bridges?.remove(member.container);
    } finally {
      if (this.#members.size === 0) this.#endIfAlone();
    }
  }

  /** Whoever comes meanwhile has the lock: it is tried again then. */
  #endIfAlone(): void {
    if (this.#members.size > 0) return;
    using lock = lockHolder(this.#options, LOCK_EX | LOCK_NB);
    if (!lock) {
      this.#loop.after(RETRY_MS, () => this.#endIfAlone());
      return;
    }
    this.#guard(() => this.#accept());
    if (this.#members.size > 0) return;
    this.#guard(() => this.#cleanUp());
    removeHolderSockets(this.#options);
    _exit(0);
  }

  /** Where a container's monitor is still on its way back, what there is stays for the holder that it makes. */
  #cleanUp(): void {
    this.#kept.forEach(close);
    using alive = lockAlive(this.#options);
    if (!alive) return;
    this.#ground.end?.();
    removeHolderLocks(this.#options);
  }

  /** What a command asks for; whether anybody is concerned. Throws what is wrong. */
  #change(change: BridgeChange): boolean {
    let isKnown = false;
    for (const member of this.#members) {
      const { container } = member;
      if (!container || member.isWaiting || !this.#bridges) continue;
      if (!this.#bridges.change(container, change)) continue;
      isKnown = true;
      sendMessage(member.connection, { op: "plan", plan: container.plan });
    }
    return isKnown;
  }
}

/** What comes with a message; more of them are nobody's. */
const DESCRIPTORS = { attach: 2, publish: 1, unpublish: 0, settle: 0 };

/** One that has ended meanwhile is in none. */
function isInOwnNetwork(connection: number): boolean {
  try {
    return Deno.readLinkSync(`/proc/${peerCredentials(connection).pid}/ns/net`) === ownNetns();
  } catch {
    return false;
  }
}

/** Of a container that is on no bridge yet. */
function forget(member: Member): void {
  const { container } = member;
  member.isWaiting = false;
  member.container = undefined;
  if (!container) return;
  for (const fd of [container.netns, container.netlink, ...container.ports.map(({ listener }) => listener)]) {
    close(fd);
  }
}

function detachStandardStreams(): void {
  const nothing = open("/dev/null", O_RDWR);
  for (const fd of [0, 1, 2]) if (fd !== nothing) dup2(nothing, fd);
  if (nothing > 2) close(nothing);
}

/** The monitor's root filesystems would stay mounted as long as this process lives. */
function leaveContainerMounts(data: string): void {
  unshare(CLONE_NEWNS);
  mount(null, "/", null, MS_REC | MS_SLAVE);
  const targets = Deno.readTextFileSync("/proc/self/mountinfo").split("\n")
    .map((line) => unescapePath(line.split(" ")[4] ?? ""))
    .filter((target) => target.startsWith(`${data}/`));
  for (const target of targets.reverse()) {
    try {
      umount2(target, MNT_DETACH);
    } catch {
      // it went with one above it
    }
  }
}

/** Blanks and backslashes are octal there. @see proc_pid_mountinfo(5) */
function unescapePath(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}

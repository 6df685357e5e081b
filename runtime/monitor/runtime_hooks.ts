/**
 * The hooks that the monitor runs: outside of the container, one after another, while its loop goes on.
 *
 * @see OCI runtime-spec runtime.md, lifecycle
 */

import { POLLIN } from "../../ffi/constants/poll.ts";
import { SIGKILL } from "../../ffi/constants/signal.ts";
import { close, closeAllExcept, Fd } from "../../ffi/file.ts";
import { forkChild } from "../../ffi/fork.ts";
import { pollBlocking } from "../../ffi/poll.ts";
import { kill, pidfd_open, pidfd_send_signal, setsid } from "../../ffi/process.ts";
import { setSignalMask } from "../../ffi/signal.ts";
import { endHook, hooksOf, runHookBlocking, type RunningHook, spawnHook } from "../init/hooks.ts";
import type { HookKind, HookSpec } from "../spec/runtime.ts";
import type { InitPlan } from "./plan.ts";

interface Timers {
  after(ms: number, callback: () => void): unknown;
  cancel(timer: never): void;
}

interface Current extends RunningHook {
  kind: HookKind;
  /** By performance.now(). */
  deadline: number;
  onEnd(status: number): void;
}

/** Until a container of `--rm` goes, whatever its hooks still do. */
const PATIENCE_MS = 10_000;

/** Those whose failure is told of, and hinders nothing. */
const MAY_FAIL: readonly HookKind[] = ["poststart", "poststop"];

export class RuntimeHooks {
  readonly #plan: InitPlan;
  #running: Current | undefined;
  #waiting: [HookKind, HookSpec][] = [];

  constructor(plan: InitPlan) {
    this.#plan = plan;
  }

  /** Runs those of the kinds in their order; `done` is called once, with what the first failure was. */
  run(loop: Timers, kinds: HookKind[], pid: number, done: (error?: unknown) => void): void {
    let failure: unknown;
    this.#waiting = kinds.flatMap((kind) =>
      hooksOf(this.#plan, kind).map((hook): [HookKind, HookSpec] => [kind, hook])
    );
    const fail = (kind: HookKind, error: unknown) => {
      failure ??= error;
      if (!MAY_FAIL.includes(kind)) this.#waiting = [];
      next();
    };
    const next = (): void => {
      const [kind, hook] = this.#waiting.shift() ?? [];
      if (!kind || !hook) return done(failure);
      let running: RunningHook;
      try {
        running = spawnHook(this.#plan, kind, hook, pid);
      } catch (error) {
        return fail(kind, error);
      }
      const limitMs = (hook.timeout ?? 0) > 0 ? hook.timeout! * 1000 : Infinity;
      const timer = limitMs === Infinity ? undefined : loop.after(limitMs, () => kill(running.pid, SIGKILL));
      const onEnd = (status: number) => {
        if (timer !== undefined) loop.cancel(timer as never);
        try {
          endHook(running, status);
        } catch (error) {
          return fail(kind, error);
        }
        next();
      };
      this.#running = { ...running, kind, deadline: performance.now() + limitMs, onEnd };
    };
    next();
  }

  /** Some child of the monitor has ended. */
  childEnded(pid: number, status: number): void {
    const running = this.#running;
    if (pid !== running?.pid) return;
    this.#running = undefined;
    running.onEnd(status);
  }

  /**
   * The container has ended, and its monitor may: what was to be before its start is given up, those of `poststart` go
   * on in a process of their own, and then those of `poststop` are run. As what is cleaned up after a container, they
   * hold up nobody who waits for its end; only where the files that they are told of go with it (`--rm`), they come first,
   * for a while.
   */
  containerEnded(takesFilesAlong: boolean, onFault: (error: unknown) => void): void {
    const [running, left] = [this.#running, this.#waiting];
    this.#running = undefined;
    this.#waiting = [];
    const isLate = running?.kind === "poststart";
    // it is reaped as any other child
    if (running && !isLate) kill(running.pid, SIGKILL);
    if (running) close(running.output);
    const last = hooksOf(this.#plan, "poststop").map((hook): [HookKind, HookSpec] => ["poststop", hook]);
    const hooks = [...isLate ? left : [], ...last];
    if (hooks.length === 0 && !(isLate && running.deadline < Infinity)) return;
    try {
      using late = isLate ? new Fd(pidfd_open(running.pid)) : undefined;
      const pid = forkChild(() => {
        setsid();
        closeAllExcept(late ? [late.number] : []);
        setSignalMask([]);
        if (late) awaitEnd(late.number, running!.deadline);
        for (const [kind, hook] of hooks) tolerate(() => runHookBlocking(this.#plan, kind, hook, 0));
        return 0;
      });
      if (takesFilesAlong) {
        using process = new Fd(pidfd_open(pid));
        pollBlocking(process.number, POLLIN, PATIENCE_MS);
      }
    } catch (error) {
      onFault(error);
    }
  }
}

/** Of a process that is another's child, which is killed in the end. */
function awaitEnd(pidfd: number, deadline: number): void {
  const limitMs = deadline === Infinity ? -1 : Math.max(0, Math.ceil(deadline - performance.now()));
  if (pollBlocking(pidfd, POLLIN, limitMs) === 0) pidfd_send_signal(pidfd, SIGKILL);
}

/** Nobody is left who could be told. */
function tolerate(action: () => void): void {
  try {
    action();
  } catch {
    // the others are run all the same
  }
}

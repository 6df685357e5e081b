/**
 * What a monitor does for its container beyond waiting for the end: health checks, a time limit, starting again.
 * Loaded before the fork only where the plan asks for it.
 *
 * ```
 *  running ─ends─▶ is it to run again? ─no──▶ exited
 *     ▲                   └─yes─▶ restarting, for 100 ms, 200 ms … 1 min ─stop─▶ exited
 *     └────────────────────────────────────┘
 * ```
 *
 * @see podman-run(1), --restart; https://docs.docker.com/engine/containers/start-containers-automatically/
 */

import { SkiffError } from "../errors.ts";
import type { NewEvent } from "../spec/event.ts";
import { changeEnv } from "../spec/environment.ts";
import { HealthWatch } from "./health.ts";
import { removeHealth } from "./health_record.ts";
import { Notifier } from "./notify.ts";
import { EventLoop } from "./loop.ts";
import type { ExitRecord, HealthPlan, MonitorPlan, StateRecord, SupervisionPlan } from "./plan.ts";
import { encodeJsonFrame, FRAME } from "./protocol.ts";
import { type Control, Server } from "./server.ts";
import type { Session } from "./session.ts";
import { readSupervisionChange } from "./supervision_change.ts";

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** Who has run for so long begins with the first delay again. */
const STEADY_MS = 10_000;

export class Supervisor {
  #plan: SupervisionPlan;
  #health: HealthWatch | undefined;
  /** Of the run that goes on. */
  #state: StateRecord | undefined;
  readonly #notifier: Notifier | undefined;
  #isStopped = false;
  #isForced = false;
  #delayMs = FIRST_DELAY_MS;
  #startedMs = 0;
  restartCount = 0;

  constructor(readonly monitorPlan: MonitorPlan, readonly tell: (event: Partial<NewEvent>) => void) {
    this.#plan = monitorPlan.supervision!;
    this.#notifier = this.#plan.notify && new Notifier(this.#plan.notify);
  }

  /** The program runs. */
  started(session: Session, state: StateRecord): void {
    const { timeoutSeconds } = this.#plan;
    this.#state = state;
    this.#startedMs = performance.now();
    this.#isForced = false;
    this.#notifier?.started(session.loop);
    if (timeoutSeconds) {
      session.loop.after(timeoutSeconds * 1000, () => {
        this.#isStopped = true;
        session.kill();
      });
    }
    this.#watchHealth(session);
  }

  /** What `update` wants: at once where the program runs, which has a session. */
  change(fd: number, session?: Session): void {
    const { plan, env } = readSupervisionChange(fd);
    const { process } = this.monitorPlan.init.spec;
    if (env) process.env = changeEnv(process.env, env);
    if (!plan) return;
    const { restart, health } = plan;
    this.#plan = { ...this.#plan, restart, health };
    if (!session || !this.#state) return;
    if (health && this.#health) return this.#health.change(health);
    this.#health?.stop();
    this.#health = undefined;
    if (health) this.#watchHealth(session);
    else removeHealth(this.monitorPlan.containerDir);
  }

  #watchHealth(session: Session): void {
    const { health } = this.#plan;
    if (!health) return;
    this.#health = new HealthWatch(session.loop, health, this.monitorPlan.containerDir, this.#state!, {
      checked: ({ Status }, result) => {
        const attributes = this.#plan.health?.log?.destination === "events_logger"
          ? { ...this.monitorPlan.events?.subject.attributes, health_log: result.output }
          : undefined;
        this.tell({ action: "health_status", health: Status, ...(attributes && { attributes }) });
        session.answerHealth({ status: Status, exitCode: result.exitCode });
      },
      unhealthy: () => this.#act(session, this.#plan.health?.onFailure ?? "none"),
      startupFailed: () => this.#act(session, "restart"),
    });
  }

  /** A client asks for a check now. */
  checkHealth(): void {
    if (!this.#health) throw new SkiffError("run health check: the container has none, or does not run");
    this.#health.check();
  }

  /** Somebody has asked for the end. */
  stopAsked(): void {
    this.#isStopped = true;
  }

  /** It does not run any more. */
  dispose(): void {
    this.#notifier?.dispose();
  }

  /** Whether it is to run again. */
  ended(record: ExitRecord): boolean {
    this.#health?.stop();
    this.#health = undefined;
    this.#state = undefined;
    if (this.#isStopped) return false;
    // what could not even be set up the first time will not be better the next
    if (record.startedAt === "" && this.restartCount === 0) return false;
    if (performance.now() - this.#startedMs >= STEADY_MS) this.#delayMs = FIRST_DELAY_MS;
    const { restart } = this.#plan;
    if (this.#isForced) return true;
    if (!restart) return false;
    if (restart.policy !== "on-failure") return true;
    return record.exitCode !== 0 && (restart.retries === 0 || this.restartCount < restart.retries);
  }

  /** Waits until it is time, serving clients meanwhile. False where somebody stops it; they are told `record`. */
  waitBlocking(listen: number, describe: () => Record<string, unknown>, give: () => ExitRecord): boolean {
    const loop = new EventLoop();
    let isEnding = false;
    const room = new WaitingRoom(describe, () => {
      this.#isStopped = true;
      if (isEnding) return; // two may ask at once
      isEnding = true;
      // after the answer to who asks for it
      loop.after(0, () => server.end(encodeJsonFrame(FRAME.EXIT, give()), true, () => loop.stop()));
    }, (fd) => this.change(fd));
    const server = new Server(loop, listen, room, this.monitorPlan.containerDir);
    loop.after(this.#delayMs, () => {
      if (!this.#isStopped) loop.stop();
    });
    loop.runBlocking();
    server.dispose();
    loop.dispose();
    this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
    if (this.#isStopped) return false;
    this.restartCount++;
    return true;
  }

  /** `--health-on-failure`. */
  #act(session: Session, action: HealthPlan["onFailure"]): void {
    switch (action) {
      case "kill":
        return session.kill();
      case "stop":
        return session.stop();
      case "restart":
        session.stopForRestart();
        this.#isForced = true;
    }
  }
}

/** Between two runs there is nobody to attach to; a stop is all that can be asked for. */
class WaitingRoom implements Control {
  constructor(
    readonly status: () => Record<string, unknown>,
    readonly stop: () => void,
    readonly changeSupervision: (fd: number) => void,
  ) {}

  start(): void {}

  signal(): void {
    throw new SkiffError("send signal: the container is restarting");
  }

  attached(): void {
    throw new SkiffError("attach: the container is restarting");
  }

  checkHealth(): void {
    throw new SkiffError("run health check: the container is restarting");
  }

  resize(): void {}
  writeStdin(): void {}
  stdinEnded(): void {}
  holdOutput(): void {}

  isStdinFull(): boolean {
    return false;
  }
}

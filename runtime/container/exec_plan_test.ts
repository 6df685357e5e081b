import { deepStrictEqual as assertEquals, throws } from "node:assert";
import type { ContainerConfig } from "./config.ts";
import { planExec } from "./exec_plan.ts";
import type { ExecOptions } from "./options.ts";

const config = {
  id: "ab",
  env: ["PATH=/bin", "A=container"],
  workdir: "/srv",
  user: "www",
  groupAdd: ["wheel"],
  privileged: false,
  capAdd: [],
  capDrop: ["CHOWN"],
  security: { seccomp: { kind: "default" }, noNewPrivileges: true, mask: [], unmask: [] },
  rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }],
  userns: "keep-id",
} as unknown as ContainerConfig;

const plan = (options: Partial<ExecOptions> = {}, startOnAttach = true) =>
  planExec(config, { command: ["true"], ...options }, {
    sessionId: "cd",
    sessionDir: "/c/exec/cd",
    eventsPath: "/e/log",
    runtimeDir: "/r",
    socketPath: "/r/x/cd",
    state: { initPid: 7, initStartTime: "9" },
    isSingleId: false,
    lastCapability: 40,
    callerNofile: { soft: 1, hard: 2 },
    startOnAttach,
  });

Deno.test("a session is confined as its container is", () => {
  const { process, annex, nestedUserns, initPid, initStartTime } = plan();
  assertEquals(process.capabilities?.bounding.includes("CAP_CHOWN"), false);
  assertEquals([process.capabilities?.inheritable, process.capabilities?.ambient], [[], []]);
  assertEquals(process.noNewPrivileges, true);
  assertEquals([annex.user, annex.groupAdd, process.cwd], ["www", ["wheel"], "/srv"]);
  assertEquals([nestedUserns, initPid, initStartTime], [true, 7, "9"]);
  assertEquals(process.rlimits?.map(({ type }) => type), ["RLIMIT_CORE", "RLIMIT_NOFILE"]);
});

Deno.test("environment, folder, user and privileges may be others", () => {
  const { process, annex } = plan({
    env: ["A=exec", "B=1"],
    workdir: "/a/../b",
    user: "0",
    privileged: true,
  });
  assertEquals(process.env, ["PATH=/bin", "A=exec", "B=1"]);
  assertEquals([process.cwd, annex.user], ["/b", "0"]);
  assertEquals(process.capabilities?.effective.includes("CAP_SYS_ADMIN"), true);
  throws(() => plan({ workdir: "x" }), {
    message: `set working directory "x": it needs to be an absolute path`,
  });
});

Deno.test("a terminal brings TERM, which the container's own wins over", () => {
  assertEquals(plan({ tty: true }).process.env[0], "TERM=xterm");
});

Deno.test("a detached session neither waits for a client nor ends its input with one", () => {
  assertEquals(plan({ interactive: true }).stdio, {
    tty: false,
    openStdin: true,
    stdinOnce: true,
    startOnAttach: true,
    size: undefined,
  });
  assertEquals(plan({ interactive: true }, false).stdio.stdinOnce, false);
});

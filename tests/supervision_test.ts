/** What a monitor does beyond waiting: restart policies, health checks, a time limit, requirements, a reboot. */

import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  testIds,
  waitFor,
} from "./harness.ts";
import { AF_UNIX, SOCK_DGRAM, SOCK_NONBLOCK } from "../ffi/constants/socket.ts";
import { close } from "../ffi/file.ts";
import { bindUnix, connectUnix, recv, send, socket } from "../ffi/socket.ts";
import { busyboxImage } from "./images.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };

const inspect = (host: Host, name: string, format: string) => host.ok("inspect", "-f", format, name);

async function refusal(host: Host, ...words: string[]): Promise<string> {
  const { code, stderr } = await host.skiff(words);
  assertEquals(code, 125, words.join(" "));
  return stderr.split("\n")[0]!;
}

hostTest("a restart policy starts a container again, until somebody stops it", NEEDS, async (host) => {
  const image = await host.image();
  await host.run(
    "-q",
    "-d",
    "--name",
    "few",
    "--restart",
    "on-failure:2",
    image,
    "sh",
    "-c",
    "echo up; exit 3",
  );
  await waitFor(
    "its last run",
    async () => await inspect(host, "few", "{{.State.Status}} {{.RestartCount}}") === "exited 2",
  );
  assertEquals(await host.ok("logs", "few"), "up\nup\nup");
  assertEquals(
    await inspect(host, "few", "{{.State.ExitCode}} {{json .HostConfig.RestartPolicy}}"),
    '3 {"Name":"on-failure","MaximumRetryCount":2}',
  );
  await host.run("-q", "-d", "--name", "fine", "--restart", "on-failure", image, "true");
  assertEquals(await host.ok("wait", "fine"), "0");
  assertEquals(await inspect(host, "fine", "{{.RestartCount}}"), "0");

  const counter = "trap 'exit 0' TERM; echo run; until [ -e /end ]; do sleep 0.02; done; rm /end; exit 1";
  await host.run("-q", "-d", "--name", "ever", "--restart", "always", image, "sh", "-c", counter);
  const monitor = await inspect(host, "ever", "{{.State.ConmonPid}}");
  for (const run of [2, 3]) {
    await host.ok("exec", "ever", "touch", "/end");
    await waitFor(`run ${run}`, async () => (await host.ok("logs", "ever")).split("\n").length === run);
  }
  // the same monitor, what was written is still there, and commands reach the new run
  assertEquals(await inspect(host, "ever", "{{.State.ConmonPid}} {{.RestartCount}}"), `${monitor} 2`);
  assertEquals(await host.ok("exec", "ever", "echo", "hello"), "hello");
  await host.ok("stop", "ever");
  assertEquals(await inspect(host, "ever", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
  await host.ok("start", "ever");
  await host.ok("kill", "ever");
  assertEquals(await host.ok("wait", "ever"), "137");
  assertEquals(await inspect(host, "ever", "{{.State.Status}}"), "exited");

  // between two runs
  await host.run("-q", "-d", "--name", "often", "--restart", "always", image, "false");
  const moment = () => inspect(host, "often", "{{.State.Status}} {{.RestartCount}}");
  // the waits become longer, until one is long enough for all the commands
  await waitFor("between two runs", async () => {
    const before = await moment();
    if (!before.startsWith("restarting")) return false;
    const exec = await host.skiff(["exec", "often", "true"]);
    const rm = await host.skiff(["rm", "often"]);
    const ps = await host.ok("ps", "--format", "{{.Names}} {{.Status}}");
    if (await moment() !== before) return false;
    assertEquals([exec.code, rm.code], [125, 2]);
    assertIncludes(exec.stderr, "its state is restarting");
    assertIncludes(ps, "often Restarting");
    return true;
  }, 180_000);
  await host.ok("stop", "often");
  // between two runs it has the last one's code; a run that had just begun is killed
  assertMatch(
    await inspect(host, "often", "{{.State.Status}} {{.State.ExitCode}} [{{.State.Error}}]"),
    /^exited (1|137) \[\]$/,
  );
  // with the log driver passthrough each run has the caller's streams
  const passed = await host.sh(
    `$SKIFF run -q -d --name passed --network none --restart on-failure:2 --log-driver passthrough ${image} \
      sh -c 'echo run; exit 1' > passed; until [ "$($SKIFF inspect -f '{{.State.Status}} {{.RestartCount}}' passed)" = 'exited 2' ]
    do :; done; grep -c run passed`,
  );
  assertEquals(passed.stdout, "3\n", passed.stderr);
  // what cannot be set up is not tried again
  const bad = await host.run("-q", "-d", "--restart", "always", "--name", "bad", image, "/nowhere");
  assertEquals(bad.code, 127);
  assertEquals(await inspect(host, "bad", "{{.RestartCount}}"), "0");
});

hostTest("after a boot start-all starts what is to run", NEEDS, async (host) => {
  const image = await host.image();
  for (const policy of ["always", "unless-stopped", "on-failure", "no"]) {
    for (const end of ["stopped", "lost"]) {
      const name = `${policy}-${end}`;
      await host.run("-q", "-d", "--name", name, "--restart", policy, image, "sleep", "600");
      if (end === "stopped") await host.ok("stop", "-t", "0", name);
      else host.kill9(Number(await inspect(host, name, "{{.State.ConmonPid}}")));
    }
  }
  assertEquals(
    await host.ok("ps", "-a", "--filter", "restart-policy=on-failure", "--format", "{{.Names}}"),
    "on-failure-lost\non-failure-stopped",
  );
  await host.ok("create", "--name", "new", "--restart", "always", image, "sleep", "600");
  assertEquals(
    (await host.ok("system", "start-all")).split("\n").toSorted(),
    ["always-lost", "always-stopped", "unless-stopped-lost"],
  );
  assertEquals(await host.ok("system", "start-all"), "");
  const path = await host.ok("system", "start-all", "--install-unit");
  assertEquals(path, `${host.home}/.config/systemd/user/skiff-start-all.service`);
  assertMatch(await Deno.readTextFile(path), /^ExecStart=\/.* system start-all$/m);
});

hostTest(
  "health checks run in the container, and what they come to is shown and acted on",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const health = ["--health-cmd", "echo looked; test -e /well", "--health-interval"];
    await host.run(
      "-q",
      "-d",
      "--name",
      "asked",
      ...health,
      "disable",
      "--health-retries",
      "2",
      image,
      "sleep",
      "600",
    );
    assertEquals(await inspect(host, "asked", "{{.State.Health.Status}}"), "starting");
    const check = async () => {
      const { code, stdout } = await host.skiff(["healthcheck", "run", "asked"]);
      return `${code} ${stdout.trim()} ${await inspect(
        host,
        "asked",
        "{{.State.Health.Status}} {{.State.Health.FailingStreak}}",
      )}`;
    };
    assertEquals(await check(), "1 unhealthy starting 1");
    assertEquals(await check(), "1 unhealthy unhealthy 2");
    assertIncludes(await host.ok("ps"), "(unhealthy)");
    assertEquals(await host.ok("ps", "-q", "--filter", "health=healthy"), "");
    await host.ok("exec", "asked", "touch", "/well");
    assertEquals(await check(), "0  healthy 0");
    const { Log } = JSON.parse(await inspect(host, "asked", "{{json .State.Health}}"));
    assertEquals(Log.map((entry: { ExitCode: number; Output: string }) => [entry.ExitCode, entry.Output]), [
      [1, "looked\n"],
      [1, "looked\n"],
      [0, "looked\n"],
    ]);
    assertEquals(
      await host.ok("events", "--stream=false", "-f", "event=health_status", "--format", "{{.HealthStatus}}"),
      "starting\nunhealthy\nhealthy",
    );

    await host.run(
      "-q",
      "-d",
      "--name",
      "ill",
      "--restart",
      "always",
      "--health-retries",
      "1",
      "--health-on-failure",
      "kill",
      ...health,
      "50ms",
      image,
      "sleep",
      "600",
    );
    await waitFor(
      "it was killed and started",
      async () => Number(await inspect(host, "ill", "{{.RestartCount}}")) >= 1,
    );
    await host.ok("rm", "-f", "ill");
    await host.run(
      "-q",
      "-d",
      "--name",
      "slow",
      "--health-cmd",
      "sleep 600",
      "--health-timeout",
      "1s",
      "--health-interval",
      "10ms",
      "--health-retries",
      "1",
      image,
      "sleep",
      "600",
    );
    await waitFor(
      "it took too long",
      async () => await inspect(host, "slow", "{{.State.Health.Status}}") === "unhealthy",
    );
    assertIncludes(await inspect(host, "slow", "{{json .State.Health.Log}}"), "exceeded timeout (1s)");

    // a monitor that may not fork: its checks fail, and the container runs on
    const alone = ["--name", "alone", "--health-cmd", "true", "--health-interval", "disable"];
    await host.run("-q", "-d", ...alone, image, "sleep", "600");
    const monitor = await inspect(host, "alone", "{{.State.ConmonPid}}");
    const { uid } = testIds()!;
    const limited = await new Deno.Command("prlimit", { args: ["--nproc=1:1", "--pid", monitor], uid })
      .output();
    assertEquals(limited.success, true);
    assertEquals((await host.skiff(["healthcheck", "run", "alone"])).code, 1);
    assertIncludes(
      await inspect(host, "alone", "{{json .State.Health.Log}}"),
      "Resource temporarily unavailable",
    );
    assertEquals(await inspect(host, "alone", "{{.State.Status}}"), "running");

    const Healthcheck = { Test: ["CMD", "true"], Interval: 20_000_000 };
    const declared = await host.makeImage(await busyboxImage({ Healthcheck, Cmd: ["sleep", "600"] }));
    await host.run("-q", "-d", "--name", "declared", declared);
    await waitFor(
      "the image's check",
      async () => await inspect(host, "declared", "{{.State.Health.Status}}") === "healthy",
    );
    await host.run("-q", "-d", "--name", "none", "--no-healthcheck", declared);
    assertIncludes(await refusal(host, "healthcheck", "run", "none"), "it has no defined healthcheck");
  },
);

hostTest("a startup check comes first, and restarts what does not start", NEEDS, async (host) => {
  const logs = `${host.home}/logs`;
  await Deno.mkdir(logs);
  await host.own(logs);
  const image = await host.image("busybox");
  const words = ["--health-cmd", "echo usual; test -e /well", "--health-interval", "disable"];
  const startup = [
    "--health-startup-cmd",
    "echo startup; test -e /up",
    "--health-startup-interval",
    "disable",
  ];
  const sleep = [image, "sh", "-c", "echo begun; exec sleep 1000"];
  await host.run("-q", "-d", "--name", "slow", ...words, "--health-retries", "1", ...startup, ...[
    ...["--health-startup-success", "2", "--health-max-log-count", "3", "--health-max-log-size", "4"],
    ...["--health-log-destination", logs],
  ], ...sleep);
  const check = async (name: string) => {
    const { code } = await host.skiff(["healthcheck", "run", name]);
    return `${code} ${await inspect(host, name, "{{.State.Health.Status}} {{.State.Health.FailingStreak}}")}`;
  };
  assertEquals(await check("slow"), "1 starting 0");
  await host.ok("exec", "slow", "touch", "/up");
  assertEquals(await check("slow"), "0 starting 0");
  await host.ok("exec", "slow", "rm", "/up");
  assertEquals(await check("slow"), "1 starting 0");
  await host.ok("exec", "slow", "touch", "/up");
  assertEquals(await check("slow"), "0 starting 0");
  assertEquals(await check("slow"), "0 starting 0");
  // two in a row: the usual check has its turn
  assertEquals(await check("slow"), "1 unhealthy 1");
  await host.ok("exec", "slow", "touch", "/well");
  assertEquals(await check("slow"), "0 healthy 0");
  const kept = "{{range .State.Health.Log}}{{.ExitCode}}{{.Output}} {{end}}";
  assertEquals(await inspect(host, "slow", kept), "0star 1usua 0usua ");
  const id = await inspect(host, "slow", "{{.Id}}");
  const copy = JSON.parse(await Deno.readTextFile(`${logs}/${id}-healthcheck.log`));
  assertEquals([copy.Status, copy.Log.length], ["healthy", 3]);
  const described = "{{.Config.StartupHealthCheck.Successes}} {{.Config.HealthcheckMaxLogCount}}";
  assertEquals(await inspect(host, "slow", described), "2 3");

  // all that it says, whole characters, where no limit is wanted
  const wordy = "printf x; yes é | head -n 3000 | tr -d '\\n'";
  const unlimited = ["--health-interval", "disable", "--health-max-log-size", "0"];
  await host.run("-q", "-d", "--name", "wordy", "--health-cmd", wordy, ...unlimited, ...sleep);
  assertEquals(await check("wordy"), "0 healthy 0");
  const said = await inspect(host, "wordy", "{{range .State.Health.Log}}{{.Output}}{{end}}");
  assert(
    said === `x${"é".repeat(3000)}`,
    `${said.length} characters, ${said.split("\ufffd").length - 1} broken`,
  );

  const failing = [...words, ...startup, "--health-startup-retries", "2", "--health-log-destination"];
  await host.run("-q", "-d", "--name", "never", ...failing, "events_logger", ...sleep);
  assertEquals(await check("never"), "1 starting 0");
  await host.skiff(["healthcheck", "run", "never"]);
  await waitFor("its restart", async () => await inspect(host, "never", "{{.RestartCount}}") === "1");
  const told = ["-f", "container=never", "-f", "event=health_status", "--format", "{{json .Attributes}}"];
  assertIncludes(await host.ok("events", "--stream=false", ...told), '"health_log":"startup');
  for (
    const [wrong, message] of [
      [
        ["--health-startup-cmd", "x"],
        "cannot set a startup healthcheck when there is no regular healthcheck",
      ],
      [["--no-healthcheck", "--health-startup-cmd", "x"], "both --no-healthcheck and --health-startup-cmd"],
      [[...words, "--health-startup-cmd", "x", "--health-startup-timeout", "0s"], "at least 1 second"],
      [[...words, "--health-log-destination", "/no/such"], 'health log destination "/no/such": '],
    ] as const
  ) {
    assertIncludes(await refusal(host, "create", ...wrong, image), message);
  }
});

hostTest("a time limit kills, requirements come first, and mistakes are named", NEEDS, async (host) => {
  const image = await host.image();
  assertEquals((await host.run("-q", "--rm", "--timeout", "1", image, "sleep", "600")).code, 137);
  await host.ok("create", "--name", "db", image, "sleep", "600");
  await host.run("-q", "-d", "--name", "web", "--requires", "db", image, "sleep", "600");
  assertEquals(await host.ok("ps", "--format", "{{.Names}}"), "web\ndb");
  const needed = await host.skiff(["rm", "-f", "db"]);
  assertIncludes(needed.stderr, "it has dependent containers which must be removed before it");
  assertEquals(needed.code, 125);
  await host.ok("rm", "-f", "--depend", "db");
  assertEquals(await host.ok("ps", "-aq"), "");
  await host.ok("create", "--name", "db", image, "true");
  await host.ok("create", "--name", "web", "--requires", "db", image, "true");
  await host.ok("rm", "--all");
  assertEquals(await host.ok("ps", "-aq"), "");
  for (
    const [words, message] of [
      [["--restart", "sometimes"], '"sometimes" is not a valid restart policy: invalid argument'],
      [
        ["--restart", "always:3"],
        "restart policy retries can only be specified with on-failure restart policy",
      ],
      [
        ["--restart", "always", "--rm"],
        'the --rm option conflicts with --restart, when the restartPolicy is not "" and "no"',
      ],
      [
        ["--health-cmd", "x", "--health-interval", "5"],
        'invalid healthcheck-interval: "5" is not a duration',
      ],
      [["--health-cmd", "x", "--no-healthcheck"], "cannot specify both --no-healthcheck and --health-cmd"],
      [
        ["--health-on-failure", "cry"],
        'invalid on-failure action "cry" for health check: supported actions are none,kill,restart,stop',
      ],
      [["--requires", "nobody"], 'no container with name or ID "nobody" found: no such container'],
    ] as [string[], string][]
  ) assertEquals(await refusal(host, "create", ...words, image, "true"), `Error: ${message}`);
});

hostTest(
  "NOTIFY_SOCKET hears from the container, or at its start, and nothing else of it",
  NEEDS,
  async (host) => {
    const image = await host.makeImage(await busyboxImage({}));
    const path = `${host.folder}/notify`;
    const listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK);
    try {
      bindUnix(listener, path);
      await Deno.chmod(path, 0o777);
      const heard = () => {
        const buffer = new Uint8Array(1024);
        try {
          return new TextDecoder().decode(buffer.subarray(0, recv(listener, buffer)));
        } catch {
          return undefined;
        }
      };
      const env = { NOTIFY_SOCKET: path };
      const run = (...words: string[]) =>
        host.skiff(["run", "--network", "none", "-q", "-d", ...words], { env });
      await run("--name", "at-start", "--sdnotify", "conmon", image, "sleep", "600");
      const monitor = await inspect(host, "at-start", "{{.State.ConmonPid}}");
      assertEquals(await waitFor("readiness", heard), `MAINPID=${monitor}\nREADY=1`);
      assertEquals(await inspect(host, "at-start", "{{.Config.sdNotifyMode}}"), "conmon");
      // the socket is there; what the program says is up to it
      const script = "test -S $NOTIFY_SOCKET && sleep 600";
      assertEquals((await run("--name", "itself", image, "sh", "-c", script)).code, 0);
      assertEquals(await host.ok("exec", "itself", "ls", "/run/notify"), "notify.sock");
      assertEquals(heard(), undefined);
      const pid = await inspect(host, "itself", "{{.State.Pid}}");
      const inside = socket(AF_UNIX, SOCK_DGRAM);
      connectUnix(inside, `/proc/${pid}/root/run/notify/notify.sock`);
      send(inside, new TextEncoder().encode("MAINPID=1\nSTOPPING=1"));
      send(inside, new TextEncoder().encode("STATUS=fine\nREADY=1\nMAINPID=1"));
      close(inside);
      const owner = await inspect(host, "itself", "{{.State.ConmonPid}}");
      assertEquals(await waitFor("readiness", heard), `MAINPID=${owner}\nREADY=1`);
      assertEquals(heard(), undefined);
      await run("--name", "silent", "--sdnotify", "ignore", image, "sleep", "600");
      assertEquals(heard(), undefined);
    } finally {
      close(listener);
    }
  },
);

/** `update` of what looks after a container, and of its variables; published ports are in ports_test.ts. */

import {
  assert,
  assertEquals,
  assertIncludes,
  assertMatch,
  type Host,
  hostTest,
  type Need,
  waitFor,
} from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as Need[] };

async function pulled(host: Host): Promise<string> {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  return image;
}

const inspect = (host: Host, template: string, name = "web") =>
  host.ok("inspect", "--format", template, name);

async function runs(host: Host, image: string, ...options: string[]): Promise<void> {
  // ends when it is told how
  const script = "echo up; while [ ! -e /end ]; do sleep 0.05; done; c=$(cat /end); rm /end; exit $c";
  await host.ok(
    "run",
    "-q",
    "-d",
    "--network",
    "none",
    "--name",
    "web",
    ...options,
    image,
    "sh",
    "-c",
    script,
  );
  await host.untilLogged("web");
}

async function ends(host: Host, code: number): Promise<void> {
  await host.ok("exec", "web", "sh", "-c", `echo ${code} >/e; mv /e /end`);
}

async function hasStartedAgain(host: Host, before: string): Promise<void> {
  await waitFor("it runs again", async () => {
    const [status, startedAt] = (await inspect(host, "{{.State.Status}} {{.State.StartedAt}}")).split(
      / (.*)/,
    );
    return status === "running" && startedAt !== before;
  });
}

for (
  const [how, ...options] of [
    ["started without one"],
    ["that has another", "--restart", "on-failure:1"],
  ]
) {
  hostTest(`update --restart holds for a container ${how}, while it runs`, NEEDS, async (host) => {
    const image = await pulled(host);
    await runs(host, image, ...options);
    const id = await inspect(host, "{{.Id}}");
    const before = await inspect(host, "{{.State.StartedAt}}");
    assertEquals(await host.ok("update", "--restart", "always", "web"), id);
    assertEquals(
      await inspect(
        host,
        "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
      ),
      "always 0",
    );
    await ends(host, 0);
    await hasStartedAgain(host, before);
    const again = await inspect(host, "{{.State.StartedAt}}");
    await ends(host, 0);
    await hasStartedAgain(host, again);
    // and is taken away again
    await host.ok("update", "--restart", "no", "web");
    await ends(host, 3);
    await waitFor("it has ended", async () => await inspect(host, "{{.State.Status}}") === "exited");
    assertEquals(await inspect(host, "{{.State.ExitCode}} {{.HostConfig.RestartPolicy.Name}}|"), "3 |");
  });
}

hostTest("what is stopped by hand stays so, whatever policy it got while it ran", NEEDS, async (host) => {
  const image = await pulled(host);
  await runs(host, image);
  await host.ok("update", "--restart", "always", "web");
  await host.ok("stop", "-t", "0", "web");
  await waitFor("nobody waits for it", () => host.processes().length === 0);
  assertEquals(await inspect(host, "{{.State.Status}}"), "exited");
  // of one that has ended it holds from the next start on
  await host.ok("update", "--restart", "on-failure:2", "web");
  assertEquals(await inspect(host, "{{.HostConfig.RestartPolicy.MaximumRetryCount}}"), "2");
  await host.ok("start", "web");
  const before = await inspect(host, "{{.State.StartedAt}}");
  await ends(host, 4);
  await hasStartedAgain(host, before);
  assertEquals(await inspect(host, "{{.RestartCount}}"), "1");
});

hostTest("update --health-* holds at once, and inspect shows every one of them", NEEDS, async (host) => {
  const image = await pulled(host);
  await runs(host, image, "--health-cmd", "true", "--health-interval", "1h");
  await host.ok(
    ...["update", "--health-cmd", "echo bad; exit 1", "--health-interval", "200ms", "--health-retries", "2"],
    ...["--health-timeout", "7s", "--health-start-period", "0s", "--health-max-log-count", "3", "web"],
  );
  await waitFor(
    "it is unhealthy",
    async () => await inspect(host, "{{.State.Health.Status}}") === "unhealthy",
  );
  assertEquals(
    await inspect(host, "{{json .Config.Healthcheck}} {{.Config.HealthcheckMaxLogCount}}"),
    '{"Test":["CMD-SHELL","echo bad; exit 1"],"Interval":200000000,"Timeout":7000000000,"Retries":2} 3',
  );
  // what it has come to stays
  await host.ok("update", "--health-interval", "1h", "web");
  assertEquals(await inspect(host, "{{.State.Health.Status}}"), "unhealthy");
  await host.ok("update", "--health-cmd", "true", "web");
  assertEquals((await host.skiff(["healthcheck", "run", "web"])).code, 0);
  assertEquals(await inspect(host, "{{.State.Health.Status}}"), "healthy");
  await host.ok(
    "update",
    "--health-cmd",
    "false",
    "--health-retries",
    "1",
    "--health-on-failure",
    "kill",
    "web",
  );
  await host.skiff(["healthcheck", "run", "web"]);
  await waitFor("it was killed", async () => await inspect(host, "{{.State.Status}}") === "exited");
});

hostTest("update --no-healthcheck ends the checks of a container that runs", NEEDS, async (host) => {
  const image = await pulled(host);
  const startup = ["--health-startup-cmd", "true", "--health-startup-interval", "100ms"];
  await runs(host, image, "--health-cmd", "true", "--health-interval", "100ms", ...startup);
  await waitFor("it is healthy", async () => await inspect(host, "{{.State.Health.Status}}") === "healthy");
  await host.ok("update", "--no-healthcheck", "web");
  assertEquals(await inspect(host, "{{.Config.Healthcheck.Test}} {{.State.Health.Status}}|"), "[NONE] |");
  assert(!(await inspect(host, "{{json .Config}}")).includes("StartupHealthCheck"));
  const refused = await host.skiff(["healthcheck", "run", "web"]);
  assertEquals(refused.code, 125);
  assertIncludes(refused.stderr, "no defined healthcheck");
});

hostTest(
  "checks that a running container never had begin with its next start, which is said",
  NEEDS,
  async (host) => {
    const image = await pulled(host);
    await runs(host, image);
    const { code, stderr } = await host.skiff([
      "update",
      "--health-cmd",
      "true",
      "--health-interval",
      "100ms",
      "web",
    ]);
    assertEquals([code, stderr], [
      0,
      'Warning: health checks of container "web" begin with its next start: it was started without any\n',
    ]);
    await host.ok("restart", "-t", "0", "web");
    await waitFor("it is healthy", async () => await inspect(host, "{{.State.Health.Status}}") === "healthy");
  },
);

hostTest("update --env and --unsetenv hold from the next start on", NEEDS, async (host) => {
  const image = await pulled(host);
  const script = 'echo "$A:$B:$C"';
  const run = ["--network", "none", "--name", "web", "-e", "A=1", "-e", "B=2", image, "sh", "-c", script];
  assertEquals((await host.skiff(["run", ...run])).stdout, "1:2:\n");
  await host.ok("update", "--env", "A=x=y, z", "--env", "C=new", "--unsetenv", "B", "web");
  assertEquals(await host.ok("start", "-a", "web"), "x=y, z::new");
  assertMatch(await inspect(host, "{{json .Config.Env}}"), /"A=x=y, z".*"C=new"/);
  // and for what the policy starts again
  await host.ok("rm", "web");
  const again = ["-d", "--restart", "always", "--network", "none", "--name", "web", "-e", "A=1", image];
  await host.ok(
    "run",
    "-q",
    ...again,
    "sh",
    "-c",
    'echo "<$A>"; while [ ! -e /go ]; do sleep 0.05; done; sleep 0.2',
  );
  await host.untilLogged("web", "<1>");
  await host.ok("update", "--env", "A=2", "web");
  await host.ok("exec", "web", "touch", "/go");
  await host.untilLogged("web", "<2>");
});

hostTest("what update cannot do is refused, and nothing of it is done", NEEDS, async (host) => {
  const image = await pulled(host);
  await host.ok("create", "-q", "--network", "none", "--name", "web", image, "true");
  const refused = async (...words: string[]) => {
    const { code, stderr } = await host.skiff(["update", ...words]);
    assertEquals(code, 125);
    return stderr;
  };
  assertIncludes(await refused("--health-interval", "3s", "web"), "healthcheck command is not set");
  assertIncludes(await refused("--restart", "always", "--health-retries", "3", "web"), "command is not set");
  assertIncludes(await refused("--restart", "often", "web"), '"often" is not a valid restart policy');
  assertIncludes(await refused("--memory", "1g", "web"), "resource limits are not set yet");
  assertIncludes(
    await refused("--ulimit", "nofile=10", "web"),
    "the limits of a program are set when it is started",
  );
  assertIncludes(await refused("web"), "nothing is to be changed");
  assertIncludes(
    await refused("--restart", "always", "--publish-add", "80:80", "web"),
    "no ports of its own",
  );
  assertEquals(await inspect(host, "{{.HostConfig.RestartPolicy.Name}}|"), "|");
  await host.ok("update", "--latest", "--restart", "unless-stopped");
  assertEquals(await inspect(host, "{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
});

/** Real servers from a real distribution: nginx and PostgreSQL of a debootstrap Debian each serve a request. */
import { assertEquals, assertIncludes, driverTest, type Host, waitFor } from "./harness.ts";

/** A port that was free a moment ago, and that the kernel gives to nobody who asks for any. @see ip(7), ip_local_port_range */
function freePort(): number {
  for (;;) {
    try {
      using listener = Deno.listen({
        hostname: "127.0.0.1",
        port: 10_000 + Math.floor(Math.random() * 20_000),
      });
      return listener.addr.port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

async function serveByNginx(host: Host, image: string): Promise<void> {
  const port = freePort();
  const config = `${host.home}/nginx.conf`;
  await Deno.writeTextFile(
    config,
    `events {} http { access_log /dev/stdout; server { listen 127.0.0.1:${port}; root /var/www/html; } }`,
  );
  await Deno.writeTextFile(`${host.home}/hello.html`, "hello from a container\n");
  await host.own(config, `${host.home}/hello.html`);
  const { code, stderr } = await host.skiff([
    "run",
    "-d",
    "--name",
    "web",
    "--network",
    "host",
    "-v",
    `${config}:/etc/nginx/nginx.conf:ro`,
    "-v",
    `${host.home}/hello.html:/var/www/html/hello.html:ro`,

    image,
    "nginx",
    "-g",
    "daemon off;",
  ]);
  assertEquals(code, 0, stderr);
  const body = await waitFor("nginx answers", async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/hello.html`).catch(() => null);
    return answer?.ok ? await answer.text() : null;
  });
  assertEquals(body, "hello from a container\n");
  await waitFor(
    "the request is in the log",
    async () => (await host.ok("logs", "web")).includes("GET /hello.html"),
  );
  assertEquals(await host.ok("stop", "-t", "60", "web"), "web");
  assertEquals(await host.ok("inspect", "--format", "{{.State.ExitCode}}", "web"), "0");
}

async function serveByPostgres(host: Host, image: string): Promise<void> {
  const script = 'cd /usr/lib/postgresql/*/ && version=$(basename "$PWD") && ' +
    "exec bin/postgres -D /var/lib/postgresql/$version/main -c ssl=off " +
    "-c config_file=/etc/postgresql/$version/main/postgresql.conf";
  const { code, stderr } = await host.run(
    "-d",
    "--name",
    "db",
    "--user",
    "postgres",
    image,
    "sh",
    "-c",
    script,
  );
  assertEquals(code, 0, stderr);
  const query = (sql: string) => host.skiff(["exec", "--user", "postgres", "db", "psql", "-tAc", sql]);
  const isReady = async () => (await query("select 1")).code === 0;
  await waitFor("PostgreSQL answers", isReady, 180_000);
  await query("create table boats (name text); insert into boats values ('skiff')");
  assertEquals((await query("select name from boats")).stdout, "skiff\n");
  assertEquals((await query("show data_directory")).stdout.includes("/var/lib/postgresql"), true);
  // SIGINT: the fast shutdown that postgres(1) asks for
  await host.ok("kill", "--signal", "INT", "db");
  assertEquals(await host.ok("wait", "db"), "0");
  await host.ok("start", "db");
  await waitFor("PostgreSQL answers again", isReady, 180_000);
  assertEquals((await query("select name from boats")).stdout, "skiff\n", "the data outlives a stop");
  assertIncludes(
    (await host.ok("logs", "db")) + (await host.skiff(["logs", "db"])).stderr,
    "ready to accept connections",
  );
}

driverTest("nginx and PostgreSQL of a Debian each serve a request", {
  needs: ["registry", "debootstrap", "uidmap"],
  // the first of them makes the image
  timeoutMs: 600_000,
}, async (host) => {
  const image = await host.image("servers");
  const pulled = await host.skiff(["pull", "-q", image], { timeoutMs: 300_000 });
  assertEquals(pulled.code, 0, pulled.stderr);
  await serveByNginx(host, image);
  await serveByPostgres(host, image);
});

/** Volumes in use: a database on one, two containers on one, and removals that race with both. */
import { assert, assertEquals, type Host, hostTest, waitFor } from "./harness.ts";

const POSTGRES = 'cd /usr/lib/postgresql/*/ && version=$(basename "$PWD") && ' +
  "exec bin/postgres -D /var/lib/postgresql/$version/main -c ssl=off -c listen_addresses= " +
  "-c config_file=/etc/postgresql/$version/main/postgresql.conf";

async function startDatabase(host: Host, name: string, volume: string): Promise<void> {
  const image = await host.image("servers");
  const words = ["-d", "--name", name, "--user", "postgres", "-v", `${volume}:/var/lib/postgresql`];
  const { code, stderr } = await host.run(...words, image, "sh", "-c", POSTGRES);
  assertEquals(code, 0, stderr);
  await untilReady(host, name);
}

const untilReady = (host: Host, name: string) =>
  waitFor("PostgreSQL answers", async () => (await query(host, name, "select 1")).code === 0, 180_000);

const query = (host: Host, name: string, sql: string) =>
  host.skiff(["exec", "--user", "postgres", name, "psql", "-tAc", sql]);

hostTest(
  "PostgreSQL on a named volume survives rm -f, kill -9 of everything, new containers, restore and import",
  {
    needs: ["registry", "debootstrap", "uidmap"],
    timeoutMs: 600_000,
  },
  async (host) => {
    const boats = async (name: string) =>
      (await query(host, name, "select name from boats order by name")).stdout;
    const add = async (name: string, boat: string) =>
      assertEquals((await query(host, name, `insert into boats values ('${boat}')`)).code, 0);
    await startDatabase(host, "first", "pg");
    assertEquals((await query(host, "first", "create table boats (name text)")).code, 0);
    await add("first", "ark");
    await host.ok("rm", "-f", "-t", "0", "-v", "first");
    await startDatabase(host, "second", "pg");
    assertEquals(await boats("second"), "ark\n");
    await add("second", "barge");
    // the monitor dies, and with it all that ran in the container
    host.kill9(Number(await host.ok("inspect", "-f", "{{.State.ConmonPid}}", "second")));
    await host.ok("start", "second");
    await untilReady(host, "second");
    assertEquals(await boats("second"), "ark\nbarge\n");
    await host.ok("stop", "-t", "60", "second");
    await host.ok("volume", "snapshot", "pg@whole");
    await host.ok("volume", "export", "-o", "pg.tar", "pg");
    await host.ok("start", "second");
    await untilReady(host, "second");
    assertEquals((await query(host, "second", "drop table boats")).code, 0);
    await host.ok("rm", "-f", "-t", "0", "second");
    await host.ok("volume", "restore", "pg@whole");
    await startDatabase(host, "third", "pg");
    assertEquals(await boats("third"), "ark\nbarge\n");
    await host.ok("volume", "create", "moved");
    await host.ok("volume", "import", "moved", "pg.tar");
    await startDatabase(host, "fourth", "moved");
    assertEquals(await boats("fourth"), "ark\nbarge\n");
    await host.ok("rm", "-f", "-t", "0", "third", "fourth");
  },
);

hostTest("two containers on one volume see each other's writes; no removal takes it from under them", {
  needs: ["registry", "busybox"],
  timeoutMs: 240_000,
}, async (host) => {
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const run = (name: string, script: string) =>
    host.ok("run", "-d", "--name", name, "--network", "none", "-v", "shared:/s", image, "sh", "-c", script);
  await run("writer", "i=0; while :; do i=$((i+1)); echo $i >/s/new; mv /s/new /s/count; done");
  await run(
    "reader",
    "until [ -s /s/count ]; do :; done; a=$(cat /s/count); until [ $(cat /s/count) -gt $a ]; do :; done; echo seen; exec sleep 600",
  );
  await host.untilLogged("reader", "seen");
  const lock =
    "while ! mkdir /s/lock 2>/dev/null; do :; done; n=$(cat /s/n 2>/dev/null || echo 0); echo $((n+1)) >/s/n; rmdir /s/lock";
  const each = `for i in $(seq 50); do ${lock}; done`;
  await Promise.all([
    host.ok("exec", "writer", "sh", "-c", each),
    host.ok("exec", "reader", "sh", "-c", each),
  ]);
  assertEquals(await host.ok("exec", "reader", "cat", "/s/n"), "100");
  await host.ok("rm", "-f", "-t", "0", "writer");
  assertEquals(await host.ok("volume", "ls", "--format", "{{.Name}} {{.Containers}}"), "shared reader");
  assertEquals((await host.skiff(["volume", "rm", "shared"])).code, 2);
  await host.ok("rm", "-f", "-t", "0", "reader");

  // starts, prunes and removals at once: who starts has a volume whose content stays until he ends
  const keep = "echo $0 >/s/$0 && sleep 0.2 && cat /s/$0";
  const starts = Array.from({ length: 12 }, async (_, at) => {
    const name = `race-${at % 3}`;
    const { code, stdout, stderr } = await host.run(
      "--rm",
      "-v",
      `${name}:/s`,
      image,
      "sh",
      "-c",
      keep,
      `file-${at}`,
    );
    assert(code === 0 && stdout === `file-${at}\n`, `${name}: ${code} ${stdout}${stderr}`);
  });
  let isOver = false;
  const removals = ["prune -f", "rm race-0 race-1 race-2"].map(async (words) => {
    while (!isOver) await host.skiff(["volume", ...words.split(" ")]);
  });
  await Promise.all(starts).finally(() => isOver = true);
  await Promise.all(removals);
  await host.ok("volume", "prune", "-f");
  assertEquals([...Deno.readDirSync(`${host.data}/volumes`)], []);
});

hostTest("an anonymous volume that another container uses by its name outlives the container of --rm", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const first = ["run", "-q", "-d", "--rm", "--network", "none", "-v", "/v", "--name"];
  await host.ok(...first, "first", image, "sh", "-c", "echo kept >/v/file; echo made; exec sleep 600");
  await host.untilLogged("first", "made");
  const name = await host.ok("volume", "ls", "-q");
  await host.ok(
    "create",
    "--name",
    "second",
    "--network",
    "none",
    "-v",
    `${name}:/v`,
    image,
    "cat",
    "/v/file",
  );
  await host.ok("stop", "-t", "0", "first");
  assertEquals(await host.ok("start", "-a", "second"), "kept");
  assertEquals(await host.ok("volume", "ls", "-q"), name);

  // Control: one that nobody else uses goes with its container.
  await host.ok("rm", "-v", "second");
  await host.ok("volume", "prune", "-f");
  await host.ok(...first, "third", image, "sleep", "600");
  assertEquals((await host.ok("volume", "ls", "-q")).length, 64);
  await host.ok("stop", "-t", "0", "third");
  await waitFor("the removal of the volume", async () => {
    await host.ok("ps", "-a");
    return await host.ok("volume", "ls", "-q") === "";
  });
});

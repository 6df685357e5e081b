/** `system df`, `prune` and `reset`: what is there is counted right, and what is unused or everything goes. */
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
import { busyboxEntries } from "./images.ts";

const NEEDS: Need[] = ["registry", "busybox"];

interface Summary {
  Type: string;
  Total: number;
  Active: number;
  RawSize: number;
  RawReclaimable: number;
  Size: string;
  Reclaimable: string;
}

async function df(host: Host): Promise<Record<string, Summary>> {
  const summaries = JSON.parse(await host.ok("system", "df", "--format", "json")) as Summary[];
  assertEquals(summaries.map(({ Type }) => Type), ["Images", "Containers", "Local Volumes"]);
  return Object.fromEntries(summaries.map((one) => [one.Type, one]));
}

/** Two images on one layer of busybox: the one's own layer has 1 MB, the other's 2 MB. */
async function twoImages(host: Host): Promise<[string, string]> {
  const make = (megabytes: number) => {
    const data = new Uint8Array(megabytes * 1_000_000).fill(megabytes);
    return host.makeImage({
      layers: [{ entries: busyboxEntries() }, { entries: [{ path: "own", content: data }] }],
      config: { Labels: { size: String(megabytes) } },
    });
  };
  const names = [await make(1), await make(2)] as [string, string];
  for (const name of names) await host.ok("pull", "-q", name);
  return names;
}

hostTest(
  "system df counts shared layers once, and what containers and volumes hold",
  { needs: NEEDS },
  async (host) => {
    assertEquals(
      await host.ok("system", "df"),
      "TYPE           TOTAL       ACTIVE      SIZE        RECLAIMABLE\n" +
        "Images         0           0           0B          0B (0%)\n" +
        "Containers     0           0           0B          0B (0%)\n" +
        "Local Volumes  0           0           0B          0B (0%)",
    );
    const [one, two] = await twoImages(host);
    const both = (await df(host)).Images!;
    assertEquals([both.Total, both.Active, both.Reclaimable], [2, 0, `${both.Size} (100%)`]);
    // written and kept: 300 kB by the user, 100 kB by another id behind a closed folder, one of two names of a file
    const write =
      "head -c 300000 /dev/zero > /a; ln /a /b; mkdir -m 700 /c; head -c 100000 /dev/zero > /c/d; chown -R 1000 /c";
    const run = ["run", "--network", "none", "-v", "used:/v"];
    await host.ok(...run, "--name", "ended", one, "sh", "-c", `${write}; head -c 50000 /dev/zero > /v/x`);
    await host.ok(...run, "-d", "--name", "lives", one, "sleep", "600");
    const usage = await df(host);
    assertEquals([usage.Images!.Total, usage.Images!.Active], [2, 1]);
    // only the second image's own layer is to be had back
    const freed = usage.Images!.RawReclaimable;
    assert(freed >= 2_000_000 && freed < 2_010_000, String(freed));
    assert(usage.Images!.RawSize > 4_000_000 && usage.Images!.RawSize === both.RawSize, String(both.RawSize));
    assertEquals([usage.Containers!.Total, usage.Containers!.Active, usage.Containers!.RawSize], [
      2,
      1,
      400000,
    ]);
    assertEquals([usage.Containers!.RawReclaimable, usage.Containers!.Reclaimable], [400000, "400kB (100%)"]);
    assertEquals([usage["Local Volumes"]!.Total, usage["Local Volumes"]!.Active], [1, 1]);
    assertEquals([usage["Local Volumes"]!.RawSize, usage["Local Volumes"]!.RawReclaimable], [50000, 0]);

    const verbose = await host.ok("system", "df", "-v");
    assertMatch(
      verbose,
      /^Images space usage:\n\nREPOSITORY +TAG +IMAGE ID +CREATED +SIZE +SHARED SIZE +UNIQUE SIZE +CONTAINERS\n/,
    );
    assertMatch(
      verbose,
      new RegExp(`^${two.replace(/:latest$/, "")} +latest +[0-9a-f]{12} .* +2\\.\\d+MB +0$`, "m"),
    );
    assertMatch(verbose, /\nCONTAINER ID +IMAGE +COMMAND +LOCAL VOLUMES +SIZE +CREATED +STATUS +NAMES\n/);
    assertMatch(verbose, /^[0-9a-f]{12} +[0-9a-f]{12} +sleep 600 +1 +0B +.* running +lives$/m);
    assertMatch(verbose, /\nVOLUME NAME +LINKS +SIZE\nused +2 +50kB$/);
    assertEquals(
      await host.ok("system", "df", "--format", "{{.Type}} {{.TotalCount}}"),
      "Images 2\nContainers 2\nLocal Volumes 1",
    );
    const clash = await host.skiff(["system", "df", "-v", "--format", "json"]);
    assertEquals([clash.code, clash.stderr], [125, "Error: cannot combine --format and --verbose flags\n"]);
  },
);

const ASKED = "Are you sure you want to continue? [y/N] ";

hostTest("system prune asks, and removes what nothing uses", { needs: NEEDS }, async (host) => {
  const [one, two] = await twoImages(host);
  const id = await host.ok("create", "--name", "idle", "--network", "none", "-v", "kept:/v", one, "true");
  await host.ok("run", "-d", "--name", "busy", "--network", "none", "-v", "busy:/v", one, "sleep", "600");
  await host.ok("run", "--network", "none", "--rm", "-v", "loose:/v", one, "sh", "-c", "echo x > /v/x");

  const asked = await host.skiff(["system", "prune", "--volumes"], { stdin: "n\n" });
  assertEquals([asked.code, asked.stdout], [
    0,
    "WARNING! This command removes:\n\t- all stopped containers\n\t- all networks not used by at least one container\n" +
    "\t- all volumes not used by at least one container\n\t- all dangling images\n\t- all dangling build cache\n\n" +
    ASKED,
  ]);
  assertEquals((await host.ok("ps", "-aq")).split("\n").length, 2);
  assertEquals(
    await host.ok("system", "prune", "-f", "--filter", "until=1h", "--volumes"),
    "Total reclaimed space: 0B",
  );
  const first = await host.skiff(["system", "prune", "--volumes"], { stdin: "y\n" });
  assertIncludes(
    first.stdout,
    `${ASKED}Deleted Containers\n${id}\nDeleted Volumes\nkept\nloose\nTotal reclaimed space: 2B\n`,
  );
  assertEquals((await host.ok("images", "-q")).split("\n").length, 2);
  const all = await host.ok("system", "prune", "-af");
  const [, removed] = /^Deleted Images\n([0-9a-f]{64})\nTotal reclaimed space: 2(?:\.\d+)?MB$/.exec(all) ??
    [];
  assert(removed !== undefined, all);
  assertEquals((await host.skiff(["image", "exists", two])).code, 1);
  await host.ok("exec", "busy", "cat", "/own");
  const unknown = await host.skiff(["system", "prune", "-f", "--filter", "foo=bar"]);
  assertEquals([unknown.code, unknown.stderr], [125, "Error: foo is an invalid filter\n"]);
});

hostTest("system reset ends and removes everything, files of subordinate ids among it", {
  needs: [...NEEDS, "uidmap"],
}, async (host) => {
  const image = await host.image();
  const script =
    "mkdir -m 700 /v/closed; touch /v/closed/x; chown -R 1000 /v/closed; trap '' TERM; echo up; sleep 600";
  const id = await host.ok("run", "-d", "--network", "none", "-v", "vol:/v", image, "sh", "-c", script);
  await waitFor("the program", async () => (await host.ok("logs", id)) === "up");
  const [process] = host.processes();
  assert(process !== undefined);
  const asked = await host.skiff(["system", "reset"], { stdin: "\n" });
  assertMatch(
    asked.stdout,
    /^WARNING! This will remove:\n {8}- all containers\n {8}- all images\n {8}- all volumes\n {8}- the data folder: ".*"\n {8}- the runtime folder: ".*"\nAre you sure/,
  );
  assert(host.containers().length === 1);
  // it works where the database is damaged, too
  await Deno.writeTextFile(`${host.data}/skiff.db`, "damaged");
  const { code, stdout, stderr } = await host.skiff(["system", "reset", "-f"]);
  assertEquals([code, stdout, stderr], [0, "", ""]);
  assertEquals(await Deno.stat(host.data).catch(() => "gone"), "gone");
  await waitFor("the end of its processes", () => host.processes().length === 0);
  assertEquals(await host.ok("ps", "-aq"), "");
});

hostTest("info has every key of podman's, and docker's beside", { needs: ["podman"] }, async (host) => {
  const folders = ["--root", `${host.folder}/root`, "--runroot", `${host.folder}/runroot`];
  const theirs = await new Deno.Command("podman", { args: [...folders, "info", "--format", "json"] })
    .output();
  assertEquals(theirs.code, 0, new TextDecoder().decode(theirs.stderr));
  const podman = JSON.parse(new TextDecoder().decode(theirs.stdout));
  const skiff = JSON.parse(await host.ok("info", "--format", "json"));
  const missing = Object.keys(podman).flatMap((group) =>
    Object.keys(podman[group]).filter((key) => !(group in skiff && key in skiff[group])).map((key) =>
      `${group}.${key}`
    )
  );
  // of Go and its libraries' builds
  assertEquals(missing.filter((key) => !/^version\.(Built|BuiltTime|GoVersion)$/.test(key)), []);
  assertEquals(Object.keys(podman.store.containerStore), Object.keys(skiff.store.containerStore));
  const { ID, Containers, Driver, DriverStatus, NCPU, MemTotal, ServerVersion } = skiff;
  assertEquals([ID, Containers, Driver], [host.data, 0, skiff.store.graphDriverName]);
  assertEquals(DriverStatus[0][0], "Backing Filesystem");
  assertEquals([NCPU, MemTotal, ServerVersion], [
    skiff.host.cpus,
    skiff.host.memTotal,
    skiff.version.Version,
  ]);
  assert(skiff.store.graphRootAllocated > skiff.store.graphRootUsed && skiff.store.graphRootUsed > 0);
  assertEquals(
    await host.ok("info", "-f", "{{.Host.CPUUtilization.IdlePercent}} {{.Store.GraphRootUsed}}").then((
      text,
    ) => /^[\d.]+ \d+$/.test(text)),
    true,
  );
  assertMatch(
    await host.ok("system", "info"),
    /^host:\n[^]*^plugins:\n[^]*^registries:[^]*^store:\n[^]*^version:\n/m,
  );
});

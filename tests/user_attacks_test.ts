/** Attacks through USER, passwd and group files of the image; each with a control that the file is looked at. */
import { assertEquals, driverTest, type Host, type Need } from "./harness.ts";
import { busyboxEntries, type Entry } from "./images.ts";

const NEEDS: Need[] = ["registry", "busybox", "uidmap"];
const RANGE = "Error: uids and gids must be in range 0-2147483647\n";

interface Files {
  passwd?: string | Uint8Array;
  group?: string;
  /** Entries of a further layer. */
  extra?: Entry[];
  user?: string;
}

/** An image whose account files are the attacker's; pulled, so that stderr is the run's own. */
async function imageWith(host: Host, { passwd, group, extra = [], user }: Files): Promise<string> {
  const entries: Entry[] = [...extra];
  if (passwd !== undefined) entries.push({ path: "etc/passwd", content: passwd });
  if (group !== undefined) entries.push({ path: "etc/group", content: group });
  const image = await host.makeImage({
    layers: [{ entries: busyboxEntries() }, { entries }],
    config: { Env: ["PATH=/bin:/usr/bin"], ...user === undefined ? {} : { User: user } },
  });
  await host.ok("pull", "-q", image);
  return image;
}

/** `Uid Gid Groups` of the first process, from the kernel. */
const IDS = [
  "sh",
  "-c",
  "sed -n 's/^[UG]id:\\t\\([0-9]*\\).*/\\1/p; s/^Groups:\\t//p' /proc/self/status | xargs",
];

async function idsOf(host: Host, image: string, ...options: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run("--rm", ...options, image, ...IDS);
  return code === 0 ? stdout.trim() : `${code} ${stderr}`;
}

driverTest(
  "ids that do not fit are refused, by --user and by the image's USER",
  { needs: NEEDS },
  async (host) => {
    const image = await imageWith(host, {});
    for (const user of ["4294967296", "4294967295", "2147483648", "-1", "0:4294967296", "0:-1"]) {
      const { code, stderr } = await host.run("--rm", `--user=${user}`, image, "true");
      assertEquals([user, code === 0, stderr], [user, false, RANGE]);
    }
    const bad = await imageWith(host, { user: "4294967296" });
    assertEquals((await host.run("--rm", bad, "true")).stderr, RANGE);
    // control: the same words with ids that fit
    assertEquals(await idsOf(host, image, "--user=1:2"), "1 2 2");
  },
);

driverTest(
  "an account that is named like a number does not capture the number",
  { needs: NEEDS },
  async (host) => {
    const image = await imageWith(host, {
      passwd: "1000:x:0:0::/root:/bin/sh\nthousand:x:0:0::/root:/bin/sh\n",
      group: "1000:x:0:\n",
    });
    assertEquals(await idsOf(host, image, "--user", "1000"), "1000 0 0");
    assertEquals(await idsOf(host, image, "--user", "1000:1000"), "1000 1000 1000");
    // control: the same entry under a name that is no number makes root
    assertEquals(await idsOf(host, image, "--user", "thousand"), "0 0 0");
  },
);

driverTest("passwd entries with ids that do not fit make nobody root", { needs: NEEDS }, async (host) => {
  const image = await imageWith(host, {
    passwd:
      "wrap:x:4294967296:4294967296::/:/bin/sh\nminus:x:-1:-1::/:/bin/sh\nempty:x:::::\nfine:x:7:8::/:/bin/sh\n",
  });
  for (const user of ["wrap", "minus", "empty"]) {
    const { code, stderr } = await host.run("--rm", "--user", user, image, "true");
    const message = `Error: unable to find user ${user}: no matching entries in passwd file\n`;
    assertEquals([code === 0, stderr], [false, message]);
  }
  assertEquals(await idsOf(host, image, "--user", "fine"), "7 8 8");
});

driverTest("a passwd that is a link leads to the container's files only", { needs: NEEDS }, async (host) => {
  const outside = `${host.folder}/passwd`;
  await Deno.writeTextFile(outside, "thief:x:0:0::/:/bin/sh\n");
  const notFound = "Error: unable to find user thief: no matching entries in passwd file\n";
  const links: Record<string, string> = {
    [outside]: notFound,
    [`../../../../../../../../..${outside}`]: notFound,
    "/dev/zero": notFound,
    // a link of procfs is never followed
    "/proc/self/root/../etc/passwd":
      "Error: read /etc/passwd of the container: openat2 `etc/passwd`: Too many levels of symbolic links\n",
  };
  const plain = await imageWith(host, {});
  const id = await host.ok("run", "-d", "--network", "none", plain, "sleep", "600");
  for (const [link, message] of Object.entries(links)) {
    await host.ok("exec", id, "ln", "-sf", link, "/etc/passwd");
    const { code, stderr } = await host.skiff(["exec", "--user", "thief", id, "true"]);
    assertEquals([link, code === 0, stderr], [link, false, message]);
  }
  const linked = await imageWith(host, { extra: [{ path: "etc/passwd", link: outside }], user: "thief" });
  assertEquals((await host.run("--rm", linked, "true")).code === 0, false);

  // control: a link within the image is followed
  const inside = await imageWith(host, {
    extra: [
      { path: "etc/real", content: "thief:x:5:6::/:/bin/sh\n" },
      { path: "etc/passwd", link: "../etc/real" },
    ],
  });
  assertEquals(await idsOf(host, inside, "--user", "thief"), "5 6 6");
});

driverTest(
  "a FIFO or a huge file in place of passwd stops nobody for long",
  { needs: NEEDS },
  async (host) => {
    const fifo = await imageWith(host, { extra: [{ path: "etc/passwd", type: "fifo" }] });
    assertEquals(await idsOf(host, fifo, "--user", "5"), "5 0 0");
    // control: who opens it without care waits
    const waiting = ["sh", "-c", "timeout 0.2 cat /etc/passwd; echo $?"];
    assertEquals((await host.run("--rm", fifo, ...waiting)).stdout, "143\n");

    const huge = await imageWith(host, { passwd: new Uint8Array(64 * 1024 * 1024).fill(0x61) });
    const { code, stderr } = await host.run("--rm", "--user", "alice", huge, "true");
    assertEquals(code === 0, false);
    if (!/passwd/.test(stderr)) throw new Error(`the error does not name the file: ${stderr}`);
    // control: an entry at the end of a file that is large, but no bomb, is found
    const large = `${"# padding\n".repeat(200_000)}alice:x:7:8::/:/bin/sh\n`;
    assertEquals(await idsOf(host, await imageWith(host, { passwd: large }), "--user", "alice"), "7 8 8 100");
  },
);

driverTest("the caller's groups are dropped, the image's are taken, the primary one among them", {
  needs: NEEDS,
}, async (host) => {
  const image = await imageWith(host, {
    passwd: "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n",
    group: "root:x:0:\nusers:x:100:alice\naudio:x:29:bob,alice\nstaff:x:50:bob\n",
  });
  assertEquals(await idsOf(host, image), "0 0 0");
  assertEquals(await idsOf(host, image, "--user", "alice"), "1000 1000 29 100 1000");
  assertEquals(await idsOf(host, image, "--user", "alice:staff"), "1000 50 50");
  assertEquals(await idsOf(host, image, "--user", "1000"), "1000 1000 29 100 1000");

  const id = await host.ok("run", "-d", "--network", "none", image, "sleep", "600");
  assertEquals((await host.ok("exec", "--user", "alice", id, ...IDS)).trim(), "1000 1000 29 100 1000");
  const refused = await host.skiff(["exec", "--user", "4294967296", id, "true"]);
  assertEquals([refused.code === 0, refused.stderr], [false, RANGE]);
});

/** What a volume gains from the file system it lies on: shared blocks and limits, on an xfs of the test's own. */
import { assert, assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { mountXfs } from "./xfs.ts";

hostTest("on a file system that can, clones share blocks and volumes have limits", {
  needs: ["root", "busybox", "registry", "mkfs.xfs"],
  asRoot: true,
}, async (host) => {
  await using xfs = await mountXfs(host);
  const image = await host.image();
  await host.ok("pull", "-q", image);
  const usedKb = async () => Number((await host.sh("df -k --output=used /var/lib/skiff | tail -1")).stdout);
  await host.ok("volume", "create", "big");
  const volumes = "/var/lib/skiff/volumes";
  await host.sh(`dd if=/dev/urandom of=${volumes}/big/_data/file bs=1M count=150 2>/dev/null; sync`);
  const before = await usedKb();
  await host.ok("volume", "clone", "big", "copy");
  await host.ok("volume", "snapshot", "big@one");
  await host.sh("sync");
  assert(await usedKb() - before < 50_000, `${await usedKb() - before} kB more`);
  const same = await host.sh(
    `cd ${volumes} && cmp big/_data/file copy/_data/file && echo new >>copy/_data/file &&
    cmp big/_data/file big/snapshots/one/_data/file && ! cmp -s big/_data/file copy/_data/file`,
  );
  assertEquals(same.code, 0, same.stderr);
  // Control: a copy that shares nothing takes its room.
  await host.sh(`cp --reflink=never ${volumes}/big/_data/file /var/lib/skiff/plain; sync`);
  assert(await usedKb() - before > 140_000);

  const create = ["volume", "create", "-o", "o=size=10m,inodes=20", "small"];
  if (!xfs.hasQuotas) {
    const { code, stderr } = await host.skiff(create);
    assert(code === 125 && stderr.includes("its file system keeps no project quotas"), stderr);
    return;
  }
  await host.ok(...create);
  await host.ok("volume", "create", "free");
  const fill = (name: string) =>
    host.run(
      "--rm",
      "-v",
      `${name}:/v`,
      image,
      "sh",
      "-c",
      "dd if=/dev/zero of=/v/x bs=1M count=20 2>&1; stat -c %s /v/x",
    );
  const full = await fill("small");
  assertIncludes(full.stdout, "No space left on device");
  assert(Number(full.stdout.trim().split("\n").at(-1)) <= 10 << 20, full.stdout);
  assertIncludes((await fill("free")).stdout, String(20 << 20));
  // copies have the limit of their own, and so has what takes the place of the content
  await host.ok("volume", "create", "-o", "o=size=10m", "kept");
  await host.ok("volume", "snapshot", "kept@empty");
  await host.ok("volume", "clone", "kept", "kept-copy");
  await host.ok("volume", "restore", "kept@empty");
  for (const name of ["kept", "kept-copy"]) {
    assertIncludes((await fill(name)).stdout, "No space left on device");
  }
  const many = await host.run(
    "--rm",
    "-v",
    "small:/v",
    image,
    "sh",
    "-c",
    "rm /v/x; for i in $(seq 30); do : >/v/$i || break; done; ls /v | wc -l",
  );
  assert(Number(many.stdout) < 20 && Number(many.stdout) > 10, many.stdout);
});

hostTest("limits that nobody would keep are refused", { needs: ["user"] }, async (host) => {
  for (
    const [words, error] of [
      ["o=size=10m", "quotas of a file system are for root alone to set"],
      ["o=size=much", 'invalid size "much"'],
      ["o=inodes=-1", 'invalid number of inodes "-1"'],
    ] as const
  ) {
    const { code, stderr } = await host.skiff(["volume", "create", "-o", words, "x"]);
    assert(code === 125 && stderr.includes(error), `${words}: ${stderr}`);
  }
});

hostTest("a limit on a file system that keeps none is refused, and no volume is left", {
  needs: ["root"],
  asRoot: true,
}, async (host) => {
  const { code, stderr } = await host.skiff(["volume", "create", "-o", "o=size=10m", "x"]);
  assert(code === 125 && stderr.includes("its file system keeps no project quotas"), stderr);
  assertEquals((await host.skiff(["volume", "exists", "x"])).code, 1);
});

/** What a volume gains from the file system it lies on: shared blocks and limits, on one of the test's own. */
import { assert, assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { mountLoop, whyNoQuotas } from "./loop_filesystem.ts";

for (const type of ["xfs", "btrfs"] as const) {
  hostTest(`on ${type} clones and snapshots share blocks`, {
    needs: ["root", "busybox", "registry", `mkfs.${type}`],
    asRoot: true,
  }, async (host) => {
    await using _mounted = await mountLoop(host, type);
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
    // a container writes, and what was there before comes back
    const image = await host.image();
    await host.ok("pull", "-q", image);
    await host.run("--rm", "-v", "big:/v", image, "sh", "-c", "echo other >/v/file; echo more >/v/more");
    await host.ok("volume", "restore", "big@one");
    const back = await host.run("--rm", "-v", "big:/v", image, "sh", "-c", "ls /v; stat -c %s /v/file");
    assertEquals(back.stdout, `file\n${150 << 20}\n`);
    // Control: a copy that shares nothing takes its room.
    await host.sh(`cp --reflink=never ${volumes}/big/_data/file /var/lib/skiff/plain; sync`);
    assert(await usedKb() - before > 140_000);
  });
}

/** What write(2) says where a quota is used up. */
const FULL = { xfs: "No space left on device", ext4: "Disk quota exceeded" };

for (const type of ["xfs", "ext4"] as const) {
  hostTest(`on ${type} with project quotas volumes have limits`, {
    needs: ["root", "busybox", "registry", `mkfs.${type}`],
    notHere: whyNoQuotas(type),
    asRoot: true,
  }, async (host) => {
    await using _mounted = await mountLoop(host, type, { hasQuotas: true });
    const image = await host.image();
    await host.ok("pull", "-q", image);
    await host.ok("volume", "create", "-o", "o=size=10m,inodes=20", "small");
    await host.ok("volume", "create", "free");
    const inside = async (name: string, script: string) =>
      (await host.run("--rm", "-v", `${name}:/v`, image, "sh", "-c", script)).stdout;
    const fill = (name: string) =>
      inside(name, "dd if=/dev/zero of=/v/x bs=1M count=20 2>&1; stat -c %s /v/x");
    const full = await fill("small");
    assertIncludes(full, FULL[type]);
    assert(Number(full.trim().split("\n").at(-1)) <= 10 << 20, full);
    // control: the file system itself has room
    assertIncludes(await fill("free"), String(20 << 20));
    // the folder itself is one of the 20; without `echo` a redirection that fails would end the shell
    const many = await inside(
      "small",
      "rm /v/x; for i in $(seq 30); do echo >/v/$i || break; done; ls /v | wc -l",
    );
    assertEquals(many, "19\n");
    // what is full is seen as full
    assertIncludes(await inside("small", "df -k /v"), "10240");
    // copies have the limit of their own, and so has what takes the place of the content
    await host.ok("volume", "create", "-o", "o=size=10m", "kept");
    await host.ok("volume", "snapshot", "kept@empty");
    await host.ok("volume", "clone", "kept", "kept-copy");
    await host.ok("volume", "restore", "kept@empty");
    for (const name of ["kept", "kept-copy"]) assertIncludes(await fill(name), FULL[type]);
    // more than there may be is not imported, and what was there stays
    await host.sh(
      "head -c 20M /dev/zero >/var/lib/skiff/zero && tar -C /var/lib/skiff -cf /var/lib/skiff/tar zero",
    );
    const imported = await host.skiff(["volume", "import", "kept", "/var/lib/skiff/tar"]);
    assert(imported.code === 125 && imported.stderr.includes(FULL[type]), imported.stderr);
    assertIncludes(await inside("kept", "stat -c %s /v/x"), String(10 << 20).slice(0, 3));
    // a volume that comes after it, perhaps with the number of the same folder, has its own limit or none
    await host.ok("volume", "rm", "small", "kept", "kept-copy");
    await host.ok("volume", "create", "small");
    assertIncludes(await fill("small"), String(20 << 20));
  });
}

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
  needs: ["root", "mkfs.xfs"],
  asRoot: true,
}, async (host) => {
  await using _mounted = await mountLoop(host, "xfs");
  const { code, stderr } = await host.skiff(["volume", "create", "-o", "o=size=10m", "x"]);
  assert(code === 125 && stderr.includes("its file system keeps no project quotas"), stderr);
  assertEquals((await host.skiff(["volume", "exists", "x"])).code, 1);
});

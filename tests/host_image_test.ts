/** The built-in image `host`: what an ordinary user's container sees of the user's own files. */
import { assertEquals, hostTest } from "./harness.ts";
import { testIds } from "./needs.ts";

hostTest(
  "a user's files outside of /home are not seen in the image host either",
  { needs: ["root"] },
  async (host) => {
    const { uid, gid } = testIds()!;
    const mine = await Deno.makeTempDir({ dir: "/srv" });
    const others = await Deno.makeTempDir({ dir: "/srv" });
    try {
      await Deno.writeTextFile(`${mine}/secret`, "mine");
      await Deno.writeTextFile(`${others}/open`, "another's");
      await Deno.chown(mine, uid, gid);
      await Deno.chmod(others, 0o755);
      const script = `cat ${mine}/secret || ls -d ${mine}; cat ${others}/open`;
      const { stdout } = await host.run("--rm", "host", "sh", "-c", script);
      assertEquals(stdout, "another's");
      const control = await host.program(["sh", "-c", `chmod 711 ${mine}; cat ${mine}/secret`]);
      assertEquals(control.stdout, "mine", "the user can read it");
    } finally {
      for (const folder of [mine, others]) await Deno.remove(folder, { recursive: true });
    }
  },
);

hostTest("the root of any user namespace can write to what is fresh", { needs: ["uidmap"] }, async (host) => {
  for (const words of [["--userns", "auto"], ["--userns", "nomap"], ["--uidmap", "0:1:1000"]]) {
    const script = "touch /root/made /mnt/made && stat -c %u:%g / /root /root/made && stat -c %a /tmp";
    const seen = await host.ok("run", "--rm", "--network", "none", ...words, "host", "sh", "-c", script);
    assertEquals(seen, "0:0\n0:0\n0:0\n1777", words.join(" "));
  }
});

hostTest("a machine without /etc/hosts and /etc/hostname", { needs: ["root", "uidmap"] }, async (host) => {
  const { uid, gid } = testIds()!;
  const script = `mount -t tmpfs none /mnt && cp -a /etc /mnt && rm /mnt/etc/hosts /mnt/etc/hostname &&
    mount --bind /mnt/etc /etc && exec setpriv --reuid=${uid} --regid=${gid} --clear-groups "$@"`;
  const { code, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
    args: [
      ...["-m", "--propagation", "private", "/bin/sh", "-c", script, "sh", host.binary],
      ...["run", "--rm", "--network", "none", "host", "sh", "-c", "ls /etc/hosts; cat /etc/hostname; id -u"],
    ],
    clearEnv: true,
    env: { ...host.env },
  }).output();
  const text = new TextDecoder();
  assertEquals([code, text.decode(stdout)], [0, "0\n"], text.decode(stderr));
});

/** A user without subordinate ids: one id is mapped, and owners are pretended. */
import { makeAptRepository } from "./apt_repository.ts";
import { assertEquals, assertIncludes, assertMatch, type Host, hostTest, type Need } from "./harness.ts";

/** An id that no account has, and so no range in /etc/subuid. */
const NOBODYS_ID = 54321;

const WARNING =
  /^Warning: only one user id can be mapped, so file owners inside containers are pretended: \/etc\/subuid has no range for 54321; as root: usermod --add-subuids (\d+-\d+) --add-subgids \1 54321\n$/;

type Call = (...words: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;

function singleIdTest(name: string, needs: Need[], fn: (skiff: Call, host: Host) => Promise<void>) {
  hostTest(name, { needs: ["root", "registry", ...needs] }, async (host) => {
    try {
      await fn(await caller(host), host);
    } finally {
      // its runtime folder: there is no /run/user for who never logged in
      await Deno.remove(`/tmp/skiff-${NOBODYS_ID}`, { recursive: true });
    }
  });
}

/** Calls the executable as that user, with a home below the test's folder. */
async function caller(host: Host): Promise<Call> {
  const home = `${host.folder}/nobodys`;
  await Deno.mkdir(`${home}/.config/containers`, { recursive: true });
  await host.declareInsecure((await host.registry()).address);
  await Deno.copyFile(
    `${host.home}/.config/containers/registries.conf`,
    `${home}/.config/containers/registries.conf`,
  );
  for (const path of ["", "/.config", "/.config/containers"]) {
    await Deno.chown(home + path, NOBODYS_ID, NOBODYS_ID);
  }
  const env = { ...host.env, HOME: home, USER: "", XDG_CACHE_HOME: `${home}/.cache` };
  return async (...words) => {
    const { code, stdout, stderr } = await new Deno.Command("/usr/bin/setpriv", {
      args: [
        `--reuid=${NOBODYS_ID}`,
        `--regid=${NOBODYS_ID}`,
        "--clear-groups",
        "--inh-caps=-all",
        host.binary,
        ...words,
      ],
      clearEnv: true,
      env,
      cwd: home,
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return { code, stdout: out!, stderr: err! };
  };
}

singleIdTest(
  "a user without subordinate ids runs the built-in image, and is told why once",
  [],
  async (skiff) => {
    const first = await skiff("run", "--rm", "--network", "none", "host", "true");
    assertEquals([first.code, first.stdout], [0, ""]);
    assertMatch(first.stderr, WARNING);
    const second = await skiff(
      "run",
      "--rm",
      "--network",
      "none",
      "host",
      "sh",
      "-c",
      "id -u; cat /proc/self/uid_map",
    );
    assertEquals([second.code, second.stdout.trim().split(/\s+/), second.stderr], [
      0,
      ["0", "0", String(NOBODYS_ID), "1"],
      "",
    ]);
  },
);

for (const driver of ["overlay", "vfs"]) {
  singleIdTest(
    `with a single id, chown and su seem to work (${driver})`,
    ["busybox"],
    async (skiff, host) => {
      const image = await host.image();
      const run = ["run", "--rm", "--network", "none", "--storage-driver", driver];
      const script =
        "touch /f && chown 1234:5678 /f && chmod 4755 /f && echo chowned; su alice -c true && echo su; stat -c %u /f";
      const { code, stdout, stderr } = await skiff(...run, image, "sh", "-c", script);
      assertEquals([code, stdout], [0, "chowned\nsu\n0\n"], stderr);
      assertEquals((await skiff(...run, "-u", "1000", image, "true")).code, 0);
      assertEquals((await skiff(...run, "-t", image, "tty")).stdout, "/dev/pts/0\r\n");
      // what would be another user's is the one id's
      const other = await skiff(
        ...run,
        "-t",
        "-u",
        "1000",
        "-w",
        "/new",
        "-v",
        "own:/own:U",
        image,
        "stat",
        "-c",
        "%u",
        "/own",
      );
      assertEquals([other.code, other.stdout], [0, "0\r\n"], other.stderr);
      const status =
        (await skiff(...run, image, "grep", "-E", "^(CapEff|Seccomp):", "/proc/self/status")).stdout;
      assertEquals(status, "CapEff:\t00000000a80425fb\nSeccomp:\t2\n");
      for (const userns of ["keep-id", "nomap"]) {
        const refused = await skiff(...run, "--userns", userns, image, "true");
        assertEquals(refused.code, 125);
        assertIncludes(refused.stderr, `/etc/subuid has no range for ${NOBODYS_ID}`);
      }
      // What the container leaves belongs to the caller alone.
      const id =
        (await skiff("create", "--network", "none", "--storage-driver", driver, image, "touch", "/made"))
          .stdout
          .trim();
      await skiff("start", "-a", id);
      assertEquals((await skiff("rm", id)).code, 0);
    },
  );
}

singleIdTest("with a single id, apt-get install succeeds", ["debootstrap"], async (skiff, host) => {
  const image = await host.image("debian");
  const repository = await makeAptRepository(await Deno.makeTempDir({ dir: host.folder }));
  const script = `set -e
    echo 'deb [trusted=yes] file:/repository ./' > /etc/apt/sources.list
    apt-get update -q && apt-get install -qy owned
    owned; cat /var/lib/owned/made; stat -c '%a %U' /var/lib/owned /usr/bin/owned`;
  const run = ["run", "--rm", "--network", "none", "-v", `${repository}:/repository:ro`];
  const { code, stdout, stderr } = await skiff(...run, image, "sh", "-c", script);
  assertEquals(code, 0, stdout + stderr);
  assertEquals(stdout.split("\n").slice(-5), ["owned runs", "made", "750 root", "2755 root", ""]);
  const control = "apt-get -o APT::Sandbox::User=_apt update";
  const refused = await skiff(...run, image, "sh", "-c", script.replace("apt-get update -q", control));
  assertIncludes(refused.stdout + refused.stderr, "Could not switch group");
});

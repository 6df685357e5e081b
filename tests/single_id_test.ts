/** A user without subordinate ids: one id is mapped, and owners are pretended. */
import { makeAptRepository } from "./apt_repository.ts";
import { FakeRegistry } from "./fake_registry.ts";
import { assertEquals, assertIncludes, assertMatch, type Host, hostTest, type Need } from "./harness.ts";
import { namesIn } from "../runtime/state/listing.ts";
import { addTocImage, tocLayer } from "./toc_image.ts";
import type { LayerMember } from "./toc_layers.ts";

/** An id that no account has, and so no range in /etc/subuid. */
const NOBODYS_ID = 54321;

const WARNING =
  /^Warning: only one user id can be mapped, so file owners inside containers are pretended: \/etc\/subuid has no range for 54321; as root: useradd --uid 54321 NAME, which gives the user a name and ranges\n$/;

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

singleIdTest(
  "with a single id, a lazy layer's files are shown and committed as a plain pull's",
  ["busybox", "fuse"],
  async (skiff, host) => {
    await using registry = FakeRegistry.start();
    await host.declareInsecure(registry.host);
    const from = `${host.home}/.config/containers/registries.conf`;
    await Deno.copyFile(from, `${host.folder}/nobodys/.config/containers/registries.conf`);
    const file = (name: string, uid: number, gid: number, data: Uint8Array<ArrayBuffer>): LayerMember => {
      return { name, type: "file", mode: 0o644, uid, gid, data };
    };
    const noise = () => crypto.getRandomValues(new Uint8Array(60_000));
    const layer = tocLayer("estargz", [
      { name: "own/", type: "directory", mode: 0o755, uid: 7, gid: 8 },
      file("own/changed", 1000, 5, new Uint8Array([10])),
      file("own/seen", 33, 33, new Uint8Array([10])),
      ...Array.from({ length: 8 }, (_, at) => file(`filler${at}`, 0, 0, noise())),
    ]);
    await addTocImage(registry, "test/owned:1", [layer]);
    const image = `${registry.host}/test/owned:1`;
    const ok = async (...words: string[]) => {
      const { code, stdout, stderr } = await skiff(...words);
      assertEquals(code, 0, stderr);
      return stdout;
    };
    const script = "stat -c '%n %u:%g %a' /own /own/*; echo more >> /own/changed; mkdir /own/new";
    const seen = async (...pull: string[]) => {
      await ok("pull", "-q", ...pull, image);
      const isLazy = namesIn(`${host.folder}/nobodys/.local/share/skiff/lazy`).length === 1;
      const shown = await ok("run", "--name", "c", "--network", "none", image, "sh", "-c", script);
      const diff = (await ok("diff", "c")).split("\n").filter((line) => line.includes("/own")).sort();
      await ok("commit", "-q", "c", "changed:1");
      const saved = `${host.folder}/nobodys/saved`;
      await ok("save", "-q", "--format", "oci-dir", "-o", saved, "changed:1");
      const blob = ({ digest }: { digest: string }) => `${saved}/blobs/sha256/${digest.slice(7)}`;
      const read = (path: string) => JSON.parse(Deno.readTextFileSync(path));
      const top = read(blob(read(`${saved}/index.json`).manifests[0])).layers.at(-1);
      const listed = await host.sh(`tar --numeric-owner -tvf ${blob(top)}`);
      Deno.removeSync(saved, { recursive: true });
      await ok("rm", "c");
      await ok("rmi", "changed:1", image);
      const owners = listed.stdout.trim().split("\n").map((line) => line.split(/\s+/)).map((words) =>
        `${words[1]} ${words.at(-1)}`
      );
      return { isLazy, shown, diff, owners };
    };
    const plain = await seen();
    assertEquals(plain, {
      isLazy: false,
      shown: "/own 0:0 755\n/own/changed 0:0 644\n/own/seen 0:0 644\n",
      diff: ["A /own/new", "C /own", "C /own/changed"],
      owners: ["7/8 own/", "1000/5 own/changed", "0/0 own/new/"],
    });
    assertEquals(await seen("--lazy"), { ...plain, isLazy: true });
  },
);

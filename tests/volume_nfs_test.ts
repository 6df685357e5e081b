/** Volumes of type nfs, from a real server: NFS-Ganesha in a network namespace of the test's own. */
import {
  assert,
  assertEquals,
  assertIncludes,
  hasFilesystem,
  type Host,
  hostTest,
  waitFor,
} from "./harness.ts";
import { busyboxEntries } from "./images.ts";

interface Server extends AsyncDisposable {
  /** Runs a skiff command where the server's network is. */
  skiff(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  ok(...args: string[]): Promise<string>;
}

/** NFS 4 alone, so that nothing else need run; what it writes is in the test's folder, or in memory. */
const configuration = (folder: string) => `
NFS_CORE_PARAM { Protocols = 4; Enable_UDP = false; Enable_RQUOTA = false; }
NFSV4 { Graceless = true; RecoveryBackend = fs; RecoveryRoot = "${folder}/recovery"; }
EXPORT { Export_Id = 1; Path = ${folder}/export; Pseudo = /export; Protocols = 4; Access_Type = RW;
         Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; } }
EXPORT { Export_Id = 2; Path = ${folder}/fixed; Pseudo = /fixed; Protocols = 4; Access_Type = RO;
         Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; } }`;

async function serve(host: Host): Promise<Server> {
  const folder = `${host.folder}/nfs`;
  for (const name of ["", "/recovery", "/export", "/fixed"]) await Deno.mkdir(folder + name);
  await Deno.writeTextFile(`${folder}/conf`, configuration(folder));
  const script = `ip link set lo up && mount -t tmpfs none /run && mkdir /run/ganesha &&
    exec ganesha.nfsd -F -f ${folder}/conf -L ${folder}/log -p ${folder}/pid`;
  const server = host.spawnProgram(["/usr/bin/unshare", "-n", "/bin/sh", "-c", script]);
  const LISTENING = /:0801 \S+ 0A /;
  const log = () => Deno.readTextFile(`${folder}/log`).catch(() => "");
  await waitFor("the NFS server listens", async () => {
    const tables = ["tcp", "tcp6"].map((name) => Deno.readTextFile(`/proc/${server.pid}/net/${name}`));
    return LISTENING.test((await Promise.all(tables)).join(""));
  }).catch(async (error) => {
    throw new Error(await log(), { cause: error });
  });
  const skiff = (...args: string[]) =>
    host.program(["/usr/bin/nsenter", `--net=/proc/${server.pid}/ns/net`, host.binary, ...args]);
  return {
    skiff,
    async ok(...args) {
      const { code, stdout, stderr } = await skiff(...args);
      assertEquals(code, 0, `${args.join(" ")}: ${stderr}`);
      return stdout.trim();
    },
    async [Symbol.asyncDispose]() {
      host.kill9(server.pid);
      await server.result;
    },
  };
}

hostTest("a volume of type nfs is what its server has, for all containers that use it", {
  needs: ["root", "ip", "busybox", "registry", "nfs-ganesha"],
  notHere: hasFilesystem("nfs4") ? null : "no NFS in its kernel",
  asRoot: true,
}, async (host) => {
  const image = await host.makeImage({
    layers: [{
      entries: [...busyboxEntries(), { path: "filled/" }, { path: "filled/of-the-image", content: "image" }],
    }],
    config: { Env: ["PATH=/bin"] },
  });
  await host.ok("pull", "-q", image);
  await using server = await serve(host);
  const folder = `${host.folder}/nfs`;
  await Deno.writeTextFile(`${folder}/export/file`, "from the server");
  await Deno.chown(`${folder}/export`, 1234, 1234);
  const create = (name: string, ...words: string[]) =>
    server.ok("volume", "create", ...words.flatMap((word) => ["-o", word]), name);
  const run = (volume: string, ...command: string[]) =>
    server.skiff("run", "--rm", "--network", "none", "-v", volume, image, "sh", "-c", ...command);

  // docker's way, podman's, and by a name; the version is found
  await create("docker", "type=nfs", "o=addr=127.0.0.1,rw,soft,vers=4.1", "device=:/export");
  await create("podman", "type=nfs", "o=soft", "device=127.0.0.1:/export");
  await create("named", "type=nfs4", "o=soft", "device=localhost:/export");
  for (const name of ["docker", "podman", "named"]) {
    const { stdout, stderr } = await run(
      `${name}:/v`,
      `cat /v/file; echo; echo ${name} >/v/new; stat -c %u /v; grep ' /v ' /proc/mounts`,
    );
    const [text, owner, mount] = stdout.split("\n");
    assertEquals([text, owner], ["from the server", "1234"], stderr);
    assertIncludes(mount!, ` nfs4 rw,nosuid,nodev,relatime,vers=${name === "docker" ? "4.1" : "4.2"},`);
    assertEquals(await Deno.readTextFile(`${folder}/export/new`), `${name}\n`);
  }
  // of an image's folder nothing is put beside what is there
  assertEquals((await run("podman:/filled", "ls /filled")).stdout, "file\nnew\n");

  // what cannot be written is filled with nothing and given to nobody: by the client's word, and by the server's
  await create("read", "type=nfs4", "o=soft,ro", "device=127.0.0.1:/export");
  await create("fixed", "type=nfs4", "o=soft", "device=127.0.0.1:/fixed");
  for (const name of ["read", "fixed"]) {
    for (const place of ["/v", "/filled"]) {
      const { stdout, stderr, code } = await run(`${name}:${place}`, `echo >${place}/x; ls ${place} | wc -l`);
      assert(code === 0 && stderr.includes("Read-only file system"), stderr);
      assertEquals(stdout, name === "read" ? "2\n" : "0\n");
    }
  }

  // a second container while the first has it mounted; cp where none runs
  await server.ok(
    "run",
    "-d",
    "--name",
    "holder",
    "--network",
    "none",
    "-v",
    "named:/v",
    image,
    "sleep",
    "999",
  );
  assertEquals((await run("named:/v", "echo second >/v/second; cat /v/file")).stdout, "from the server");
  assertEquals(await server.ok("exec", "holder", "cat", "/v/second"), "second");
  await server.ok("rm", "-f", "-t", "0", "holder");
  await server.ok("create", "--name", "idle", "--network", "none", "-v", "named:/v", image, "true");
  assertIncludes(await server.ok("cp", "idle:/v/second", "-"), "second");

  await create("missing", "type=nfs", "o=soft", "device=127.0.0.1:/nowhere");
  const missing = await run("missing:/v", "true");
  assertEquals(missing.code, 125);
  assertIncludes(
    missing.stderr,
    'mount volume of type "nfs" (127.0.0.1:/nowhere): No such file or directory',
  );
  const nobody = await server.skiff("volume", "create", "-o", "type=nfs", "-o", "device=:/export", "x");
  assert(nobody.code === 125 && nobody.stderr.includes("neither the device nor o=addr= names a server"));
  await server.ok("rm", "idle");
});

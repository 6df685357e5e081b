import { assert, assertEquals } from "../../tests/assertions.ts";
import { TarWriter } from "../archive/tar.ts";
import type { TarMember } from "../archive/tar/writer.ts";
import { Fd, lstat, open } from "../../ffi/file.ts";
import {
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "../../ffi/constants/fcntl.ts";
import { find, HOST } from "./place.ts";
import { unpackTar } from "./tar_in.ts";
import { TarTree } from "./tar_out.ts";

/** A root with a folder `in`, and beside the root a folder that nothing must touch. */
function withRoot(test: (folder: string) => void): () => void {
  return () => {
    const folder = Deno.makeTempDirSync({ prefix: "skiff-tar-" });
    try {
      Deno.mkdirSync(`${folder}/root/in`, { recursive: true });
      Deno.mkdirSync(`${folder}/outside`);
      Deno.writeTextFileSync(`${folder}/outside/file`, "canary");
      test(folder);
      assertEquals([...Deno.readDirSync(`${folder}/outside`)].map(({ name }) => name), ["file"]);
      assertEquals(Deno.readTextFileSync(`${folder}/outside/file`), "canary");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

function writeTar(path: string, members: (TarMember & { content?: string })[]): void {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((bytes) => void chunks.push(bytes.slice()));
  for (const { content = "", ...member } of members) {
    const bytes = new TextEncoder().encode(content);
    writer.header({ ...member, size: bytes.length });
    writer.write(bytes);
  }
  writer.finish();
  Deno.writeFileSync(path, new Uint8Array(chunks.flatMap((chunk) => [...chunk])));
}

function unpack(folder: string, archive: string, overwrite = false) {
  using file = new Fd(open(archive, O_RDONLY | O_CLOEXEC));
  using root = new Fd(open(`${folder}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC));
  const owner = () => ({ uid: Deno.uid()!, gid: Deno.gid()! });
  return unpackTar(file.number, root.number, "/in", { overwrite, owner, makeDevices: false });
}

function failure(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

Deno.test(
  "an archive for cp stays in its root, whatever its names and links say",
  withRoot((folder) => {
    const archive = `${folder}/crafted.tar`;
    writeTar(archive, [
      { name: "../../../outside/file", type: "file", content: "climbed" },
      { name: `${folder}/outside/file`, type: "file", content: "absolute" },
      { name: "link", type: "symlink", linkname: `${folder}/outside` },
      { name: "link/file", type: "file", content: "through a link" },
      { name: "up", type: "symlink", linkname: "../../outside" },
      { name: "up/new", type: "file", content: "through a relative link" },
      { name: "device", type: "char", devmajor: 1, devminor: 3 },
    ]);
    // nothing is made where a link leads nowhere
    assert(failure(() => unpack(folder, archive)).includes("No such file or directory"), "a link to nothing");
    Deno.mkdirSync(`${folder}/root${folder}/outside`, { recursive: true });
    Deno.mkdirSync(`${folder}/root/outside`);
    const skipped = unpack(folder, archive);
    const inside = (path: string) => Deno.readTextFileSync(`${folder}/root${path}`);
    assertEquals(skipped, { count: 1, examples: ["device (a device)"] });
    assertEquals([inside("/in/outside/file"), inside(`/in${folder}/outside/file`)], ["climbed", "absolute"]);
    // a link counts as one of the root: it leads to a folder there
    assertEquals([inside(`${folder}/outside/file`), inside("/outside/new")], [
      "through a link",
      "through a relative link",
    ]);
    writeTar(archive, [{ name: "hard", type: "hardlink", linkname: "../../outside/missing" }]);
    assert(failure(() => unpack(folder, archive)).includes("cannot be linked"), "a hard link out");
  }),
);

Deno.test(
  "a folder and a file take each other's place only when asked to",
  withRoot((folder) => {
    const archive = `${folder}/a.tar`;
    Deno.mkdirSync(`${folder}/root/in/name`);
    writeTar(archive, [{ name: "name", type: "file", content: "file" }]);
    assertEquals(failure(() => unpack(folder, archive)), 'copy to "name": a file cannot replace a directory');
    unpack(folder, archive, true);
    assertEquals(Deno.readTextFileSync(`${folder}/root/in/name`), "file");
    writeTar(archive, [{ name: "name/", type: "directory", mode: 0o750 }, { name: "name/a", type: "file" }]);
    assertEquals(failure(() => unpack(folder, archive)), 'copy to "name": a directory cannot replace a file');
    unpack(folder, archive, true);
    assertEquals(lstat(`${folder}/root/in/name`).mode & 0o7777, 0o750);
  }),
);

Deno.test(
  "what is no archive is said to be none, and a cut one to be damaged",
  withRoot((folder) => {
    const none = "source must be a (compressed) tar archive when copying from stdin";
    const archive = `${folder}/a.tar`;
    for (const text of ["", "hello", "x".repeat(5000), "\x1f\x8bnot gzip"]) {
      Deno.writeFileSync(archive, new TextEncoder().encode(text));
      assertEquals(failure(() => unpack(folder, archive)), none, text.slice(0, 10));
    }
    writeTar(archive, [{ name: "a", type: "file", content: "a" }, {
      name: "b",
      type: "file",
      content: "b".repeat(999),
    }]);
    Deno.truncateSync(archive, 2000);
    assertEquals(failure(() => unpack(folder, archive)), "unpack archive: truncated archive");
  }),
);

Deno.test(
  "a tree comes out of an archive as it went in, holes as well",
  withRoot((folder) => {
    Deno.mkdirSync(`${folder}/tree/deep`, { recursive: true });
    Deno.writeTextFileSync(`${folder}/tree/deep/file`, "content", { mode: 0o640 });
    Deno.linkSync(`${folder}/tree/deep/file`, `${folder}/tree/same`);
    Deno.symlinkSync("deep/file", `${folder}/tree/link`);
    Deno.writeTextFileSync(`${folder}/tree/sparse`, "begin");
    Deno.truncateSync(`${folder}/tree/sparse`, 100 << 20);
    Deno.utimeSync(`${folder}/tree/deep`, 1_000_000_000, 1_000_000_000);
    const archive = `${folder}/tree.tar`;
    {
      using source = find(HOST, `${folder}/tree`);
      using out = new Fd(open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600));
      const tar = new TarTree(out.number, { owner: ({ uid, gid }) => ({ uid, gid }) });
      tar.add(source, "tree");
      tar.finish();
    }
    assert(lstat(archive).size < 1 << 20, "the hole was written");
    unpack(folder, archive);
    const at = (path: string) => lstat(`${folder}/root/in/tree/${path}`);
    assertEquals(
      [at("deep/file").mode & 0o7777, at("deep/file").ino === at("same").ino, at("deep").mtimeSec],
      [
        0o640,
        true,
        1_000_000_000,
      ],
    );
    assertEquals([at("sparse").size, at("sparse").blocks < 64], [100 << 20, true]);
    assertEquals(Deno.readLinkSync(`${folder}/root/in/tree/link`), "deep/file");
  }),
);

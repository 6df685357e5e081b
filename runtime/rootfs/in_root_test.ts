import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { fstat, open } from "../../ffi/file.ts";
import { close, Fd } from "../../ffi/file.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../ffi/constants/fcntl.ts";
import { ensureFileInRoot, ensureFolderInRoot, openInRoot, tryOpenInRoot } from "./in_root.ts";

/** A folder with `root` in it and, beside that, what no path inside may reach. */
function withRoot(test: (root: number, folder: string) => void | Promise<void>): () => Promise<void> {
  return async () => {
    const folder = Deno.makeTempDirSync({ prefix: "skiff-in-root-" });
    try {
      Deno.mkdirSync(`${folder}/root`);
      Deno.writeTextFileSync(`${folder}/outside`, "outside");
      using root = new Fd(open(`${folder}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC));
      await test(root.number, folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

const list = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

Deno.test(
  "links and .. resolve inside the root",
  withRoot((root, folder) => {
    Deno.mkdirSync(`${folder}/root/etc`);
    Deno.writeTextFileSync(`${folder}/root/outside`, "inside");
    Deno.symlinkSync("../../../../outside", `${folder}/root/etc/relative`);
    Deno.symlinkSync("/outside", `${folder}/root/etc/absolute`);
    const { ino } = Deno.statSync(`${folder}/root/outside`);
    for (const path of ["/outside", "../outside", "/etc/../../outside", "/etc/relative", "etc/absolute"]) {
      using fd = new Fd(openInRoot(root, path, O_PATH));
      assertEquals(Number(fstat(fd.number).ino), ino, path);
    }
  }),
);

Deno.test(
  "what is missing is undefined, a loop is an error",
  withRoot(async (root, folder) => {
    Deno.writeTextFileSync(`${folder}/root/file`, "");
    Deno.symlinkSync("loop", `${folder}/root/loop`);
    assertEquals(tryOpenInRoot(root, "/none", O_PATH), undefined);
    assertEquals(tryOpenInRoot(root, "/file/below", O_PATH), undefined);
    assertEquals(
      await messageOf(() => tryOpenInRoot(root, "/loop", O_PATH)),
      "openat2 `loop`: Too many levels of symbolic links",
    );
  }),
);

Deno.test(
  "a magic link is not followed",
  withRoot(async (_, folder) => {
    using proc = new Fd(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    using leaked = new Fd(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
    assertEquals(
      await messageOf(() => openInRoot(proc.number, `/${Deno.pid}/fd/${leaked.number}`, O_PATH)),
      `openat2 \`${Deno.pid}/fd/${leaked.number}\`: Too many levels of symbolic links`,
    );
  }),
);

Deno.test(
  "missing folders are made, through links of the root only",
  withRoot((root, folder) => {
    Deno.mkdirSync(`${folder}/root/real`);
    Deno.symlinkSync("/real", `${folder}/root/link`);
    Deno.symlinkSync("../../made", `${folder}/root/dangling`);
    close(ensureFolderInRoot(root, "/link/a/b"));
    close(ensureFileInRoot(root, "/link/c/file"));
    assertEquals(list(`${folder}/root/real`), ["a", "c"]);
    assertEquals(list(`${folder}/root/real/a`), ["b"]);
    assertEquals(Deno.statSync(`${folder}/root/real/c/file`).size, 0);
    assertEquals(list(folder), ["outside", "root"]);
  }),
);

Deno.test(
  "a link that dangles out of the root makes nothing there",
  withRoot(async (root, folder) => {
    Deno.symlinkSync(`${folder}/stray`, `${folder}/root/absolute`);
    Deno.symlinkSync("../../stray", `${folder}/root/relative`);
    for (const path of ["/absolute", "/relative", "/absolute/below", "/relative/below"]) {
      await messageOf(() => ensureFolderInRoot(root, path));
      await messageOf(() => ensureFileInRoot(root, path));
    }
    assertEquals(list(folder), ["outside", "root"]);
  }),
);

Deno.test(
  "a folder where a file should be, or the other way round, is said",
  withRoot(async (root, folder) => {
    Deno.mkdirSync(`${folder}/root/folder`);
    Deno.writeTextFileSync(`${folder}/root/file`, "");
    assertEquals(
      await messageOf(() => ensureFileInRoot(root, "/folder")),
      "create file /folder: it is a folder",
    );
    assertEquals(
      await messageOf(() => ensureFolderInRoot(root, "/file")),
      "create folder /file: it exists and is not a folder",
    );
    assertEquals(
      await messageOf(() => ensureFolderInRoot(root, "/none/..")),
      "create /none/..: not a path of the container",
    );
  }),
);

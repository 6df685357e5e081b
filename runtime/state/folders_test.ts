import { strictEqual as assertEquals, throws } from "node:assert";
import { checkPrivateFolder, execSocketPath, monitorSocketPath, openFolders } from "./folders.ts";
import { randomId } from "./ids.ts";

Deno.test("folders are made with mode 0700", () => {
  const root = Deno.makeTempDirSync();
  const folders = openFolders({ data: `${root}/data`, run: `${root}/run` });
  for (const path of [folders.data, folders.run, folders.containers, folders.blobs, folders.tmp]) {
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o700, path);
  }
  Deno.removeSync(root, { recursive: true });
});

Deno.test("a squatted folder is refused: a symlink", () => {
  const root = Deno.makeTempDirSync();
  Deno.symlinkSync("/etc", `${root}/run`);
  throws(() => openFolders({ data: `${root}/data`, run: `${root}/run` }), {
    message: `use folder "${root}/run": it is a symlink`,
  });
  Deno.removeSync(root, { recursive: true });
});

Deno.test("the user's own link leads to the data on another disk", () => {
  const root = Deno.makeTempDirSync();
  Deno.mkdirSync(`${root}/disk`, { mode: 0o700 });
  Deno.symlinkSync("disk", `${root}/data`);
  assertEquals(
    openFolders({ data: `${root}/data`, run: `${root}/run` }).data,
    `${Deno.realPathSync(root)}/disk`,
  );
  Deno.removeSync(root, { recursive: true });
});

Deno.test({
  name: "a squatted folder is refused: another user's link",
  ignore: Deno.uid() !== 0,
  async fn() {
    const root = Deno.makeTempDirSync();
    Deno.mkdirSync(`${root}/mine`, { mode: 0o700 });
    Deno.symlinkSync("mine", `${root}/data`);
    await new Deno.Command("chown", { args: ["-h", "65534", `${root}/data`] }).output();
    throws(() => openFolders({ data: `${root}/data`, run: `${root}/run` }), {
      message: `use folder "${root}/data": it is a symlink`,
    });
    Deno.removeSync(root, { recursive: true });
  },
});

Deno.test("a squatted folder is refused: open to others", () => {
  const root = Deno.makeTempDirSync();
  Deno.mkdirSync(`${root}/run`);
  Deno.chmodSync(`${root}/run`, 0o755);
  throws(() => checkPrivateFolder(`${root}/run`), {
    message: `use folder "${root}/run": its mode is 755, so others can reach it`,
  });
  Deno.removeSync(root, { recursive: true });
});

Deno.test({
  name: "a squatted folder is refused: of another user",
  ignore: Deno.uid() !== 0,
  fn() {
    const root = Deno.makeTempDirSync();
    Deno.mkdirSync(`${root}/run`, { mode: 0o700 });
    Deno.chownSync(`${root}/run`, 65534, 65534);
    throws(() => checkPrivateFolder(`${root}/run`), {
      message: `use folder "${root}/run": it belongs to user 65534, not to 0`,
    });
    Deno.removeSync(root, { recursive: true });
  },
});

Deno.test("a folder that cannot be made is named with its reason", () => {
  const root = Deno.makeTempDirSync();
  Deno.writeTextFileSync(`${root}/file`, "");
  throws(() => openFolders({ data: `${root}/file/data`, run: `${root}/run` }), {
    message: `make folder "${root}/file/data": not a directory`,
  });
  Deno.removeSync(root, { recursive: true });
});

Deno.test("socket paths fit into sun_path for the largest uid", () => {
  const folders = { run: "/run/user/4294967294/skiff" } as ReturnType<typeof openFolders>;
  const id = randomId();
  assertEquals(monitorSocketPath(folders, id), `/run/user/4294967294/skiff/c/${id.slice(0, 32)}`);
  assertEquals(execSocketPath(folders, id).length < 108, true);
});

Deno.test("a runtime folder too long for a socket is refused, not truncated", () => {
  const folders = { run: `/${"r".repeat(90)}` } as ReturnType<typeof openFolders>;
  throws(() => monitorSocketPath(folders, randomId()), {
    message: `use runtime folder "/${"r".repeat(90)}/c": a socket path there is longer than 107 bytes`,
  });
});

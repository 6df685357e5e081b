import { assertEquals, assertMatch } from "../tests/assertions.ts";
import { close, pipe2, read } from "./file.ts";
import { idMapProgram } from "./id_map_program.ts";
import { waitpidBlocking } from "./process.ts";
import { posix_spawn } from "./spawn.ts";
import { O_CLOEXEC } from "./constants/fcntl.ts";

const ignore = Deno.build.arch !== "x86_64";

/** The program in a folder with helpers that are shell scripts. */
class Started implements Disposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "skiff-id-map-" });
  readonly #pid: number;
  readonly #go: number;
  readonly #answers: number;
  #isOver = false;

  constructor(scripts: { uid?: string; gid?: string }, words: { uid: string[]; gid: string[] }) {
    Deno.writeFileSync(`${this.#folder}/program`, idMapProgram(), { mode: 0o755 });
    const helper = (kind: "uid" | "gid") => {
      const path = this.path(kind);
      if (scripts[kind] !== undefined) {
        Deno.writeTextFileSync(path, `#!/bin/sh\ncd ${this.#folder}\n${scripts[kind]}\n`, { mode: 0o755 });
      }
      return [path, "", ...words[kind]];
    };
    const [waits, go] = pipe2(O_CLOEXEC);
    const [answers, says] = pipe2(O_CLOEXEC);
    [this.#go, this.#answers] = [go, answers];
    this.#pid = posix_spawn(
      `${this.#folder}/program`,
      [...helper("uid"), "", ...helper("gid")],
      ["PATH=/usr/bin:/bin", "KIND=environment"],
      { 0: waits, 1: says, 2: says },
    );
    close(waits);
    close(says);
  }

  path(kind: string): string {
    return `${this.#folder}/${kind}`;
  }

  /** Up to the line behind the NUL, or the end. */
  answer(): string {
    let said = "";
    const buffer = new Uint8Array(256);
    while (!/\0.*\n/.test(said)) {
      const length = read(this.#answers, buffer);
      if (length === 0) break;
      said += new TextDecoder().decode(buffer.subarray(0, length));
    }
    return said;
  }

  /** Lets it go; the exit status. */
  end(): number {
    this.#isOver = true;
    close(this.#go);
    return waitpidBlocking(this.#pid).status;
  }

  [Symbol.dispose](): void {
    if (!this.#isOver) this.end();
    close(this.#answers);
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

const RECORD = 'echo "$*" > said-"${0##*/}"; echo "$KIND" >> said-"${0##*/}"';
const namespaceOf = (pid: number | "self") => Deno.readLinkSync(`/proc/${pid}/ns/user`);

Deno.test({
  name: "both helpers get the pid of who holds the namespace, which ends with the pipe",
  ignore,
  fn: () => {
    const words = { uid: ["0", "1000", "1", "1", "100000", "65536"], gid: ["0", "7", "1"] };
    using started = new Started({ uid: RECORD, gid: RECORD }, words);
    const said = started.answer();
    assertMatch(said, /^\0\d+\n$/);
    const pid = Number(said.slice(1));
    assertEquals(namespaceOf(pid) === namespaceOf("self"), false);
    for (const kind of ["uid", "gid"] as const) {
      const told = Deno.readTextFileSync(started.path(`said-${kind}`));
      assertEquals(told, `${pid} ${words[kind].join(" ")}\nenvironment\n`);
    }
    assertEquals(started.end(), 0);
    assertEquals(exists(`/proc/${pid}`), false);
  },
});

for (const kind of ["uid", "gid"] as const) {
  Deno.test({
    name: `a helper that fails is named behind what it has said: ${kind}`,
    ignore,
    fn: () => {
      const scripts = { uid: "exit 0", gid: "exit 0", [kind]: "echo no such luck >&2; exit 1" };
      using started = new Started(scripts, { uid: ["0"], gid: ["0"] });
      assertEquals(started.answer(), `no such luck\n\0${started.path(kind)}\n`);
      assertEquals(started.end(), 0);
    },
  });
}

Deno.test({
  name: "a helper that is not there has failed, as one has that a signal ended",
  ignore,
  fn: () => {
    using missing = new Started({ uid: "exit 0" }, { uid: ["0"], gid: ["0"] });
    assertEquals(missing.answer(), `\0${missing.path("gid")}\n`);
    using killed = new Started({ uid: "kill -9 $$", gid: "exit 0" }, { uid: ["0"], gid: ["0"] });
    assertEquals(killed.answer(), `\0${killed.path("uid")}\n`);
  },
});

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

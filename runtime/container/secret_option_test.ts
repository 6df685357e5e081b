import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { parseSecret } from "./secret_option.ts";

const mount = { kind: "mount", source: "s", destination: "/run/secrets/s", uid: 0, gid: 0, mode: 0o444 };

Deno.test("a secret is a file at /run/secrets by its name, or where it is asked for", () => {
  assertEquals(parseSecret("s"), mount);
  assertEquals(parseSecret("s,target="), mount);
  assertEquals(parseSecret("source=s,type=mount,target=a/b,UID=1,gid=2,mode=0640"), {
    ...mount,
    destination: "/run/secrets/a/b",
    uid: 1,
    gid: 2,
    mode: 0o640,
  });
  assertEquals(parseSecret("s,target=../../../etc/x"), { ...mount, destination: "/etc/x" });
  // a single word is a name, whatever it looks like
  assertEquals(parseSecret("id=s"), { ...mount, source: "id=s", destination: "/run/secrets/id=s" });
});

Deno.test("a secret is a variable where that is asked for", () => {
  assertEquals(parseSecret("s,type=env"), { kind: "env", source: "s", variable: "s" });
  assertEquals(parseSecret("source=s,target=T,type=env"), { kind: "env", source: "s", variable: "T" });
  throws(() => parseSecret("s,type=env,target=A=B"), /target A=B is no name of a variable: parsing secret/);
});

Deno.test("no secret is put where the kernel is spoken to", () => {
  for (const target of ["/proc/self/attr/exec", "../../proc/1", "/"]) {
    throws(() => parseSecret(`s,target=${target}`), /use secret "s": /);
  }
});

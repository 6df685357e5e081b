import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { mergeEnv, parseEnvFile } from "./env.ts";

const facts = { tty: false, hostname: "h" };
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Deno.test("the user's variables win over files, files over the image, the image over defaults", () => {
  const lists = { image: ["PATH=/bin", "A=image", "B=image"], files: ["B=file", "C=file"], user: ["C=user"] };
  assertEquals(mergeEnv(lists, facts), [
    "PATH=/bin",
    "container=oci",
    "HOSTNAME=h",
    "A=image",
    "B=file",
    "C=user",
  ]);
});

Deno.test("TERM is set for a terminal only", () => {
  const none = { image: [], files: [], user: [] };
  assertEquals(mergeEnv(none, { ...facts, tty: true }), [PATH, "TERM=xterm", "container=oci", "HOSTNAME=h"]);
  assertEquals(mergeEnv(none, facts), [PATH, "container=oci", "HOSTNAME=h"]);
});

Deno.test("a value may be empty or hold '=', a name may not be empty", () => {
  assertEquals(mergeEnv({ image: [], files: [], user: ["A=", "B=x=y"] }, facts).slice(3), ["A=", "B=x=y"]);
  throws(() => mergeEnv({ image: [], files: [], user: ["=a"] }, facts), {
    message: `set environment: invalid variable "=a"`,
  });
});

Deno.test("an environment file is literal, with comments and the caller's values", () => {
  const text = '\uFEFF# note\n\n  A=1 # kept\r\nB="quoted"\nHOME\nUNSET\n C = no\n'.replace(" C = no\n", "");
  assertEquals(parseEnvFile(text, "f", (key) => key === "HOME" ? "/me" : undefined), [
    "A=1 # kept",
    'B="quoted"',
    "HOME=/me",
  ]);
});

Deno.test("a broken line of an environment file is named", () => {
  throws(() => parseEnvFile("A=1\nB C=2\n", "/f", () => undefined), {
    message: `read environment file "/f": line 2: invalid variable "B C"`,
  });
});

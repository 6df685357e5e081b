import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { InvalidArgumentError, NotFoundError } from "../errors.ts";
import type { Digest } from "../spec/digest.ts";
import { type Descriptor, type Index, MEDIA_TYPE } from "../spec/image.ts";
import { choosePlatform, formatPlatform, hostPlatform, parsePlatform } from "./platform.ts";

const AMD64 = hostPlatform("x86_64");

/** An index with one entry a platform; the digest ends in the entry's number. */
function indexOf(...platforms: (string | null)[]): Index {
  const manifests = platforms.map((text, i): Descriptor => {
    const digest = `sha256:${String(i).padStart(64, "0")}` as Digest;
    const [os, architecture, variant] = text?.split("/") ?? [];
    const base = { mediaType: MEDIA_TYPE.ociManifest, digest, size: 1 };
    if (os === undefined) return base;
    return { ...base, platform: { os, architecture: architecture!, ...(variant ? { variant } : {}) } };
  });
  return { schemaVersion: 2, manifests };
}

const chosen = (index: Index, platform: string) =>
  Number(choosePlatform("x", index, parsePlatform(platform, AMD64)).digest.slice(-2));

Deno.test("platforms are read in docker's spellings", () => {
  const cases = {
    "linux/amd64": "linux/amd64",
    "linux/x86_64": "linux/amd64",
    "arm64": "linux/arm64",
    "aarch64": "linux/arm64/v8",
    "linux/arm/7": "linux/arm/v7",
    "armhf": "linux/arm/v7",
    "linux": "linux/amd64",
    "Linux/AMD64/V3": "linux/amd64/v3",
  };
  for (const [text, full] of Object.entries(cases)) {
    assertEquals(formatPlatform(parsePlatform(text, AMD64)), full);
  }
  throws(
    () => parsePlatform("bogus"),
    new InvalidArgumentError('parse platform "bogus": it is neither an operating system nor an architecture'),
  );
  for (const text of ["", "a/b/c/d", "linux/", "linux/a b"]) {
    throws(
      () => parsePlatform(text),
      new InvalidArgumentError(`parse platform "${text}": it is not os/architecture[/variant]`),
    );
  }
});

Deno.test("the nearest variant that still runs is chosen", () => {
  assertEquals(chosen(indexOf("linux/arm64/v8", "linux/amd64"), "linux/amd64"), 1);
  assertEquals(chosen(indexOf("linux/arm64", "linux/amd64"), "linux/arm64/v8"), 0);
  assertEquals(chosen(indexOf("linux/arm/v5", "linux/arm/v6", "linux/arm/v7"), "linux/arm/v7"), 2);
  assertEquals(chosen(indexOf("linux/arm/v5", "linux/arm/v6"), "linux/arm/v7"), 1);
  assertEquals(chosen(indexOf("linux/amd64/v3", "linux/amd64/v1"), "linux/amd64"), 1);
  assertEquals(chosen(indexOf("linux/amd64", "linux/amd64/v2"), "linux/amd64/v3"), 1);
  assertEquals(chosen(indexOf("unknown/unknown", null, "linux/amd64"), "linux/amd64"), 2);
  assertEquals(chosen(indexOf("linux/arm64", null), "linux/amd64"), 1);
});

Deno.test("a platform that is not there names those that are", () => {
  throws(
    () => chosen(indexOf("linux/arm64/v8", "linux/amd64/v3", "unknown/unknown"), "linux/amd64"),
    new NotFoundError("image", "x", {
      message: "choose an image of x: there is none for linux/amd64",
      hint: "it has linux/arm64/v8, linux/amd64/v3; choose one with --platform",
    }),
  );
});

Deno.test("attestations and artifacts of an index are no candidates", () => {
  const index = indexOf("linux/amd64", "linux/amd64");
  index.manifests[0]!.mediaType = "application/vnd.in-toto+json";
  assertEquals(chosen(index, "linux/amd64"), 1);
});

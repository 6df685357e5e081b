import { deepStrictEqual as assertEquals } from "node:assert";
import type { IdentityMatch } from "../config/policy_requirements.ts";
import { parseReference } from "../image/reference.ts";
import { matchesIdentity } from "./identity.ts";

const D = `@sha256:${"b".repeat(64)}`;

/** Whether an image asked for as the first is accepted with a signature that says the second. */
function table(match: IdentityMatch, rows: [string | undefined, string, boolean][]): void {
  for (const [intended, signed, expected] of rows) {
    const reference = intended === undefined ? undefined : parseReference(intended);
    assertEquals([intended, signed, matchesIdentity(match, reference, signed)], [intended, signed, expected]);
  }
}

Deno.test("the signed name is the wanted one", () => {
  table({ type: "matchExact" }, [
    ["busybox:1", "docker.io/library/busybox:1", true],
    ["busybox:1", "busybox:1", true],
    ["busybox:1", "busybox:2", false],
    ["busybox:1", "busybox", false],
    [`busybox${D}`, "busybox:1", false],
    [`busybox${D}`, `busybox${D}`, true],
    ["busybox:1", "UPPER:1", false],
    ["busybox:1", "docker://busybox:1", false],
    ["busybox:1", "", false],
    [undefined, "busybox:1", false],
  ]);
  table({ type: "matchRepoDigestOrExact" }, [
    ["busybox:1", "busybox:1", true],
    ["busybox:1", "busybox:2", false],
    [`busybox${D}`, "busybox:2", true],
    [`busybox${D}`, "busybox", false],
    [`busybox${D}`, "other:2", false],
    ["quay.io/a/b:1", "quay.io/a/bc:1", false],
  ]);
  table({ type: "matchRepository" }, [
    ["busybox:1", "busybox:2", true],
    ["busybox:1", "busybox", true],
    ["busybox:1", "quay.io/library/busybox:1", false],
    [undefined, "busybox", false],
  ]);
});

Deno.test("the signed name is one that the policy says", () => {
  table({ type: "exactReference", dockerReference: "quay.io/a:1" }, [
    ["mirror.io/a:1", "quay.io/a:1", true],
    [undefined, "quay.io/a:1", true],
    ["quay.io/a:2", "quay.io/a:2", false],
  ]);
  table({ type: "exactRepository", dockerRepository: "quay.io/a" }, [
    [undefined, "quay.io/a:7", true],
    ["quay.io/b:1", "quay.io/b:1", false],
  ]);
  table({ type: "remapIdentity", prefix: "mirror.io/v", signedPrefix: "vendor.io" }, [
    ["mirror.io/v/p/a:1", "vendor.io/p/a:1", true],
    ["mirror.io/v/p/a:1", "mirror.io/v/p/a:1", false],
    ["mirror.io/vv/a:1", "vendor.iov/a:1", false],
    ["mirror.io/vv/a:1", "mirror.io/vv/a:1", true],
    [`mirror.io/v/a${D}`, "vendor.io/a:9", true],
    [undefined, "vendor.io/a:1", false],
  ]);
});

import { deepStrictEqual as equal } from "node:assert/strict";
import { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, resolveProtectedPaths } from "./paths.ts";

Deno.test("by default every masked and read-only path is protected", () => {
  equal(resolveProtectedPaths({}), {
    maskedPaths: [...DEFAULT_MASKED_PATHS],
    readonlyPaths: [...DEFAULT_READONLY_PATHS],
  });
});

Deno.test("a privileged container has only the masks it asks for", () => {
  equal(resolveProtectedPaths({ privileged: true, mask: ["/etc/shadow"] }), {
    maskedPaths: ["/etc/shadow"],
    readonlyPaths: [],
  });
});

Deno.test("unmask takes paths, patterns and ALL away", () => {
  const one = resolveProtectedPaths({ unmask: ["/proc/kcore", "/proc/sys"] });
  equal([one.maskedPaths.includes("/proc/kcore"), one.readonlyPaths.includes("/proc/sys")], [false, false]);
  equal(resolveProtectedPaths({ unmask: ["/proc/*"] }).maskedPaths, [
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
  ]);
  equal(resolveProtectedPaths({ unmask: ["all"] }), { maskedPaths: [], readonlyPaths: [] });
});

Deno.test("mask and unmask together keep what is masked explicitly", () => {
  equal(resolveProtectedPaths({ unmask: ["ALL"], mask: ["/proc/kcore"] }).maskedPaths, ["/proc/kcore"]);
});

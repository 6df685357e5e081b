import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { expandDevices, parseDevice } from "./device_options.ts";

Deno.test("a device has a target and rights where they are given", () => {
  assertEquals(parseDevice("/dev/null"), {
    source: "/dev/null",
    destination: "/dev/null",
    permissions: "rwm",
  });
  assertEquals(parseDevice("/dev/null:rw").permissions, "rw");
  assertEquals(parseDevice("/dev/null:/dev/x:r"), {
    source: "/dev/null",
    destination: "/dev/x",
    permissions: "r",
  });
  const folder = Deno.makeTempDirSync();
  Deno.symlinkSync("/dev/zero", `${folder}/link`);
  assertEquals(parseDevice(`${folder}/link`).source, "/dev/zero");
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("what is no device is refused in podman's words", () => {
  const cases: [string, string][] = [
    ["/dev/nope", "stat /dev/nope: no such file or directory"],
    ["/dev/null:x", "invalid device mode: x"],
    ["/etc/passwd", "/etc/passwd is not a valid device: not a device node"],
    ["/dev/null:/a:r:w", "invalid device specification: /dev/null:/a:r:w"],
    ["/dev/null:/proc/x", 'place device "/dev/null:/proc/x": nothing can be put at /proc/x'],
  ];
  for (const [text, message] of cases) throws(() => parseDevice(text), { message }, text);
});

Deno.test("a folder stands for the devices in it, a device for itself", () => {
  const own = { source: "/dev/null", destination: "/dev/x", permissions: "rwm" };
  assertEquals(expandDevices([own]), [{ source: "/dev/null", destination: "/dev/x" }]);
});

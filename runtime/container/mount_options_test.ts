import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { cleanPath, combineMounts, parseTmpfs, parseVolume } from "./mount_options.ts";

const parse = (text: string) => parseVolume(text, "/work");

Deno.test("an absolute source is a bind mount", () => {
  assertEquals(parse("/src:/dst"), {
    kind: "bind",
    source: "/src",
    destination: "/dst",
    readOnly: false,
    options: [],
  });
});

Deno.test("a source that begins with a dot is relative to the working folder", () => {
  assertEquals((parse("./a/../b:/dst:ro") as { source: string }).source, "/work/b");
  assertEquals((parse("..:/dst") as { source: string }).source, "/");
});

Deno.test("a bare word is a named volume", () => {
  assertEquals(parse("data:/dst:ro,nocopy,nosuid"), {
    kind: "volume",
    name: "data",
    destination: "/dst",
    readOnly: true,
    options: ["nosuid"],
    anonymous: false,
    copyUp: false,
  });
});

Deno.test("a target alone is an anonymous volume", () => {
  assertEquals(parse("/dst/."), {
    kind: "volume",
    name: "",
    destination: "/dst",
    readOnly: false,
    options: [],
    anonymous: true,
    copyUp: true,
  });
});

Deno.test("propagation, exec and SELinux words are known", () => {
  assertEquals(parse("/a:/b:rslave,noexec,Z,rw,rbind"), {
    kind: "bind",
    source: "/a",
    destination: "/b",
    readOnly: false,
    options: ["rslave", "noexec", "rbind"],
  });
});

Deno.test("what is wrong with a volume is said", () => {
  const cases: [string, string][] = [
    ["x:y", `mount volume "x:y": invalid container path "y", must be an absolute path`],
    ["/tmp:/x:foo", `mount volume "/tmp:/x:foo": invalid option type "foo"`],
    ["/tmp:/x:copy", `mount volume "/tmp:/x:copy": invalid option type "copy"`],
    ["/tmp:/x:ro,rw", `mount volume "/tmp:/x:ro,rw": two options say different things about ro/rw`],
    ["/tmp:/x:O", `mount volume "/tmp:/x:O": option "O" is not supported`],
    ["a b:/x", `name volume "a b": names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*`],
    ["/tmp:/", `mount volume "/tmp:/": invalid container path "/", nothing can replace the root`],
    [
      "/tmp:/x/../..",
      `mount volume "/tmp:/x/../..": invalid container path "/", nothing can replace the root`,
    ],
    ["/tmp:/proc", `mount volume "/tmp:/proc": "/proc" cannot be mounted because it is inside /proc`],
    [
      "v:/a/../proc/sys",
      `mount volume "v:/a/../proc/sys": "/proc/sys" cannot be mounted because it is inside /proc`,
    ],
    ["/a:/b:ro:x", `mount volume "/a:/b:ro:x": want [SOURCE:]TARGET[:OPTIONS]`],
    [":/b", `mount volume ":/b": want [SOURCE:]TARGET[:OPTIONS]`],
  ];
  for (const [text, message] of cases) throws(() => parse(text), { message }, text);
});

Deno.test("lxcfs files may be mounted inside /proc", () => {
  assertEquals(parse("/l/meminfo:/proc/meminfo").destination, "/proc/meminfo");
});

Deno.test("a tmpfs is nosuid and nodev unless it says otherwise", () => {
  assertEquals(parseTmpfs("/t"), {
    kind: "tmpfs",
    destination: "/t",
    readOnly: false,
    options: ["nosuid", "nodev"],
  });
  assertEquals(parseTmpfs("/t:size=64m,mode=1777,suid,ro"), {
    kind: "tmpfs",
    destination: "/t",
    readOnly: true,
    options: ["size=64m", "mode=1777", "suid", "nodev"],
  });
  throws(() => parseTmpfs("t"), {
    message: `mount tmpfs "t": invalid container path "t", must be an absolute path`,
  });
  throws(() => parseTmpfs("/t:source=/etc"), {
    message: `mount tmpfs "/t:source=/etc": invalid option type "source=/etc"`,
  });
});

Deno.test("mounts are sorted so that parents come first, and image volumes fill the gaps", () => {
  const mounts = combineMounts([parse("/x:/a/b"), parse("/y:/z"), parse("/q:/a")], ["/a/b/", "/data"]);
  assertEquals(mounts.map((mount) => [mount.kind, mount.destination]), [
    ["bind", "/a"],
    ["volume", "/data"],
    ["bind", "/z"],
    ["bind", "/a/b"],
  ]);
  throws(() => combineMounts([parse("/x:/a"), parse("/y:/a")], []), {
    message: `mount "/a": duplicate mount destination`,
  });
});

Deno.test("paths are cleaned lexically and never leave the root", () => {
  assertEquals(cleanPath("/a//b/./../../../c/"), "/c");
});

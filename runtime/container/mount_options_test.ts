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

Deno.test("a folder may be given to the program's user, or be written to in a layer of the container's", () => {
  assertEquals(parse("/a:/b:U,cached"), {
    kind: "bind",
    source: "/a",
    destination: "/b",
    readOnly: false,
    options: [],
    giveToUser: true,
  });
  assertEquals(parse("v:/b:O,upperdir=/u,workdir=/w/"), {
    kind: "volume",
    name: "v",
    destination: "/b",
    readOnly: false,
    options: [],
    anonymous: false,
    copyUp: true,
    overlay: { upper: "/u", work: "/w" },
  });
  throws(() => parse("/a:/b:idmap=users=0-1-1"), { exitCode: 125 });
});

Deno.test("what is wrong with a volume is said", () => {
  const cases: [string, string][] = [
    ["x:y", `mount volume "x:y": invalid container path "y", must be an absolute path`],
    ["/tmp:/x:foo", `mount volume "/tmp:/x:foo": invalid option type "foo"`],
    ["/tmp:/x:constructor", `mount volume "/tmp:/x:constructor": invalid option type "constructor"`],
    [
      "/tmp:/x:ro,rw",
      `mount volume "/tmp:/x:ro,rw": invalid options "ro, rw", can only specify 1 'rw' or 'ro' option`,
    ],
    [
      "/tmp:/x:Z,z",
      `mount volume "/tmp:/x:Z,z": invalid options "Z, z", can only specify 1 'z', 'Z', or 'O' option`,
    ],
    ["/tmp:/x:ro,O", `mount volume "/tmp:/x:ro,O": can't use 'O' with other options`],
    ["/tmp:/x:upperdir=/u", `mount volume "/tmp:/x:upperdir=/u": invalid option type "upperdir=/u"`],
    [
      "/tmp:/x:O,upperdir=/u",
      `mount volume "/tmp:/x:O,upperdir=/u": must specify both upperdir and workdir`,
    ],
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
    options: ["nosuid", "nodev", "tmpcopyup"],
  });
  assertEquals(parseTmpfs("/t:notmpcopyup").options, ["nosuid", "nodev"]);
  assertEquals(parseTmpfs("/t:size=64m,mode=1777,suid,ro"), {
    kind: "tmpfs",
    destination: "/t",
    readOnly: true,
    options: ["size=64m", "mode=1777", "suid", "nodev", "tmpcopyup"],
  });
  throws(() => parseTmpfs("t"), {
    message: `mount tmpfs "t": invalid container path "t", must be an absolute path`,
  });
  throws(() => parseTmpfs("/t:source=/etc"), {
    message: `mount tmpfs "/t:source=/etc": unknown mount option "source=/etc": invalid mount option`,
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
  const kinds = (mode: "tmpfs" | "ignore") =>
    combineMounts([parse("/x:/a")], ["/a", "/data"], [parse("v:/a"), parse("v:/w")], mode)
      .map((mount) => [mount.kind, mount.destination]);
  assertEquals(kinds("tmpfs"), [["bind", "/a"], ["tmpfs", "/data"], ["volume", "/w"]]);
  assertEquals(kinds("ignore"), [["bind", "/a"], ["volume", "/w"]]);
  throws(() => combineMounts([parse("/x:/a"), parse("/y:/a")], []), {
    message: `mount "/a": duplicate mount destination`,
  });
});

Deno.test("paths are cleaned lexically and never leave the root", () => {
  assertEquals(cleanPath("/a//b/./../../../c/"), "/c");
});

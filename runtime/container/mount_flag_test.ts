import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { parseMount } from "./mount_flag.ts";
import type { ImageMount } from "./mount_options.ts";

const parse = (text: string) => parseMount(text, "/work");

Deno.test("each type of --mount has its own keys, in docker's and podman's spellings", () => {
  assertEquals(parse("type=bind,src=./a,dst=/b,ro,bind-propagation=rslave,noexec,relabel=shared,U=true"), {
    kind: "bind",
    source: "/work/a",
    destination: "/b",
    readOnly: true,
    options: ["rslave", "noexec"],
    giveToUser: true,
  });
  assertEquals(parse('type=bind,"source=/a,b",target=/b,readonly=false,bind-nonrecursive'), {
    kind: "bind",
    source: "/a,b",
    destination: "/b",
    readOnly: false,
    options: ["bind"],
  });
  assertEquals(parse("type=volume,source=v,destination=/b,volume-nocopy,subpath=x/y"), {
    kind: "volume",
    name: "v",
    destination: "/b",
    readOnly: false,
    options: [],
    copyUp: false,
    anonymous: false,
    subpath: "x/y",
  });
  assertEquals(parse("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=01777,notmpcopyup"), {
    kind: "tmpfs",
    destination: "/t",
    readOnly: false,
    options: ["size=1048576", "mode=1777", "nosuid", "nodev"],
  });
  assertEquals(parse("type=image,source=debian,target=/d,subpath=etc"), {
    kind: "image",
    image: "debian",
    diffIds: [],
    destination: "/d",
    readOnly: true,
    options: [],
    subpath: "etc",
  });
  assertEquals((parse("type=image,src=debian,dst=/d,rw") as ImageMount).readOnly, false);
  assertEquals(parse("type=devpts,dst=/p,mode=0620,max=4"), {
    kind: "devpts",
    destination: "/p",
    readOnly: false,
    options: ["mode=0620", "max=4"],
  });
});

Deno.test("a ramfs is a tmpfs of another type, a glob waits for the container, links may stay links", () => {
  assertEquals(parse("type=ramfs,dst=/r,tmpfs-mode=700,U"), {
    kind: "tmpfs",
    type: "ramfs",
    destination: "/r",
    readOnly: false,
    options: ["mode=700", "nosuid", "nodev", "tmpcopyup"],
    giveToUser: true,
  });
  assertEquals(parse("type=glob,src=a*,dst=/g/,ro"), {
    kind: "glob",
    mount: { kind: "bind", source: "/work/a*", destination: "", readOnly: true, options: [] },
    target: "/g",
    text: "type=glob,src=a*,dst=/g/,ro",
  });
  assertEquals(parse("type=bind,src=/a,dst=/b,no-dereference,ro,bind-recursive=writable"), {
    kind: "bind",
    source: "/a",
    destination: "/b",
    readOnly: true,
    options: ["x-skiff.top-only"],
    keepsLinks: true,
  });
  for (
    const [text, message] of [
      ["type=glob,dst=/g", /must set source glob/],
      ["type=glob,src=/a*,dst=g", /must be an absolute path/],
      ["type=bind,src=/a,dst=/b,bind-recursive=readonly", /'bind-recursive=readonly' requires 'readonly'/],
      [
        "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=shared",
        /'bind-propagation=rprivate'/,
      ],
      ["type=ramfs,dst=/r,noswap", /noswap: invalid mount option/],
    ] as const
  ) throws(() => parse(text), message);
});

Deno.test("without a type it is a volume, without a source an anonymous one", () => {
  assertEquals({ ...parse("dst=/v"), options: [] }, {
    kind: "volume",
    name: "",
    destination: "/v",
    readOnly: false,
    options: [],
    copyUp: true,
    anonymous: true,
    subpath: undefined,
  });
});

Deno.test("options and labels are those of a volume that has to be made", () => {
  const text =
    "type=volume,src=v,dst=/b,volume-opt=type=tmpfs,volume-opt=o=size=1m,volume-label=a=b,volume-label=c";
  const mount = parse(text);
  assertEquals(mount.kind === "volume" && mount.make, {
    options: { type: "tmpfs", o: "size=1m" },
    labels: { a: "b", c: "" },
  });
});

Deno.test("what is wrong with a --mount is said in podman's words", () => {
  const cases: [string, string][] = [
    ["type=bind,src=/a", "must set volume destination"],
    ["type=bind,src=/a,dst=b", 'invalid container path "b", must be an absolute path'],
    ["type=foo,dst=/b", 'invalid filesystem type "foo"'],
    ["type=constructor,dst=/b", 'invalid filesystem type "constructor"'],
    ["type=bind,src=/a,dst=/b,foo=1", "foo: invalid mount option"],
    ["type=bind,src=/a,dst=/b,tmpfs-size=1", "tmpfs-size: invalid mount option"],
    ["type=bind,src=/a,dst=/b,ro,rw", "cannot pass 'rw' option more than once"],
    ["type=bind,src=/a,dst=/b,bind-propagation=x", 'invalid option type "x"'],
    [
      "type=bind,src=/a,dst=/b,relabel=x",
      "relabel mount option must be 'private' or 'shared': invalid mount option",
    ],
    ["type=bind,src=,dst=/b", "src: must provide an argument for option"],
    ["type=bind,src=/a,dst=/b,ro=x", 'ro: invalid value "x", must be a bool'],
    ["type=tmpfs,src=/a,dst=/b", "source is not supported with tmpfs mounts"],
    ["type=tmpfs,dst=/b,tmpfs-mode=9", 'invalid tmpfs-mode "9"'],
    ["type=tmpfs,dst=/b,tmpfs-size=x", 'invalid size: "x"'],
    ["type=image,dst=/b", "must set source and destination for image volume"],
    ["type=devpts,dst=/b,ro", "ro: invalid mount option"],
    ["type=bind,src=/a,dst=/proc/sys", '"/proc/sys" cannot be mounted because it is inside /proc'],
    ["type=volume,src=v,dst=/b,volume-opt=type", "cannot parse driver opts"],
  ];
  for (const [text, cause] of cases) {
    throws(() => parse(text), { message: `mount "${text}": ${cause}` }, text);
  }
});

/** An image with everything that a layer may rightly hold and that unpackers get wrong. */
import { byteStringOf } from "../runtime/archive/byte_string.ts";
import { archiveOf, type Member } from "../runtime/archive/tar/testing.ts";
import { busyboxEntries, makeImage } from "./images.ts";

const cap = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]); // cap_net_bind_service=ep
const time = (mtime: number, mtimeNs = 0) => ({ mtime, mtimeNs });
const dir = (name: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "directory",
  mode: 0o755,
  ...time(1_600_000_000, 5),
  ...more,
});
const file = (name: string, data: string, more: Partial<Member> = {}): Member => ({
  name,
  type: "file",
  data,
  ...time(1_500_000_000, 123_456_789),
  ...more,
});
/** With its file's metadata, as GNU tar writes it: podman sets what a link's header says, umoci does not. */
const hardLink = (name: string, linkname: string): Member => ({
  ...file(name, "", { uid: 65534, gid: 65534 }),
  type: "hardlink",
  linkname,
});

export const NASTY: Member[] = [
  dir("./", { mode: 0o751 }),
  dir("./nasty", { mode: 0o2775, uid: 10, gid: 20, ...time(1_234_567_890, 987_654_321) }),
  file("nasty/setuid", "x", { mode: 0o4755, uid: 1, gid: 2 }),
  file("nasty/setgid", "x", { mode: 0o2711 }),
  dir("nasty/sticky", { mode: 0o1777 }),
  dir("nasty/closed", { mode: 0 }),
  file("nasty/closed/inside", "unreachable", { mode: 0 }),
  file("nasty/capable", "x", { mode: 0o755, uid: 7, xattrs: new Map([["security.capability", cap]]) }),
  file("nasty/tagged", "x", {
    xattrs: new Map(
      [["user.binary", new Uint8Array([0, 255, 10, 61, 0])], ["user.é", new Uint8Array([1])]].map(
        ([name, value]) => [byteStringOf(name as string), value as Uint8Array<ArrayBuffer>],
      ),
    ),
  }),
  dir("nasty/tagged-folder", { xattrs: new Map([["user.folder", new Uint8Array([9])]]) }),
  file("nasty/linked", "one file, three names", { uid: 65534, gid: 65534 }),
  hardLink("nasty/linked-2", "nasty/linked"),
  hardLink("nasty/sticky/linked-3", "nasty/linked-2"),
  {
    name: "nasty/symlink",
    type: "symlink",
    linkname: "../etc/passwd",
    mode: 0o777,
    uid: 3,
    gid: 4,
    ...time(99, 1),
  },
  { name: "nasty/absolute", type: "symlink", linkname: "/etc/passwd", mode: 0o777, ...time(99, 1) },
  { name: "nasty/dangling", type: "symlink", linkname: "nowhere", mode: 0o777, ...time(99, 1) },
  { name: "nasty/linked-symlink", type: "hardlink", linkname: "nasty/dangling" },
  { name: "nasty/fifo", type: "fifo", mode: 0o620, uid: 5, gid: 6, ...time(77, 7) },
  { name: "nasty/char", type: "char", mode: 0o666, devmajor: 1, devminor: 3, ...time(78) },
  { name: "nasty/block", type: "block", mode: 0o660, gid: 6, devmajor: 259, devminor: 70_000, ...time(79) },
  {
    ...file("nasty/sparse", "headmiddle"),
    size: 10_000_000,
    sparse: [{ offset: 0, length: 4 }, { offset: 5_000_000, length: 6 }],
  },
  file(`nasty/${"long-".repeat(40)}`, "a long name"),
  ...Array.from({ length: 60 }, (_, depth) => dir(`nasty/${"deep/".repeat(depth + 1)}`)),
  file(`nasty/${"deep/".repeat(60)}bottom`, "deep"),
  file(byteStringOf("nasty/ünïcödé"), "text"),
  file("nasty/latin1-\xe9", "bytes that are no UTF-8"),
  file("nasty/new\nline", "x"),
  file("nasty/late", "2242", time(8_589_934_592, 1)),
  file("nasty/empty", ""),
  file("nasty/twice", "first"),
  file("nasty/twice", "second", { mode: 0o600 }),
  file("nasty/becomes-folder", "x"),
  dir("nasty/becomes-folder", { mode: 0o711 }),
  file("nasty/becomes-folder/child", "x"),
  dir("nasty/becomes-file"),
  file("nasty/becomes-file/child", "gone"),
  file("nasty/becomes-file", "x"),
];

/** Whiteouts, opaque folders, and changes of type against the layer below. */
export const UPPER: Member[] = [
  dir("nasty", { mode: 0o700, ...time(1_700_000_000) }),
  file("nasty/.wh.setuid", ""),
  file("nasty/.wh.tagged-folder", ""),
  dir("nasty/sticky", { mode: 0o1777 }),
  file("nasty/sticky/.wh..wh..opq", ""),
  file("nasty/sticky/only", "this one"),
  { name: "nasty/empty", type: "symlink", linkname: "twice", mode: 0o777, ...time(5) },
  dir("nasty/late"),
  file("nasty/late/inside", "a folder in a file's place"),
  file("nasty/becomes-folder", "a file in a folder's place"),
  file("nasty/.wh.not-there", ""),
];

export const NASTY_IMAGE = () =>
  makeImage({ layers: [{ entries: busyboxEntries() }, { tar: archiveOf(...NASTY) }] });
export const WHITEOUT_IMAGE = () =>
  makeImage({
    layers: [
      { tar: archiveOf(...NASTY) },
      { tar: archiveOf(...UPPER), compression: "none" },
    ],
  });

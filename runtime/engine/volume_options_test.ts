import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { planVolumeOptions } from "./volume_options.ts";

const cases: [options: Record<string, string>, plan: unknown][] = [
  [{}, { owner: undefined }],
  [{ copy: "" }, { owner: undefined }],
  [{ nocopy: "" }, { owner: undefined, isNotFilled: true }],
  [{ o: "noquota" }, { owner: undefined }],
  [{ nocopy: "", o: "gid=4" }, { owner: { uid: 0, gid: 4 }, isNotFilled: true }],
];

for (const [options, plan] of cases) {
  Deno.test(`a volume with the options ${JSON.stringify(options)}`, () => {
    assertEquals(planVolumeOptions(options, true), plan);
  });
}

const refused: [options: Record<string, string>, message: string][] = [
  [{ foo: "" }, "invalid mount option foo for driver 'local': invalid argument"],
  [{ copy: "", nocopy: "" }, "create volume: copy and nocopy exclude each other"],
  [{ o: "noquota,size=1g" }, "create volume: noquota does not go with size and inodes"],
  [
    { o: "noexec" },
    "create volume with o=noexec: only bind, uid, gid, size, inodes and noquota are available",
  ],
];

for (const [options, message] of refused) {
  Deno.test(`refused: a volume with the options ${JSON.stringify(options)}`, () => {
    throws(() => planVolumeOptions(options, false), { message });
  });
}

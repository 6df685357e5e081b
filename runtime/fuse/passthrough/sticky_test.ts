import { isAboveOwners } from "./sticky.ts";
import { assertEquals } from "../../../tests/assertions.ts";

const OWN = "         0        999          1\n         1     100000      65536\n";
const statusWith = (caps: string) => `Name:\trm\nCapPrm:\t000001ffffffffff\nCapEff:\t${caps}\nSeccomp:\t2\n`;
const OWNERS = { uid: 5, gid: 6 };

function judge(caps: string, uidMap: string, gidMap = uidMap): boolean {
  return isAboveOwners({ status: statusWith(caps), uidMap, gidMap, ownUidMap: OWN }, OWNERS);
}

Deno.test("CAP_FOWNER counts over files whose owners have numbers in its user namespace", () => {
  assertEquals(judge("00000000a80425fb", OWN), true);
  assertEquals(judge("0000000000000008", OWN), true);
  // all but that one, and none
  assertEquals(judge("fffffffffffffff7", OWN), false);
  assertEquals(judge("0000000000000000", OWN), false);
  // a namespace below that the asker has made: he is root there, of himself
  assertEquals(judge("000001ffffffffff", "0 7 1\n"), false);
  assertEquals(judge("000001ffffffffff", "0 5 1\n", "0 7 1\n"), false);
  assertEquals(judge("000001ffffffffff", "0 5 1\n", "0 6 1\n"), true);
  assertEquals(judge("000001ffffffffff", "0 0 65536\n"), true);
});

Deno.test("a process without a status has no power", () => {
  assertEquals(isAboveOwners({ status: "", uidMap: OWN, gidMap: OWN, ownUidMap: OWN }, OWNERS), false);
});

import { assertEquals } from "../../tests/assertions.ts";
import { parseIdMap } from "../namespaces/id_map.ts";
import { insideId, parseProcess } from "./process_facts.ts";

const STATUS = `Name:\todd) R 1
State:\tS (sleeping)
Uid:\t100998\t100998\t100998\t100998
Gid:\t1000\t1000\t1000\t1000
Groups:\t10 27
NSpid:\t4242\t7
NSpgid:\t4240\t1
VmSize:\t    2268 kB
VmRSS:\t    1376 kB
CapEff:\t00000000a80425fb
Seccomp:\t2
`;

Deno.test("a process is read whatever its name holds", () => {
  const fields = "S 4200 4240 4240 34817 0 0 0 0 0 0 150 50 0 0 20 5 1 0 90000";
  const one = parseProcess(4242, 1, {
    stat: `4242 (odd) R 1) ${fields} 0 0`,
    status: STATUS,
    cmdline: "a\0b c\0",
    label: "",
    uptimeSeconds: 1000,
  });
  assertEquals(
    [
      one.pid,
      one.parent,
      one.group,
      one.command,
      one.args,
      one.tty,
      one.nice,
      one.cpuSeconds,
      one.elapsedSeconds,
    ],
    [7, 4200, 1, "odd) R 1", "a b c", "pts/1", 5, 2, 100],
  );
  assertEquals([one.vszKiB, one.rssKiB, one.seccomp, one.supplementaryGids], [2268, 1376, 2, [10, 27]]);
});

Deno.test("ids are those of the container", () => {
  const maps = parseIdMap("         0       1000          1\n         1     100000      65536\n");
  assertEquals([1000, 100998, 5].map((id) => insideId(maps, id)), [0, 999, undefined]);
});

import { deepStrictEqual as equal } from "node:assert/strict";
import { findDifferences, whyNotCheckable } from "./check_constants.ts";

const mustRun = Deno.env.get("SKIFF_TEST_MUST_RUN") === "1";

for (const machine of ["x86_64", "aarch64"] as const) {
  const reason = await whyNotCheckable(machine);
  Deno.test({
    name: `constants are those of the system's headers on ${machine}${reason ? ` [needs ${reason}]` : ""}`,
    ignore: reason !== null && !(mustRun && machine === Deno.build.arch),
    fn: async () => {
      if (reason) throw new Error(`cannot run: ${reason}`);
      const { differences, checked } = await findDifferences(machine);
      equal(differences, []);
      equal(checked > 200, true);
    },
  });

  Deno.test({
    name: `a wrong and an unknown constant are found on ${machine}${reason ? ` [needs ${reason}]` : ""}`,
    ignore: reason !== null,
    fn: async () => {
      const { differences } = await findDifferences(machine, [["O_CREAT", "5"], ["O_NONSENSE", "1"], [
        "O_RDWR",
        "2",
      ]]);
      equal(differences, ["O_CREAT is 64, not 5", "O_NONSENSE is in no header"]);
    },
  });
}

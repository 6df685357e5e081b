/** Neither docker nor podman can; the words are those of zfs(8). */

import { volumeSnapshot } from "../../runtime/engine/volume_snapshot.ts";
import { defineCommand } from "../command.ts";
import { forEach } from "../each.ts";
import { engineFor } from "../engine.ts";

export const command = defineCommand({
  usage: "VOLUME[@NAME] [VOLUME[@NAME]...]",
  description:
    "Keeps what volumes hold now, and prints VOLUME@NAME; without a name it is the time. Snapshots go and are renamed\n" +
    "with their volume; `volume ls --snapshots` lists them, `volume restore` goes back to one, `volume rm` removes\n" +
    "one. Where the file system can (btrfs, xfs), they share their blocks with the volume.",
  examples: [
    "skiff volume snapshot data@before-upgrade",
    "skiff volume ls --snapshots",
    "skiff volume restore data@before-upgrade",
    "skiff volume rm data@before-upgrade",
  ],
  flags: {},
  arity: { min: 1 },
  async run({ args, global }) {
    const engine = engineFor(global);
    return await forEach(args, async (name) => await volumeSnapshot(engine, name));
  },
});

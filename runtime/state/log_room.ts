/**
 * Room on the disk for the database's write-ahead log, kept while there is some: on a full disk the commands that free
 * it (`rmi`, `rm`, `volume rm`, the prunes) must be able to record what they do.
 *
 * @see fallocate(2), FALLOC_FL_KEEP_SIZE: blocks beyond the file's end, which SQLite does not see
 */

import { FALLOC_FL_KEEP_SIZE, O_CLOEXEC, O_WRONLY } from "../../ffi/constants/fcntl.ts";
import { fallocate, Fd, open } from "../../ffi/file.ts";

/** Some hundred transactions beyond the size at which a log is folded into the database. */
const ROOM_BYTES = 1024 * 1024;
/** In which stat(2) counts. */
const BLOCK_BYTES = 512;

/** @throws where there is no log, or no room, or where the file system cannot keep any */
export function keepLogRoom(databasePath: string): void {
  const path = `${databasePath}-wal`;
  const { blocks } = Deno.statSync(path);
  if (blocks !== null && blocks * BLOCK_BYTES >= ROOM_BYTES) return;
  using log = new Fd(open(path, O_WRONLY | O_CLOEXEC));
  fallocate(log.number, FALLOC_FL_KEEP_SIZE, 0, ROOM_BYTES);
}

/**
 * Owners of files as they are on disk and as a mount shows them. Pure.
 *
 * ```
 *  on disk                          shown
 *  the host's user  ──────────────▶ the container's user
 *  the host's user  ◀────────────── the container's user, and the container's root
 *  anybody else     ◀─────────────▶ the same
 * ```
 * Or as ranges say (`idmap=uids=…`): then an id in none of them is shown as nobody and owns nothing new.
 */

/** `size` ids from `disk` on are shown as those from `shown` on. */
export interface OwnerRange {
  disk: number;
  shown: number;
  size: number;
}

/** How one kind of id (users or groups) is changed. Survives JSON. */
export type OwnerRule =
  | { kind: "ranges"; ranges: OwnerRange[] }
  /** `disk` is shown as `shown`; what `shown` or the container's root (`root`) makes belongs to `disk`. */
  | { kind: "swap"; disk: number; shown: number; root: number };

/**
 * No id at all, which is shown as nobody's and which the kernel gives nobody rights to: the number of nobody (65534) may be
 * somebody's in the container. @see user_namespaces(7), make_kuid() of the kernel
 */
export const NO_OWNER = 0xffffffff;

/** The id that a file of `disk` is shown with. */
export function shownOwner(rule: OwnerRule, disk: number): number {
  if (rule.kind === "swap") return disk === rule.disk ? rule.shown : disk;
  for (const { disk: first, shown, size } of rule.ranges) {
    if (disk >= first && disk < first + size) return shown + disk - first;
  }
  return NO_OWNER;
}

/** The id on disk of what `shown` makes or is given; undefined where it has none. */
export function diskOwner(rule: OwnerRule, shown: number): number | undefined {
  if (rule.kind === "swap") return shown === rule.shown || shown === rule.root ? rule.disk : shown;
  for (const { disk, shown: first, size } of rule.ranges) {
    if (shown >= first && shown < first + size) return disk + shown - first;
  }
  return undefined;
}

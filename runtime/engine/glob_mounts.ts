/**
 * `--mount type=glob`: everything of the host that a pattern matches, each a bind mount of its own.
 *
 * @see podman-run(1), --mount
 */

import { isThere, readableNamesIn } from "../state/listing.ts";
import { compilePart, splitWildcards } from "../build/context/go_match.ts";
import type { GlobMount } from "../container/mount_flag.ts";
import { type BindMount, checkDestination } from "../container/mount_options.ts";
import { InvalidArgumentError } from "../errors.ts";

/** More than that nobody means, and each is a mount. */
const MOST = 1000;

/** `mount.source` is the pattern. Without `target` what matches appears at its own path. */
export function expandGlob({ mount, target, text }: GlobMount): BindMount[] {
  const { folder, parts } = splitWildcards(mount.source);
  let paths = [folder];
  for (const part of parts) {
    const matches = compilePart(part);
    paths = paths.flatMap((path) =>
      readableNamesIn(path).filter(matches)
        .map((name) => `${path === "/" ? "" : path}/${name}`)
    );
  }
  if (parts.length === 0) paths = paths.filter(isThere);
  if (paths.length === 0) {
    throw new InvalidArgumentError(`mount "${text}": no file paths matching glob "${mount.source}"`);
  }
  if (paths.length > MOST) {
    throw new InvalidArgumentError(
      `mount "${text}": the pattern matches ${paths.length} paths, more than ${MOST}`,
    );
  }
  return paths.sort().map((source) => {
    const destination = target === undefined
      ? source
      : `${target}/${source.slice(source.lastIndexOf("/") + 1)}`;
    return { ...mount, source, destination: checkDestination(destination, `mount "${text}"`) };
  });
}

/**
 * Push of 100 MB in a thousand files of programs and libraries: once as it was pulled, with the packed layer kept, and
 * once as imported, with a layer that must be packed; and again where the registry has all of it.
 */

/** As bench.ts has it; `$SOURCE` and `$TARGET` are two registries. */
interface PushFigure {
  name: string;
  title: string;
  setUp: () => string;
  tearDown: string;
  sample: string;
  after?: string;
  limit: number;
}

const IMPORTED = "localhost/bench/push:1";
const PULLED = "$SOURCE/bench/push:1";
const TAR = "$HOME/bench-push.tar";

/** The same files for all engines. */
const MAKE = `[ -e ${TAR} ] || { mkdir $HOME/push && cd $HOME/push &&
  { tar -C / -c --sort=name usr/bin usr/lib/$(uname -m)-linux-gnu 2>/dev/null || true; } | head -c 100000000 |
    split -b 100k -a 3 - f && tar -cf ${TAR} --sort=name . && cd && rm -r push; }`;
const IMPORT = `$E import -q ${TAR} ${IMPORTED}`;
const PULL = `$E pull -q --tls-verify=false ${PULLED}`;
/** A repository of its own for each push: nothing is there, and no engine knows where else it could be had. */
const FORGET =
  "$E rmi -f $($E images -q --no-trunc bench/push); rm -f $HOME/.local/share/containers/cache/blob-info-cache-v1.*";
const CLEAR = `$E rmi -f ${IMPORTED} ${PULLED}; rm -f ${TAR}`;

const push = (image: string, repository: string) =>
  `$E push -q --tls-verify=false ${image} $TARGET/${repository}:1`;
/** Each engine's own, or each would find the tag on the manifest that the other one has made. */
const AGAIN = 'bench/again-$(basename "$E")';
const fresh = (image: string) => push(image, "bench/$(cat /proc/sys/kernel/random/uuid)");

export const PUSH_FIGURES: PushFigure[] = [
  {
    name: "push-pulled",
    title: "push of a 100 MB image that was pulled",
    setUp: () =>
      `${MAKE}; ${IMPORT} && ${push(IMPORTED, "bench/push").replace("$TARGET", "$SOURCE")} &&
      $E rmi -f ${IMPORTED} && ${PULL}`,
    tearDown: CLEAR,
    sample: fresh(PULLED),
    after: `${FORGET}; ${PULL}`,
    limit: 0.7,
  },
  {
    name: "push-imported",
    title: "push of a 100 MB image that was imported",
    setUp: () => `${MAKE}; ${IMPORT}`,
    tearDown: CLEAR,
    sample: fresh(IMPORTED),
    after: `${FORGET}; ${IMPORT}`,
    limit: 0.7,
  },
  {
    name: "push-again",
    title: "push of that image again",
    setUp: () => `${MAKE}; ${IMPORT} && ${push(IMPORTED, AGAIN)}`,
    tearDown: CLEAR,
    sample: push(IMPORTED, AGAIN),
    limit: 0.3,
  },
];

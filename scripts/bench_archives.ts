/** Images out of the store and into it again: 200 MB in 5,000 files that nothing can compress. */

/** As bench.ts has it. */
interface ArchiveFigure {
  name: string;
  title: string;
  setUp: () => string;
  tearDown: string;
  sample: string;
  verify: string;
  after: string;
  limit: number;
}

const IMAGE = "localhost/bench/archive";
const FOLDER = "$HOME/bench-archive";

/** Makes the image, and an archive of it. */
const MAKE = `rm -rf ${FOLDER} && mkdir -p ${FOLDER}/root && cd ${FOLDER}/root &&
  head -c 200000000 /dev/urandom | split -b 40000 -a 4 - f &&
  tar cf ../root.tar . && cd .. && rm -rf root && $E import -q root.tar ${IMAGE} && rm root.tar &&
  $E save -q -o big.tar ${IMAGE}`;

const CLEAR = `$E rmi -f ${IMAGE}; rm -rf ${FOLDER}`;
const LIMIT = 0.7;

export const ARCHIVE_FIGURES: ArchiveFigure[] = [
  {
    name: "save",
    title: "save of a 200 MB image",
    setUp: () => MAKE,
    tearDown: CLEAR,
    sample: `$E save -q -o ${FOLDER}/out.tar ${IMAGE}`,
    verify: `[ "$(stat -c %s ${FOLDER}/out.tar)" -gt 200000000 ]`,
    after: `rm -f ${FOLDER}/out.tar`,
    limit: LIMIT,
  },
  {
    name: "load",
    title: "load of a 200 MB image",
    setUp: () => `${MAKE} && $E rmi -f ${IMAGE}`,
    tearDown: CLEAR,
    sample: `$E load -q -i ${FOLDER}/big.tar`,
    verify: `$E image exists ${IMAGE}`,
    after: `$E rmi -f ${IMAGE}`,
    limit: LIMIT,
  },
];

/** Builds of a Debian: a Dockerfile of twelve steps in three stages; and commit. */

/** As bench.ts has it. */
interface BuildFigure {
  name: string;
  title: string;
  setUp: () => string;
  tearDown: string;
  sample: string;
  verify: string;
  after?: string;
  limit: number;
}

const FOLDER = "$HOME/bench-build";
const IMAGE = "localhost/bench/build";
/** The Debian in one layer with a history, without which podman builds on nothing. */
const BASE = "localhost/bench/base:1";
const BUILD = `$E build -q --network none -t ${IMAGE} ${FOLDER}`;

const DOCKERFILE = [
  `FROM ${BASE} AS build`,
  "WORKDIR /src",
  "COPY lib ./lib",
  "RUN cat lib/*.c > lib.c",
  "COPY late.c .",
  "RUN cat lib.c late.c > app",
  `FROM ${BASE} AS docs`,
  "RUN mkdir /docs && for i in 1 2 3 4 5 6 7 8 9; do cp -r /usr/share/common-licenses /docs/$i; done",
  `FROM ${BASE}`,
  "ENV LANG=C.UTF-8",
  "RUN echo app:x:1000:1000::/:/bin/sh >> /etc/passwd",
  "COPY --from=build /src/app /usr/local/bin/app",
  "COPY --from=docs /docs /usr/share/doc/app",
  "RUN chown 1000 /usr/local/bin/app",
  'CMD ["app"]',
].map((line) => `'${line}'`).join(" ");

/** The base is here, and the context has 500 files. */
const MAKE = `$E image exists ${BASE} || {
    $E pull -q --tls-verify=false $DEBIAN && $E create --name base --network none $DEBIAN true &&
    $E export -o $HOME/base.tar base && $E rm base && $E import -q $HOME/base.tar ${BASE} && rm $HOME/base.tar; }
  rm -rf ${FOLDER} && mkdir -p ${FOLDER}/lib && cd ${FOLDER} &&
  for i in $(seq 500); do echo "int f$i;" > lib/$i.c; done && echo 0 > late.c &&
  printf '%s\\n' ${DOCKERFILE} > Dockerfile`;
const CLEAR = `$E rmi -f ${IMAGE} $($E images -qf dangling=true); rm -rf ${FOLDER}`;
const VERIFY = `$E image exists ${IMAGE}`;

/** One of 10,000 files has changed. */
const COMMIT_CONTAINER = `$E rm -f -t 0 changed 2>/dev/null
  mkdir -p ${FOLDER}/many && cd ${FOLDER}/many && seq 10000 | split -l 1 -a 4 - f && cd .. &&
  printf '%s\\n' 'FROM '$I 'COPY many /many' > Dockerfile && $E build -q -t ${IMAGE} . &&
  $E run --name changed --network none ${IMAGE} sh -c 'echo changed > /many/faaaa'`;

export const BUILD_FIGURES: BuildFigure[] = [
  {
    name: "build-cold",
    title: "build, 12 steps, nothing cached",
    setUp: () => MAKE,
    tearDown: CLEAR,
    sample: BUILD.replace("build -q", "build -q --no-cache"),
    verify: VERIFY,
    after: "$E image prune -f",
    limit: 0.6,
  },
  {
    name: "build-cached",
    title: "build, 12 steps, all cached",
    setUp: () => `${MAKE} && ${BUILD}`,
    tearDown: CLEAR,
    sample: BUILD,
    verify: VERIFY,
    limit: 0.3,
  },
  {
    name: "build-late",
    title: "build, 12 steps, one late source file changed",
    setUp: () => `${MAKE} && ${BUILD}`,
    tearDown: CLEAR,
    sample: `date +%s%N > ${FOLDER}/late.c; ${BUILD}`,
    verify: VERIFY,
    limit: 0.4,
  },
  {
    name: "commit",
    title: "commit of a container that changed 1 of 10,000 files",
    setUp: () => COMMIT_CONTAINER,
    tearDown: `$E rm -f -t 0 changed; $E rmi -f ${IMAGE}2; ${CLEAR}`,
    sample: `$E commit -q changed ${IMAGE}2`,
    verify: `$E image exists ${IMAGE}2`,
    limit: 0.4,
  },
];

import { deepStrictEqual as assertEquals } from "node:assert";
import { BuildError, NotFoundError } from "../../errors.ts";
import { parsePlatform } from "../../image/platform.ts";
import type { Digest } from "../../spec/digest.ts";
import type { ImageConfig, ImageRunConfig } from "../../spec/image.ts";
import { parseDockerfile } from "../dockerfile/parse.ts";
import type { BaseImage, BuildGraph, CopyStep, RunStep } from "../step.ts";
import { type ImageRequest, planBuild, type PlanInput } from "./plan.ts";

const digest = (char: string) => `sha256:${char.repeat(64)}` as Digest;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function image(name: string, run: ImageRunConfig = {}, char = "a"): BaseImage {
  const config: ImageConfig = {
    created: "2020-01-01T00:00:00Z",
    architecture: "amd64",
    os: "linux",
    config: run,
    rootfs: { type: "layers", diff_ids: [digest(char)] },
    history: [{ created: "2020-01-01T00:00:00Z", created_by: `ADD ${name}` }],
  };
  const layer = { diffId: digest(char), digest: digest(char), size: 1, mediaType: "tar" };
  return { name, id: char.repeat(64), digest: digest(char), config, snapshot: { layers: [layer] } };
}

const IMAGES: Record<string, BaseImage> = {
  busybox: image("docker.io/library/busybox:latest", { Cmd: ["sh"], Env: ["PATH=/bin", "B=base"] }),
  debian: image("docker.io/library/debian:latest", { Cmd: ["bash"], Entrypoint: ["/e"], User: "www" }, "d"),
  onbuild: image("docker.io/library/onbuild:latest", {
    WorkingDir: "/src",
    OnBuild: ["COPY . .", "COPY --from=debian /x /y", "RUN make"],
  }, "e"),
};

async function plan(
  text: string,
  options: Partial<PlanInput["options"]> = {},
  rest: Partial<PlanInput> = {},
): Promise<BuildGraph & { asked: ImageRequest[] }> {
  const asked: ImageRequest[] = [];
  const graph = await planBuild({
    dockerfile: parseDockerfile(text, "Dockerfile"),
    options: { buildArgs: {}, contexts: {}, labels: {}, addHosts: [], allow: [], ...options },
    resolveImage(request) {
      asked.push(request);
      const found = IMAGES[request.name];
      return found ? Promise.resolve(found) : Promise.reject(new NotFoundError("image", request.name));
    },
    ...rest,
  });
  return { ...graph, asked };
}

const history = ({ config }: BuildGraph) => config.history!.map((entry) => entry.created_by);
const names = ({ steps }: BuildGraph) => steps.map(({ origin }) => origin.name);
const run = (graph: BuildGraph, index = 0) => graph.steps[index] as RunStep & BuildGraph["steps"][number];
const copy = (graph: BuildGraph, index = 0) => graph.steps[index] as CopyStep & BuildGraph["steps"][number];

Deno.test("a stage's instructions make the document, its steps and its history", async () => {
  const graph = await plan(`
FROM busybox
MAINTAINER me
ARG V=1
ENV A=x$V C="a b"
LABEL l=$A
WORKDIR sub
WORKDIR /w/../abs
RUN echo \${V} $A
COPY --chown=1:2 --chmod=755 a* b/
EXPOSE 80 53/UDP 8000-8001
VOLUME /data $A
USER u$V
STOPSIGNAL SIGTERM
SHELL ["/bin/ash", "-ec"]
CMD serve
HEALTHCHECK --interval=90s --retries=3 CMD true
ONBUILD RUN later
`);
  assertEquals(graph.config.config, {
    Cmd: ["/bin/ash", "-ec", "serve"],
    Env: ["PATH=/bin", "B=base", "A=x1", "C=a b"],
    Labels: { l: "x1" },
    WorkingDir: "/abs",
    ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {} },
    Volumes: { "/data": {}, x1: {} },
    User: "u1",
    StopSignal: "SIGTERM",
    Shell: ["/bin/ash", "-ec"],
    Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 90e9, Retries: 3 },
    OnBuild: ["RUN later"],
  });
  assertEquals(graph.config.author, "me");
  assertEquals(history(graph), [
    "ADD docker.io/library/busybox:latest",
    "MAINTAINER me",
    "ARG V=1",
    "ENV A=x1 C=a b",
    "LABEL l=x1",
    "WORKDIR /sub",
    "WORKDIR /abs",
    "RUN |1 V=1 /bin/sh -c echo ${V} $A # buildkit",
    "COPY --chown=1:2 --chmod=755 a* b/ # buildkit",
    "EXPOSE [53/udp 80/tcp 8000/tcp 8001/tcp]",
    "VOLUME [/data x1]",
    "USER u1",
    "STOPSIGNAL SIGTERM",
    "SHELL [/bin/ash -ec]",
    'CMD ["/bin/ash" "-ec" "serve"]',
    "HEALTHCHECK {Test:[CMD-SHELL true] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}",
  ]);
  assertEquals(graph.historySteps, [null, null, null, null, null, 0, 1, 2, 3, ...Array(7).fill(null)]);
  assertEquals(graph.config.history!.filter((entry) => !entry.empty_layer).length, 5);
  assertEquals(names(graph), [
    "[2/5] WORKDIR sub",
    "[3/5] WORKDIR /w/../abs",
    "[4/5] RUN echo 1 x1",
    "[5/5] COPY --chown=1:2 --chmod=755 a* b/",
  ]);
  assertEquals(graph.images.map(({ origin }) => origin.name), [
    `[1/5] FROM docker.io/library/busybox:latest@${digest("a")}`,
  ]);
  assertEquals(run(graph, 2).env, ["PATH=/bin", "B=base", "V=1", "A=x1", "C=a b"]);
  assertEquals(run(graph, 2).workdir, "/abs");
  assertEquals(copy(graph, 3).destination, "/abs/b/");
  assertEquals(copy(graph, 3).sources, [{ from: { kind: "context" }, pattern: "a*" }]);
  assertEquals(graph.result, { kind: "step", step: 3 });
});

Deno.test("only what the target needs is planned and resolved", async () => {
  const text = `
ARG BASE=busybox
FROM $BASE AS build
RUN make
FROM missing AS other
RUN never
FROM debian AS third
COPY --from=build /o /o
FROM scratch
COPY --from=0 /o /p
COPY --from=third /o /q
`;
  const graph = await plan(text);
  assertEquals(graph.asked.map(({ name }) => name).sort(), ["busybox", "debian"]);
  assertEquals(names(graph), [
    "[build 2/2] RUN make",
    "[third 2/2] COPY --from=build /o /o",
    "[stage-3 1/2] COPY --from=0 /o /p",
    "[stage-3 2/2] COPY --from=third /o /q",
  ]);
  assertEquals(copy(graph, 2).sources[0]!.from, { kind: "step", step: 0 });
  assertEquals(graph.config.config, { Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: "/" });
  const early = await plan(text, { target: "BUILD" });
  assertEquals(early.asked.map(({ name }) => name), ["busybox"]);
  assertEquals((await plan(text, { target: "0" })).steps.length, 1);
});

Deno.test("arguments: what is given goes before defaults, globals need an ARG in the stage", async () => {
  const text = `
ARG G=global
ARG H=$G-2
FROM busybox
RUN a
ARG G
ARG H=own
ARG L=\${H}x
ARG TARGETOS
ARG UNSET
RUN b
FROM busybox AS second
ARG G
`;
  const env = async (buildArgs: Record<string, string>, index: number) =>
    run(await plan(text, { buildArgs, target: "0" }), index).env.slice(2);
  assertEquals(await env({}, 0), []);
  assertEquals(await env({}, 1), ["G=global", "H=own", "L=ownx", "TARGETOS=linux"]);
  assertEquals(await env({ G: "g", L: "l", UNSET: "u" }, 1), [
    "G=g",
    "H=own",
    "L=l",
    "TARGETOS=linux",
    "UNSET=u",
  ]);
  const graph = await plan(text, { buildArgs: { HTTP_PROXY: "http://p", NOWHERE: "1" }, target: "0" });
  assertEquals(run(graph).proxyEnv, ["HTTP_PROXY=http://p", "http_proxy=http://p"]);
  assertEquals(run(graph).env.some((entry) => /proxy/i.test(entry)), false);
  assertEquals(graph.unusedArgs, ["NOWHERE"]);
});

Deno.test("a stage on another has its environment, arguments and CMD; ENTRYPOINT forgets a base's CMD", async () => {
  const graph = await plan(`
FROM busybox AS a
ARG X=1
ENV Y=2
CMD ["first"]
FROM a
RUN env
ENTRYPOINT ["/go"]
`);
  assertEquals(run(graph).env, ["X=1", "PATH=/bin", "B=base", "Y=2"]);
  assertEquals(graph.config.config!.Entrypoint, ["/go"]);
  assertEquals(graph.config.config!.Cmd, undefined);
  assertEquals((await plan("FROM debian\nCMD x\nENTRYPOINT y")).config.config!.Cmd, ["/bin/sh", "-c", "x"]);
});

Deno.test("triggers of a base image run first and are gone; they may need further images", async () => {
  const graph = await plan("FROM onbuild AS app\nRUN own");
  assertEquals(names(graph), [
    "[2/5] ONBUILD COPY . .",
    "[3/5] ONBUILD COPY --from=debian /x /y",
    "[4/5] ONBUILD RUN make",
    "[5/5] RUN own",
  ]);
  assertEquals(copy(graph).destination, "/src/");
  assertEquals(graph.asked.map(({ name }) => name), ["onbuild", "debian"]);
  assertEquals(graph.config.config!.OnBuild, undefined);
  const stages = await plan("FROM busybox AS a\nONBUILD RUN t\nFROM a AS b\nRUN o\nFROM b\nRUN p");
  assertEquals(names(stages), ["[b 1/2] ONBUILD RUN t", "[b 2/2] RUN o", "[stage-2 1/1] RUN p"]);
});

Deno.test("heredocs are scripts, shell input and files", async () => {
  const graph = await plan(`FROM busybox
ARG N=name
RUN <<EOF
echo $N
echo 2
EOF
RUN <<'X' cat > /f
line
X
RUN <<EOF
#!/usr/bin/env python
print()
EOF
COPY <<a.txt <<"b" /dst/
hello $N
a.txt
raw $N
b
`);
  assertEquals(run(graph, 0).argv, ["/bin/sh", "-c", "echo $N\necho 2\n"]);
  assertEquals(run(graph, 1).argv, ["/bin/sh", "-c", "<<'X' cat > /f\nline\nX"]);
  assertEquals(run(graph, 2).argv, ["/bin/sh", "-c", "/dev/pipes/EOF"]);
  assertEquals(run(graph, 2).scripts, [
    { path: "/dev/pipes/EOF", content: "#!/usr/bin/env python\nprint()\n", mode: 0o755 },
  ]);
  const contents = copy(graph, 3).sources.map(({ from }) => from.kind === "heredoc" && from.content);
  assertEquals(contents, ["hello name\n", "raw $N\n"]);
  assertEquals(history(graph).at(-1), "COPY <<a.txt <<b /dst/ # buildkit");
  assertEquals(names(graph)[0], "[2/5] RUN <<EOF (echo $N...)");
});

Deno.test("mounts have their defaults", async () => {
  const graph = await plan(`FROM busybox AS src
FROM busybox
WORKDIR /w
RUN --mount=type=cache,target=/c --mount=type=cache,id=x,target=rel,sharing=locked,mode=0700,uid=5 \
 --mount=target=/ctx --mount=from=src,source=/a/../b,target=/s,rw --mount=type=tmpfs,target=/t,size=1m \
 --mount=type=secret,id=tok --mount=type=secret,id=e,env=E,required --mount=type=ssh true
`);
  const owner = { uid: 0, gid: 0 };
  const cache = { type: "cache" as const, source: "/", readOnly: false };
  assertEquals(run(graph, 1).mounts, [
    { ...cache, target: "/c", id: "/c", sharing: "shared", mode: 0o755, ...owner },
    { ...cache, target: "/w/rel", id: "x", sharing: "locked", mode: 0o700, uid: 5, gid: 0 },
    { type: "bind", target: "/ctx", from: { kind: "context" }, source: "/", readWrite: false },
    {
      type: "bind",
      target: "/s",
      from: { kind: "image", image: IMAGES.busybox! },
      source: "/b",
      readWrite: true,
    },
    { type: "tmpfs", target: "/t", sizeBytes: 1 << 20 },
    { type: "secret", id: "tok", target: "/run/secrets/tok", required: false, mode: 0o400, ...owner },
    { type: "secret", id: "e", env: "E", required: true, mode: 0o400, ...owner },
    {
      type: "ssh",
      id: "default",
      target: "/run/buildkit/ssh_agent.0",
      required: false,
      mode: 0o600,
      ...owner,
    },
  ]);
});

Deno.test("a --build-context stands for an image or a stage of its name", async () => {
  const folder = { kind: "folder" as const, path: "/x" };
  const text = "FROM alpine:latest AS a\nRUN x\nFROM scratch\nCOPY --from=files /f /\nCOPY --from=a /g /";
  const graph = await plan(text, {
    contexts: { files: folder, "docker.io/library/alpine": { kind: "image", name: "busybox" } },
  });
  assertEquals(copy(graph, 1).sources[0]!.from, { kind: "context", name: "files" });
  assertEquals(graph.asked.map(({ name }) => name), ["busybox"]);
  const replaced = await plan(text, { contexts: { a: folder, files: folder } });
  assertEquals(names(replaced), ["[stage-1 1/2] COPY --from=files /f /", "[stage-1 2/2] COPY --from=a /g /"]);
  assertEquals(copy(replaced, 1).sources[0]!.from, { kind: "context", name: "a" });
  const root = await plan("FROM base\nRUN x", { contexts: { base: folder } });
  assertEquals(names(root), ["[1/2] FROM base", "[2/2] RUN x"]);
  assertEquals(run(root, 1).base, { kind: "step", step: 0 });
});

Deno.test("ADD takes URLs, repositories and checksums", async () => {
  const sum = digest("c");
  const graph = await plan(`FROM scratch
ADD --checksum=${sum} https://h/x.tar.gz /
ADD https://h/repo.git#v1:sub git@h:repo.git /d/
`);
  assertEquals(copy(graph).sources, [{
    from: { kind: "http", url: "https://h/x.tar.gz", checksum: sum },
    pattern: "/",
  }]);
  assertEquals(copy(graph, 1).sources.map(({ from }) => from.kind), ["git", "git"]);
});

Deno.test("platforms: FROM --platform, TARGETPLATFORM and the image's document", async () => {
  const graph = await plan(
    "FROM --platform=linux/s390x busybox AS b\nARG TARGETPLATFORM\nRUN x\nFROM busybox\nCOPY --from=b /a /",
    {},
    { platform: parsePlatform("linux/ppc64le"), isOneOfMany: true },
  );
  assertEquals(graph.asked.map(({ platform }) => platform.architecture).sort(), ["ppc64le", "s390x"]);
  assertEquals(run(graph).env.at(-1), "TARGETPLATFORM=linux/ppc64le");
  assertEquals([graph.config.architecture, graph.config.os], ["ppc64le", "linux"]);
  assertEquals(names(graph)[0], "[linux/s390x->ppc64le b 2/2] RUN x");
  // only what the stage asks for tells what it makes
  for (
    const [args, shown] of [
      ["", "linux/s390x"],
      ["ARG TARGETARCH TARGETVARIANT\n", "linux/s390x->arm/v7"],
      ["ARG TARGETOS\n", "linux/s390x"],
    ]
  ) {
    const text = `FROM --platform=linux/s390x busybox\n${args}RUN x\n`;
    const cross = await plan(text, {}, { platform: parsePlatform("linux/arm/v7"), isOneOfMany: true });
    assertEquals(names(cross)[0], `[${shown} 2/2] RUN x`);
  }
});

type Wrong = [
  text: string,
  message: string,
  line: number | undefined,
  options?: Partial<PlanInput["options"]>,
];
Deno.test("a step whose network is the default one has the build's, and is known by it", async () => {
  const text = "FROM busybox\nRUN --network=default a\nRUN b\nRUN --network=none c";
  for (const network of [undefined, "host", "none"]) {
    const graph = await plan(text, { network });
    const expected = [network ?? "default", network ?? "default", "none"];
    assertEquals([0, 1, 2].map((index) => run(graph, index).network), expected);
  }
});

Deno.test("arguments of the builder's own change the sandbox and the ids of cache mounts", async () => {
  const text = "FROM busybox\nRUN --mount=type=cache,target=/c --mount=type=cache,id=i,target=/d x\n";
  const ids = (graph: BuildGraph) => run(graph).mounts.map((mount) => mount.type === "cache" && mount.id);
  const plain = await plan(text);
  assertEquals([run(plain).hostname, ids(plain)], [undefined, ["/c", "i"]]);
  const buildArgs = { BUILDKIT_SANDBOX_HOSTNAME: "box", BUILDKIT_CACHE_MOUNT_NS: "ns" };
  const told = await plan(text, { buildArgs });
  assertEquals([run(told).hostname, ids(told), told.unusedArgs], ["box", ["ns//c", "ns/i"], []]);
});

Deno.test("a step knows the devices that it asks for", async () => {
  const graph = await plan("FROM busybox AS gpu\nRUN --device=nvidia.com/gpu=all,required=false x\n");
  assertEquals(run(graph).argv, ["/bin/sh", "-c", "x"]);
  assertEquals(run(graph).devices, [{ name: "nvidia.com/gpu=all", isRequired: false }]);
});

const WRONG: Wrong[] = [
  ["FROM busybox\nCOPY --from=9 a b", "invalid stage index 9", 2],
  ["FROM busybox AS a\nCOPY --from=a x y", "circular dependency detected on stage: a", 2],
  [
    "FROM busybox AS a\nCOPY --from=b x y\nFROM busybox AS b\nRUN z\nFROM a",
    'cannot copy from stage "b", it needs to be defined before current stage "a"',
    2,
  ],
  ["ARG E\nFROM $E", "base name ($E) should not be blank", 2],
  ["FROM gone\nRUN x", "no such image: gone", 1],
  ["FROM busybox\nSTOPSIGNAL SIGNO", "invalid signal: SIGNO", 2],
  ["FROM busybox\nEXPOSE 80/foo", "invalid proto: foo", 2],
  ["FROM busybox\nEXPOSE 99999", "invalid containerPort: 99999", 2],
  ['FROM busybox\n\nVOLUME ["$x"]', "VOLUME specified can not be an empty string", 3],
  ["FROM busybox\nRUN --mount=type=cache,target=/ x", 'invalid mount target "/"', 2],
  ["FROM busybox\nRUN --mount=type=bind,target=/a,uid=1 x", 'uid not allowed for "bind" type mounts', 2],
  ["FROM busybox\nRUN --network=host x", "granting entitlement network.host is not allowed", 2],
  ["FROM busybox\nRUN --security=insecure x", "granting entitlement security.insecure is not allowed", 2],
  [
    "FROM busybox\nCOPY --chmod=9 a b",
    "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777",
    2,
  ],
  ["FROM busybox\nADD --checksum=sha256:00 a b", "checksum requires HTTP(S) or Git sources", 2],
  ["FROM busybox\nCOPY https://h/x /", "source can't be a URL for COPY", 2],
  ["FROM busybox\nRUN x", 'target stage "no" could not be found', undefined, { target: "no" }],
];

for (const [text, message, line, options] of WRONG) {
  Deno.test(`refused: ${message}`, async () => {
    const error: unknown = await plan(text, options).then(() => undefined, (error) => error);
    if (!(error instanceof BuildError)) throw new Error("it is not refused", { cause: error });
    assertEquals(error.message, message);
    assertEquals(error.source?.location.startLine, line);
  });
}

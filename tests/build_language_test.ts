/**
 * The Dockerfile language, seen in what is built: heredocs, substitutions, the scopes of ARG, triggers, shells, both
 * escape characters, which files .dockerignore leaves out, and what the checks say.
 */
import { assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";
import { makeContext } from "./build_context.ts";

interface Built {
  /** What steps have printed on their standard output and error. */
  printed: string[];
  stderr: string;
}

async function build(host: Host, folder: string, ...options: string[]): Promise<Built> {
  const args = ["build", "--progress", "plain", "--network", "none", ...options, folder];
  const { code, stdout, stderr } = await host.skiff(args);
  assertEquals({ code, stdout, stderr: code === 0 ? "" : stderr }, { code: 0, stdout: "", stderr: "" });
  const printed = stderr.split("\n").flatMap((line) => /^#\d+ \d+\.\d+ (.*)$/.exec(line)?.[1] ?? []);
  return { printed, stderr };
}

/** The image's document, as `inspect` has it. */
async function configOf(host: Host, name: string): Promise<Record<string, unknown>> {
  return JSON.parse(await host.ok("image", "inspect", "-f", "{{json .Config}}", name));
}

const HEREDOCS = `
FROM $BASE
ENV NAME=skiff
RUN <<EOF
echo "script of $NAME"
VALUE=shell; echo "$VALUE"
EOF
RUN <<-INDENTED cat
	one $NAME
		two
	INDENTED
RUN cat <<A - <<B && cat /proc/self/fd/3 3<<C
first
A
second $NAME
B
third
C
RUN <<'RAW' cat > /raw
raw $NAME \\
RAW
RUN <<  'END OF IT'
echo "in one $(printf %s word)"
END OF IT
RUN <<SCRIPT
#!/bin/cat
a script of its own interpreter
SCRIPT
COPY <<a.txt <<-"bc" <<'c.txt' plain /files/
$NAME \${NAME%ff}n "quoted" \\$NAME
a.txt
	tabs go
	and $NAME stays
bc
$NAME stays
c.txt
RUN cat /raw /files/a.txt "/files/bc" /files/c.txt /files/plain
`;

hostTest(
  "heredocs are scripts, standard input and files",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const base = await host.image("busybox");
    const folder = await makeContext(host, {
      Dockerfile: `ARG BASE\n${HEREDOCS}`,
      plain: "a file\n",
    });
    const { printed } = await build(host, folder, "--build-arg", `BASE=${base}`);
    assertEquals(printed, [
      ...["script of skiff", "shell"],
      ...["one skiff", "two"],
      // each redirection of standard input is read; the last one counts
      ...["second skiff", "third"],
      "in one word",
      ...["#!/bin/cat", "a script of its own interpreter"],
      ...["raw $NAME \\", 'skiff skin "quoted" $NAME', "tabs go", "and $NAME stays", "$NAME stays", "a file"],
    ]);
  },
);

const SCOPES = `
ARG BASE
ARG GLOBAL=global
ARG FROM_OTHER=\${GLOBAL}-derived
FROM $BASE AS base
RUN echo "1 [$GLOBAL] [$FROM_OTHER]"
ARG GLOBAL
ARG FROM_OTHER=own
ARG DECLARED
RUN echo "2 [$GLOBAL] [$FROM_OTHER] [$DECLARED] [$UNDECLARED]"
ENV GLOBAL=env
RUN echo "3 [$GLOBAL]"
ARG GLOBAL=again
RUN echo "4 [$GLOBAL]"
ARG TARGETARCH BUILDOS
RUN echo "5 [$TARGETARCH] [$BUILDOS] [$TARGETPLATFORM] [$HTTP_PROXY]"
FROM base
ARG TARGETPLATFORM
RUN echo "6 [$GLOBAL] [$DECLARED] [$TARGETPLATFORM]"
`;

hostTest(
  "arguments count from where they are declared, and ENV over them",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const base = await host.image("busybox");
    const folder = await makeContext(host, { Dockerfile: SCOPES });
    const given = ["DECLARED=given", "UNDECLARED=given", "GLOBAL=set", "HTTP_PROXY=http://127.0.0.1:9"];
    const { printed } = await build(
      host,
      folder,
      ...["--build-arg", `BASE=${base}`],
      ...given.flatMap((text) => ["--build-arg", text]),
      ...["-t", "scopes"],
    );
    const arch = Deno.build.arch === "x86_64" ? "amd64" : "arm64";
    assertEquals(printed, [
      "1 [] []",
      "2 [set] [own] [given] []",
      "3 [env]",
      "4 [set]",
      `5 [${arch}] [linux] [] [http://127.0.0.1:9]`,
      `6 [env] [given] [linux/${arch}]`,
    ]);
    // of all these only ENV is the image's
    const env = (await configOf(host, "scopes")).Env as string[];
    assertEquals(env.filter((entry) => !entry.startsWith("PATH=")), ["GLOBAL=env"]);
  },
);

const SUBSTITUTIONS = `
FROM $BASE
ARG FILE=/a/b.tar.gz EMPTY= PORTS="80 53/udp"
ENV A=\${FILE##*/} B=\${FILE%%.*} C=\${FILE#/} D=\${FILE%.*} E=\${FILE/a/x} F=\${FILE//a/x} \\
    G=\${NONE:-default} H=\${EMPTY:-empty} I=\${EMPTY-kept} J=\${FILE:+set} K=\${NONE+set} \\
    L="it's \\"$EMPTY\\" \\$FILE" M='$FILE' N=\${NONE:-\${FILE#/a/}} O=a\\ b P="\${FILE:?must be}"
LABEL "a key"=\${A} other='\${A}'
WORKDIR /w/\${A}
WORKDIR sub
USER \${USER_NAME:-root}
EXPOSE \${PORTS} 1000-1002
VOLUME ["/v/\${A}", "/plain"]
STOPSIGNAL \${SIGNAL:-SIGUSR1}
COPY \${A} \${A%.gz}.\${NONE}x /to/\${A}/
CMD ["\${A}"]
ENTRYPOINT echo \${A}
`;

hostTest(
  "substitutions in every instruction that has them",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const base = await host.image("busybox");
    const folder = await makeContext(host, {
      Dockerfile: `ARG BASE=${base}${SUBSTITUTIONS}`,
      "b.tar.gz": "1",
      "b.tar.x": "2",
    });
    await build(host, folder, "-t", "words");
    const config = await configOf(host, "words");
    assertEquals((config.Env as string[]).filter((entry) => !entry.startsWith("PATH=")), [
      ...["A=b.tar.gz", "B=/a/b", "C=a/b.tar.gz", "D=/a/b.tar", "E=/x/b.tar.gz", "F=/x/b.txr.gz"],
      ...["G=default", "H=empty", "I=", "J=set", "K=", 'L=it\'s "" $FILE', "M=$FILE", "N=b.tar.gz", "O=a b"],
      "P=/a/b.tar.gz",
    ]);
    assertEquals(config.Labels, { "a key": "b.tar.gz", other: "${A}" });
    assertEquals(config.WorkingDir, "/w/b.tar.gz/sub");
    assertEquals(config.User, "root");
    assertEquals(Object.keys(config.ExposedPorts as object).sort(), [
      ...["1000/tcp", "1001/tcp", "1002/tcp", "53/udp", "80/tcp"],
    ]);
    assertEquals(Object.keys(config.Volumes as object).sort(), ["/plain", "/v/b.tar.gz"]);
    assertEquals(config.StopSignal, "SIGUSR1");
    assertEquals([config.Entrypoint, config.Cmd], [["/bin/sh", "-c", "echo ${A}"], ["${A}"]]);
    const listed = await host.ok(
      "run",
      "--rm",
      "--network",
      "none",
      "--entrypoint",
      "ls",
      "words",
      "/to/b.tar.gz",
    );
    assertEquals(listed, "b.tar.gz\nb.tar.x");
  },
);

hostTest(
  "triggers run where an image is built on, and only there",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const base = await host.image("busybox");
    const parent = await makeContext(host, {
      Dockerfile: `FROM ${base}
ONBUILD ARG WHO=nobody
ONBUILD COPY <<EOF data /from-child/
by \${WHO}
EOF
ONBUILD RUN <<EOF
cat /from-child/EOF /from-child/data
EOF
ONBUILD USER 1
`,
      data: "of the parent\n",
    });
    assertEquals((await build(host, parent, "-t", "parent")).printed, []);
    assertEquals((await configOf(host, "parent")).OnBuild, [
      "ARG WHO=nobody",
      "COPY <<EOF data /from-child/\nby ${WHO}\nEOF",
      "RUN <<EOF\ncat /from-child/EOF /from-child/data\nEOF",
      "USER 1",
    ]);
    const child = await makeContext(host, {
      Dockerfile: "FROM parent\nRUN id -u\n",
      data: "of the child\n",
    });
    const { printed } = await build(host, child, "--build-arg", "WHO=me", "-t", "child");
    assertEquals(printed, ["by me", "of the child", "1"]);
    const config = await configOf(host, "child");
    assertEquals([config.OnBuild ?? null, config.User], [null, "1"]);
    const grandchild = await makeContext(host, {
      Dockerfile: "FROM child\nRUN id -u; ls /from-child\n",
    });
    assertEquals((await build(host, grandchild)).printed, ["1", "EOF", "data"]);
  },
);

hostTest(
  "SHELL, exec forms, continuations, and a backtick to escape",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const base = await host.image("busybox");
    const shell = await makeContext(host, {
      Dockerfile: `FROM ${base}
RUN echo a \\
  # a comment between

  b   c \\
  && echo '# no comment'
RUN ["echo", "$HOME", "no shell"]
SHELL ["/bin/sh", "-e", "-x", "-c"]
RUN case $- in *e*x* | *x*e*) echo stops and traces ;; esac
CMD started
HEALTHCHECK --interval=7s CMD probe it
`,
    });
    const { printed } = await build(host, shell, "-t", "shell");
    assertEquals(printed.filter((line) => !line.startsWith("+ ")), [
      ...["a b c", "# no comment", "$HOME no shell", "stops and traces"],
    ]);
    const config = await configOf(host, "shell");
    assertEquals([config.Shell, config.Cmd], [
      ["/bin/sh", "-e", "-x", "-c"],
      ["/bin/sh", "-e", "-x", "-c", "started"],
    ]);
    assertEquals((config.Healthcheck as { Test: string[] }).Test, ["CMD-SHELL", "probe it"]);
    const backtick = await makeContext(host, {
      Dockerfile: "# escape=`\r\nFROM " + base +
        '\r\nENV DIR=C:\\x\\ B=a` b C=`$DIR\r\nRUN echo one `\r\n  two; printf \'%s|\' "$DIR" "$B" "$C"\r\n',
    });
    assertEquals((await build(host, backtick)).printed, ["one two", "C:\\x\\|a b|$DIR|"]);
  },
);

hostTest(
  ".dockerignore leaves out what its last pattern says",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const base = await host.image("busybox");
    const files = {
      ".dockerignore":
        "\ufeff# comment\n*.md\n!README.md\n**/tmp\nsrc/**/*.o\n/deep\n!deep/*/keep\nlast\\*\n",
      Dockerfile: `FROM ${base}\nCOPY . /c/\nRUN cd /c && find . -type f | sort\n`,
      ...Object.fromEntries(
        [
          ...[
            "README.md",
            "other.md",
            "src/a.c",
            "src/a.o",
            "src/sub/b.o",
            "b.o",
            "src/tmp/x",
            "tmp/y",
            "sub.md/z",
          ],
          ...["deep/a/keep", "deep/a/gone", "deep/gone", "last*", "lasts"],
        ].map((name) => [name, name]),
      ),
    };
    const folder = await makeContext(host, files);
    assertEquals((await build(host, folder)).printed, [
      ...["./.dockerignore", "./Dockerfile", "./README.md", "./b.o", "./deep/a/keep", "./lasts", "./src/a.c"],
    ]);
    // one beside the Dockerfile that is named like it comes first
    const own = await makeContext(host, { ...files, "Dockerfile.dockerignore": "*\n!b.o\n" });
    assertEquals((await build(host, own)).printed, ["./b.o"]);
  },
);

hostTest(
  "the checks tell of a Dockerfile's faults, in a build and without one",
  { needs: ["registry", "busybox"] },
  async (host) => {
    const folder = await makeContext(host, {
      Dockerfile:
        "FROM scratch AS Base\nCOPY Dockerfile /$none\nFROM not.here/at-all:1\nENV a $PATHS\nCMD x\n",
    });
    const found = await host.skiff(["build", "--check", folder]);
    assertEquals([found.code, found.stderr], [1, ""]);
    const rules = found.stdout.split("\n").flatMap((line) => /^WARNING: (\w+)/.exec(line)?.[1] ?? []);
    assertEquals(rules, ["StageNameCasing", "UndefinedVar", "LegacyKeyValueFormat"]);
    assertIncludes(found.stdout, "   4 | >>> ENV a $PATHS\n");
    assertIncludes(found.stdout, "Check complete, 3 warnings have been found!\n");
    const json = await host.skiff(["build", "--call", "check,format=json", folder]);
    assertEquals(JSON.parse(json.stdout).warnings.map((one: { ruleName: string }) => one.ruleName), rules);
    // what is not built is not told of, and what is skipped is not either
    const told = await build(host, folder, "--target", "base");
    assertIncludes(told.stderr, " 2 warnings found (use --check to expand):\n");
    const quiet = await build(
      host,
      folder,
      "--target",
      "base",
      "--build-arg",
      "BUILDKIT_DOCKERFILE_CHECK=skip=all",
    );
    assertEquals(quiet.stderr.includes("warning"), false);
    const strict = await host.skiff(
      ["build", "--target", "base", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true", folder],
    );
    assertEquals(strict.code, 1);
    assertIncludes(strict.stderr, "Error: lint violation found for rules: StageNameCasing, UndefinedVar");
    const well = await makeContext(host, { Dockerfile: "FROM scratch\nCOPY Dockerfile /\n" });
    const nothing = await host.skiff(["build", "--check", well]);
    assertEquals([nothing.code, nothing.stdout], [0, "Check complete, no warnings found.\n"]);
  },
);

/** How the images that everybody builds on, and the documentation's examples, use the language: each construct once. */

import { assertEquals } from "../../../tests/assertions.ts";
import type { CommandLine, Instruction } from "./ast.ts";
import { parseDockerfile } from "./parse.ts";

interface Sample {
  /** Where such lines are found. */
  like: string;
  text: string;
  /** Stage by stage, an instruction a line. */
  parsed: string[];
}

const SAMPLES: Sample[] = [
  {
    like: "debian, alpine: a root filesystem",
    text: 'FROM scratch\nADD rootfs.tar.xz /\nCMD ["bash"]\n',
    parsed: ["FROM scratch", "ADD rootfs.tar.xz -> /", 'CMD ["bash"]'],
  },
  {
    like: "hello-world",
    text: 'FROM scratch\nCOPY hello /\nCMD ["/hello"]',
    parsed: ["FROM scratch", "COPY hello -> /", 'CMD ["/hello"]'],
  },
  {
    like: "postgres: set -eux with semicolons that stand on lines of their own, comments between",
    text: `FROM debian:bookworm-slim
# explicitly set user/group IDs
RUN set -eux; \\
	groupadd -r postgres --gid=999; \\
# the home of the database, as Debian has it
	useradd -r -g postgres --uid=999 --shell=/bin/bash postgres

RUN set -ex; \\
	apt-get install -y --no-install-recommends \\
		gnupg \\
# only needed for the "less" pager
		less \\
	; \\
	rm -rf /var/lib/apt/lists/*
ENV GOSU_VERSION 1.17
ENV LANG en_US.utf8
RUN mkdir /docker-entrypoint-initdb.d
ENV PATH $PATH:/usr/lib/postgresql/$PG_MAJOR/bin
ENV PGDATA /var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
COPY docker-entrypoint.sh docker-ensure-initdb.sh /usr/local/bin/
RUN ln -sT docker-ensure-initdb.sh /usr/local/bin/docker-enforce-initdb.sh
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
`,
    parsed: [
      "FROM debian:bookworm-slim",
      "RUN set -eux; \tgroupadd -r postgres --gid=999; \tuseradd -r -g postgres --uid=999 --shell=/bin/bash postgres",
      "RUN set -ex; \tapt-get install -y --no-install-recommends \t\tgnupg \t\tless \t; \trm -rf /var/lib/apt/lists/*",
      "ENV legacy GOSU_VERSION=1.17",
      "ENV legacy LANG=en_US.utf8",
      "RUN mkdir /docker-entrypoint-initdb.d",
      "ENV legacy PATH=$PATH:/usr/lib/postgresql/$PG_MAJOR/bin",
      "ENV legacy PGDATA=/var/lib/postgresql/data",
      "VOLUME /var/lib/postgresql/data",
      "COPY docker-entrypoint.sh docker-ensure-initdb.sh -> /usr/local/bin/",
      "RUN ln -sT docker-ensure-initdb.sh /usr/local/bin/docker-enforce-initdb.sh",
      'ENTRYPOINT ["docker-entrypoint.sh"]',
      "STOPSIGNAL SIGINT",
      "EXPOSE 5432",
      'CMD ["postgres"]',
    ],
  },
  {
    like: "nginx: here-strings of the shell are no heredocs",
    text: `FROM debian:bookworm-slim
LABEL maintainer="NGINX Docker Maintainers <docker-maint@nginx.com>"
ENV NGINX_VERSION   1.27.0
RUN set -x \\
    && case "$dpkgArch" in \\
        amd64|arm64) \\
            echo "deb [signed-by=$key] https://example.org/packages/ bookworm nginx" >> /etc/apt/sources.list.d/nginx.list \\
            ;; \\
        *) \\
            && for x in a b; do echo \${x%%-*} <<<"$x"; done \\
            ;; \\
    esac \\
    \\
    && ln -sf /dev/stdout /var/log/nginx/access.log
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
`,
    parsed: [
      "FROM debian:bookworm-slim",
      'LABEL maintainer="NGINX Docker Maintainers <docker-maint@nginx.com>"',
      "ENV legacy NGINX_VERSION=1.27.0",
      'RUN set -x     && case "$dpkgArch" in         amd64|arm64)             echo "deb [signed-by=$key] https://example.org/packages/ bookworm nginx" >> /etc/apt/sources.list.d/nginx.list             ;;         *)             && for x in a b; do echo ${x%%-*} <<<"$x"; done             ;;     esac         && ln -sf /dev/stdout /var/log/nginx/access.log',
      "EXPOSE 80",
      "STOPSIGNAL SIGQUIT",
      'CMD ["nginx","-g","daemon off;"]',
    ],
  },
  {
    like: "node: a shell function, a loop over keys, quotes within quotes",
    text: `FROM buildpack-deps:bookworm
RUN groupadd --gid 1000 node \\
  && useradd --uid 1000 --gid node --shell /bin/bash --create-home node
ENV NODE_VERSION=20.11.1
RUN ARCH= && dpkgArch="$(dpkg --print-architecture)" \\
  && case "\${dpkgArch##*-}" in \\
    amd64) ARCH='x64';; \\
    *) echo "unsupported architecture"; exit 1 ;; \\
  esac \\
  && for key in \\
    4ED778F539E3634C779C87C6D7062848A1AB005C \\
    141F07595B7B3FFE74309A937405533BE57C7D57 \\
  ; do \\
      gpg --batch --keyserver hkps://keys.openpgp.org --recv-keys "$key" ; \\
  done \\
  && grep " node-v$NODE_VERSION-linux-$ARCH.tar.xz\\$" SHASUMS256.txt | sha256sum -c -
CMD [ "node" ]
`,
    parsed: [
      "FROM buildpack-deps:bookworm",
      "RUN groupadd --gid 1000 node   && useradd --uid 1000 --gid node --shell /bin/bash --create-home node",
      "ENV NODE_VERSION=20.11.1",
      `RUN ARCH= && dpkgArch="$(dpkg --print-architecture)"   && case "\${dpkgArch##*-}" in     amd64) ARCH='x64';;     *) echo "unsupported architecture"; exit 1 ;;   esac   && for key in     4ED778F539E3634C779C87C6D7062848A1AB005C     141F07595B7B3FFE74309A937405533BE57C7D57   ; do       gpg --batch --keyserver hkps://keys.openpgp.org --recv-keys "$key" ;   done   && grep " node-v$NODE_VERSION-linux-$ARCH.tar.xz\\$" SHASUMS256.txt | sha256sum -c -`,
      'CMD ["node"]',
    ],
  },
  {
    like: "node onbuild",
    text: `FROM node:8
ONBUILD ARG NODE_ENV
ONBUILD ENV NODE_ENV $NODE_ENV
ONBUILD COPY package.json package-lock.json* /usr/src/app/
ONBUILD RUN npm install && npm cache clean --force
CMD [ "npm", "start" ]`,
    parsed: [
      "FROM node:8",
      "ONBUILD ARG NODE_ENV",
      "ONBUILD ENV legacy NODE_ENV=$NODE_ENV",
      "ONBUILD COPY package.json package-lock.json* -> /usr/src/app/",
      "ONBUILD RUN npm install && npm cache clean --force",
      'CMD ["npm","start"]',
    ],
  },
  {
    like: "python: multi-line find, escaped parentheses, $() and awk's $1",
    text: `FROM python:3.12-slim
ENV PYTHONUNBUFFERED=1 \\
    PIP_NO_CACHE_DIR=off \\
    POETRY_HOME="/opt/poetry"
RUN set -eux; \\
	find /usr/local -depth \\
		\\( \\
			\\( -type d -a \\( -name test -o -name tests \\) \\) \\
			-o \\( -type f -a -name '*.pyc' \\) \\
		\\) -exec rm -rf '{}' + \\
	; \\
	ldd x | awk '/=>/ { so = $(NF-1); gsub("^/(usr/)?", "", so); print "*" so }' | sort -u
CMD ["python3"]
`,
    parsed: [
      "FROM python:3.12-slim",
      'ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=off POETRY_HOME="/opt/poetry"',
      `RUN set -eux; 	find /usr/local -depth 		\\( 			\\( -type d -a \\( -name test -o -name tests \\) \\) 			-o \\( -type f -a -name '*.pyc' \\) 		\\) -exec rm -rf '{}' + 	; 	ldd x | awk '/=>/ { so = $(NF-1); gsub("^/(usr/)?", "", so); print "*" so }' | sort -u`,
      'CMD ["python3"]',
    ],
  },
  {
    like: "golang: a JSON-like list for the shell, WORKDIR with a variable",
    text:
      "FROM golang:alpine\nENV GOPATH /go\nENV PATH $GOPATH/bin:/usr/local/go/bin:$PATH\nRUN [ ! -e /etc/nsswitch.conf ] && echo 'hosts: files dns' > /etc/nsswitch.conf\nWORKDIR $GOPATH\n",
    parsed: [
      "FROM golang:alpine",
      "ENV legacy GOPATH=/go",
      "ENV legacy PATH=$GOPATH/bin:/usr/local/go/bin:$PATH",
      "RUN [ ! -e /etc/nsswitch.conf ] && echo 'hosts: files dns' > /etc/nsswitch.conf",
      "WORKDIR $GOPATH",
    ],
  },
  {
    like: "windows images: backticks escape, paths have backslashes",
    text:
      "# escape=`\nFROM mcr.microsoft.com/windows/servercore:ltsc2022\nSHELL [\"powershell\", \"-Command\", \"$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';\"]\nENV GIT_VERSION 2.23.0\nRUN $newPath = ('{0}\\bin;C:\\go\\bin;{1}' -f $env:GOPATH, $env:PATH); `\n\tWrite-Host ('Updating PATH: {0}' -f $newPath); `\n# comment\n\tsetx /M PATH $newPath;\nWORKDIR C:\\gopath\nCOPY --from=0 C:\\a`\n C:\\b\\\n",
    parsed: [
      "FROM mcr.microsoft.com/windows/servercore:ltsc2022",
      'SHELL ["powershell","-Command","$ErrorActionPreference = \'Stop\'; $ProgressPreference = \'SilentlyContinue\';"]',
      "ENV legacy GIT_VERSION=2.23.0",
      "RUN $newPath = ('{0}\\bin;C:\\go\\bin;{1}' -f $env:GOPATH, $env:PATH); \tWrite-Host ('Updating PATH: {0}' -f $newPath); \tsetx /M PATH $newPath;",
      "WORKDIR C:\\gopath",
      "COPY from=0 C:\\a -> C:\\b\\",
    ],
  },
  {
    like: "multi-stage Go with cross compilation",
    text: `# syntax=docker/dockerfile:1
ARG GO_VERSION=1.22
ARG ALPINE=alpine:\${ALPINE_VERSION:-3.20}
FROM --platform=$BUILDPLATFORM golang:\${GO_VERSION}-alpine AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
RUN --mount=type=bind,target=. \\
    --mount=type=cache,target=/root/.cache/go-build,id=go-$TARGETARCH,sharing=locked \\
    --mount=type=cache,target=/go/pkg/mod <<EOT
  set -e
  CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags "-s -w" -o /out/app ./cmd/...
EOT
FROM scratch AS binaries
COPY --link --from=build /out/ /
FROM $ALPINE
COPY --from=binaries --chmod=755 --chown=65534:65534 /app /usr/bin/
USER nobody:nogroup
ENTRYPOINT ["/usr/bin/app"]
`,
    parsed: [
      "ARG GO_VERSION=1.22",
      "ARG ALPINE=alpine:${ALPINE_VERSION:-3.20}",
      "FROM golang:${GO_VERSION}-alpine on $BUILDPLATFORM as build",
      "ARG TARGETOS TARGETARCH",
      "WORKDIR /src",
      'RUN {type=bind,target=.} {type=cache,target=/root/.cache/go-build,id=go-$TARGETARCH,sharing=locked} {type=cache,target=/go/pkg/mod} <<EOT [EOT: "  set -e\\n  CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -ldflags \\"-s -w\\" -o /out/app ./cmd/...\\n"]',
      "FROM scratch as binaries",
      "COPY from=build link=true /out/ -> /",
      "FROM $ALPINE",
      "COPY from=binaries chown=65534:65534 chmod=755 /app -> /usr/bin/",
      "USER nobody:nogroup",
      'ENTRYPOINT ["/usr/bin/app"]',
    ],
  },
  {
    like: "documentation: secrets and SSH",
    text: `FROM alpine
RUN --mount=type=secret,id=aws,target=/root/.aws/credentials,required --mount=type=ssh aws s3 cp s3://x .
RUN --mount=type=secret,id=API_KEY,env=API_KEY \\
    --network=none some-command --token-from-env $API_KEY
RUN --mount=type=tmpfs,target=/scratch,size=64m --security=insecure true
`,
    parsed: [
      "FROM alpine",
      "RUN {type=secret,id=aws,target=/root/.aws/credentials,required=true} {type=ssh} aws s3 cp s3://x .",
      "RUN {type=secret,id=API_KEY,env=API_KEY} network=none some-command --token-from-env $API_KEY",
      "RUN {type=tmpfs,target=/scratch,size=64m} security=insecure true",
    ],
  },
  {
    like: "documentation: heredocs as files and scripts",
    text: `FROM debian
RUN <<EOT bash
  set -ex
  apt-get update
EOT
RUN <<EOT
#!/usr/bin/env python
print("hello world")
EOT
COPY <<-EOT /app/script.sh
	echo hello \${FOO}
EOT
COPY <<robots.txt <<'humans.txt' /usr/share/nginx/html/
User-agent: *
robots.txt
$nobody
humans.txt
RUN cat <<EOF > /etc/motd && \\
    chmod 644 /etc/motd
Hi
EOF
ADD <<a.txt b.txt /x/
1
a.txt
`,
    parsed: [
      "FROM debian",
      'RUN <<EOT bash [EOT: "  set -ex\\n  apt-get update\\n"]',
      'RUN <<EOT [EOT: "#!/usr/bin/env python\\nprint(\\"hello world\\")\\n"]',
      'COPY [EOT: "echo hello ${FOO}\\n"] -> /app/script.sh',
      'COPY [robots.txt: "User-agent: *\\n"] [humans.txt raw: "$nobody\\n"] -> /usr/share/nginx/html/',
      'RUN cat <<EOF > /etc/motd &&     chmod 644 /etc/motd [EOF: "Hi\\n"]',
      'ADD [a.txt: "1\\n"] b.txt -> /x/',
    ],
  },
  {
    like: "labels in many lines, with quotes, dots, dashes and escapes",
    text: `FROM alpine
LABEL org.opencontainers.image.title="My \\"app\\"" \\
      org.opencontainers.image.description='It is \\
 long' \\
      com.example.some-label-with-value= \\
      "quoted key"=v multi.label2="value2" other=$x\\ y
LABEL description="This text illustrates \\
that label-values can span multiple lines."
`,
    parsed: [
      "FROM alpine",
      'LABEL org.opencontainers.image.title="My \\"app\\"" ' +
      "org.opencontainers.image.description='It is  long' com.example.some-label-with-value= " +
      '"quoted key"=v multi.label2="value2" other=$x\\ y',
      'LABEL description="This text illustrates that label-values can span multiple lines."',
    ],
  },
  {
    like: "environment in both forms",
    text: `FROM busybox
ENV MY_NAME="John Doe" MY_DOG=Rex\\ The\\ Dog \\
    MY_CAT=fluffy
ENV ONE TWO= THREE=world
ENV abc=bye def=$abc
ENV EMPTY= A="\${B:-'x y'}" C='$D'
`,
    parsed: [
      "FROM busybox",
      'ENV MY_NAME="John Doe" MY_DOG=Rex\\ The\\ Dog MY_CAT=fluffy',
      "ENV legacy ONE=TWO= THREE=world",
      "ENV abc=bye def=$abc",
      `ENV EMPTY= A="\${B:-'x y'}" C='$D'`,
    ],
  },
  {
    like: "paths with blanks, arrays and not",
    text: `FROM busybox
COPY ["file one", "file[2]", "/dst dir/"]
COPY [ "a", "b" , "/c/" ]
COPY arr[[]0].txt hom?.txt hom* /mydir/
ADD https://example.com/archive.zip git@github.com:user/repo.git#v1:dir /usr/src/
VOLUME ["/data", "/var/log"]
VOLUME /a /b
EXPOSE 80/tcp 80/udp 7000-7010 $PORT
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://mirrors.edge.kernel.org/x.tar.gz /
ADD --keep-git-dir=true https://github.com/moby/buildkit.git#v0.10.1 /buildkit
COPY --parents ./x/a.txt ./y/./b/*.md /parents/
COPY --exclude=*.txt --exclude=**/.git . .
`,
    parsed: [
      "FROM busybox",
      "COPY file one file[2] -> /dst dir/",
      "COPY a b -> /c/",
      "COPY arr[[]0].txt hom?.txt hom* -> /mydir/",
      "ADD https://example.com/archive.zip git@github.com:user/repo.git#v1:dir -> /usr/src/",
      "VOLUME /data /var/log",
      "VOLUME /a /b",
      "EXPOSE $PORT 7000-7010 80/tcp 80/udp",
      "ADD checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://mirrors.edge.kernel.org/x.tar.gz -> /",
      "ADD keepGitDir=true https://github.com/moby/buildkit.git#v0.10.1 -> /buildkit",
      "COPY parents=true ./x/a.txt ./y/./b/*.md -> /parents/",
      "COPY exclude=*.txt,**/.git . -> .",
    ],
  },
  {
    like: "health checks",
    text: `FROM debian
HEALTHCHECK --interval=5m --timeout=3s \\
  CMD curl -f http://localhost/ || exit 1
HEALTHCHECK --start-period=500ms --retries=10 CMD ["docker-healthcheck"]
healthcheck none
`,
    parsed: [
      "FROM debian",
      "HEALTHCHECK interval=300000000000 timeout=3000000000 curl -f http://localhost/ || exit 1",
      'HEALTHCHECK startPeriod=500000000 retries=10 ["docker-healthcheck"]',
      "HEALTHCHECK NONE",
    ],
  },
  {
    like: "lower case, tabs, old images' MAINTAINER",
    text:
      'from\tubuntu:14.04\nmaintainer\tGuillaume J. Charmes "guillaume@charmes.net"\nrun\tapt-get update\nexpose\t5900\ncmd\t["x11vnc", "-forever"]\n',
    parsed: [
      "FROM ubuntu:14.04",
      'MAINTAINER Guillaume J. Charmes "guillaume@charmes.net"',
      "RUN apt-get update",
      "EXPOSE 5900",
      'CMD ["x11vnc","-forever"]',
    ],
  },
  {
    like: "stages by name, number and platform; names in any case",
    text: `ARG REGISTRY
FROM \${REGISTRY:+\${REGISTRY}/}node:20@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa as Deps
FROM deps
COPY --from=0 /a /b
COPY --from=nginx:latest /etc/nginx/nginx.conf /nginx.conf
COPY --from=Deps . .
FROM --platform=linux/arm64/v8 deps as final.stage-1_x
`,
    parsed: [
      "ARG REGISTRY",
      "FROM ${REGISTRY:+${REGISTRY}/}node:20@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa as deps",
      "FROM deps",
      "COPY from=0 /a -> /b",
      "COPY from=nginx:latest /etc/nginx/nginx.conf -> /nginx.conf",
      "COPY from=Deps . -> .",
      "FROM deps on linux/arm64/v8 as final.stage-1_x",
    ],
  },
  {
    like: "a shell that fails in pipes, arguments with odd defaults",
    text: `FROM debian
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG A B=2 C="x y" D='$A' E=\${B:-z} F=
ARG DEBIAN_FRONTEND=noninteractive
RUN curl -sSL https://deb.example.org/setup_20.x | bash -
RUN echo "a" \\
    # an indented comment between
    && echo 'b # not a comment' && echo c#d
USER 1000:1000
USER \${APP_USER:-app}
WORKDIR relative/dir
STOPSIGNAL 9
CMD exec "$@" --flag=\${VAR}
`,
    parsed: [
      "FROM debian",
      'SHELL ["/bin/bash","-o","pipefail","-c"]',
      "ARG A B=2 C=\"x y\" D='$A' E=${B:-z} F=",
      "ARG DEBIAN_FRONTEND=noninteractive",
      "RUN curl -sSL https://deb.example.org/setup_20.x | bash -",
      "RUN echo \"a\"     && echo 'b # not a comment' && echo c#d",
      "USER 1000:1000",
      "USER ${APP_USER:-app}",
      "WORKDIR relative/dir",
      "STOPSIGNAL 9",
      'CMD exec "$@" --flag=${VAR}',
    ],
  },
  {
    like: "brackets that are no array, arrays with escapes",
    text: String.raw`FROM alpine
RUN ["/bin/sh", "-c", "echo \"hi\" > /x && printf 'a\tb'"]
RUN ['single', 'quotes']
CMD ["executable", "with \u00e9", "C:\\path"]
ENTRYPOINT [ "/bin/sh" "-c" ]
`,
    parsed: [
      "FROM alpine",
      String.raw`RUN ["/bin/sh","-c","echo \"hi\" > /x && printf 'a\tb'"]`,
      "RUN ['single', 'quotes']",
      String.raw`CMD ["executable","with é","C:\\path"]`,
      'ENTRYPOINT [ "/bin/sh" "-c" ]',
    ],
  },
];

Deno.test("the constructs of public Dockerfiles are parsed as they are meant", () => {
  for (const { like, text, parsed } of SAMPLES) {
    for (const source of [text, text.replaceAll("\n", "\r\n").replaceAll(/(?<=<<[^]*)\r\n/g, "\n")]) {
      const file = parseDockerfile(source, like);
      const lines = [...file.globalArgs.map(describe)];
      for (const { base, platform, name, instructions } of file.stages) {
        lines.push(`FROM ${base}${platform ? ` on ${platform}` : ""}${name ? ` as ${name}` : ""}`);
        lines.push(...instructions.map(describe));
      }
      assertEquals({ like, lines }, { like, lines: parsed });
    }
  }
});

function describe(instruction: Instruction): string {
  return `${instruction.keyword} ${argumentsOf(instruction)}`.trimEnd();
}

function argumentsOf(instruction: Instruction): string {
  switch (instruction.keyword) {
    case "ARG":
      return instruction.args.map(({ name, value }) => value === undefined ? name : `${name}=${value}`).join(
        " ",
      );
    case "ENV":
    case "LABEL":
      return [
        instruction.isLegacy ? "legacy" : [],
        instruction.pairs.map(({ key, value }) => `${key}=${value}`),
      ]
        .flat().join(" ");
    case "MAINTAINER":
      return instruction.author;
    case "COPY":
    case "ADD": {
      const sources = instruction.sources.map((source) =>
        source.kind === "path" ? source.path : document(source.heredoc)
      );
      return [...fields(instruction.flags), ...sources, "->", instruction.destination].join(" ");
    }
    case "RUN": {
      const mounts = instruction.mounts.map(({ fields }) =>
        `{${fields.map(({ key, value }) => `${key}=${value}`).join(",")}}`
      );
      const { network, security, command, heredocs } = instruction;
      return [...mounts, ...fields({ network, security }), show(command), ...heredocs.map(document)].join(
        " ",
      );
    }
    case "CMD":
    case "ENTRYPOINT":
      return show(instruction.command);
    case "SHELL":
      return JSON.stringify(instruction.argv);
    case "HEALTHCHECK": {
      if (instruction.check.kind === "none") return "NONE";
      const { kind: _kind, command, ...rest } = instruction.check;
      return [...fields(rest), show(command)].join(" ");
    }
    case "ONBUILD":
      return describe(instruction.instruction);
    default:
      return instruction.words.join(" ");
  }
}

function fields(of: object): string[] {
  return Object.entries(of).filter(([, value]) => value !== undefined && String(value) !== "")
    .map(([key, value]) => `${key}=${value}`);
}

function show(command: CommandLine): string {
  return command.form === "exec" ? JSON.stringify(command.argv) : command.text;
}

function document({ name, content, expand }: { name: string; content: string; expand: boolean }): string {
  return `[${name}${expand ? "" : " raw"}: ${JSON.stringify(content)}]`;
}

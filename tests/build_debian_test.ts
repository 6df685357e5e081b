/**
 * Real Dockerfiles on a real Debian, their packages by apt-get through the network of RUN: a C program copied to
 * scratch, a Node application, nginx and PostgreSQL.
 */
import { startAptMirror } from "./apt_mirror.ts";
import { makeContext } from "./build_context.ts";
import { BASE } from "./fixtures.ts";
import { assert, assertEquals, assertIncludes, type Host, hostTest, waitFor } from "./harness.ts";
import { configurePodman, runLines } from "./podman_parity/engines.ts";

const DOCKERFILE = String.raw`# syntax=docker/dockerfile:1
ARG BASE
FROM $BASE AS apt
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get -q update

FROM apt AS compiler
RUN apt-get install -qy --no-install-recommends gcc libc6-dev make
WORKDIR /src
COPY c/ .
RUN make && ./hello builder

FROM scratch AS program
COPY --from=compiler /src/hello /hello
ENTRYPOINT ["/hello"]
CMD ["scratch"]

FROM apt AS node
RUN apt-get install -qy --no-install-recommends nodejs
WORKDIR /app
COPY --link app/package.json ./
COPY --link app/server.js ./
RUN node -e 'require("fs").writeFileSync("build.json", JSON.stringify(require("./package.json").version))'
USER nobody
CMD ["node", "server.js"]

FROM apt AS web
RUN <<SCRIPT
set -e
apt-get install -qy --no-install-recommends nginx-light
ln -sf /dev/stdout /var/log/nginx/access.log
SCRIPT
COPY <<EOF /var/www/html/index.html
hello from the web
EOF
COPY --from=node /app/build.json /var/www/html/
CMD ["nginx", "-g", "daemon off;"]

FROM apt AS database
RUN apt-get install -qy --no-install-recommends postgresql
USER postgres
RUN cd /usr/lib/postgresql/*/bin && ln -s "$PWD" /var/lib/postgresql/bin && \
    bin=/var/lib/postgresql/bin && $bin/initdb -D /var/lib/postgresql/db && \
    $bin/pg_ctl -D /var/lib/postgresql/db -o "-c listen_addresses=" -w start && \
    psql -c "create table boats (name text)" -c "insert into boats values ('skiff')" && \
    $bin/pg_ctl -D /var/lib/postgresql/db -m fast -w stop
HEALTHCHECK CMD psql -tAc 'select 1'
CMD ["/var/lib/postgresql/bin/postgres", "-D", "/var/lib/postgresql/db", "-c", "listen_addresses="]

FROM scratch AS all
COPY --from=program /hello /1
COPY --from=web /var/www/html/index.html /2
COPY --from=database /etc/passwd /3
`;

const FILES = {
  Dockerfile: DOCKERFILE,
  "c/hello.c":
    '#include <stdio.h>\nint main(int count, char **words) {\n  printf("hello %s\\n", words[1]);\n  return 0;\n}\n',
  "c/Makefile": "hello: hello.c\n\tgcc -O2 -static -o $@ $<\n",
  "app/package.json": '{"name": "app", "version": "4.2.0"}\n',
  "app/server.js": `const { version } = require("./package.json");
require("http").createServer((request, response) => response.end("node " + version + " " + request.url))
  .listen(8080, () => console.log("listening"));
`,
};

/** Their packages come from this port of the loopback: http_proxy is an argument that each RUN has, and no cache's key. */
async function build(
  host: Host,
  port: number,
  base: string,
  folder: string,
  ...words: string[]
): Promise<string> {
  const { code, stdout, stderr } = await host.skiff([
    ...["build", "--network", "slirp:allow_host_loopback=true", "--build-arg", `BASE=${base}`],
    ...["--build-arg", `http_proxy=http://10.0.2.2:${port}`, ...words, folder],
  ], { timeoutMs: 900_000 });
  assertEquals(code, 0, stdout + stderr);
  return stderr;
}

hostTest("a C program, a Node application, nginx and PostgreSQL are built on Debian and run", {
  needs: ["registry", "debootstrap", "uidmap", "root", "podman", "crun", "python3"],
  timeoutMs: 1_200_000,
}, async (host) => {
  const base = await host.image("debian");
  await using mirror = await startAptMirror(`${BASE}/fixtures/apt`);
  const folder = await makeContext(host, FILES);
  const progress = await build(host, mirror.port, base, folder, "--target", "all", "-o", "type=cacheonly");
  assertIncludes(progress, " hello builder\n");
  assert(mirror.requests.some((path) => path.includes("/nginx-light_")), mirror.requests.join("\n"));
  const asked = mirror.requests.length;
  for (const target of ["program", "node", "web", "database"]) {
    await build(host, mirror.port, base, folder, "--target", target, "-t", target);
  }
  assertEquals(mirror.requests.length, asked, "every step that installs was in the cache");

  assertEquals((await host.run("--rm", "program")).stdout, "hello scratch\n");
  await host.ok("run", "-d", "--name", "app", "-p", "127.0.0.1::8080", "node");
  await host.ok("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "web");
  await host.ok("run", "-d", "--name", "db", "--network", "none", "database");
  const answerOf = async (name: string, path: string) => {
    const address = (await host.ok("port", name)).split(" -> ")[1];
    const response = await fetch(`http://${address}${path}`).catch(() => null);
    return response?.ok ? await response.text() : null;
  };
  assertEquals(await waitFor("the application answers", () => answerOf("app", "/x")), "node 4.2.0 /x");
  assertEquals(await waitFor("nginx answers", () => answerOf("web", "/")), "hello from the web\n");
  assertEquals(await answerOf("web", "/build.json"), '"4.2.0"');
  const query = () => host.skiff(["exec", "db", "psql", "-tAc", "select name from boats"]);
  const rows = await waitFor("PostgreSQL answers", async () => (await query()).stdout || null, 180_000);
  assertEquals(rows, "skiff\n");
  await host.ok("rm", "-f", "-t", "0", "app", "web", "db");

  await host.ok("save", "-o", `${host.home}/images.tar`, "program", "node");
  await configurePodman(host);
  const [loaded, program, node] = await runLines(host, "podman", base, [
    `E load -q -i ${host.home}/images.tar`,
    "E run --rm --network none localhost/program podman",
    `E run --rm --network none localhost/node node -p 'require("/app/build.json")'`,
    "E rm -fa -t 0; E system migrate",
  ]);
  assertEquals(loaded!.code, 0, loaded!.stderr);
  assertEquals([program!.stdout, node!.stdout], ["hello podman\n", "4.2.0\n"], node!.stderr);
});

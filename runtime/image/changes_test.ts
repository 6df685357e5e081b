import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { applyChanges } from "./changes.ts";

Deno.test("changes alter the config as a Dockerfile's instructions do", () => {
  const cases: [string[], object][] = [
    [['CMD ["a","b c"]'], { Cmd: ["a", "b c"] }],
    [["CMD=/bin/sh"], { Cmd: ["/bin/sh", "-c", "/bin/sh"] }],
    [["cmd a b"], { Cmd: ["/bin/sh", "-c", "a b"] }],
    [['ENTRYPOINT ["/x"]'], { Entrypoint: ["/x"] }],
    [["ENV A=1 B='2 3'", 'ENV C="4 \\" 5" A=6', "ENV D the rest"], {
      Env: ["B=2 3", 'C=4 " 5', "A=6", "D=the rest"],
    }],
    [["EXPOSE 80 81/udp"], { ExposedPorts: { "80/tcp": {}, "81/udp": {} } }],
    [["LABEL a=b c\\ d=e", "LABEL f g"], { Labels: { a: "b", "c d": "e", f: "g" } }],
    [["ONBUILD RUN x", "ONBUILD RUN y"], { OnBuild: ["RUN x", "RUN y"] }],
    [["STOPSIGNAL SIGINT", "USER 5:6", "WORKDIR /w"], {
      StopSignal: "SIGINT",
      User: "5:6",
      WorkingDir: "/w",
    }],
    [["VOLUME /a /b", 'VOLUME ["/c d"]'], { Volumes: { "/a": {}, "/b": {}, "/c d": {} } }],
  ];
  for (const [changes, config] of cases) assertEquals(applyChanges({}, changes), config);
});

Deno.test("changes that cannot be are refused", async () => {
  const cases: [string, RegExp][] = [
    ["CMD", /^invalid change "CMD" - must be formatted as KEY VALUE$/],
    ["FOO x", /^invalid change "FOO x" - invalid instruction FOO$/],
    ["constructor x", /invalid instruction CONSTRUCTOR$/],
    ["EXPOSE 70000", /"70000" is no port$/],
    ["STOPSIGNAL NOPE", /^invalid change "STOPSIGNAL NOPE" - /],
    ["ENV A", /it needs a key and a value$/],
    ['LABEL a="b', /a quote is not closed$/],
  ];
  for (const [change, message] of cases) {
    const text = await messageOf(() => applyChanges({}, [change]));
    if (!message.test(text)) throw new Error(`${change}: ${text}`);
  }
});

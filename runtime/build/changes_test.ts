import { assertEquals, messageOf } from "../../tests/assertions.ts";
import { applyChanges } from "./changes.ts";

Deno.test("changes alter the config as a Dockerfile's instructions do", () => {
  const cases: [string[], object][] = [
    [['CMD ["a","b c"]'], { Cmd: ["a", "b c"] }],
    [["CMD=/bin/sh"], { Cmd: ["/bin/sh", "-c", "/bin/sh"] }],
    [["cmd a b"], { Cmd: ["/bin/sh", "-c", "a b"] }],
    [['ENTRYPOINT ["/x"]'], { Entrypoint: ["/x"] }],
    [["ENV A=1 B='2 3'", 'ENV C="4 \\" 5" A=6', "ENV D the rest"], {
      Env: ["A=6", "B=2 3", 'C=4 " 5', "D=the rest"],
    }],
    [["ENV P=/a", "ENV P=$P:/b Q=${Q:-q}", "WORKDIR /w", "WORKDIR ${P#/a:/}"], {
      Env: ["P=/a:/b", "Q=q"],
      WorkingDir: "/w/b",
    }],
    [["EXPOSE 80 81/udp 90-91"], {
      ExposedPorts: { "80/tcp": {}, "81/udp": {}, "90/tcp": {}, "91/tcp": {} },
    }],
    [['SHELL ["/bin/ash", "-c"]', "CMD a", "HEALTHCHECK --retries=2 CMD b"], {
      Shell: ["/bin/ash", "-c"],
      Cmd: ["/bin/ash", "-c", "a"],
      Healthcheck: { Test: ["CMD-SHELL", "b"], Retries: 2 },
    }],
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
    ["RUN x", /invalid instruction RUN$/],
    ["CMD a\nFROM b", /it is not one instruction$/],
    ["USER a\nRUN b", /it is not one instruction$/],
    ["EXPOSE 70000", /^invalid change "EXPOSE 70000" - invalid containerPort: 70000$/],
    ["STOPSIGNAL NOPE", /^invalid change "STOPSIGNAL NOPE" - /],
    ["ENV A", /^invalid change "ENV A" - ENV must have two arguments$/],
    ['LABEL a="b', /unexpected end of statement while looking for matching double-quote$/],
  ];
  for (const [change, message] of cases) {
    const text = await messageOf(() => applyChanges({}, [change]));
    if (!message.test(text)) throw new Error(`${change}: ${text}`);
  }
});

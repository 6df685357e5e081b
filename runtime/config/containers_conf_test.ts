import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { InvalidArgumentError } from "../errors.ts";
import { readContainersConf } from "./containers_conf.ts";

const read = (...texts: string[]) =>
  readContainersConf(texts.map((_, index) => `file${index}`), (path) => texts[Number(path.slice(4))]!);

Deno.test("of a key that several files have, the last counts", () => {
  const conf = read(
    '[containers]\ntz = "UTC"\ninit = true\nenv = ["A=1"]\n[engine]\nstop_timeout = 5\npull_policy = "never"',
    '[containers]\ntz = "local"\nenv = []\n[engine.runtimes]\ncrun = ["/usr/bin/crun"]\n[network]\nnetwork_backend = "netavark"',
  );
  assertEquals(conf, {
    containers: { tz: "local", init: true, env: [] },
    engine: { stop_timeout: 5, pull_policy: "never" },
    network: {},
    secrets: {},
    unknown: [],
  });
});

Deno.test("what nobody knows is told, podman's own affairs are not", () => {
  const conf = read(
    '[containers]\nfoo = 1\ninterface_name = "x"\n[nope]\nx = 1\n[engine]\nnum_locks = 7\n__proto__ = 1',
  );
  assertEquals(conf.unknown, ["containers.foo", "nope", "engine.__proto__"]);
});

Deno.test("a file that is no TOML, or has another type, is refused with its name", () => {
  const refused = (text: string, message: RegExp) =>
    throws(() => read(text), (error) => error instanceof InvalidArgumentError && message.test(error.message));
  refused("x = = 1", /^decode configuration file0: /);
  refused("[containers]\ntz = 3", /^decode configuration file0: containers\.tz must be a text$/);
  refused("[containers]\nenv = [1]", /containers\.env must be a list of texts$/);
  refused("[containers]\ninit = 1", /containers\.init must be true or false$/);
  refused("[network]\ndefault_subnet_pools = [1]", /default_subnet_pools must be a list of \{/);
  refused("[engine]\nstop_timeout = 1.5", /engine\.stop_timeout must be a number$/);
});

/** `image trust`, beside podman. @see podman-image-trust(1) */
import { assertEquals, assertIncludes, type Host, hostTest } from "./harness.ts";
import { ACCEPT, GpgHome, REJECT } from "./signature_rig.ts";

async function write(host: Host, name: string, content: string | object): Promise<string> {
  const path = `${host.home}/${name}`;
  await Deno.writeTextFile(path, typeof content === "string" ? content : JSON.stringify(content));
  await host.own(path);
  return path;
}

hostTest("image trust shows and sets policy.json as podman does", {
  needs: ["podman", "gpg"],
}, async (host) => {
  await using gpg = await GpgHome.make(host);
  await host.sh("mkdir -p keys registries.d bin && mkdir -m 700 run && ln -s /usr/bin/gpg bin/gpg2");
  await gpg.makeKey("alice");
  const signed = { type: "signedBy", keyType: "GPGKeys" };
  const key = `${host.home}/keys/alice.asc`;
  const keyData = (await Deno.readFile(key)).toBase64();
  const policy = {
    default: REJECT,
    transports: {
      docker: {
        "docker.io/library": ACCEPT,
        "registry.example.com/team": [{ ...signed, keyPath: key }],
        "quay.io/x": [{ type: "sigstoreSigned", keyPath: "/k.pub" }],
        "quay.io/several": [{ ...signed, keyPaths: [key] }, { ...signed, keyData }, ...REJECT],
      },
      "docker-daemon": { "": ACCEPT },
      dir: { "/tmp": REJECT },
    },
  };
  await write(
    host,
    "registries.d/default.yaml",
    "default-docker:\n  lookaside: https://default.example.com\n" +
      "docker:\n  registry.example.com:\n    sigstore: https://sigs.example.com/store\n",
  );
  for (const name of ["ours.json", "theirs.json"]) await write(host, name, policy);
  // podman asks for a program of that name, and leaves a process behind
  const env = { PATH: `${host.home}/bin:${host.env.PATH}`, XDG_RUNTIME_DIR: `${host.home}/run` };
  const both = async (...words: string[]) => {
    const answers = [];
    for (const [program, file] of [[host.binary, "ours.json"], ["podman", "theirs.json"]]) {
      const more = [`--policypath=${host.home}/${file}`];
      if (words[0] === "show") more.push(`--registrypath=${host.home}/registries.d`);
      const { code, stdout, stderr } = await host.program([program!, "image", "trust", ...words, ...more], {
        env,
      });
      const error = stderr.split("\n").find((line) => line.startsWith("Error"));
      answers.push({ code, stdout: stdout.replaceAll(/ +$/gm, ""), error });
    }
    assertEquals(answers[0], answers[1], words.join(" "));
    const files = await Promise.all(
      ["ours", "theirs"].map((name) => Deno.readTextFile(`${host.home}/${name}.json`)),
    );
    assertEquals(files[0], files[1], words.join(" "));
    return answers[0]!;
  };
  assertIncludes((await both("show")).stdout, "alice@example.com");
  await both("show", "--noheading");
  await both("show", "--json");
  await both("show", "--raw");
  await both("set", "-t", "accept", "docker.io");
  await both("set", "-t", "reject", "default");
  await both("set", "-f", key, "quay.io/x");
  await both("set", "--type", "sigstoreSigned", "-f", key, "-f", key, "localhost:5000/a/b");
  await both("set", "-t", "accept", "docker.io/library/busybox:1");
  await both("set", "-t", "maybe", "docker.io");
  await both("set", "quay.io");
  await both("set", "-t", "accept", "-f", key, "quay.io");
  await both("show", "-j");
  await host.program(["podman", "system", "migrate"], { env });
});

hostTest("a user's policy begins as the machine's, and counts from then on", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const registry = image.split("/")[0]!;
  const path = `${host.home}/.config/containers/policy.json`;
  const machine = await Deno.readTextFile("/etc/containers/policy.json").catch(() => undefined);
  const fails = async (...words: string[]) => {
    const { code, stderr } = await host.skiff(["image", "trust", ...words]);
    assertEquals(code, 125);
    return stderr.split("\n")[0];
  };
  if (machine === undefined) {
    assertEquals(await fails("set", "-t", "reject", registry), "Error: default trust policy must be set");
    await host.ok("image", "trust", "set", "-t", "accept", "default");
  }
  await host.ok("image", "trust", "set", "-t", "reject", registry);
  const { transports } = JSON.parse(await Deno.readTextFile(path));
  assertEquals(transports.docker[registry], REJECT);
  if (machine !== undefined) {
    assertEquals(JSON.parse(await Deno.readTextFile(path)).default, JSON.parse(machine).default);
  }
  assertEquals((await host.skiff(["pull", "-q", image])).code, 125);
  await host.ok("image", "trust", "set", "-t", "accept", image.slice(0, image.lastIndexOf(":")));
  await host.ok("pull", "-q", image);
  assertIncludes(await host.ok("image", "trust", "show"), image.slice(0, image.lastIndexOf(":")));
  assertIncludes(
    (await fails("set", "-f", "nosuch", registry))!,
    'Error: trust key "nosuch": no such file or directory',
  );
  assertEquals(await fails("set", "-t", "accept", "/tmp"), "Error: invalid image uri: /tmp");
  assertEquals(
    await fails("show", "--policypath=nosuch", "--raw"),
    'Error: read policy "nosuch": there is none, all images are accepted',
  );
  // a file that is not understood stays as it is
  await write(host, ".config/containers/policy.json", '{"default":[{"type":"reject"}],"more":1}');
  for (const words of [["show"], ["set", "-t", "accept", "default"]]) {
    assertIncludes((await fails(...words))!, 'Unknown key "more"');
  }
  assertEquals(await Deno.readTextFile(path), '{"default":[{"type":"reject"}],"more":1}');
  // nothing that was begun is left beside it
  assertEquals(
    (await host.sh("ls .config/containers")).stdout.split("\n").filter((name) => name.includes("policy")),
    ["policy.json"],
  );
});

/** secret create, ls, inspect, exists, rm, and what containers have of secrets; words and exit codes are podman's. */

import { assert, assertEquals, assertIncludes, assertMatch, hostTest } from "./harness.ts";
import type { Host } from "./harness.ts";

const NEEDS = { needs: ["registry", "busybox"] as ("registry" | "busybox")[] };
const QUIET = ["-q", "--network", "none"];
/** Occurs nowhere else. */
const VALUE = "Zaq1-secret-xsW2";

async function write(host: Host, name: string, text: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const path = `${host.home}/${name}`;
  await Deno.writeFile(path, typeof text === "string" ? new TextEncoder().encode(text) : text);
  await host.own(path);
  return path;
}

/** Those below the folder that hold the value, and may be looked into by root. */
function filesWith(folder: string, value: string): string[] {
  const found: string[] = [];
  const bytes = new TextEncoder().encode(value);
  for (const { name, isDirectory, isFile } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...filesWith(path, value));
    else if (isFile && indexOf(Deno.readFileSync(path), bytes) >= 0) found.push(path);
  }
  return found;
}

function indexOf(text: Uint8Array, part: Uint8Array): number {
  const decode = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
  return decode(text).indexOf(decode(part));
}

hostTest(
  "a secret is created, listed, inspected and removed, and shown only where that is asked for",
  {},
  async (host) => {
    const file = await write(host, "file", VALUE);
    const code = async (...args: string[]) => {
      const { code, stderr } = await host.skiff(["secret", ...args]);
      return [code, stderr];
    };
    const id = await host.ok("secret", "create", "-l", "team=web", "--label", "a", "token", file);
    assertMatch(id, /^[0-9a-f]{25}$/);
    assertEquals(await code("create", "token", file), [125, "Error: token: secret name in use\n"]);
    assertEquals([
      await code("exists", "token"),
      await code("exists", id.slice(0, 8)),
      await code("exists", "no"),
    ], [
      [0, ""],
      [0, ""],
      [1, ""],
    ]);
    const [info] = JSON.parse(await host.ok("secret", "inspect", "token"));
    assertEquals([info.ID, info.Spec], [id, {
      Name: "token",
      Driver: { Name: "file", Options: { path: `${host.data}/secrets` } },
      Labels: { team: "web", a: "" },
    }]);
    assertMatch(info.CreatedAt, /^\d{4}-\d\d-\d\dT/);
    assertEquals(Object.keys(info), ["ID", "CreatedAt", "UpdatedAt", "Spec"]);
    const template = ["--format", "{{.Spec.Name}}:{{.SecretData}}", "token"];
    assertEquals(await host.ok("secret", "inspect", ...template), "token:");
    assertEquals(await host.ok("secret", "inspect", "--showsecret", ...template), `token:${VALUE}`);
    assertMatch(
      await host.ok("secret", "inspect", "--pretty", "--showsecret", "token"),
      /^ID: {14}[0-9a-f]{25}\nName: {14}token\nLabels:\n - a\n - team=web\nDriver: {12}file\nCreated at: {8}\d.*\nUpdated at: {8}\d.*$/,
    );
    const missing = await host.skiff(["secret", "inspect", "no"]);
    assertEquals([missing.code, missing.stdout, missing.stderr], [
      125,
      "[]\n",
      'Error: inspecting secret: no secret with name or id "no": no such secret\n',
    ]);

    await host.ok("secret", "create", "--env", "home", "HOME");
    assertMatch(
      await host.ok("secret", "ls"),
      /^ID +NAME +DRIVER +CREATED +UPDATED\n[0-9a-f]{25} +home +file +.* ago +.* ago\n[0-9a-f]{25} +token +file/,
    );
    assertEquals(
      await host.ok("secret", "list", "-n", "--filter", "name=^to", "--format", "{{.ID}} {{.Driver}}"),
      `${id} file`,
    );
    assertEquals(await host.ok("secret", "ls", "-q", "-f", `id=${id}`), id);
    assertEquals(JSON.parse(await host.ok("secret", "ls", "--format", "json")).length, 2);
    assertEquals(await code("ls", "--filter", "label=a"), [125, 'Error: invalid filter "label"\n']);

    // other content has another id, and the old is gone
    const replaced = await host.skiff(["secret", "create", "--replace", "token", "-"], { stdin: "other" });
    assert(replaced.stdout.trim() !== id);
    assertEquals(await host.ok("secret", "inspect", "--showsecret", ...template), "token:other");
    assertEquals([...Deno.readDirSync(`${host.data}/secrets`)].length, 2);
    assertEquals(filesWith(host.data, VALUE), []);

    assertEquals(await code("rm", "no"), [125, 'Error: no secret with name or id "no": no such secret\n']);
    assertEquals(await code("rm", "-i", "no"), [0, ""]);
    assertEquals(await code("rm"), [
      125,
      "Error: `skiff secret rm` requires one argument, or the --all flag\n",
    ]);
    const removed = await host.skiff(["secret", "rm", "token", "no", "home"]);
    assertEquals([removed.code, removed.stdout.split("\n").length], [125, 3]);
    await host.ok("secret", "create", "last", file);
    assertMatch(await host.ok("secret", "rm", "--all"), /^[0-9a-f]{25}$/);
    assertEquals([...Deno.readDirSync(`${host.data}/secrets`)], []);
  },
);

hostTest("what cannot be a secret is refused", {}, async (host) => {
  const file = await write(host, "file", "x");
  const refusal = async (...args: string[]) => {
    const { code, stderr } = await host.skiff(["secret", "create", ...args]);
    assertEquals(code, 125);
    return stderr;
  };
  const size = "Error: secret data must be larger than 0 and less than 512000 bytes\n";
  assertEquals(await refusal("a", await write(host, "empty", "")), size);
  assertEquals(await refusal("a", await write(host, "big", new Uint8Array(512_000))), size);
  assertEquals(await refusal("a", "/dev/zero"), size);
  for (const name of ["", "a/b", "a=b", "a,b", "x".repeat(254)]) {
    assertIncludes(await refusal(name, file), "characters: invalid secret name");
  }
  assertEquals(await refusal("a", "/nonexistent"), "Error: open /nonexistent: no such file or directory\n");
  assertIncludes(await refusal("--env", "a", "NO_SUCH"), "environment variable NO_SUCH is not set");
  assertEquals(await refusal("-d", "vault", "a", file), "Error: invalid driver\n");
  assertEquals(await refusal("-d", "shell", "a", file), "Error: missing config value\n");
  const commands = "list=true,lookup=true,delete=true,store=exit 3";
  assertEquals(
    await refusal("-d", "shell", "--driver-opts", `${commands},foo=bar`, "a", file),
    'Error: invalid shell driver option: "foo"\n',
  );
  assertEquals(
    await refusal("-d", "shell", "--driver-opts", commands, "a", file),
    "Error: creating secret a: exit status 3\n",
  );
  assertIncludes(await refusal("-d", "pass", "a", file), "Error: there is no password store\n");
  assertEquals(await host.ok("secret", "ls", "-q"), "");
  assertIncludes(await refusal("--driver-opts", "path=/x", "a", file), 'use secret driver option "path"');
  await host.ok("secret", "create", "x".repeat(253), file);
  await write(host, "nearly", new Uint8Array(511_999));
  await host.ok("secret", "create", "odd name.\x1b[2J", `${host.home}/nearly`);
  const listed = await host.ok("secret", "ls");
  assertEquals(listed.includes("\x1b"), false);
});

hostTest(
  "a container has secrets as files and as variables, as they were and as they are",
  NEEDS,
  async (host) => {
    const image = await host.image();
    const create = async (text: string) =>
      void await host.skiff(["secret", "create", "--replace", "token", "-"], { stdin: text });
    await create(VALUE);
    const inside = async (options: string[], script: string) => {
      const { stdout, stderr } = await host.run("--rm", ...QUIET, ...options, image, "sh", "-c", script);
      return (stdout + stderr).trimEnd();
    };
    const stat = (path: string) => `stat -c '%a %u %g' ${path}; cat ${path}`;
    assertEquals(await inside(["--secret", "token"], stat("/run/secrets/token")), `444 0 0\n${VALUE}`);
    const owned = "source=token,target=mine,uid=1000,gid=100,mode=0400";
    assertEquals(
      await inside(["--secret", owned, "-u", "1000"], stat("/run/secrets/mine")),
      `400 1000 100\n${VALUE}`,
    );
    assertMatch(
      await inside(["--secret", owned, "-u", "1001"], "cat /run/secrets/mine"),
      /Permission denied/,
    );
    assertEquals(
      await inside(["--read-only", "--secret", "token,target=/etc/app/token"], stat("/etc/app/token")),
      `444 0 0\n${VALUE}`,
    );
    for (const userns of ["nomap", "keep-id", "auto"]) {
      const options = ["--userns", userns, "-u", "0", "--secret", "token,uid=7"];
      assertEquals(await inside(options, stat("/run/secrets/token")), `444 7 0\n${VALUE}`, userns);
    }
    assertMatch(
      await inside(["--secret", "token"], "grep ' /run/secrets' /proc/mounts"),
      /^tmpfs \/run\/secrets tmpfs rw,nosuid,nodev,noexec.*\ntmpfs \/run\/secrets\/token tmpfs rw,nosuid,nodev,noexec.*$/,
    );
    assertEquals(await inside(["--secret", "token,type=env", "-e", "token=mine"], "echo $token"), VALUE);

    const both = ["--secret", "token,type=env,target=TOKEN", "--secret", "token"];
    const show = "echo $TOKEN $(cat /run/secrets/token)";
    const health = ["--health-cmd", `test "$TOKEN" = new`, "--health-interval", "disable"];
    await host.ok(
      "create",
      ...QUIET,
      "--name",
      "c",
      ...both,
      ...health,
      image,
      "sh",
      "-c",
      `${show}; exec sleep 1000`,
    );
    await create("new");
    await host.ok("start", "c");
    await host.untilLogged("c", VALUE);
    // the file is what the secret was when the container was made, the variable what it is now
    assertEquals(await host.ok("logs", "c"), `new ${VALUE}`);
    assertEquals(await host.ok("exec", "c", "sh", "-c", show), `new ${VALUE}`);
    await host.ok("healthcheck", "run", "c");
    const { Secrets, Env } = JSON.parse(await host.ok("inspect", "-f", "{{json .Config}}", "c"));
    assertEquals(Secrets.map((one: Record<string, unknown>) => ({ ...one, ID: "" })), [
      { Name: "token", ID: "", UID: 0, GID: 0, Mode: 0o444 },
    ]);
    assertEquals(Env.filter((word: string) => word.startsWith("TOKEN")), []);
    await host.ok("secret", "rm", "token");
    assertEquals(
      await host.ok("exec", "c", "cat", "/run/secrets/token").catch(String).then((text) =>
        text.includes("no such secret")
      ),
      true,
    );
    await host.ok("kill", "c");
    await host.ok("wait", "c");
    const gone = await host.skiff(["start", "c"]);
    assertEquals([gone.code, gone.stderr], [
      125,
      'Error: no secret with name or id "token": no such secret\n',
    ]);

    await create("again");
    await host.ok("container", "clone", "c", "d");
    await host.ok("start", "d");
    await host.untilLogged("d", VALUE);
    assertEquals(await host.ok("logs", "d"), `again ${VALUE}`);
  },
);

hostTest("a --secret that means nothing is refused in podman's words", NEEDS, async (host) => {
  const image = await host.image();
  await host.ok("secret", "create", "token", await write(host, "file", "x"));
  await host.ok("secret", "create", "bytes", await write(host, "bytes", new Uint8Array([255, 0])));
  for (
    const [word, message] of [
      ["no", 'no secret with name or id "no": no such secret'],
      ["no,type=env", 'no secret with name or id "no": no such secret'],
      ["token,type=foo", "type foo is invalid: parsing secret"],
      ["token,mode=999", "mode 999 invalid: parsing secret"],
      ["token,uid=root", "UID root invalid: parsing secret"],
      ["token,gid=-1", "GID -1 invalid: parsing secret"],
      ["token,foo=bar", "option foo=bar invalid: parsing secret"],
      ["token,ro", "option ro must be in form option=value: parsing secret"],
      ["target=x,uid=1", "no source found target=x,uid=1: parsing secret"],
      [
        "token,type=env,mode=0400",
        "UID, GID, Mode options cannot be set with secret type env: parsing secret",
      ],
      [
        "token,target=/proc/1/x",
        `use secret "token": "/proc/1/x" cannot be mounted because it is inside /proc`,
      ],
      ["bytes,type=env", `use secret "bytes": it is not text, and so cannot be a variable`],
      [
        "token,uid=4000000000",
        "mount /run/secrets/token: give it to 4000000000:0: the container has no such ids",
      ],
    ]
  ) {
    const { code, stderr } = await host.run("--rm", ...QUIET, "--secret", word!, image, "true");
    assertEquals([code, stderr], [125, `Error: ${message}\n`], word);
  }
  assertEquals(host.containers(), []);
});

hostTest("nothing but the secret's own files ever holds it", NEEDS, async (host) => {
  const image = await host.image();
  await host.skiff(["secret", "create", "token", "-"], { stdin: VALUE });
  const options = ["--secret", "token,type=env", "--secret", "token", "--secret", "token,target=/etc/token"];
  const check = `test ${"${#token}"} = ${VALUE.length}`;
  const script = `${check} && cat /run/secrets/token /etc/token | wc -c; exec sleep 1000`;
  await host.ok("run", "-d", ...QUIET, "--name", "c", ...options, image, "sh", "-c", script);
  await host.untilLogged("c", String(2 * VALUE.length));
  // control: it is there
  assertEquals(await host.ok("logs", "c"), String(2 * VALUE.length));
  const told = [
    await host.ok("inspect", "c"),
    await host.ok("inspect", "--type", "container", "-f", "{{json .}}", "c"),
    await host.ok("secret", "inspect", "token"),
    await host.ok("ps", "-a", "--no-trunc", "--format", "json"),
    await host.ok("events", "--since", "1h", "--stream=false", "--format", "json"),
  ];
  assertEquals(told.filter((text) => text.includes(VALUE)), []);
  // nor a process's arguments
  for (const { pid } of host.processes()) {
    assertEquals(Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(VALUE), false);
  }

  await host.ok("commit", "-q", "c", "committed");
  await host.ok("commit", "-q", "--squash", "c", "squashed");
  assertEquals((await host.ok("history", "--no-trunc", "committed")).includes(VALUE), false);
  await host.ok("save", "-q", "-m", "-o", `${host.home}/saved.tar`, "committed", "squashed");
  await host.ok("export", "-o", `${host.home}/exported.tar`, "c");
  await host.ok("diff", "c");
  const find = "cat /etc/token; ls -A /run/secrets; env | grep -c token";
  const { stdout } = await host.run("--rm", ...QUIET, "committed", "sh", "-c", find);
  assertEquals(stdout, "0\n");
  for (const name of ["saved.tar", "exported.tar"]) {
    assertEquals(indexOf(await Deno.readFile(`${host.home}/${name}`), new TextEncoder().encode(VALUE)), -1);
  }

  const holding = filesWith(host.data, VALUE);
  const id = await host.ok("secret", "ls", "-q");
  const copy = `containers/${host.containers()[0]}/secrets/${id}`;
  assertEquals(holding.map((path) => path.slice(host.data.length + 1)).sort(), [copy, `secrets/${id}`]);
  for (const path of holding) {
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
    assertEquals(Deno.statSync(path.slice(0, path.lastIndexOf("/"))).mode! & 0o777, 0o700);
  }
  // the container cannot change what others get
  await host.ok("exec", "c", "sh", "-c", "echo changed > /run/secrets/token");
  assertEquals(await host.ok("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "token"), VALUE);
  await host.ok("rm", "-f", "-t", "0", "c");
  await host.ok("secret", "rm", "token");
  assertEquals(filesWith(host.data, VALUE), []);
});

hostTest("what a create that was killed has left is removed by the next change", {}, async (host) => {
  const file = await write(host, "file", "x");
  await host.ok("secret", "create", "a", file);
  const stray = `${host.data}/secrets/0123456789abcdef012345678`;
  await Deno.writeTextFile(stray, VALUE);
  await host.own(stray);
  await host.ok("secret", "create", "b", file);
  assertEquals([...Deno.readDirSync(`${host.data}/secrets`)].length, 2);
  assertEquals(filesWith(host.data, VALUE), []);
  // many at once: each is kept
  const names = Array.from({ length: 8 }, (_, at) => `many${at}`);
  await Promise.all(names.map((name) => host.ok("secret", "create", name, file)));
  assertEquals((await host.ok("secret", "ls", "-q")).split("\n").length, 10);
});

hostTest("commands of the user's keep secrets, and so does gpg", {
  needs: [...NEEDS.needs, "gpg"],
}, async (host) => {
  const image = await host.image(), file = await write(host, "file", VALUE);
  const kept = `${host.home}/kept`, gnupg = `${host.home}/gnupg`;
  const made = await host.sh(
    `mkdir -m 700 ${kept} ${gnupg} && gpg -q --batch --homedir ${gnupg} --passphrase '' --quick-gen-key me@here`,
  );
  assertEquals(made.code, 0, made.stderr);
  const commands = `list=ls ${kept},lookup=cat ${kept}/$SECRET_ID,store=cat > ${kept}/$SECRET_ID,` +
    `delete=rm ${kept}/$SECRET_ID`;
  const toml = commands.split(",").map((word) => word.replace(/=(.*)/, ' = "$1"')).join("\n");
  await write(
    host,
    ".config/containers/containers.conf",
    `[secrets]\ndriver = "shell"\n[secrets.opts]\n${toml}\n`,
  );
  const opts = `root=${kept},key=me@here,gpghomedir=${gnupg}`;
  const ids = {
    asked: await host.ok("secret", "create", "-d", "shell", "--driver-opts", commands, "asked", file),
    usual: await host.ok("secret", "create", "usual", file),
    pass: await host.ok("secret", "create", "-d", "pass", "--driver-opts", opts, "pass", file),
  };
  assertEquals([...Deno.readDirSync(kept)].map(({ name }) => name).sort(), Object.values(ids).sort());
  assertEquals(filesWith(kept, VALUE).sort(), [ids.asked, ids.usual].map((id) => `${kept}/${id}`).sort());
  assertEquals(filesWith(host.data, VALUE), []);
  const [info] = JSON.parse(await host.ok("secret", "inspect", "--showsecret", "pass"));
  assertEquals([info.SecretData, info.Spec.Driver], [VALUE, {
    Name: "pass",
    Options: { root: kept, key: "me@here", gpghomedir: gnupg },
  }]);
  const all = "--secret asked --secret pass,type=env,target=P".split(" ");
  assertEquals(
    await host.ok("run", ...QUIET, "--rm", ...all, image, "sh", "-c", "cat /run/secrets/asked; echo $P"),
    VALUE + VALUE,
  );
  // another content takes the former one's place there as well
  const replaced = await host.ok("secret", "create", "--replace", "usual", await write(host, "other", "new"));
  assertEquals(Deno.readTextFileSync(`${kept}/${replaced}`), "new");
  await host.ok("secret", "rm", "pass", "usual");
  assertEquals([...Deno.readDirSync(kept)].map(({ name }) => name), [ids.asked]);
  Deno.removeSync(`${kept}/${ids.asked}`);
  const gone = await host.skiff(["run", ...QUIET, "--rm", "--secret", "asked", image, "true"]);
  assertIncludes(gone.stderr, `Error: ${ids.asked}: no secret data with ID: cat: `);
  const removed = await host.skiff(["secret", "rm", "asked"]);
  assertIncludes(removed.stderr, `deleting secret asked: ${ids.asked}: no secret data with ID`);
  await host.sh(`gpgconf --homedir ${gnupg} --kill all`);
});

import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { generateKeyPairSync, verify } from "node:crypto";
import { namespaceContext } from "../../namespaces/context.ts";
import { openFolders } from "../../state/folders.ts";
import { writeAll } from "../../registry/dial.ts";
import { openAgent, type SshMount } from "./ssh_agent.ts";
import { findAgents, type SshAgents } from "./ssh_sources.ts";
import { concat } from "../../../ffi/concat.ts";
import { SshReader, sshString, uint32 } from "./ssh_wire.ts";

const MOUNT: SshMount = {
  type: "ssh",
  id: "default",
  target: "/run/buildkit/ssh_agent.0",
  required: true,
  mode: 0o640,
  uid: 0,
  gid: 0,
};
const FAILURE = "05", LIST = new Uint8Array([11]), SIGN = 13;

/** A folder, and what opens an agent of a step there. */
async function inFolder(
  test: (dir: string, open: (agents: SshAgents) => ReturnType<typeof openAgent>) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "skiff-ssh-" });
  await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
  const folders = openFolders({ data: `${dir}/data`, run: `${dir}/data/run` });
  const services = { folders, namespaces: namespaceContext(folders.run) };
  await test(dir, (agents) => openAgent(services, MOUNT, agents));
  await Deno.remove(dir, { recursive: true });
}

/** What a step is answered; null where it is hung up on. */
async function ask(path: string, message: Uint8Array): Promise<Uint8Array | null> {
  using client = await Deno.connect({ transport: "unix", path });
  // who is hung up on may have its last bytes unread
  return await exchange(client, message).catch(() => null);
}

async function exchange(client: Deno.Conn, message: Uint8Array): Promise<Uint8Array | null> {
  await writeAll(client, message);
  let answer = new Uint8Array();
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await client.read(buffer);
    if (count === null) return null;
    answer = concat([answer, buffer.subarray(0, count)]);
    if (answer.length >= 4 && answer.length - 4 >= new SshReader(answer).uint32()) return answer.subarray(4);
  }
}

Deno.test("a step reaches the user's agent, to list and to sign, as long as it runs; no other order gets there", async () => {
  await inFolder(async (dir, open) => {
    const heard: string[] = [];
    const agent = Deno.listen({ transport: "unix", path: `${dir}/agent` });
    const ANSWERS = [sshString(new Uint8Array([12, 0, 0, 0, 0])), sshString(new Uint8Array([99, 1]))];
    const answering = (async () => {
      for await (const client of agent) {
        const request = new Uint8Array(64);
        for (let count; (count = await client.read(request).catch(() => null)) !== null;) {
          heard.push(request.subarray(0, count).toHex());
          await writeAll(client, ANSWERS[heard.length - 1] ?? new Uint8Array([255, 255, 255, 255]));
        }
        client.close();
      }
    })();
    const opened = (await open(await findAgents([{ id: "default", paths: [`${dir}/agent`] }])))!;
    assertEquals((await Deno.stat(opened.path)).mode! & 0o777, 0o640);
    // to add, remove (one, all) and lock keys, to load the library of a token, an extension
    for (const order of [17, 18, 19, 20, 22, 23, 25, 26, 27, 1, 99]) {
      assertEquals((await ask(opened.path, sshString(new Uint8Array([order, 0]))))?.toHex(), FAILURE);
    }
    using client = await Deno.connect({ transport: "unix", path: opened.path });
    assertEquals((await exchange(client, sshString(LIST)))?.toHex(), "0c00000000");
    // an answer of another kind, and one of 4 GB
    assertEquals((await exchange(client, sshString(LIST)))?.toHex(), FAILURE);
    assertEquals(await exchange(client, sshString(new Uint8Array([SIGN, 0]))).catch(() => null), null);
    assertEquals(heard, ["000000010b", "000000010b", "000000020d00"]);
    // a client that tells more than any message may have
    assertEquals(await ask(opened.path, concat([uint32(2 ** 32 - 1), LIST])), null);
    assertEquals(await ask(opened.path, uint32(0)), null);
    opened[Symbol.dispose]();
    await rejects(Deno.stat(opened.path), Deno.errors.NotFound);
    agent.close();
    await answering;
  });
});

Deno.test("keys that were read sign as the step asks, and are in no answer", async () => {
  await inFolder(async (dir, open) => {
    const pem = { type: "pkcs8", format: "pem" } as const;
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const edwards = generateKeyPairSync("ed25519");
    await Deno.writeTextFile(`${dir}/rsa`, rsa.privateKey.export({ type: "pkcs1", format: "pem" }) as string);
    await Deno.writeTextFile(`${dir}/edwards`, `a comment\n${edwards.privateKey.export(pem)}`);
    const opened =
      (await open(await findAgents([{ id: "default", paths: [`${dir}/rsa`, `${dir}/edwards`] }])))!;
    const list = new SshReader((await ask(opened.path, sshString(LIST)))!.subarray(1));
    assertEquals(list.uint32(), 2);
    const [first, , second, comment] = [list.string(), list.string(), list.string(), list.text()];
    assertEquals([comment, list.left, new SshReader(second).text()], ["", 0, "ssh-ed25519"]);
    const data = new TextEncoder().encode("to be signed");
    const order = (blob: Uint8Array, flags: number) =>
      sshString(new Uint8Array([SIGN]), sshString(blob), sshString(data), uint32(flags));
    const signed = async (blob: Uint8Array, flags: number) => {
      const answer = new SshReader((await ask(opened.path, order(blob, flags)))!);
      assertEquals(answer.take(1)[0], 14);
      const signature = new SshReader(answer.string());
      return [signature.text(), signature.string()] as const;
    };
    for (
      const [flags, name, hash] of [[0, "ssh-rsa", "sha1"], [2, "rsa-sha2-256", "sha256"], [
        4,
        "rsa-sha2-512",
        "sha512",
      ]] as const
    ) {
      const [kind, signature] = await signed(first, flags);
      assertEquals([kind, verify(hash, data, rsa.publicKey, signature)], [name, true]);
    }
    const [kind, signature] = await signed(second, 0);
    assertEquals([kind, verify(null, data, edwards.publicKey, signature)], ["ssh-ed25519", true]);
    // an unknown key; a request that ends before it says
    assertEquals((await ask(opened.path, order(new Uint8Array(3), 0)))?.toHex(), FAILURE);
    for (const cut of [1, 3, 20]) {
      assertEquals(
        (await ask(opened.path, sshString(order(first, 0).subarray(4, 4 + cut))))?.toHex(),
        FAILURE,
      );
    }
    assertEquals(
      (await ask(opened.path, sshString(new Uint8Array([SIGN, 255, 255, 255, 255]))))?.toHex(),
      FAILURE,
    );
    opened[Symbol.dispose]();
  });
});

Deno.test("a missing agent fails the step that requires it alone; what has no keys is refused before", async () => {
  await inFolder(async (dir, open) => {
    await rejects(open(new Map()), { name: "BuildError", message: "ssh agent default: not found" });
    await Deno.writeTextFile(`${dir}/text`, "no key");
    const { privateKey } = generateKeyPairSync("ed25519", {
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    await Deno.writeTextFile(`${dir}/key`, privateKey);
    await Deno.writeTextFile(
      `${dir}/broken`,
      privateKey.replace(/\n[A-Za-z0-9]{20}/, "\nAAAAAAAAAAAAAAAAAAAA"),
    );
    await Deno.writeTextFile(
      `${dir}/locked`,
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n" +
        "-----END RSA PRIVATE KEY-----\n",
    );
    using _one = Deno.listen({ transport: "unix", path: `${dir}/one` });
    using _two = Deno.listen({ transport: "unix", path: `${dir}/two` });
    for (
      const [paths, why] of [
        [["text"], `key ${dir}/text: it is neither the socket of an agent nor a private key`],
        [["broken"], `key ${dir}/broken: it is malformed`],
        [["locked"], `key ${dir}/locked: this private key is passphrase protected`],
        [["gone"], `stat ${dir}/gone: no such file or directory`],
        [["one", "two"], "only a single socket is allowed"],
        [["one", "key"], "invalid combination of keys and sockets"],
        [["key", "one"], "invalid combination of keys and sockets"],
      ] as const
    ) {
      const asked = [{ id: "work", paths: paths.map((name) => `${dir}/${name}`) }];
      await rejects(findAgents(asked), { message: `ssh agent work: ${why}` });
    }
    const twice = { id: "a", paths: [`${dir}/key`] };
    await rejects(findAgents([twice, twice]), { message: "ssh agent a: it is given twice" });
  });
});

import { deepStrictEqual as assertEquals, rejects } from "node:assert";
import { BuildError, UnsupportedError } from "../../errors.ts";
import { namespaceContext } from "../../namespaces/context.ts";
import { openFolders } from "../../state/folders.ts";
import { openAgent, type SshMount } from "./ssh_agent.ts";

const MOUNT: SshMount = {
  type: "ssh",
  id: "default",
  target: "/run/buildkit/ssh_agent.0",
  required: true,
  mode: 0o640,
  uid: 0,
  gid: 0,
};

async function servicesIn(dir: string) {
  await Deno.mkdir(`${dir}/data`, { mode: 0o700 });
  const folders = openFolders({ data: `${dir}/data`, run: `${dir}/data/run` });
  return { folders, namespaces: namespaceContext(folders.run) };
}

Deno.test("a step's socket leads to the user's agent as long as the step runs", async () => {
  const dir = await Deno.makeTempDir({ prefix: "skiff-ssh-" });
  const services = await servicesIn(dir);
  const agent = Deno.listen({ transport: "unix", path: `${dir}/agent` });
  const answering = (async () => {
    for await (const client of agent) await client.readable.pipeTo(client.writable);
  })();
  const opened = await openAgent(services, MOUNT, [{ id: "default", paths: [`${dir}/agent`] }]);
  const { mode } = await Deno.stat(opened!.path);
  assertEquals(mode! & 0o777, 0o640);
  using client = await Deno.connect({ transport: "unix", path: opened!.path });
  await client.write(new TextEncoder().encode("which keys?"));
  const answer = new Uint8Array(64);
  const length = await client.read(answer);
  assertEquals(new TextDecoder().decode(answer.subarray(0, length!)), "which keys?");
  await client.closeWrite();
  assertEquals(await client.read(answer), null);
  opened![Symbol.dispose]();
  await rejects(Deno.stat(opened!.path), Deno.errors.NotFound);
  agent.close();
  await answering;
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a missing agent fails the step that requires it alone; a key file is refused", async () => {
  const dir = await Deno.makeTempDir({ prefix: "skiff-ssh-" });
  const services = await servicesIn(dir);
  assertEquals(await openAgent(services, { ...MOUNT, required: false }, []), null);
  await rejects(openAgent(services, MOUNT, []), BuildError);
  await Deno.writeTextFile(`${dir}/key`, "");
  const sources = [{ id: "default", paths: [`${dir}/key`] }];
  await rejects(openAgent(services, MOUNT, sources), UnsupportedError);
  await Deno.remove(dir, { recursive: true });
});

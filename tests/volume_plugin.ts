/**
 * A volume plugin as others write them: keeps each volume in a folder, and says over HTTP where it is. What it is asked is
 * written to `calls`, and the file `mode` makes it misbehave.
 *
 *     deno run -A volume_plugin.ts FOLDER (SOCKET | PORT [CERT KEY])
 *
 * @see Docker, volume plugin protocol
 */

const [folder, at, cert, key] = Deno.args as [string, string, string?, string?];

interface Volume {
  mounts: string[];
  options: Record<string, string>;
}

const volumes = new Map<string, Volume>();
/** Kept over a restart, as a plugin that is worth its name does. */
const STATE = `${folder}/state.json`;

function readMode(): { on?: string; do?: string; what?: string } {
  try {
    return JSON.parse(Deno.readTextFileSync(`${folder}/mode`));
  } catch {
    return {};
  }
}

function placeOf(name: string): string {
  return `${folder}/volumes/${name}`;
}

type Request = { Name?: string; Opts?: Record<string, string>; ID?: string };

const METHODS: Record<string, (request: Request) => unknown> = {
  "Plugin.Activate": () => ({ Implements: ["VolumeDriver"] }),
  "VolumeDriver.Create": ({ Name, Opts }) => {
    if (Opts?.refuse) return { Err: `no volume for you: ${Opts.refuse}` };
    Deno.mkdirSync(placeOf(Name!), { recursive: true });
    Deno.chmodSync(placeOf(Name!), 0o777);
    volumes.set(Name!, { mounts: [], options: Opts ?? {} });
    return {};
  },
  "VolumeDriver.Remove": ({ Name }) => {
    const volume = volumes.get(Name!);
    if (!volume) return { Err: "no such volume" };
    if (volume.mounts.length > 0) return { Err: "volume is mounted" };
    volumes.delete(Name!);
    Deno.removeSync(placeOf(Name!), { recursive: true });
    return {};
  },
  "VolumeDriver.Mount": ({ Name, ID }) => {
    const volume = volumes.get(Name!);
    if (!volume) return { Err: "no such volume" };
    volume.mounts.push(ID!);
    return { Mountpoint: placeOf(Name!) };
  },
  "VolumeDriver.Unmount": ({ Name, ID }) => {
    const volume = volumes.get(Name!);
    if (!volume?.mounts.includes(ID!)) return { Err: "not mounted" };
    volume.mounts.splice(volume.mounts.indexOf(ID!), 1);
    return {};
  },
  "VolumeDriver.Path": ({ Name }) => ({
    Mountpoint: volumes.get(Name!)?.mounts.length ? placeOf(Name!) : "",
  }),
  "VolumeDriver.Get": ({ Name }) => {
    const volume = volumes.get(Name!);
    if (!volume) return { Err: "no such volume" };
    const Mountpoint = volume.mounts.length > 0 ? placeOf(Name!) : "";
    return { Volume: { Name, Mountpoint, Status: { mounts: volume.mounts.length, ...volume.options } } };
  },
  "VolumeDriver.List": () => ({ Volumes: [...volumes.keys()].map((Name) => ({ Name })) }),
  "VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "global" } }),
};

async function handle(request: Request, method: string): Promise<Response> {
  Deno.writeTextFileSync(`${folder}/calls`, `${method} ${request.Name ?? ""} ${request.ID ?? ""}\n`, {
    append: true,
  });
  const mode = readMode();
  if (mode.on === method) {
    if (mode.do === "hang") await new Promise(() => {});
    if (mode.do === "die") Deno.exit(1);
    if (mode.do === "say") return new Response(mode.what);
    if (mode.do === "flood") return new Response("x".repeat(3 << 20));
  }
  const answer = METHODS[method]?.(request) ?? { Err: `unknown method ${method}` };
  Deno.writeTextFileSync(`${STATE}.new`, JSON.stringify([...volumes]));
  Deno.renameSync(`${STATE}.new`, STATE);
  return Response.json(answer, { status: (answer as { Err?: string }).Err ? 500 : 200 });
}

try {
  for (const [name, volume] of JSON.parse(Deno.readTextFileSync(STATE))) volumes.set(name, volume);
} catch { /* the first time */ }
const serve = async (request: Request_) =>
  await handle(await request.json(), new URL(request.url).pathname.slice(1));
type Request_ = globalThis.Request;
const onListen = (address: Deno.Addr) => {
  if (address.transport === "unix") Deno.chmodSync(at, 0o666);
  console.log(`ready ${address.transport === "tcp" ? address.port : at}`);
};
if (at.startsWith("/")) Deno.serve({ path: at, onListen }, serve);
else if (cert && key) {
  const read = Deno.readTextFileSync;
  Deno.serve({ hostname: "127.0.0.1", port: Number(at), cert: read(cert), key: read(key), onListen }, serve);
} else Deno.serve({ hostname: "127.0.0.1", port: Number(at), onListen }, serve);

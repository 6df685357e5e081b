/**
 * Debian's mirror on the loopback: a proxy that fetches each file once, for all tests of all runs, so that no test
 * waits for the same download twice and the mirror is asked as rarely as debootstrap does.
 */

export interface AptMirror extends AsyncDisposable {
  port: number;
  /** Paths that were asked for. */
  requests: string[];
}

/** @param folder where files are kept */
export async function startAptMirror(folder: string): Promise<AptMirror> {
  await Deno.mkdir(folder, { recursive: true });
  const requests: string[] = [];
  const going = new Map<string, Promise<void>>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const url = new URL(request.url);
    requests.push(url.pathname);
    const path = `${folder}/${encodeURIComponent(url.host + url.pathname)}`;
    const upstream = `http://${url.host}${url.pathname}`;
    let fetching = going.get(path);
    if (fetching === undefined) going.set(path, fetching = fetchOnce(upstream, path));
    await fetching;
    const file = await Deno.open(path, { read: true }).catch(() => null);
    return file === null ? new Response(null, { status: 404 }) : new Response(file.readable);
  });
  return {
    port: server.addr.port,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function fetchOnce(url: string, path: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  const response = await fetch(url);
  if (!response.ok || response.body === null) return void await response.body?.cancel();
  const temporary = `${path}.${crypto.randomUUID()}`;
  using file = await Deno.open(temporary, { write: true, createNew: true });
  await response.body.pipeTo(file.writable, { preventClose: true });
  await Deno.rename(temporary, path);
}

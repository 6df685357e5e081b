/** Contexts of builds for host tests. */
import type { Host } from "./harness.ts";

/** Makes `<home>/<name>` of files (text, or a mode beside it) and gives its path. */
export async function makeContext(
  host: Host,
  files: Record<string, string | { text: string; mode: number }>,
  name = `context-${crypto.randomUUID().slice(0, 8)}`,
): Promise<string> {
  const root = `${host.home}/${name}`;
  const folders = new Set([root]);
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split("/").slice(0, -1);
    for (let end = 1; end <= parts.length; end++) folders.add(`${root}/${parts.slice(0, end).join("/")}`);
    await Deno.mkdir(`${root}/${parts.join("/")}`, { recursive: true });
    const { text, mode } = typeof content === "string" ? { text: content, mode: 0o644 } : content;
    await Deno.writeTextFile(`${root}/${path}`, text);
    await Deno.chmod(`${root}/${path}`, mode);
    await host.own(`${root}/${path}`);
  }
  await host.own(...folders);
  return root;
}

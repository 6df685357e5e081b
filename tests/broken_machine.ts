/** A machine with a piece missing: root takes it away in a mount namespace of its own, then the test user runs skiff. */
import { type Host, type Result } from "./harness.ts";

export interface Breakage {
  /** Shell commands that root runs first; `$HOME` is the test's home. */
  script: string;
  /** What the session has in place of the test's own environment. */
  env?: Record<string, string>;
  /** Programs before skiff. */
  wrapper?: string[];
  /** More options for unshare(1). */
  unshare?: string[];
}

/** Runs `skiff words…` there to its end. */
export async function onBroken(host: Host, breakage: Breakage, ...words: string[]): Promise<Result> {
  const { uid, gid } = host.ids;
  const script = `set -e\nexport HOME=${host.home}\n${breakage.script}\nshift 0\nexec "$@"`;
  const env = breakage.env ?? host.env;
  const { code, signal, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
    args: [
      ...["--mount", "--propagation", "slave", ...(breakage.unshare ?? []), "/bin/sh", "-c", script, "sh"],
      ...["/usr/bin/setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--inh-caps=-all"],
      ...["/usr/bin/env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
      ...[...(breakage.wrapper ?? []), host.binary, ...words],
    ],
    cwd: "/",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, signal, stdout: out!, stderr: err! };
}

/** What this program is. */

import { takeLaunch } from "../config/launch.ts";

export const VERSION = "0.1.0";
/** The version of the Docker Engine API whose documents `inspect` follows. */
const API_VERSION = "1.41";

export interface VersionDocument {
  Client: {
    Version: string;
    APIVersion: string;
    /** The runtime: Deno, with V8 and TypeScript in it. */
    DenoVersion: string;
    V8Version: string;
    GitCommit: string;
    OsArch: string;
    Os: string;
    Arch: string;
    /** `packed`, `compiled` or `source`. */
    Form: string;
  };
}

export function version(): VersionDocument {
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  return {
    Client: {
      Version: VERSION,
      APIVersion: API_VERSION,
      DenoVersion: Deno.version.deno,
      V8Version: Deno.version.v8,
      GitCommit: "",
      OsArch: `linux/${arch}`,
      Os: "linux",
      Arch: arch,
      Form: takeLaunch().form,
    },
  };
}

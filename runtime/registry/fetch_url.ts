/** Downloads what an http or https URL of the user names: certificates are always verified, no login is sent. */

import { configSources } from "../config/sources.ts";
import { InvalidArgumentError, NotFoundError, RegistryError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { shownUrl } from "./address.ts";
import { drain, Transport } from "./transport.ts";

export interface FetchOptions {
  signal?: AbortSignal;
  /** More is refused. */
  limitBytes: number;
  onProgress?: (bytes: number, total: number | undefined) => void;
  /** Told before the body comes; `header` gives one of the answer's, by its name in lower case. */
  onHeader?: (header: (name: string) => string | undefined) => void;
}

/** Writes the body into `file`. @throws {NotFoundError} on 404; RegistryError otherwise */
export async function fetchUrl(text: string, file: Deno.FsFile, options: FetchOptions): Promise<void> {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError(`download "${printable(text)}": this is no http or https address`);
  }
  const what = `download ${shownUrl(url)}`;
  const transport = new Transport({ sources: configSources(), signal: options.signal });
  try {
    const response = await transport.request({ method: "GET", url, insecure: false });
    try {
      if (response.status !== 200) {
        await drain(response);
        if (response.status === 404) {
          throw new NotFoundError("file", text, { message: `${what}: there is no such file` });
        }
        throw new RegistryError(
          `${what}: the server answered with status ${response.status}`,
          response.status,
        );
      }
      options.onHeader?.((name) => response.head.get(name));
      const buffer = new Uint8Array(1 << 18);
      let total = 0;
      for (let got = await response.read(buffer); got !== null; got = await response.read(buffer)) {
        total += got;
        if (total > options.limitBytes) {
          throw new RegistryError(`${what}: it is larger than ${options.limitBytes} bytes`, 0);
        }
        for (let at = 0; at < got;) at += await file.write(buffer.subarray(at, got));
        options.onProgress?.(total, response.length);
      }
    } finally {
      response.release();
    }
  } finally {
    transport.close();
  }
}

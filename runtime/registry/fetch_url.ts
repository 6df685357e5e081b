/** Downloads what an http or https URL of the user names: certificates are always verified. */

import { configSources } from "../config/sources.ts";
import { InvalidArgumentError, NotFoundError, RegistryError } from "../errors.ts";
import { printable } from "../spec/printable.ts";
import { shownUrl } from "./address.ts";
import { drain, Transport } from "./transport.ts";

export interface FetchOptions {
  signal?: AbortSignal;
  /** A header for this server alone, not for one that it sends us to. */
  authorization?: string;
  /** More is refused. */
  limitBytes: number;
  onProgress?: (bytes: number, total: number | undefined) => void;
  /** Told before the body comes; `header` gives one of the answer's, by its name in lower case. */
  onHeader?: (header: (name: string) => string | undefined) => void;
  /** What an earlier answer was known by. */
  known?: Validators;
}

/** @see RFC 9110, 8.8 */
export interface Validators {
  etag?: string;
  lastModified?: string;
}

/**
 * Writes the body into `file`, and says `fetched`; `unchanged` where the server has what is known already.
 *
 * @throws {NotFoundError} on 404; RegistryError otherwise
 */
export async function fetchUrl(
  text: string,
  file: Deno.FsFile,
  options: FetchOptions,
): Promise<"fetched" | "unchanged"> {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError(`download "${printable(text)}": this is no http or https address`);
  }
  const what = `download ${shownUrl(url)}`;
  const transport = new Transport({ sources: configSources(), signal: options.signal });
  try {
    const { known, authorization } = options;
    const headers = conditionsOf(known);
    const response = await transport.request({ method: "GET", url, headers, authorization, insecure: false });
    try {
      const isAsked = Object.keys(headers).length > 0;
      if (
        isAsked &&
        (response.status === 304 || response.status === 200 && isSame(response.head.get("etag"), known?.etag))
      ) {
        return "unchanged";
      }
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
      return "fetched";
    } finally {
      response.release();
    }
  } finally {
    transport.close();
  }
}

/** Where redirects of an http or https URL lead to, of which nothing is downloaded. @throws {RegistryError} */
export async function findPlace(
  text: string,
  { authorization, signal }: Pick<FetchOptions, "authorization" | "signal">,
): Promise<URL> {
  const transport = new Transport({ sources: configSources(), signal });
  try {
    const request = { method: "GET", url: new URL(text), authorization, insecure: false } as const;
    const response = await transport.request(request);
    response.release();
    return response.url;
  } finally {
    transport.close();
  }
}

/** RFC 9110, 13.1: a date counts only where there is no tag. */
function conditionsOf({ etag, lastModified }: Validators = {}): Record<string, string> {
  if (etag !== undefined) return { "If-None-Match": etag };
  return lastModified === undefined ? {} : { "If-Modified-Since": lastModified };
}

/** Some servers give tags, but do not read them: BuildKit looks at the answer's, too. Weak ones will do. */
function isSame(answered: string | undefined, known: string | undefined): boolean {
  const strip = (tag: string) => tag.replace(/^W\//, "");
  return answered !== undefined && known !== undefined && strip(answered) === strip(known);
}

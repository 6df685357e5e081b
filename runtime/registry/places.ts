/**
 * The places an image may come from: every registry that its name may mean, and the mirrors of each.
 *
 * @see containers-registries.conf(5)
 */
import { type PullSource, pullSources, type RegistriesConf } from "../config/registries_conf.ts";
import { resolveShortName } from "../config/short_names.ts";
import { NotFoundError, RegistryError, SkiffError, VerificationError } from "../errors.ts";
import { parseName, qualify, type Reference, repositoryName, withDefaultTag } from "../image/reference.ts";
import { type AccessOptions, openRegistries } from "./access.ts";
import type { RegistryClient } from "./client.ts";

export interface PlaceOptions extends AccessOptions {
  /** Lines of progress: a mirror that failed, a pause before another attempt. */
  onStatus?: (text: string) => void;
}

/** One name an image may have, and the places to get it from. */
interface Candidate {
  reference: Reference;
  places: PullSource[];
}

/** Every registry a name may mean, and the mirrors of each, until one has it. */
export async function tryPlaces<T>(
  text: string,
  options: PlaceOptions,
  attempt: (client: RegistryClient, reference: Reference) => Promise<T>,
): Promise<T> {
  using registries = await openRegistries(options);
  const failures: SkiffError[] = [];
  for (const { reference, places } of findCandidates(text, registries.conf)) {
    for (const source of places) {
      const client = registries.client(source, reference, {
        onRetry: (why, delayMs) =>
          options.onStatus?.(`${source.host}: ${why}; trying again in ${Math.ceil(delayMs / 1000)} s`),
      });
      try {
        return await attempt(client, reference);
      } catch (error) {
        if (!mayTryElsewhere(error)) throw error;
        failures.push(error);
        if (source.isMirror) options.onStatus?.(`mirror ${source.host}: ${error.message}`);
      }
    }
  }
  throw summarise(text, failures);
}

/** The names to try, in order. */
function findCandidates(text: string, conf: RegistriesConf): Candidate[] {
  const name = parseName(text);
  const by = name.digest === undefined ? "tag" : "digest";
  const names = name.domain !== undefined
    ? [name]
    : resolveShortName(conf, name.path).candidates.map((candidate) => {
      const { domain, path } = parseName(candidate);
      return { ...name, domain, path };
    });
  return names.map((one) => {
    const reference = withDefaultTag(qualify(one, "docker.io"));
    return { reference, places: pullSources(conf, repositoryName(reference), by) };
  });
}

function mayTryElsewhere(error: unknown): error is SkiffError {
  return error instanceof RegistryError || error instanceof NotFoundError ||
    error instanceof VerificationError;
}

/** The last failure is the registry's own; what mirrors and other registries said goes into the hint. */
function summarise(text: string, failures: SkiffError[]): SkiffError {
  const last = failures.pop() ?? new NotFoundError("image", text);
  if (failures.length === 0) return last;
  const before = failures.map((failure) => failure.message).join("; ");
  const hint = `tried before: ${before}` + (last.hint === undefined ? "" : `; ${last.hint}`);
  if (last instanceof NotFoundError) {
    return new NotFoundError(last.kind, last.subject, { message: last.message, hint });
  }
  if (last instanceof VerificationError) return new VerificationError(last.message, { cause: last, hint });
  return new RegistryError(last.message, (last as RegistryError).status, { cause: last, hint });
}

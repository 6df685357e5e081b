/** `--filter` of `images`. @see podman-images(1), --filter */

import type { ImageListEntry } from "../../runtime/engine/images.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { parseFilters } from "../output/list.ts";
import { parseTime } from "../output/time_argument.ts";
import { hasLabel, isEarlier, isNamed } from "./containers.ts";

type Test = (image: ImageListEntry) => boolean;

const FILTERS: Record<string, (value: string, all: ImageListEntry[]) => Test> = {
  dangling: (value) => ({ Dangling }) => Dangling === bool("dangling", value),
  containers: (value) => ({ Containers }) => (Containers > 0) === bool("containers", value),
  // podman's; no image here is either
  intermediate: (value) => () => !bool("intermediate", value),
  manifest: (value) => ({ IsManifestList = false }) => IsManifestList === bool("manifest", value),
  readonly: (value) => () => !bool("readonly", value),
  label: (value) => ({ Labels }) => hasLabel(Labels, value),
  id: (value) => ({ Id }) => Id.startsWith(value.replace(/^sha256:/, "")),
  reference: (value) => ({ Names, RepoDigests }) =>
    [...Names, ...RepoDigests].some((name) => matchesReference(name, value)),
  before: (value, all) => {
    const { CreatedAt } = named(value, all);
    return (image) => isEarlier(image.CreatedAt, CreatedAt);
  },
  since: (value, all) => {
    const { CreatedAt } = named(value, all);
    return (image) => isEarlier(CreatedAt, image.CreatedAt);
  },
  after: (value, all) => FILTERS.since!(value, all),
  until: (value) => {
    const time = parseTime(value, "filter until", Date.now());
    return ({ CreatedAt }) => Date.parse(CreatedAt) < time;
  },
};

const NEGATABLE = ["label", "reference"];

/** For completion. */
export const FILTER_KEYS: readonly string[] = Object.keys(FILTERS);

/** Keeps the images that pass all filters. */
export function filterImages(images: ImageListEntry[], filters: readonly string[]): ImageListEntry[] {
  const known = [...Object.keys(FILTERS), ...NEGATABLE.map((key) => `${key}!`)];
  const tests = parseFilters(filters, known).map(({ key, negated, value }) => {
    const test = FILTERS[key]!(value, images);
    return negated ? (image: ImageListEntry) => !test(image) : test;
  });
  return images.filter((image) => tests.every((test) => test(image)));
}

/** A whole name, the end of one, or a pattern in which `*` stands for anything but a slash. */
export function matchesReference(name: string, pattern: string): boolean {
  if (!/[*?[]/.test(pattern)) return isNamed(name, pattern);
  const body = pattern.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", "[^/]*").replaceAll("?", "[^/]");
  try {
    return new RegExp(`^(.*/)?${body}(:[^/]*|@.*)?$`).test(name);
  } catch {
    throw new InvalidArgumentError(`invalid filter "reference=${pattern}": not a pattern`);
  }
}

function bool(key: string, value: string): boolean {
  if (/^(true|1|t)$/i.test(value)) return true;
  if (/^(false|0|f)$/i.test(value)) return false;
  throw new InvalidArgumentError(`non-boolean value "${value}" for ${key} filter`);
}

function named(text: string, all: ImageListEntry[]): ImageListEntry {
  const found = all.find(({ Names }) => Names.some((name) => isNamed(name, text))) ??
    all.find(({ Id }) => Id.startsWith(text.replace(/^sha256:/, "")));
  if (found) return found;
  throw new InvalidArgumentError(`${text}: image not known`);
}

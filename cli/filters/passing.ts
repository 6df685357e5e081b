/** What filters of networks and of volumes have in common. */

export type Test<Item> = (item: Item) => boolean;

/** By key: from a value to the test that it stands for. */
export type Filters<Item> = Record<string, (value: string) => Test<Item>>;

/** Keeps what passes: of one key any value will do, but every label must be there. `label!` negates `label`. */
export function keepPassing<Item>(
  items: readonly Item[],
  given: readonly (readonly [key: string, value: string])[],
  filters: Filters<Item>,
): Item[] {
  const any = new Map<string, Test<Item>[]>();
  const must: Test<Item>[] = [];
  for (const [key, value] of given) {
    const isNegated = key.endsWith("!");
    const test = filters[isNegated ? key.slice(0, -1) : key]!(value);
    if (isNegated) must.push((item) => !test(item));
    else if (key === "label") must.push(test);
    else any.set(key, [...any.get(key) ?? [], test]);
  }
  return items.filter((item) =>
    must.every((test) => test(item)) &&
    [...any.values()].every((tests) => tests.some((test) => test(item)))
  );
}

/** A regular expression, as in podman; what is none stands for itself. */
export function asPattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  }
}

/** undefined for what is neither. */
export function asBool(text: string): boolean | undefined {
  if (/^(true|1|t)$/i.test(text)) return true;
  return /^(false|0|f)$/i.test(text) ? false : undefined;
}

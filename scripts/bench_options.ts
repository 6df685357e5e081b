/** What `scripts/bench` is asked for: which figures, how often, in how full a store. */

import { BUILD_FIGURES } from "./bench_build.ts";
import { PUSH_FIGURES } from "./bench_push.ts";

export interface Options {
  runs: number;
  only: string[] | null;
  stopped: number;
  images: number;
  /** All engines run as root. */
  asRoot: boolean;
}

/** What the first argument may select. */
const SELECTIONS: Record<string, Partial<Options>> = {
  build: { only: namesOf(BUILD_FIGURES) },
  push: { only: [...namesOf(PUSH_FIGURES), "images", "lazy"], stopped: 3, images: 500 },
};

export function parseOptions([first, ...rest]: string[]): Options {
  const selection = first === undefined ? undefined : SELECTIONS[first];
  const options: Options = { runs: 20, only: null, stopped: 1000, images: 200, asRoot: false, ...selection };
  const args = selection !== undefined || first === undefined ? rest : [first, ...rest];
  for (let i = 0; i < args.length; i += 2) {
    const value = args[i + 1] ?? "";
    if (args[i] === "--runs") options.runs = Number(value);
    else if (args[i] === "--only") options.only = value.split(",");
    else if (args[i] === "--stopped") options.stopped = Number(value);
    else if (args[i] === "--images") options.images = Number(value);
    else if (args[i] === "--as" && value === "root") options.asRoot = true;
    else throw new Error(`unknown option ${args[i]}`);
  }
  return options;
}

function namesOf(figures: { name: string }[]): string[] {
  return figures.map(({ name }) => name);
}

import { SkiffError } from "../../runtime/errors.ts";
import { VERSION } from "../../runtime/engine/version.ts";
import { defineCommand } from "../command.ts";
import { manPages } from "../man.ts";
import { print } from "../output/print.ts";
import { suggest } from "../suggest.ts";

export const command = defineCommand({
  usage: "[options] [PAGE]",
  description: "Prints the source of one page, skiff(1) where none is named, or writes all into a folder.",
  examples: [
    "skiff man run | man -l -",
    "skiff man --dir ~/.local/share/man",
    "skiff man image-list | mandoc -T pdf > image-list.pdf",
  ],
  flags: {
    dir: {
      kind: "string",
      short: "d",
      value: "FOLDER",
      help: "Write all pages to FOLDER/man1 and FOLDER/man7",
    },
  },
  arity: { max: 1 },
  async run({ options: { dir }, args: [wanted] }) {
    const pages = await manPages(VERSION);
    if (dir !== undefined) return await writePages(pages, dir);
    const name = wanted === undefined ? "skiff" : `skiff-${wanted.replace(/^skiff-/, "")}`;
    const page = pages.find(({ file }) => file.slice(0, -2) === name);
    if (page) return print(page.roff);
    const near = suggest(name, pages.map(({ file }) => file.slice(0, -2)));
    throw new SkiffError(`no manual page for ${wanted}`, {
      hint: near.length > 0 ? `Did you mean ${near.join(", ")}?` : "Try 'skiff --help' for what there is",
    });
  },
});

async function writePages(pages: { file: string; roff: string }[], dir: string): Promise<void> {
  try {
    for (const volume of ["1", "7"]) await Deno.mkdir(`${dir}/man${volume}`, { recursive: true });
    for (const { file, roff } of pages) await Deno.writeTextFile(`${dir}/man${file.at(-1)}/${file}`, roff);
  } catch (cause) {
    throw new SkiffError(`write manual pages to ${dir}: ${(cause as Error).message}`, { cause });
  }
}

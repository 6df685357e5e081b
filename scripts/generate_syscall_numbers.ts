/**
 * Writes runtime/security/syscall_numbers.ts from the kernel's own headers. They come with Debian's
 * linux-libc-dev and linux-libc-dev-{arm64,armhf}-cross; gcc's preprocessor reads them all, whatever the machine.
 *
 *     deno run -A scripts/generate_syscall_numbers.ts
 */

const TARGET = new URL("../runtime/security/syscall_numbers.ts", import.meta.url);

/** Calls younger than Debian 12's headers (6.1). From 424 on every architecture uses the same number. */
const NEWER = {
  cachestat: 451,
  fchmodat2: 452,
  map_shadow_stack: 453,
  futex_wake: 454,
  futex_wait: 455,
  futex_requeue: 456,
  statmount: 457,
  listmount: 458,
  lsm_get_self_attr: 459,
  lsm_set_self_attr: 460,
  lsm_list_modules: 461,
  mseal: 462,
  setxattrat: 463,
  getxattrat: 464,
  listxattrat: 465,
  removexattrat: 466,
  open_tree_attr: 467,
  file_getattr: 468,
  file_setattr: 469,
  listns: 470,
  rseq_slice_yield: 471,
};

const X86 = "/usr/include/x86_64-linux-gnu";
const X32_BIT = 0x40000000;

interface Source {
  constant: string;
  doc: string;
  include: string;
  header: string;
  defines: string[];
  /** Numbers of this one machine that are younger than the headers. */
  extra?: Record<string, number>;
  /** Subtracted from what the header says. */
  base?: number;
}

const SOURCES: Source[] = [
  {
    constant: "X86_64",
    doc: "asm/unistd_64.h",
    include: X86,
    header: "asm/unistd_64.h",
    defines: [],
    extra: { uretprobe: 335, uprobe: 336 },
  },
  {
    constant: "X32",
    doc: "asm/unistd_x32.h, without the bit 0x40000000 that every x32 call has in its number",
    include: X86,
    header: "asm/unistd_x32.h",
    defines: [`__X32_SYSCALL_BIT=${X32_BIT}`],
    base: X32_BIT,
  },
  { constant: "I386", doc: "asm/unistd_32.h", include: X86, header: "asm/unistd_32.h", defines: [] },
  {
    constant: "AARCH64",
    doc: "asm-generic/unistd.h, as arm64 configures it",
    include: "/usr/aarch64-linux-gnu/include",
    header: "asm/unistd.h",
    defines: ["__aarch64__"],
  },
  {
    constant: "ARM",
    doc: "asm/unistd-eabi.h; from 0xf0000 on calls of ARM's own",
    include: "/usr/arm-linux-gnueabihf/include",
    header: "asm/unistd.h",
    defines: ["__arm__", "__ARM_EABI__"],
  },
];

/** Names and numbers as the preprocessor sees them: every `__NR_…` macro is expanded and computed. */
async function readNumbers(source: Source): Promise<Map<string, number>> {
  const gcc = async (args: string[], input: string) => {
    const child = new Deno.Command("gcc", {
      args: [
        "-nostdinc",
        "-undef",
        "-I",
        source.include,
        "-include",
        source.header,
        ...args,
        "-E",
        "-P",
        "-",
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
    const output = await child.output();
    if (!output.success) throw new Error(`gcc cannot read ${source.header} in ${source.include}`);
    return new TextDecoder().decode(output.stdout);
  };
  const defines = [...source.defines, "__BITS_PER_LONG=64"].map((define) => `-D${define}`);
  const macros = await gcc([...defines, "-dM"], "");
  const names = [...macros.matchAll(/^#define __(ARM_)?NR_([a-z_]\w*) /gm)].map((match) =>
    [match[2]!, `__${match[1] ?? ""}NR_${match[2]}`] as const
  );
  const expanded = await gcc(defines, names.map(([name, macro]) => `@${name}@ ${macro}`).join("\n"));
  const numbers = new Map<string, number>();
  for (const [, name, expression] of expanded.matchAll(/@ ?(\w+) ?@ (.+)/g)) {
    const terms = expression!.replace(/[()]/g, "").split("+").map((term) => Number(term.trim()));
    const number = terms.reduce((sum, term) => sum + term, 0) - (source.base ?? 0);
    if (!Number.isInteger(number)) throw new Error(`${source.header}: ${name} is ${expression}`);
    if (name !== "syscalls") numbers.set(name!, number);
  }
  for (const [name, number] of Object.entries({ ...NEWER, ...source.extra })) numbers.set(name, number);
  return numbers;
}

/** `0 read write open …`: a number sets the counter, a name takes it; `=` before a name repeats the last number. */
function renderTable(numbers: Map<string, number>): string {
  const sorted = [...numbers].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
  const words: string[] = [];
  let next = -1;
  for (const [name, number] of sorted) {
    if (number === next - 1) words.push(`=${name}`);
    else {
      if (number !== next) words.push(String(number));
      words.push(name);
      next = number + 1;
    }
  }
  const lines = [""];
  for (const word of words) {
    if (lines.at(-1)!.length + word.length > 105) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) === "" ? "" : " ") + word;
  }
  return lines.map((line) => `  ${line}`).join("\n");
}

let text = `/**
 * System call numbers of every architecture that a container on x86-64 or aarch64 can use, made by
 * scripts/generate_syscall_numbers.ts from the kernel's headers.
 *
 * A number sets the counter, a name takes it and moves it on; \`=name\` is another name of the last number.
 */
`;
for (const source of SOURCES) {
  text += `\n/** @see ${source.doc} */\nexport const ${source.constant} = \`\n${
    renderTable(await readNumbers(source))
  }\n\`;\n`;
}
await Deno.writeTextFile(TARGET, text);

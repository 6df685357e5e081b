/**
 * What runs programs of another processor here: the machine itself, or an interpreter that the kernel was told of.
 *
 * @see binfmt_misc, Documentation/admin-guide/binfmt-misc.rst; qemu-user-static(1)
 */

import { formatPlatform, hostPlatform, parsePlatform, platformFits } from "../image/platform.ts";
import type { Platform } from "../spec/image.ts";

/** Architectures whose programs the processor runs as well. */
const ALSO_RUN: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

interface Machine {
  /** e_machine of elf(5). */
  number: number;
  bits: 32 | 64;
  isBigEndian?: boolean;
  /** What QEMU calls it. */
  qemu: string;
}

const MACHINES: Readonly<Record<string, Machine>> = {
  "386": { number: 3, bits: 32, qemu: "i386" },
  amd64: { number: 62, bits: 64, qemu: "x86_64" },
  arm: { number: 40, bits: 32, qemu: "arm" },
  arm64: { number: 183, bits: 64, qemu: "aarch64" },
  loong64: { number: 258, bits: 64, qemu: "loongarch64" },
  mips: { number: 8, bits: 32, isBigEndian: true, qemu: "mips" },
  mipsle: { number: 8, bits: 32, qemu: "mipsel" },
  mips64: { number: 8, bits: 64, isBigEndian: true, qemu: "mips64" },
  mips64le: { number: 8, bits: 64, qemu: "mips64el" },
  ppc64: { number: 21, bits: 64, isBigEndian: true, qemu: "ppc64" },
  ppc64le: { number: 21, bits: 64, qemu: "ppc64le" },
  riscv64: { number: 243, bits: 64, qemu: "riscv64" },
  s390x: { number: 22, bits: 64, isBigEndian: true, qemu: "s390x" },
};

const BINFMT = "/proc/sys/fs/binfmt_misc";

export interface Emulator {
  interpreter: string;
  /** Opened when it was registered (flag F): it need not be in the container. */
  isFixed: boolean;
}

/** Whether the processor runs programs of it by itself. */
export function runsNatively({ architecture }: Platform, host: Platform = hostPlatform()): boolean {
  return architecture === host.architecture || ALSO_RUN[host.architecture]?.includes(architecture) === true;
}

/** The interpreter that the kernel starts for programs of that architecture. */
export function findEmulator({ architecture }: Platform, folder: string = BINFMT): Emulator | undefined {
  const machine = Object.hasOwn(MACHINES, architecture) ? MACHINES[architecture]! : undefined;
  if (machine === undefined) return undefined;
  const header = elfHeader(machine);
  try {
    if (Deno.readTextFileSync(`${folder}/status`).trim() !== "enabled") return undefined;
    const found = Array.from(Deno.readDirSync(folder), ({ name }) => name)
      .filter((name) => name !== "status" && name !== "register").sort()
      .flatMap((name) => parseHandler(Deno.readTextFileSync(`${folder}/${name}`), header) ?? []);
    return found.find(({ isFixed }) => isFixed) ?? found[0];
  } catch {
    // not mounted, or the handler was just taken away
    return undefined;
  }
}

/** The handler of such a file, where it is for programs with this header. */
function parseHandler(text: string, header: Uint8Array): Emulator | undefined {
  const [state, ...lines] = text.split("\n");
  const fields = new Map(
    lines.map((line) => /^(\w+):? (.*)$/.exec(line)?.slice(1) as [string, string] ?? ["", ""]),
  );
  const [interpreter, magic] = [fields.get("interpreter"), fields.get("magic")];
  if (state !== "enabled" || !interpreter || !magic || !/^([0-9a-f]{2})+$/.test(magic)) return undefined;
  const offset = Number(fields.get("offset") ?? 0);
  const wanted = Uint8Array.fromHex(magic);
  const mask = fields.has("mask") ? Uint8Array.fromHex(fields.get("mask")!) : wanted.map(() => 0xff);
  const fits = wanted.every((byte, at) => ((header[offset + at] ?? 0) & mask[at]!) === (byte & mask[at]!));
  return fits ? { interpreter, isFixed: fields.get("flags")?.includes("F") === true } : undefined;
}

/** The first bytes of an executable. @see elf(5) */
function elfHeader({ number, bits, isBigEndian = false }: Machine): Uint8Array {
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, isBigEndian ? 2 : 1, 1]);
  const view = new DataView(header.buffer);
  const executable = 2;
  view.setUint16(16, executable, !isBigEndian);
  view.setUint16(18, number, !isBigEndian);
  view.setUint32(20, 1, !isBigEndian);
  return header;
}

/** What an administrator does. */
export function emulatorRemedy({ architecture }: Platform): string {
  const name = MACHINES[architecture]?.qemu;
  return name === undefined
    ? "no emulator is known for it"
    : `let the kernel start qemu-${name} (Debian: packages qemu-user-static and binfmt-support)`;
}

/**
 * What a user is told of an image for another platform, in podman's words, and whether its programs can run at all.
 * @param asked the platform that was asked for, `linux/arm64`
 */
export function platformWarning(
  image: Platform,
  asked: string | undefined,
  host: Platform = hostPlatform(),
  folder?: string,
): string | undefined {
  const expected = asked === undefined ? host : parsePlatform(asked);
  const isExpected = asked === undefined ? runsNatively(image, host) : platformFits(image, expected);
  const mismatch = isExpected
    ? undefined
    : `image platform (${shown(image)}) does not match the expected platform (${shown(expected)})`;
  const obstacle = obstacleFor(image, host, folder);
  if (mismatch === undefined) return obstacle;
  return obstacle === undefined ? mismatch : `${mismatch}; ${obstacle}`;
}

function obstacleFor(image: Platform, host: Platform, folder?: string): string | undefined {
  if (runsNatively(image, host)) return undefined;
  const emulator = findEmulator(image, folder);
  if (emulator === undefined) {
    return `the image is ${shown(image)}, this machine ${shown(host)} and no emulator is registered: ` +
      emulatorRemedy(image);
  }
  return emulator.isFixed
    ? undefined
    : `${emulator.interpreter} has to be in the image, for it was registered without the flag F`;
}

function shown({ os, architecture, variant }: Platform): string {
  return formatPlatform({ os, architecture, ...(variant ? { variant } : {}) });
}

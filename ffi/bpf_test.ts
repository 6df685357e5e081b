import { deepStrictEqual as equal, throws } from "node:assert/strict";
import { BpfProgram } from "./bpf.ts";
import { runSeccompFilter } from "./bpf_interpreter.ts";

const ask = (program: BpfProgram, nr: number, ...args: bigint[]) =>
  runSeccompFilter(program.assemble(), { nr, arch: 0, args });

Deno.test("instructions are encoded as struct sock_filter", () => {
  const program = new BpfProgram();
  const no = program.label();
  program.load(4);
  program.jumpIf("jeq", 0xc000003e, "next", no);
  program.return(0x7fff0000);
  program.place(no);
  program.return(0x80000000);
  equal([...program.assemble()], [
    ...[0x20, 0, 0, 0, 4, 0, 0, 0],
    ...[0x15, 0, 0, 1, 0x3e, 0, 0, 0xc0],
    ...[0x06, 0, 0, 0, 0, 0, 0xff, 0x7f],
    ...[0x06, 0, 0, 0, 0, 0, 0, 0x80],
  ]);
});

Deno.test("jumps compare unsigned, and jset tests bits", () => {
  for (const [op, expected] of [["jeq", [0, 1, 0]], ["jgt", [0, 0, 1]], ["jge", [0, 1, 1]]] as const) {
    const program = new BpfProgram();
    const yes = program.label();
    program.load(0);
    program.jumpIf(op, 0x80000000, yes, "next");
    program.return(0);
    program.place(yes);
    program.return(1);
    equal([0x7fffffff, 0x80000000, 0xffffffff].map((nr) => ask(program, nr)), expected);
  }
  const bits = new BpfProgram();
  const yes = bits.label();
  bits.load(16);
  bits.and(0xff);
  bits.jumpIf("jset", 0x180, yes, "next");
  bits.return(0);
  bits.place(yes);
  bits.return(1);
  equal([0x100n, 0x80n, 0x1ffn].map((arg) => ask(bits, 0, arg)), [0, 1, 1]);
});

Deno.test("labels further than 255 instructions away are reached by long jumps, on either side", () => {
  for (const gap of [254, 255, 256, 257, 700]) {
    const program = new BpfProgram();
    const [yes, no, mid] = [program.label(), program.label(), program.label()];
    program.load(0);
    program.jumpIf("jge", 10, yes, mid);
    program.place(mid);
    program.jumpIf("jeq", 5, "next", no);
    for (let i = 0; i < gap; i++) program.jumpIf("jeq", 1000 + i, yes, "next");
    program.jump(no);
    program.return(99);
    program.place(yes);
    program.return(1);
    program.place(no);
    program.return(2);
    equal([4, 5, 9, 10, 11].map((nr) => ask(program, nr)), [2, 2, 2, 1, 1], `gap ${gap}`);
  }
});

Deno.test("a program longer than the kernel takes is refused", () => {
  const program = new BpfProgram();
  for (let i = 0; i < 4097; i++) program.return(0);
  throws(() => program.assemble(), { message: "BPF program has 4097 instructions, the kernel takes 4096" });
});

Deno.test("a jump backwards or to nowhere is refused", () => {
  const backwards = new BpfProgram();
  const start = backwards.label();
  backwards.place(start);
  backwards.load(0);
  backwards.jump(start);
  throws(() => backwards.assemble(), { message: "BPF jump to label 0 does not go forward" });
  const nowhere = new BpfProgram();
  nowhere.jump(nowhere.label());
  throws(() => nowhere.assemble(), { message: "BPF jump to label 0 does not go forward" });
});

import { assertEquals, messageOf } from "../tests/assertions.ts";
import { assemble, type Code, lines, SYSCALL_INSTRUCTION } from "./assembler.ts";
import * as x86 from "./x86_instructions.ts";

/** What `objdump -d -M intel` of binutils reads as the instruction that is named. */
const ENCODINGS: [instruction: string, code: Code, bytes: string][] = [
  ["mov rax, r12", x86.mov("rax", "r12"), "4c89e0"],
  ["mov r9, rbx", x86.mov("r9", "rbx"), "4989d9"],
  ["mov r10d, 0x1000", x86.mov("r10", 0x1000), "41ba00100000"],
  ["mov edi, 0xffffffff", x86.mov("rdi", 0xffff_ffff), "40bfffffffff"],
  ["movabs rdi, -100", x86.mov("rdi", -100), "48bf9cffffffffffffff"],
  ["movabs r8, 0x123456789a", x86.mov("r8", 0x12_3456_789an), "49b89a78563412000000"],
  ["mov r11, [rsp+8]", x86.load("r11", "rsp", 8), "4c8b9c2408000000"],
  ["mov eax, [rbp+24]", x86.load32("rax", "rbp", 24), "408b8518000000"],
  ["movzx ecx, byte ptr [r13]", x86.load8("rcx", "r13"), "410fb68d00000000"],
  ["mov [r12-8], r15", x86.store("r12", -8, "r15"), "4d89bc24f8ffffff"],
  ["mov [rcx], sil", x86.store8("rcx", 0, "rsi"), "4088b100000000"],
  ["lea rdi, [r12-4096]", x86.lea("rdi", "r12", -4096), "498dbc2400f0ffff"],
  ["add rsi, r15", x86.add("rsi", "r15"), "4c01fe"],
  ["or rcx, 0x20", x86.or("rcx", 0x20), "4881c920000000"],
  ["and rsp, -16", x86.and("rsp", -16), "4881e4f0ffffff"],
  ["sub r14, r12", x86.sub("r14", "r12"), "4d29e6"],
  ["cmp rax, rcx", x86.when("rax", "==", "rcx", "end").slice(0, 3), "4839c8"],
  ["cmp r14, -2", x86.when("r14", "==", -2, "end").slice(0, 7), "4981fefeffffff"],
  ["shl r12, 3", x86.shl("r12", 3), "49c1e403"],
  ["imul r14, r14, 10", x86.multiply("r14", 10), "4d69f60a000000"],
  ["div rcx", x86.div("rcx"), "48f7f1"],
  ["push r8", x86.push("r8"), "4150"],
  ["pop rdi", x86.pop("rdi"), "405f"],
];

Deno.test("instructions are encoded as a disassembler reads them", () => {
  for (const [instruction, code, bytes] of ENCODINGS) {
    assertEquals(assemble(code).toHex(), bytes, instruction);
  }
});

Deno.test("distances lead from the end of the instruction to the label, ahead and back", () => {
  const code = lines(
    "start",
    x86.jmp("end"),
    x86.addressOf("r9", "start"),
    "end",
    x86.call("start"),
    x86.RET,
  );
  assertEquals(assemble(code).toHex(), ["e907000000", "4c8d0df4ffffff", "e8efffffff", "c3"].join(""));
  const conditions = (["==", "!=", "<", "below", "at least"] as const)
    .map((relation) => assemble([...x86.when("rax", relation, "rcx", "end"), "end"]).toHex());
  assertEquals(conditions, ["84", "85", "8c", "82", "83"].map((jump) => `4839c80f${jump}00000000`)); // je jne jl jb jae
});

Deno.test("what cannot be encoded is an error", async () => {
  assertEquals(await messageOf(() => x86.add("rax", 2 ** 31)), "2147483648 takes more than four bytes");
  assertEquals(await messageOf(() => assemble(x86.jmp("nowhere"))), 'no place is called "nowhere"');
  assertEquals(await messageOf(() => assemble(["twice", "twice"])), 'two places are called "twice"');
  assertEquals(assemble(SYSCALL_INSTRUCTION).toHex(), "0f05");
});

/**
 * Runs a classic BPF program over a `struct seccomp_data`, so that tests can ask a filter without loading it.
 *
 * ```
 *   0  int nr     4  __u32 arch     8  __u64 instruction_pointer     16  __u64 args[6]
 * ```
 *
 * @see linux/seccomp.h, kernel/seccomp.c (seccomp_check_filter lists what the kernel accepts)
 */

export interface SeccompData {
  nr: number;
  arch: number;
  args?: readonly bigint[];
}

/** The value the program returns. Throws on what the kernel would refuse to load, as far as it is reached. */
export function runSeccompFilter(program: Uint8Array, data: SeccompData): number {
  const filter = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const memory = new DataView(new ArrayBuffer(64));
  memory.setInt32(0, data.nr | 0, true);
  memory.setUint32(4, data.arch, true);
  data.args?.forEach((value, index) => memory.setBigUint64(16 + 8 * index, BigInt.asUintN(64, value), true));

  let a = 0;
  for (let pc = 0; pc * 8 < program.length; pc++) {
    const code = filter.getUint16(pc * 8, true);
    const k = filter.getUint32(pc * 8 + 4, true);
    const branch = (taken: boolean) => pc += filter.getUint8(pc * 8 + (taken ? 2 : 3));
    switch (code) {
      case 0x20: // ld [k]
        if (k % 4 !== 0 || k >= 64) throw new RangeError(`load from offset ${k}`);
        a = memory.getUint32(k, true);
        break;
      case 0x54: // and #k
        a = (a & k) >>> 0;
        break;
      case 0x05: // ja k
        pc += k;
        break;
      case 0x15: // jeq
        branch(a === k);
        break;
      case 0x25: // jgt
        branch(a > k);
        break;
      case 0x35: // jge
        branch(a >= k);
        break;
      case 0x45: // jset
        branch((a & k) !== 0);
        break;
      case 0x06: // ret #k
        return k;
      default:
        throw new RangeError(`unknown BPF instruction ${code} at ${pc}`);
    }
  }
  throw new RangeError("BPF program ends without a return");
}

import { deepStrictEqual as equal } from "node:assert/strict";
import fc from "fast-check";
import { formatAddress, inPrefix, isLoopback, mustParse, parseAddress, unmapped } from "./addresses.ts";

Deno.test("addresses are read as inet_pton reads them", () => {
  equal([...parseAddress("10.0.2.100")!], [10, 0, 2, 100]);
  equal([...parseAddress("fd00::100")!], [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  equal([...parseAddress("::ffff:127.0.0.1")!].slice(10), [255, 255, 127, 0, 0, 1]);
  const refused =
    "010.0.0.1 1.2.3 1.2.3.256 1.2.3.4.5 1.2.3.4%lo : ::1::2 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 fe80::1%eth0 12345:: ::1.2.3 1.2.3.4::";
  for (const text of ["", ...refused.split(" ")]) equal(parseAddress(text), undefined, text);
});

Deno.test("what is written is read again as the same address", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(4, 16),
      fc.array(fc.constantFrom(0, 1, 0xfe, 0xff), { minLength: 16 }),
      (length, all) => {
        const bytes = new Uint8Array(all.slice(0, length));
        equal(parseAddress(formatAddress(bytes)), bytes);
      },
    ),
  );
  equal(formatAddress(mustParse("2001:db8:0:0:1:0:0:1")), "2001:db8::1:0:0:1");
  equal(formatAddress(mustParse("1:0:2:3:4:5:6:7")), "1:0:2:3:4:5:6:7");
  equal(formatAddress(mustParse("0:0:0:0:0:0:0:0")), "::");
});

Deno.test("prefixes compare bits, and never across versions", () => {
  equal(inPrefix(mustParse("10.0.3.255"), mustParse("10.0.2.0"), 23), true);
  equal(inPrefix(mustParse("10.0.4.0"), mustParse("10.0.2.0"), 23), false);
  equal(inPrefix(mustParse("fd00::1"), mustParse("fd00::"), 64), true);
  equal(inPrefix(mustParse("fd00::1"), mustParse("0.0.0.0"), 0), false);
  equal(inPrefix(mustParse("9.9.9.9"), mustParse("0.0.0.0"), 0), true);
});

Deno.test("loopback is known in all its spellings", () => {
  for (
    const text of ["127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"]
  ) {
    equal(isLoopback(mustParse(text)), true, text);
  }
  for (const text of ["128.0.0.1", "::2", "::ffff:10.0.0.1", "fd00::1", "1::"]) {
    equal(isLoopback(mustParse(text)), false, text);
  }
  equal(formatAddress(unmapped(mustParse("::ffff:10.1.2.3"))), "10.1.2.3");
  equal(formatAddress(unmapped(mustParse("::fffe:10.1.2.3"))), "::fffe:a01:203");
});

import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { sourceOf } from "../chunks.ts";
import { ESTARGZ_FOOTER_BYTES, parseEstargzFooter, parseEstargzToc, unpackEstargzToc } from "./estargz.ts";
import { estargzSpans, spansOfHead, startsWith } from "./estargz_archive.ts";
import { TocError } from "./model.ts";

/**
 * Made by stargz-snapshotter 0.12's estargz.Build, in pieces of 4096 bytes and with a file before the others: names that
 * are long, split or not ASCII, owners with names and a large id, links, devices, attributes.
 */
const PACKED = Uint8Array.from(
  atob(`
H4sIAAAAAAAC/8ovz2OgNTAwMDAwMzEB0wYGplDaAEYbGBiZMBgamxuZmxhCxA0NTU2MGRQMGOgASotLEosYDAzSMstS8akrys8vIeRJ
JE8xDBEACAAA//92tSoWAAIAAB+LCAAAAAAAAv8SwQIYRsGIAXoFRalpqSXJGXo5iXkpuYlF2dS3wwACcNEGBgaGSGwDBgNDI1MTcwYF
A3oEQGlxSWIRg4EBtT05RAAgAAD//ztjZYUABAAAH4sIAAAAAAAC/+yWT6rDIBDGXb/Nu4InaGbin1l132WvYIhtsmlAk5LevpAsQm1p
KVQhxG8zooI4P78Z/1nWllW1lyL2GQAApNQUASCM0xgFlSRxnkfUqBlXKRIw+N44BuC6rn+379N6eLkV8fdNAv5EX/AXSmvGy2rwt6ob
M/94OprxYE1tnd9B4RvjbB2F/wvuC3+kh7cAiBKB8TGl/zda/1Hxc1vvxZz6v9wQN6ZIlg/9L5f+H/4DSpTqqf8LJMYhpf9P7dX+ssit
RPcAAAD//6w8RNgADAAAH4sIAAAAAAAC/+zAgRAAAAACMZ38CfP42wYAAADkPQAA//+e0MgmABAAAB+LCAAAAAAAAv/swIEQAAAAAjGd
/Anz+NsGAAAA5D0AAP//ntDIJgAQAAAfiwgAAAAAAAL/0hgFo2AUEAQMwxQAAgAA//9dgtegAAQAAB+LCAAAAAAAAv/KS8xNZaAxMDAw
MDAzMQHTBgYG6LSBgaERg6GxuZG5iSFE3MTMxNyMQcGAgQ6gtLgksYjBwKAoP78EnzpC8uieKy0u0s/Jz0sfdASqswEBAAD//yY1D18A
AgAAH4sIAAAAAAAC/+KCA4ZRMAJBhT7NIYMBBOCiDUxMzOBssLiRmZGRCYNCBT0CoLS4JLGIwcBghMa/kaWJQkFiSYYtHRLCkIQpqakF
XKP5n9L8b2ZigjP/GxiYMhgamxuZmxhCxI0NjYyMGBQM6Jn/i/LzS/CpIySP7rkhAgABAAD//ySeG0EACAAAH4sIAAAAAAAC/+yWv07D
MBCHPfcp/AT4zr7LiYGdkVewaktMaZUGqa/ExMbE5hdDUIQgqK2QsFHl+92QUxIpf7/Pl3Leroym1yRXvQwccmwLRP6zf9/vyTMYu2/x
Ah52c5wMQKff31+D3cb5/qbBj3CRtVL+/4J/YT7K/1uPQbwQfvAvntlYbsn/tNnMp847d3z5cBeS0d3F/W2OKU+7q0p3fc7/gPLd/whB
RP3fIsgH/ZeXsTw5nQR7y+jqX+PX/kcMENT/7f3v1uk//O956X8ZSP3fZP7Hr/5fl+dUHnUV6Mn/VZD/wf9AdIJ/Wvp/QDAW1P/V8xoA
AP//PaTvBQAUAAAfiwgAAAAAAAL/7Ji/TsMwEMYPxs48gJ8gPdtnWwydWIrEgMTEaFpDLEISOQ5q3x5REFL/qLQSsYiSL4OjxFKUfPed
f/HVAcGowci91XHd8TMQETXRZkTE3XFzzqURhvjXdS44V8AwxQdom2gDIIaqisfm/XZ/9+V6otyGJXTvPxmlzvBfoiFgvMltcMvR/w51
b1dzZ5cuNBlOi6p8KXz52kH+D/j+479QeqsWkHOjCdgqZf4H2v+5IfZpeW1jPovT/31MxvX6r9VR5Pfyb4w5vf9LQYqAiQQ1NfT+X7ZF
ASn4T+sz1n9uiIDJ/vEf/x5lX/yvfe0gKf+rU/zXRgHTKf1/9u9u6Py3sLV9Khwk5j+Oe/ynJI78l0LE2cPN/PbuMVvZGEPWuEUbfFxn
m1rwhY/r2QXA5URcb09sGxeysopulvuRy3qrjiK/z3/H/v8F7e7/SGXG/Z8U+ggAAP//DQ4rJAAWAAAfiwgAAAAAAAL/EsECGEbBiAE5
icUltLbDwMDAwMzEBEwbGBig0wYGRiYMhsbmRuYmhhBxQ0NzYwMGBQN6BEBpcUliEYOBQVF+Pt6AICSP7rkhAgABAAD//9PgqmUABAAA
H4sIAAAAAAAC/9LAAhhGwYgBgAAAAP//gXzjWAACAAAfiwgAAAAAAAL/7FhNbxs3E/ZV+hXCnhN7SA4/RkAOBl7gPbVF0Z5a9MCPobyx
vCvsrlI7QX5QT7311Jv/WLGSHDuyJCeWE8SBhoAEDpacZx49Oxyq7XwzeXtcVokvj1+3dXX09AZL2/ItpAB141v6hURrj0Zw9BVs3jNw
BPDUST4TezccFG+4acu6KsYj8WI4KLjqmpLbYjz6fTgYvBsOBoOi8hdcjEdF/WdVvFh4uqvZwtPwZOVpy7e9R8JyelGnrlyukiDhJdBL
oX4VcizNGOG34sNT/SN4s2pepmI80qtJy82Pq8i5fMOrNZOmns9u/E1ddyt/nXPLXTEekV06UjnhtncU7ZmX2owlUXBkQAEJR0jJSC8s
KlTMZIMllU1mY5QzMjjnIqNkyBpjUpiTWAWKZ/Pq/H9PvvlwMHj/4h7lx7OGM3fx7Hjqq3Thm/OHfgGxRodwZgsfKQJTVEY7L7ziJDgS
SovJBUEkdSTFwodgUwpeEpJUPlFIrCC7GNxOPvbefDMfoaxO1hhIZVM8RnSk7utsoaftkduztdjt1cW0rM4/K36/4CZemLdXob78GJkW
YjOE9sw3nB4SAAE85iWUGsWGt3CymKhlXVuTFoLeJq0cyWYjGCQZTcq5Xg+KpEsstLVIiNozJHJIijIDEGkkJ7QAYLwrrV+WaSGQ2SW4
IFXOhmR0EoGDDVFnZG8Eipw4CaeltKiCJhkBiSKG6EJ2nBxmxFB8BucLBOt1B9HdwffTLUkf4X422ZDYlI0TJHfhjslrE3yMrKUI1nhg
w96ETNEQx2AjYNYSPBiptYVgXVRgFJhkpIO8Bfe8bU6mdTX59j4WCB8qyfsdiuv16RPPQSO3HYQ6SgGoMYjsYxSshPVWUzagSUnMlpRD
wUGqJLJGEpaCwSS0w6h13l349958swIuTw5j00jMs4f0p/eR3wc9WbOt2ht0ZLKjnIQQBCBUsCBAsQHlRdROGtYm2BxskoKsD9JSAEMA
qDTRTj3tvflmPaWTw9g0nqy52kz79b/V9d9fJ0i8/idd//VlLyy3XTZI/R1dO/hi1l1tpe5xXN0jhlWAiCjJ5SiiQPI5ZIyOyORAEqX1
jILRIAVSGD2SJhLBOi2D03oL9jPfrHc4vWuvPv2jvulOw7wZQd8Y3An3VJeF7uTbHp94i6nm0+m9DtQ/rgKoVcud+M0P/nXd3N5/e09Z
LTxbqsSsnK13brnMdfHl/sDYjCP6mQ9T/jKF6uaSe1uolFvBu/Rd17TFeLSAMyhajvOm7K6OF4DKadld9UFOfz49PZ28erXceJnVcVV3
CwT+/+ev+rSWeX0nxW/q2+5rHRvo5BbmVNBaRwweUIMygX0EyUg5i+y1FBSV6XsjUjYaUKgtSgshaQvOC0g7mdt785654eCP4fujgx3s
YAc72POz/wIAAP//WCXgRQAcAAAfiwgEAAAAAAD/GgBTRxYAMDAwMDAwMDAwMDAwMDVlYVNUQVJHWgEAAP//AAAAAAAAAAA=
`),
  (char) => char.charCodeAt(0),
);
const DIFF_ID = "57edd5b50b9b9bc042267283bf81b6d571fde30056afd8a40b57ef595f6c2ad1";

function unpacked(start: number, end: number): Uint8Array {
  return new Uint8Array(gunzipSync(PACKED.subarray(start, end)));
}

function spansOf(change: (json: string) => string = (json) => json) {
  const { tocOffset, footerBytes } = parseEstargzFooter(
    PACKED.subarray(-ESTARGZ_FOOTER_BYTES),
    PACKED.length,
  );
  const json = new TextDecoder().decode(
    unpackEstargzToc(PACKED.subarray(tocOffset, PACKED.length - footerBytes)),
  );
  const changed = new TextEncoder().encode(change(json));
  return { tocOffset, spans: estargzSpans(changed, parseEstargzToc(changed, tocOffset, 1 << 20)) };
}

Deno.test("an archive that Go wrote is put together from its table and its files' data", () => {
  const { tocOffset, spans } = spansOf();
  const archive = createHash("sha256");
  for (const { start, end, pieces } of spans) {
    const member = unpacked(start, end);
    let at = 0;
    for (const piece of pieces) {
      if ("entry" in piece) {
        archive.update(member.subarray(at, at + piece.length));
        at += piece.length;
      } else {
        archive.update(piece.bytes!);
        at += piece.bytes!.length;
      }
    }
    assertEquals(at, member.length);
  }
  archive.update(unpacked(tocOffset, PACKED.length));
  assertEquals(archive.digest("hex"), DIFF_ID);
  assertEquals(spans.length, 11);
});

Deno.test("what comes first tells whether headers are as the table lets expect", () => {
  // the first file's header is all that comes before its data
  const head = spansOfHead(spansOf().spans);
  const bytes = unpacked(0, head.at(-1)!.end);
  assertEquals(startsWith(sourceOf(bytes), head), true);
  assertEquals(startsWith(sourceOf(bytes.subarray(1)), head), false);
  assertEquals(startsWith(sourceOf(bytes.subarray(0, 511)), head), false);
  assertEquals(startsWith(sourceOf(new Uint8Array([...bytes, 0])), head), false);
  const another = spansOfHead(
    spansOf((json) => json.replace('"userName": "five"', '"userName": "six"')).spans,
  );
  assertEquals(startsWith(sourceOf(bytes), another), false);
});

Deno.test("a header whose time is not told in full is not made", () => {
  const { spans } = spansOf((json) => json.replaceAll("12:26:40Z", "12:26:40.5Z"));
  const missing = spans.flatMap(({ pieces }) => pieces).filter((piece) =>
    !("entry" in piece) && piece.bytes === undefined
  );
  // all but the landmark's
  assertEquals(missing.length, 16);
});

Deno.test("the place of a landmark is one behind what is before it", () => {
  const { spans } = spansOf();
  // in the first member that has no file
  const landmark = spans.find(({ pieces }) =>
    pieces.some((piece) => !("entry" in piece) && piece.bytes?.[0] === 0xf)
  )!;
  const offset = `"offset": ${landmark.start}`;
  for (
    const told of [
      '"offset": 0',
      '"offset": -1',
      '"offset": 1e999',
      '"offset": 1.5',
      '"offset": "x"',
      '"other": 1',
    ]
  ) {
    throws(() => spansOf((json) => json.replace(offset, told)), TocError, told);
  }
});

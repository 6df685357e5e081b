import { deepStrictEqual as assertEquals, throws } from "node:assert";
import fc from "fast-check";
import { compileTemplate } from "./eval.ts";
import { goQuote as quote } from "../../../runtime/spec/go_quote.ts";
import { goType, unquote } from "./fmt.ts";

const CONTAINER = {
  ID: "abc",
  Names: ["x", "y"],
  Labels: { b: "2", a: "1" },
  Size: 3,
  Ratio: 1.5,
  Running: true,
  Empty: null,
  Label: (key: string) => `<${key}>`,
  Nested: { Deep: [{ Name: "n" }] },
};

function render(template: string, data: unknown = CONTAINER): string {
  return compileTemplate("t", template).execute(data);
}

const RENDERED: [template: string, answer: string][] = [
  ["{{.ID}} {{.Names}} {{.Labels}} {{.Size}} {{.Ratio}} {{.Running}}", "abc [x y] map[a:1 b:2] 3 1.5 true"],
  ["{{.Empty}} {{.Missing}} {{.Missing.Deeper}}", "<no value> <no value> <no value>"],
  ["{{range .Nested.Deep}}{{.Name}}{{end}}", "n"],
  ["{{range $key, $value := .Labels}}{{$key}}={{$value}},{{end}}", "a=1,b=2,"],
  ["{{range .Missing}}x{{else}}none{{end}}", "none"],
  ["{{range $i, $n := .Names}}{{if $i}}, {{end}}{{$n}}{{end}}", "x, y"],
  ["{{with .Nested}}{{$.ID}}{{end}}", "abc"],
  ['{{.Label "q"}} {{"w" | .Label}}', "<q> <w>"],
  ['{{index .Labels "none"}}|{{index .Labels "a"}}|{{index .Names 1}}', "|1|y"],
  ['{{(index .Nested.Deep 0).Name}} {{join .Names ","}}', "n x,y"],
  ["{{json .Nested}} {{len .Names}} {{json .Empty}}", '{"Deep":[{"Name":"n"}]} 2 null'],
  ["a {{- .ID -}} b", "aabcb"],
  ["a {{- /* gone */ -}} b", "ab"],
  ["{{if eq .Size 1 2 3}}yes{{end}}", "yes"],
  ["{{if and .Missing .Missing.Deeper.Still}}yes{{else}}no{{end}}", "no"],
  ['{{printf "%-6s|%v" .ID .Labels}}', "abc   |map[a:1 b:2]"],
];

for (const [template, answer] of RENDERED) {
  Deno.test(`a container renders ${template}`, () => assertEquals(render(template), answer));
}

const REFUSED: [template: string, message: string][] = [
  [
    "{{.Empty.Foo}}",
    'template: t:1:8: executing "t" at <.Empty.Foo>: nil pointer evaluating interface {}.Foo',
  ],
  ["{{.ID.Foo}}", 'template: t:1:5: executing "t" at <.ID.Foo>: can\'t evaluate field Foo in type string'],
  ["\n{{.ID 3}}", 'template: t:2:2: executing "t" at <.ID>: ID is not a method but has arguments'],
  [
    "{{range .Size | print}}{{end}}",
    'template: t:1:8: executing "t" at <.Size | print>: range can\'t iterate over 3',
  ],
  ["{{.Label}}", 'template: t:1:2: executing "t" at <.Label>: wrong number of args for Label: want 1 got 0'],
];

for (const [template, message] of REFUSED) {
  Deno.test(`a container refuses ${JSON.stringify(template)}`, () =>
    throws(() => render(template), { message }));
}

Deno.test("a missing field of a struct is an error that names its type", () => {
  throws(() => render("{{.Foo}}", { [goType]: "ps.Row", ID: "a" }), {
    message: 'template: t:1:2: executing "t" at <.Foo>: can\'t evaluate field Foo in type ps.Row',
  });
});

Deno.test("properties that objects inherit are not fields", () => {
  assertEquals(render("{{.constructor}} {{.toString}} {{.__proto__}}"), "<no value> <no value> <no value>");
});

Deno.test("what quote writes, unquote reads", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => assertEquals(unquote(quote(text)), text)));
});

Deno.test("text without braces passes through unchanged", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    fc.pre(!text.includes("{{"));
    assertEquals(render(text), text);
  }));
});

Deno.test("any text either renders or is refused as a template error", () => {
  const pieces = fc.constantFrom(
    "{{",
    "}}",
    ".",
    "ID",
    " ",
    "if",
    "end",
    "range",
    "|",
    "(",
    ")",
    '"',
    "$x",
    ":=",
    "3",
    "-",
  );
  fc.assert(fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
    try {
      render(parts.join(""));
    } catch (error) {
      assertEquals((error as Error).message.startsWith("template: t:"), true, String((error as Error).stack));
    }
  }));
});

/** What Go 1.19's text/template answers, recorded with `podman version --format` (podman 4.3.1). */

import { deepStrictEqual as assertEquals } from "node:assert";
import { compileTemplate } from "./eval.ts";

const RECORDED: [template: string, answer: string][] = [
  [
    '{{printf "%5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%U|%q" 42 42 42 42 255 255 8 5 65 65 65}}',
    "   42|42   |00042|+42|ff|FF|10|101|A|U+0041|'A'",
  ],
  ['{{printf "%s %v %d" "a" 3}}', "a 3 %!d(MISSING)"],
  ['{{printf "%d" "a"}}', "%!d(string=a)"],
  ['{{printf "%s" 3}}', "%!s(int=3)"],
  ['{{printf "%z" 3}}', "%!z(int=3)"],
  ['{{printf "%" 3}}', "%!(NOVERB)%!(EXTRA int=3)"],
  ['{{printf "x" 3 "b"}}', "x%!(EXTRA int=3, string=b)"],
  [
    '{{printf "%8.3f|%e|%g|%6.2f|%-8.1f|" 3.14159 1500.0 1e21 -1.5 2.25}}',
    "   3.142|1.500000e+03|1e+21| -1.50|2.2     |",
  ],
  ['{{printf "%t %v %T %T %T" true nil 1 "a" 1.5}}', "true <nil> int string float64"],
  ['{{printf "%q %#q %x % x" "a\\"b\\n" "raw" "hi" "hi"}}', '"a\\"b\\n" `raw` 6869 68 69'],
  ['{{printf "%*d|%-*d|" 5 42 5 42}}', "   42|42   |"],
  ['{{printf "%.3s|%10.2s|%-10s|" "abcdef" "abc" "xy"}}', "abc|        ab|xy        |"],
  ['{{print 1 2 "a" 3 4 "b" "c" true nil}}', "1 2a3 4bctrue <nil>"],
  ['{{println 1 "a" nil}}', "1 a <nil>\n"],
  [
    "{{1.0}} {{1.5}} {{1e3}} {{1e21}} {{0.00001}} {{0x1F}} {{0b11}} {{0o17}} {{017}} {{1_000}} {{'x'}} {{'\\n'}}",
    "1 1.5 1000 1e+21 1e-05 31 3 15 15 1000 120 10",
  ],
  ['{{len "héllo"}} {{slice "hello" 1 3}} {{index "abc" 1}}', "6 el 98"],
  [
    '{{html "<a href=\'x\'>\\"&"}} {{js "a\'b\\"<c>&=\\n"}} {{urlquery "a b*~&/é"}}',
    "&lt;a href=&#39;x&#39;&gt;&#34;&amp; a\\'b\\\"\\u003Cc\\u003E\\u0026\\u003D\\u000A a+b%2A~%26%2F%C3%A9",
  ],
  [
    '{{eq 1 1}} {{eq 1 2 1}} {{ne "a" "b"}} {{lt 1 2}} {{ge 2 2}} {{lt "a" "b"}} {{gt 1.5 1.0}}',
    "true true true true true true true",
  ],
  [
    '{{eq 1 "a"}}',
    'template: version:1:2: executing "version" at <eq 1 "a">: error calling eq: incompatible types for comparison',
  ],
  [
    "{{lt true false}}",
    'template: version:1:2: executing "version" at <lt true false>: error calling lt: invalid type for comparison',
  ],
  [
    "{{eq 1}}",
    'template: version:1:2: executing "version" at <eq 1>: error calling eq: missing argument for comparison',
  ],
  ['{{not true}} {{not 0}} {{not ""}} {{and 1 0 2}} {{or 0 "" 3}}', "false true true 0 3"],
  [
    "{{and}}",
    'template: version:1:2: executing "version" at <and>: wrong number of args for and: want at least 1 got 0',
  ],
  [
    '{{upper "abc"}} {{lower "ABC"}} {{title "foo bar-baz"}} {{pad "x" 2 3}}| {{truncate "abcdef" 3}} {{split "a,b,c" ","}} {{join (split "a,b,c" ",") "-"}} {{json (split "a,b" ",")}} {{json "<&>"}}',
    'ABC abc Foo Bar-Baz   x   | abc [a b c] a-b-c ["a","b"] "<&>"',
  ],
  ["{{upper 3}}", 'template: version:1:8: executing "version" at <3>: expected string; found 3'],
  [
    "{{upper}}",
    'template: version:1:2: executing "version" at <upper>: wrong number of args for upper: want 1 got 0',
  ],
  [
    '{{upper "a" "b"}}',
    'template: version:1:2: executing "version" at <upper>: wrong number of args for upper: want 1 got 2',
  ],
  ['{{range $i, $x := split "a,b,c" ","}}{{$i}}{{$x}};{{end}}', "0a;1b;2c;"],
  ['{{range split "a,b,c" ","}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', "ac"],
  ['{{range $i, $x, $y := split "a" ","}}{{end}}', "template: version:1: too many declarations in range"],
  ['{{with "x"}}{{.}}{{else}}n{{end}} {{with ""}}y{{else}}n{{end}}', "x n"],
  ["{{if and true false}}a{{else if or true false}}b{{end}}", "b"],
  ['{{"a" | printf "%s-%s" "b"}}', "b-a"],
  ['{{"a" | 1}}', "template: version:1: non executable command in pipeline stage 2"],
  ["{{1 2}}", 'template: version:1:2: executing "version" at <1>: can\'t give argument to non-function 1'],
  ["{{nil}}", 'template: version:1:2: executing "version" at <nil>: nil is not a command'],
  ["{{.Foo}", "template: version:1: bad character U+007D '}'"],
  ["{{foo}}", 'template: version:1: function "foo" not defined'],
  ['{{"abc}}', "template: version:1: unterminated quoted string"],
  ["{{`abc}}", "template: version:1: unterminated raw quoted string"],
  ["{{'ab'}}", "template: version:1: malformed character constant: 'ab'"],
  ["{{$}}{{$x}}", 'template: version:1: undefined variable "$x"'],
  ["{{if true}}", "template: version:1: unexpected EOF"],
  ["{{else}}", "template: version:1: unexpected {{else}}"],
  ["{{end}}", "template: version:1: unexpected {{end}}"],
  ["{{range}}x{{end}}", "template: version:1: missing value for range"],
  ["{{break}}", "template: version:1: {{break}} outside {{range}}"],
  [
    '{{template "x"}}',
    'template: version:1:11: executing "version" at <{{template "x"}}>: template "x" not defined',
  ],
  ['{{define "x"}}hi {{.}}{{end}}{{template "x" 3}}', "hi 3"],
  ['{{block "y" "z"}}<{{.}}>{{end}}', "<z>"],
  ["{{/* c */}}x {{- /* d */ -}} y", "xy"],
  ["{{/* c }}", "template: version:1: unclosed comment"],
  ["{{/* c */ }}", "template: version:1: comment ends before closing delimiter"],
  ['{{(1)}} {{(printf "%d" 3)}} {{((upper "a"))}}', "1 3 A"],
  ["{{(1}}", "template: version:1: unclosed left paren"],
  ["{{1)}}", 'template: version:1: unexpected ")" in command'],
  ["{{3a}}", 'template: version:1: bad number syntax: "3a"'],
  ["{{#}}", 'template: version:1: unexpected "#" in command'],
  ['{{"a"|upper|printf "%q"}}', '"A"'],
  ['{{"a".b}}', 'template: version:1: unexpected . after term "\\"a\\""'],
  [
    '{{index (split "a,b" ",") 5}}',
    'template: version:1:2: executing "version" at <index (split "a,b" ",") 5>: error calling index: index out of range: 5',
  ],
  [
    '{{index (split "a,b" ",") "x"}}',
    'template: version:1:2: executing "version" at <index (split "a,b" ",") "x">: error calling index: cannot index slice/array with type string',
  ],
  ["{{len 3}}", 'template: version:1:2: executing "version" at <len 3>: error calling len: len of type int'],
  [
    '{{slice "abc" 2 1}}',
    'template: version:1:2: executing "version" at <slice "abc" 2 1>: error calling slice: invalid slice index: 2 > 1',
  ],
  [
    '{{slice "abc" 9}}',
    'template: version:1:2: executing "version" at <slice "abc" 9>: error calling slice: index out of range: 9',
  ],
  ["{{$x := 1}}{{$x = 2}}{{$x}}", "2"],
  ["{{$x = 2}}", 'template: version:1:7: executing "version" at <2>: undefined variable: $x'],
  ["{{$x}}", 'template: version:1: undefined variable "$x"'],
  ["{{true}} {{false}}", "true false"],
  ["{{ 1 : }}", "template: version:1: expected :="],
  [
    "{{call 3}}",
    'template: version:1:2: executing "version" at <call 3>: error calling call: non-function of type int',
  ],
  ["{{printf 3}}", 'template: version:1:9: executing "version" at <3>: expected string; found 3'],
  ['{{"\\u00e9\\x41\\101"}}', "éAA"],
  ['{{"\\z"}}', "template: version:1: invalid syntax"],
  ["{{99999999999999999999}}", 'template: version:1: integer overflow: "99999999999999999999"'],
  ["{{if 1}}{{end}}{{end}}", "template: version:1: unexpected {{end}}"],
  [
    '{{template "x" 1 2}}',
    'template: version:1:11: executing "version" at <{{template "x" 1 2}}>: template "x" not defined',
  ],
  ["{{define x}}{{end}}", 'template: version:1: unexpected "x" in define clause'],
  ['{{with $y := "q"}}{{$y}}{{end}}{{$y}}', 'template: version:1: undefined variable "$y"'],
  ['{{ "q" | $y }}', 'template: version:1: undefined variable "$y"'],
];

for (const [template, answer] of RECORDED) {
  Deno.test(`Go answers ${template}`, () => {
    let got: string;
    try {
      got = compileTemplate("version", template).execute({});
    } catch (error) {
      got = (error as Error).message;
    }
    assertEquals(got, answer);
  });
}

import { assertEquals, assertIncludes, messageOf } from "../../../tests/assertions.ts";
import type { RunInstruction } from "./ast.ts";
import { findHeredocs, parseHeredocWord } from "./heredoc.ts";
import { parseDockerfile, parseTrigger } from "./parse.ts";

const HEREDOCS = String.raw`FROM alpine
USER <<INVALID
RUN <<EMPTY
EMPTY
RUN 3<<EMPTY2
EMPTY2
RUN "<<NOHEREDOC"
RUN <<INDENT
	foo
	bar
INDENT
RUN <<-UNINDENT
	baz
		quux
UNINDENT
RUN <<-UNINDENT2
	baz
	UNINDENT2
RUN <<-'NOEXPAND'
	don't expand $NAME
NOEXPAND
RUN <<COMMENT
# internal comment

echo foo \
bar # trailing comment
COMMENT
RUN --mount=type=cache,target=/foo <<MOUNT
echo hello
MOUNT
COPY <<FILE1 <<FILE2 /dest
content 1
FILE1
content 2
FILE2
COPY <<X <<Y /dest
Y
X
X
Y
RUN <<COMPLEX python3
print('hello world')
COMPLEX
RUN <<eo'f'
echo foo
eof
RUN <<eo\'f
echo foo
eo'f
RUN <<'e'o\'f
echo foo
eo'f
RUN <<'one two'
echo bar
one two
RUN <<$EOF
$EOF
RUN <<  EOF  > foo
EOF
RUN cat <<A > /x && \
  cat <<B > /y
1
A
2
B
RUN ["<<EOF"]
ONBUILD RUN <<EOF
x
EOF
RUN echo $((1<<2)) "a<<b"
RUN echo "it's" <<<"word"
`;

Deno.test("heredocs of RUN, COPY and ADD, as many as a line begins", () => {
  const found = parseDockerfile(HEREDOCS, "Dockerfile").stages[0]!.instructions.map((instruction) => {
    const heredocs = instruction.keyword === "ONBUILD"
      ? (instruction.instruction as { heredocs: unknown[] }).heredocs
      : instruction.keyword === "RUN"
      ? instruction.heredocs
      : instruction.keyword === "COPY"
      ? instruction.sources.map((source) => source.kind === "heredoc" ? source.heredoc : source)
      : [];
    return (heredocs as { name: string; content: string; expand: boolean }[]).map(
      ({ name, content, expand }) => [name, content, expand],
    );
  });
  assertEquals(found, [
    [],
    [["EMPTY", "", true]],
    [["EMPTY2", "", true]],
    [],
    [["INDENT", "\tfoo\n\tbar\n", true]],
    [["UNINDENT", "baz\nquux\n", true]],
    [["UNINDENT2", "baz\n", true]],
    [["NOEXPAND", "don't expand $NAME\n", false]],
    [["COMMENT", "# internal comment\n\necho foo \\\nbar # trailing comment\n", true]],
    [["MOUNT", "echo hello\n", true]],
    [["FILE1", "content 1\n", true], ["FILE2", "content 2\n", true]],
    [["X", "Y\n", true], ["Y", "X\n", true]],
    [["COMPLEX", "print('hello world')\n", true]],
    [["eof", "echo foo\n", false]],
    [["eo'f", "echo foo\n", true]],
    [["eo'f", "echo foo\n", false]],
    [["one two", "echo bar\n", false]],
    [["$EOF", "", true]],
    [["EOF", "", true]],
    [["A", "1\n", true], ["B", "2\n", true]],
    [],
    [["EOF", "x\n", true]],
    [],
    [],
  ]);
});

Deno.test("the places and texts of heredocs", () => {
  const parsed = parseDockerfile(
    'FROM a\nRUN <<EOF sh \\\n -x\r\na\r\nEOF\r\nONBUILD COPY <<A <<-"B" /x\n1\nA\n\t2\nB\n',
    "D",
  );
  const [first, second] = parsed.stages[0]!.instructions;
  assertEquals(first!.location, { startLine: 2, endLine: 5 });
  const { command, heredocs } = first as RunInstruction;
  assertEquals({ command, heredocs }, {
    command: { form: "shell", text: "<<EOF sh  -x" },
    heredocs: [{ name: "EOF", content: "a\r\n", expand: true, location: { startLine: 4, endLine: 5 } }],
  });
  const expression = (second as { expression: string }).expression;
  assertEquals(expression, 'COPY <<A <<-"B" /x\n1\nA\n2\nB');
  const trigger = parseTrigger(expression);
  assertEquals(trigger.keyword === "COPY" && trigger.sources.length, 2);
});

Deno.test("words that begin a heredoc", async () => {
  for (
    const word of [
      "<<EOF",
      "<<'EOF'",
      '<<"EOF"',
      "<<-EOF",
      "<<-'EOF'",
      '<<-"EOF"',
      '<<EO"F"',
      "<< EOF",
      "<<- EOF",
    ]
  ) {
    assertEquals([word, parseHeredocWord(word)?.name], [word, "EOF"]);
  }
  for (const word of ["", "EOF", "<<", "<<-", "<EOF", "<<<EOF", "<<EOF sh", "x<<EOF"]) {
    assertEquals([word, parseHeredocWord(word)], [word, undefined]);
  }
  for (const word of ["<<'EOF", '<<"EOF', "<<EOF'", '<<EOF"']) {
    assertIncludes(await messageOf(() => parseHeredocWord(word)), "unexpected end of statement");
  }
  const lines: [string, string[]][] = [
    ["RUN << -EOF", ["-EOF"]],
    ["RUN 4<<EOF", ["EOF"]],
    ["RUN <<EOF <<EOF2", ["EOF", "EOF2"]],
    ["RUN '<<EOF'", []],
    ["RUN a && cat <<EOF>x", ["EOF>x"]],
    ["RUN echo 'it <<EOF", []],
    ["RUN echo ${x^^} <<EOF", []],
  ];
  for (const [line, names] of lines) {
    assertEquals([line, findHeredocs(line).map(({ name }) => name)], [line, names]);
  }
});

Deno.test("a million blanks before what is no name are read once", () => {
  // tried one fewer at a time they would take an hour
  assertEquals(findHeredocs(`RUN <<${" ".repeat(1_000_000)}x<`), []);
  assertEquals(findHeredocs(`RUN <<${" ".repeat(1_000_000)}x`).map(({ name }) => name), ["x"]);
});

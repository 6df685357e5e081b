import { deepStrictEqual as assertEquals, rejects, throws } from "node:assert";
import { type ListView, parseFilters, renderList } from "./list.ts";

interface Ship {
  id: string;
  labels: Record<string, string>;
}

const SHIPS: Ship[] = [{ id: "abc", labels: { sail: "red" } }, { id: "de\x1bf", labels: {} }];

const VIEW: ListView<Ship> = {
  name: "ships",
  rowType: "fleet.row",
  fields: {
    ID: { heading: "SHIP ID", value: (ship) => ship.id },
    Labels: { heading: "LABELS", value: (ship) => ship.labels },
    Hull: { heading: "HULL", value: () => "oak" },
  },
  document: (ship) => ({ Id: ship.id }),
};

const render = (format?: string, noHeading = false) =>
  renderList(SHIPS, VIEW, { format, columns: ["ID", "Hull"], noHeading });

Deno.test("without a format the standard columns are shown, control characters escaped", async () => {
  assertEquals(await render(), "SHIP ID     HULL\nabc         oak\nde\\x1bf     oak\n");
  assertEquals(await render(undefined, true), "abc         oak\nde\\x1bf     oak\n");
});

Deno.test("json is a list of documents", async () => {
  assertEquals(JSON.parse(await render("json")), [{ Id: "abc" }, { Id: "de\x1bf" }]);
});

Deno.test("a template is applied to each row", async () => {
  assertEquals(await render("{{.ID}} {{.Labels.sail}}"), "abc red\nde\x1bf <no value>\n");
  assertEquals(await render("{{.ID}}\\t{{.Hull}}"), "abc\toak\nde\x1bf\toak\n");
});

Deno.test("a range over a field is for each row", async () => {
  assertEquals(await render("{{range .Labels}}{{.}}{{else}}none{{end}}"), "red\nnone\n");
});

Deno.test("a template that ranges gets the whole list", async () => {
  assertEquals(await render("{{range .}}{{.ID}},{{end}}"), "abc,de\x1bf,\n");
});

Deno.test("table puts headings above, and blanks between fields are columns", async () => {
  const table = "SHIP ID     HULL\nabc         OAK\nde\\x1bf     OAK\n";
  assertEquals(await render("table {{.ID}}\\t{{upper .Hull}}"), table);
  assertEquals(await render("table {{.ID}} {{upper .Hull}}"), table);
});

Deno.test("a field that rows do not have is an error with their type", async () => {
  await rejects(render("{{.Mast}}"), {
    message:
      'template: ships:1:2: executing "ships" at <.Mast>: can\'t evaluate field Mast in type fleet.row',
    exitCode: 125,
  });
});

Deno.test("filters are split at the first equals sign", () => {
  assertEquals(parseFilters(["label=a=b", "label!=c"], ["label", "label!"]), [
    { key: "label", negated: false, value: "a=b" },
    { key: "label", negated: true, value: "c" },
  ]);
  throws(() => parseFilters(["foo"], ["id"]), { message: 'invalid filter "foo"' });
  throws(() => parseFilters(["foo=bar"], ["id"]), { message: "foo is an invalid filter" });
});

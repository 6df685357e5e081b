import { deepStrictEqual as assertEquals } from "node:assert";
import { planJournal } from "./journal_fields.ts";

const id = "ab".repeat(32);

Deno.test("entries bear podman's fields; a tag takes the place of the name as identifier", () => {
  assertEquals(planJournal({ id, name: "web" }, undefined, "/c").fields, [
    ["CONTAINER_ID_FULL", id],
    ["CONTAINER_ID", "abababababab"],
    ["CONTAINER_NAME", "web"],
    ["SYSLOG_IDENTIFIER", "web"],
  ]);
  const tagged = Object.fromEntries(planJournal({ id, name: "web" }, "shop/web", "/c").fields);
  assertEquals([tagged.CONTAINER_TAG, tagged.SYSLOG_IDENTIFIER, tagged.CONTAINER_NAME], [
    "shop/web",
    "shop/web",
    "web",
  ]);
});

Deno.test("labels and variables are fields as Docker names them, and pass for none of ours", () => {
  const logAttributes = {
    "app.name": "shop",
    __x: "1",
    "9": "dropped",
    message: "forged",
    CONTAINER_ID_FULL: "forged",
    skiff_event: "exited",
    priority: "0",
  };
  const { fields } = planJournal({ id, name: "web", logAttributes }, undefined, "/c");
  assertEquals(fields.slice(4), [["APP_NAME", "shop"], ["X", "1"]]);
});

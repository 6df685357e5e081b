import { deepStrictEqual as assertEquals, throws } from "node:assert";
import { containerView, imageView, infoView } from "./document.ts";
import { renderDocument } from "./format.ts";

const CONTAINER = containerView({
  Id: "abc",
  Config: { Labels: { a: "1" }, Entrypoint: null, OnBuild: null },
  State: { Pid: 3, Health: null },
  HostConfig: { LogConfig: { Config: null, Type: "k8s-file" } },
});

const render = (format: string, view = CONTAINER) =>
  renderDocument("inspect", format, view).replace(/\n$/, "");

Deno.test("fields, labels and null lists print as Go prints them", () => {
  assertEquals(
    render("{{.Id}} {{.State.Pid}} {{.Config.Labels}} {{.Config.Labels.none}}"),
    "abc 3 map[a:1] <no value>",
  );
  assertEquals(
    render("{{.Config.Entrypoint}} {{json .Config.Entrypoint}} {{len .Config.Entrypoint}}"),
    "[] null 0",
  );
  assertEquals(render("{{range .Config.OnBuild}}x{{else}}none{{end}}"), "none");
  assertEquals(render("{{with .State.Health}}{{.Status}}{{else}}no health{{end}}"), "no health");
});

Deno.test("an id has Go's name as well, and json its own only", () => {
  assertEquals(render("{{.ID}}"), "abc");
  assertEquals(render("{{json .}}", containerView({ Id: "abc" })), '{"Id":"abc"}');
});

Deno.test("a field that the document does not have is an error", () => {
  throws(() => render("{{.State.Foo}}"), {
    message:
      'template: inspect:1:8: executing "inspect" at <.State.Foo>: can\'t evaluate field Foo in type define.State',
  });
});

Deno.test("json writes the document as it is", () => {
  assertEquals(render("{{json .HostConfig}}"), '{"LogConfig":{"Config":null,"Type":"k8s-file"}}');
});

Deno.test("an image's config has its fields even where it leaves them out", () => {
  const image = imageView({ Config: { Cmd: ["sh"] } });
  assertEquals(
    render("{{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.Labels}} <{{.Config.User}}>", image),
    "[sh] [] map[] <>",
  );
});

Deno.test("info is addressed by Go's names and written with its own", () => {
  const info = infoView({ host: { arch: "amd64", ociRuntime: { name: "skiff" } }, Images: 2 });
  assertEquals(render("{{.Host.Arch}} {{.Host.OCIRuntime.Name}} {{.Images}}", info), "amd64 skiff 2");
  assertEquals(render("{{json .Host}}", info), '{"arch":"amd64","ociRuntime":{"name":"skiff"}}');
});

Deno.test("an exposed port that is not published is an empty list, and null for json", () => {
  const view = containerView({
    NetworkSettings: { Ports: { "80/tcp": [{ HostPort: "8080" }], "443/tcp": null } },
  });
  const bindings = "{{range $port, $b := .NetworkSettings.Ports}}{{$port}} {{len $b}} {{end}}";
  assertEquals(render(bindings, view), "443/tcp 0 80/tcp 1 ");
  assertEquals(
    render("{{json .NetworkSettings.Ports}}", view),
    '{"443/tcp":null,"80/tcp":[{"HostPort":"8080"}]}',
  );
});

/** COPY, ADD, WORKDIR and what a build reads its files from. */

import { FORMS } from "./build_copy/forms.ts";
import { CONTEXT_TIME, makeContext } from "./build_copy/context.ts";
import { type ImageEntry, linesBelow, readTree } from "./build_copy/tree.ts";
import { assertEquals, type Host, hostTest } from "./harness.ts";
import { configurePodman, runLines } from "./podman_parity/engines.ts";

function dockerfile(forms: readonly { name: string; line: string }[]): string {
  const lines = forms.map(({ name, line }) => line.replaceAll(/\bT\b/g, `/t/${name}`));
  return [
    "FROM scratch AS other",
    "COPY --chown=7:8 stage/o /o/owned",
    "COPY stage/o /o/sub/plain",
    "FROM scratch",
    "COPY base/ /",
    ...lines,
    'CMD ["nothing"]',
    "",
  ].join("\n");
}

async function exported(host: Host, path: string): Promise<Map<string, ImageEntry>> {
  const tree = readTree(await Deno.readFile(path));
  await host.program(["rm", "-f", path]);
  return tree;
}

/** The trees of an image that an engine makes of the forms. */
async function buildForms(
  host: Host,
  engine: "skiff" | "podman",
  context: string,
  forms: readonly { name: string; line: string }[],
): Promise<Map<string, ImageEntry>> {
  const [file, tar] = [`${host.home}/${engine}.docker`, `${host.home}/${engine}.tar`];
  await Deno.writeTextFile(file, dockerfile(forms));
  const outcomes = await runLines(host, engine, "", [
    `E build ${engine === "podman" ? "--layers=false" : ""} -q -t forms -f ${file} ${context}`,
    `E create --name made forms && E export -o ${tar} made && E rm made`,
    // podman leaves a process that holds its namespace
    engine === "podman" ? "E system migrate" : "true",
  ]);
  for (const { code, stderr } of outcomes) {
    assertEquals({ code, stderr: code === 0 ? "" : stderr }, { code: 0, stderr: "" });
  }
  return await exported(host, tar);
}

hostTest("COPY and ADD make the trees of the reference", { needs: ["zstd", "xz", "bzip2"] }, async (host) => {
  const context = await makeContext(host);
  const tree = await buildForms(host, "skiff", context, FORMS);
  for (const { name, tree: lines } of FORMS) {
    assertEquals({ name, lines: linesBelow(tree, `t/${name}`) }, { name, lines: [...lines].sort() });
  }
  // files and the folders of a copied folder keep their times
  for (const path of ["t/new-file", "t/contents/sub/", "t/contents/link", "t/link/f.txt", "t/stage/owned"]) {
    assertEquals({ path, mtime: tree.get(path)?.mtime }, { path, mtime: CONTEXT_TIME });
  }
  assertEquals(tree.get("t/question/x.go")?.text, "go2\n");
  assertEquals(tree.get("t/heredoc")?.text, "hello\n");
  assertEquals(tree.get("t/heredocs/two")?.text, "2\n");
});

hostTest("COPY and ADD make the trees that podman makes", {
  needs: ["root", "podman", "crun", "python3", "zstd", "xz", "bzip2"],
  timeoutMs: 900_000,
}, async (host) => {
  await configurePodman(host);
  const context = await makeContext(host);
  const shared = FORMS.filter(({ podman }) => podman === undefined);
  const tree = await buildForms(host, "podman", context, shared);
  for (const { name, tree: lines } of shared) {
    assertEquals({ name, lines: linesBelow(tree, `t/${name}`) }, { name, lines: [...lines].sort() });
  }
});

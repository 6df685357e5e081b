/** --root and --runroot. @see podman(1), Global Options */
import { assertEquals, hostTest } from "./harness.ts";

hostTest("--root and --runroot keep everything in folders of the caller's choice", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const { code, stdout, stderr } = await host.sh(`
    elsewhere="--root own/data --runroot own/run"
    mkdir own && $SKIFF $elsewhere run -qd --name c --network none ${image} sleep 600 >ids &&
    $SKIFF $elsewhere exec c true &&
    (cd own && $SKIFF --root data --runroot run ps --format '{{.Names}} {{.State}}') &&
    printf 'FROM ${image}\\nRUN --network=none echo made >/made' | $SKIFF $elsewhere build -q -t made - >>ids &&
    $SKIFF run $elsewhere --rm --network none made cat /made && $SKIFF $elsewhere rm -ft0 c &&
    $SKIFF $elsewhere info --format '{{.Store.GraphRoot}} {{.Store.RunRoot}}'`);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout.split("\n"), [
    "c running",
    "made",
    "c",
    `${host.home}/own/data ${host.home}/own/run`,
    "",
  ]);
  // the usual folders are another store
  assertEquals(await host.ok("images", "-q"), "");
  assertEquals((await host.skiff(["--root=", "ps"])).stderr, "Error: --root: a folder is needed\n");
  await host.ok(
    "--root",
    `${host.home}/own/data`,
    "--runroot",
    `${host.home}/own/run`,
    "system",
    "reset",
    "-f",
  );
});

/** container clone. @see podman-container-clone(1) */
import { assertEquals, assertIncludes, hostTest } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

hostTest("a clone has the configuration of the original, and nothing that it wrote", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.image();
  const other = await host.makeImage({
    layers: [{ entries: [...busyboxEntries(), { path: "etc/other", content: "other" }] }],
  });
  const script = "hostname; echo $A; cat /v/shared; ls /anon /written 2>&1; cat /etc/other 2>&1; sleep 600";
  await host.ok(
    ...[
      "run",
      "-d",
      "--name",
      "web",
      "--network",
      "none",
      "-e",
      "A=1",
      "-l",
      "k=v",
      "-v",
      "vol:/v",
      "-v",
      "/anon",
    ],
    ...[image, "sh", "-c", script],
  );
  await host.ok("exec", "web", "sh", "-c", "echo s >/v/shared; echo a >/anon/own; touch /written");
  const id = await host.ok("container", "clone", "--run", "web");
  const lines = async (name: string) => {
    for (;;) {
      const text = await host.ok("logs", name);
      if (text.includes("/etc/other") || text.includes("other\n") || text.endsWith("other")) {
        return text.split("\n");
      }
    }
  };
  assertEquals(await lines("web-clone"), [
    id.slice(0, 12),
    "1",
    "s",
    "ls: /written: No such file or directory",
    "/anon:",
    "cat: can't open '/etc/other': No such file or directory",
  ]);
  assertEquals(
    await host.ok("inspect", "--format", "{{.Config.Labels.k}} {{.Name}}", "web-clone"),
    "v web-clone",
  );
  await host.ok("container", "clone", "web");
  const refused = await host.skiff(["container", "clone", "--destroy", "web"]);
  assertEquals([refused.code, refused.stderr.includes("without force")], [125, true]);
  await host.ok("container", "clone", "--destroy", "-f", "--run", "web", "new", other);
  assertIncludes((await lines("new")).join("\n"), "other");
  const names = (await host.ok("ps", "-a", "--format", "{{.Names}}")).split("\n").sort();
  assertEquals(names, ["new", "web-clone", "web-clone1"]);
  const limited = await host.skiff(["container", "clone", "--memory", "1g", "new"]);
  assertEquals([limited.code, limited.stderr], [
    125,
    "Error: --memory is not available yet: resource limits are not set yet\n",
  ]);
});

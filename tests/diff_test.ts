/** diff, by what podman 4.3 with its overlay driver says about the same container. */
import { assertEquals, assertIncludes, driverTest } from "./harness.ts";
import { busyboxEntries } from "./images.ts";

const CHANGE = `rm /d/f; echo more >>/d/b; mkdir /new; touch /new/x; rm -rf /e; mkdir /e; touch /e/g /e/f
  chmod 700 /home; mv /k /moved; ln -s x /link; mkfifo /tmp/fifo; touch /root; : >/data/v; echo h >/etc/hosts`;

const EXPECTED = `C /d
C /d/b
D /d/f
C /e
C /e/f
A /e/g
D /e/sub
C /home
D /k
A /link
A /moved
A /moved/1
A /new
A /new/x
C /root
C /tmp
A /tmp/fifo
`;

driverTest("diff names what was added, changed and deleted", {
  needs: ["registry", "busybox"],
}, async (host) => {
  const image = await host.makeImage({
    layers: [
      {
        entries: [
          ...busyboxEntries(),
          ...["d/", "e/", "e/sub/", "k/", "data/", "o/"].map((path) => ({ path })),
          ...["d/f", "d/b", "e/f", "e/sub/s", "k/1", "o/under"].map((path) => ({ path, content: path })),
        ],
      },
      // a layer that hides and replaces what the one below it has
      { entries: [{ path: "o/" }, { path: "o/.wh.under" }, { path: "d/f", content: "upper" }] },
    ],
  });
  await host.ok("create", "--name", "box", "--network", "none", "-v", "vol:/data", image, "sleep", "600");
  assertEquals(await host.ok("diff", "box"), "");
  await host.ok("start", "box");
  // what another id of the container closed is looked into all the same
  await host.ok("exec", "box", "sh", "-c", "mkdir -p /d/own/x; chown 1000 /d/own; chmod 700 /d/own");
  assertIncludes(await host.ok("diff", "box"), "C /d\nA /d/own\nA /d/own/x");
  await host.ok("exec", "box", "rm", "-r", "/d/own");
  await host.ok("exec", "box", "sh", "-c", CHANGE);
  // of a folder that was removed and made again an overlay does not tell what it had
  const expected = host.driver === "vfs"
    ? EXPECTED
    : EXPECTED.replace(/D \/e\/sub.*\n/g, "").replace("C /e\n", "D /e\n");
  const lines = (text: string) => text.split("\n").filter((line) => !/^C \/(etc|run)$/.test(line)).join("\n");
  assertEquals(lines(await host.ok("diff", "box")) + "\n", expected);
  await host.ok("stop", "-t", "0", "box");
  assertEquals(lines(await host.ok("container", "diff", "-l")) + "\n", expected);
  const { added, deleted } = JSON.parse(await host.ok("diff", "--format", "json", "box"));
  assertEquals([added.slice(0, 2), deleted.slice(0, 1)], [["/e/g", "/link"], ["/d/f"]]);
  // of two the second is the one that the first came from
  await host.ok("create", "--name", "other", "--network", "none", image, "sleep", "600");
  await host.sh("echo a >a");
  await host.ok("cp", "a", "other:/a");
  const against = async (...names: string[]) => lines(await host.ok("diff", ...names)) + "\n";
  // what is removed and made again is the same folder in a whole tree
  assertEquals(await against("box", image), EXPECTED);
  assertEquals(await against("box", "other"), "D /a\n" + EXPECTED);
  await host.ok("start", "box");
  assertEquals(await against("box", "other"), "D /a\n" + EXPECTED, "its own mount is in use");
  assertEquals(await against("other", image), "A /a\n");
  assertIncludes(await against(image, "box"), "C /d/b\nA /d/f\n");
  const missing = await host.skiff(["diff", "box", "nope"]);
  assertEquals([missing.code, missing.stderr], [125, "Error: nope not found: layer not known\n"]);
  const refused = await host.skiff(["diff", "--format", "{{.}}", "box"]);
  assertEquals([refused.code, refused.stderr], [
    125,
    "Error: only supported value for '--format' is 'json'\n",
  ]);
});

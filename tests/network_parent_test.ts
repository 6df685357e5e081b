/** Networks of an interface of the machine, as root: in a network namespace of the test's, whose interface it is. */

import { assertEquals, assertMatch, hostTest } from "./harness.ts";

/** Commands of one shell, with `p0`, an interface without a wire, and `E`, which tells a command's end on its own line. */
const STAGE = `
ip link set lo up; ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up
E() { "$SKIFF" "$@" 2>&1; echo "[$?]"; }
`;

for (const driver of ["macvlan", "ipvlan"]) {
  hostTest(`as root, containers on a ${driver} network reach each other through its parent`, {
    asRoot: true,
    needs: ["root", "busybox", "iproute2"],
  }, async (host) => {
    const inNamespace = (script: string) =>
      host.program(["/usr/bin/unshare", "-n", "/bin/sh", "-c", STAGE + script], {
        env: { SKIFF: host.binary },
      });
    const isKnown = (await inNamespace(`ip link add link p0 name c0 type ${driver}`)).code === 0;
    const { stdout, stderr } = await inNamespace(`
      E network create -d ${driver} -o parent=p0 --subnet 192.0.2.0/24 --gateway 192.0.2.254 net
      E run -q -d --name one --network net host sleep 600 | tail -1
      E run -q --rm --network net:ip=192.0.2.9 host sh -c 'ip -4 -o addr show eth0; ip route; busybox ping -c 1 -W 9 192.0.2.1'
      E create --network net --network bridge host true
      E create --network net -p 80 host true
      E create -q --name two --network bridge host true | tail -1
      E network connect net two
      E rm -f -t 0 -a | tail -1
      E network create -d ${driver} -o parent=nosuch --subnet 192.0.2.0/24 bad
      E network create -d ${driver} bad
    `);
    const lines = stdout.trim().split("\n");
    assertEquals(lines.slice(0, 2), ["net", "[0]"], stderr);
    if (!isKnown) {
      const refused = lines.filter((line) => line.includes(`add ${driver} eth0: Operation not supported`));
      assertEquals(refused.length, 1, stdout);
      return;
    }
    assertEquals(lines[2], "[0]", stdout);
    assertMatch(lines[3]!, /eth0 .*inet 192\.0\.2\.9\/24/);
    assertMatch(stdout, /default via 192\.0\.2\.254 dev eth0/);
    assertMatch(stdout, /1 packets received, 0% packet loss/);
    assertEquals(lines.filter((line) => line.startsWith("Error: ")), [
      `Error: use networks net and bridge together: a container is on bridges or on ${driver} networks`,
      `Error: publish ports: on ${driver} network net the container has an address of its own, with all ports`,
      `Error: change networks of container two: net has driver ${driver}, whose networks are chosen at create`,
      "Error: parent interface nosuch does not exist",
      `Error: create network with driver ${driver}: addresses are not asked of a DHCP server`,
    ]);
  });
}

hostTest("as root, a MAC address that would be the parent's is refused", {
  asRoot: true,
  needs: ["root", "iproute2"],
}, async (host) => {
  const { stdout } = await host.program(
    [
      "/usr/bin/unshare",
      "-n",
      "/bin/sh",
      "-c",
      STAGE + `
      E network create -d macvlan -o parent=p0 -o mode=passthru --subnet 192.0.2.0/24 pass
      E network create -d ipvlan -o parent=p1 --subnet 198.51.100.0/24 ip
      for net in pass ip; do E create --network $net --mac-address 02:00:00:00:00:01 host true; done
      E create --network pass host true | tail -1
    `,
    ],
    { env: { SKIFF: host.binary } },
  );
  assertEquals(stdout.trim().split("\n"), [
    "pass",
    "[0]",
    "ip",
    "[0]",
    "Error: set MAC address 02:00:00:00:00:01 on network pass: with macvlan's mode passthru it is the parent's",
    "[125]",
    "Error: set MAC address 02:00:00:00:00:01 on network ip: with ipvlan it is the parent's",
    "[125]",
    "[0]",
  ]);
});

import fc from "fast-check";
import { deepStrictEqual as equal, throws as throwsMatching } from "node:assert";
import {
  arrangeMappings,
  exposedKeys,
  joinPorts,
  parseExpose,
  parseExposedKeys,
  parsePublish,
  portBindings,
  type PortMapping,
  portsText,
  publishExposed,
  spreadMapping,
} from "./ports.ts";

const base: PortMapping = { protocol: "tcp", hostAddress: "", hostPort: 0, containerPort: 80, count: 1 };

const UNDERSTOOD: Record<string, Partial<PortMapping>> = {
  "80": {},
  "8080:80": { hostPort: 8080 },
  ":80": {},
  "0:80": {},
  "8080:80/udp": { hostPort: 8080, protocol: "udp" },
  "8080:80/TCP": { hostPort: 8080 },
  "80/sctp": { protocol: "sctp" },
  "127.0.0.1::80": { hostAddress: "127.0.0.1" },
  "127.0.0.1:8080:80": { hostAddress: "127.0.0.1", hostPort: 8080 },
  "0.0.0.0:8080:80": { hostAddress: "0.0.0.0", hostPort: 8080 },
  "[::1]:8080:80": { hostAddress: "::1", hostPort: 8080 },
  "[0:0::1]::80/udp": { hostAddress: "::1", protocol: "udp" },
  "8000-8002:80-82": { hostPort: 8000, count: 3 },
  "80-82": { count: 3 },
  "8080-8080:80-80": { hostPort: 8080 },
  "8000-9000:80": { hostPort: 8000, choices: 1001 },
};

Deno.test("--publish is understood in every form", () => {
  for (const [text, expected] of Object.entries(UNDERSTOOD)) {
    equal(parsePublish(text), { ...base, ...expected }, text);
  }
});

/** The words are podman 4.3's, but for 0 and ranges of one, which are docker's to take. */
const REFUSED: Record<string, string> = {
  "8080:80/xyz": 'unrecognized protocol "xyz" in port mapping',
  "8080:80/": "must provide a non-empty protocol to publish",
  "80/tcp/udp": "invalid port format - protocol can only be specified once",
  "a:80": 'parsing host port: invalid port number: strconv.Atoi: parsing "a": invalid syntax',
  "80:a": 'parsing container port: invalid port number: strconv.Atoi: parsing "a": invalid syntax',
  " 80": 'parsing container port: invalid port number: strconv.Atoi: parsing " 80": invalid syntax',
  "1.2.3:80:80": 'cannot parse "1.2.3" as an IP address',
  "010.0.0.1:80:80": 'cannot parse "010.0.0.1" as an IP address',
  "localhost:80:80": 'cannot parse "localhost" as an IP address',
  "[::1]:80": "invalid port format - must provide host and destination port if specifying an IP",
  "[::1]80:80": "invalid port format - IPv6 address must be followed by a colon (':')",
  "::1]:80:80": "invalid port format - IPv6 addresses must be enclosed by []",
  "[::1]:[::1]:80:80": "invalid port format - at most one IPv6 address can be specified in a --publish",
  "[::1]:1:2:3": "invalid port format - when v6 address specified, must be [ipv6]:hostPort:ctrPort",
  "1:2:3:4:5": "invalid port format - format is [[hostIP:]hostPort:]containerPort",
  "": "must provide a non-empty container port to publish",
  ":": "must provide a non-empty container port to publish",
  "8080:": "must provide a non-empty container port to publish",
  ":8080:80": "must provide a non-empty container host IP to publish",
  "1-2-3": "parsing container port: invalid port format - port ranges are formatted as startPort-stopPort",
  "80-": "parsing container port: must provide ending number for port range",
  "-80": "parsing container port: port numbers cannot be negative",
  "80:0": "parsing container port: port numbers must be between 1 and 65535 (inclusive), got 0",
  "70000": "parsing container port: port numbers must be between 1 and 65535 (inclusive), got 70000",
  "65530-65540:1-11": "parsing host port: port numbers must be between 1 and 65535 (inclusive), got 65540",
  "90-80": "parsing container port: the end port of a range must be higher than the start port - " +
    "80 is not higher than 90",
  "8000-8001:80-82": "host and container port ranges have different lengths: 2 vs 3",
};

Deno.test("--publish is refused in podman's words", () => {
  for (const [text, message] of Object.entries(REFUSED)) throws(() => parsePublish(text), message);
});

Deno.test("--expose takes ranges and protocols, and says what it does not take", () => {
  equal(parseExpose("80"), { protocol: "tcp", port: 80, count: 1 });
  equal(parseExpose("90-92/udp"), { protocol: "udp", port: 90, count: 3 });
  equal(parseExpose(""), undefined);
  throws(
    () => parseExpose("a"),
    'invalid range format for --expose: a: strconv.ParseUint: parsing "a": invalid syntax',
  );
  throws(
    () => parseExpose("80-"),
    'invalid range format for --expose: 80-: strconv.ParseUint: parsing "": invalid syntax',
  );
  throws(() => parseExpose("80/a/b"), "invalid expose format - protocol can only be specified once");
  throws(
    () => parseExpose("80/xyz"),
    'validating protocols for exposed port 80: unrecognized protocol "xyz" in port mapping',
  );
});

Deno.test("an image's nonsense is passed over", () => {
  equal(parseExposedKeys(["80/tcp", "x", "99999/tcp", "", "53/udp", "1/2/3"]).map(({ port }) => port), [
    80,
    53,
  ]);
});

const arrange = (...texts: string[]) => arrangeMappings(texts.map(parsePublish));

Deno.test("neighbours are joined, and what is said twice is said once", () => {
  equal(arrange("8000:80", "8002:82", "8001:81"), [{ ...base, hostPort: 8000, count: 3 }]);
  equal(arrange("8000-8010:80-90", "8005-8006:85-86"), [{ ...base, hostPort: 8000, count: 11 }]);
  equal(arrange("8000:80", "8001:80").length, 2);
  equal(arrange("8000:80", "8001:81/udp").length, 2);
  equal(arrange("80", "80").length, 1);
});

Deno.test("two claims of one host port are refused", () => {
  const conflict = "conflicting port mappings for host port 8005 (protocol tcp)";
  throws(() => arrange("8000-8010:80-90", "8005:81"), conflict);
  throws(() => arrange("8005:80", "127.0.0.1:8005:80"), conflict);
  throws(() => arrange("[::]:8005:80", "[::1]:8005:81"), conflict);
  throws(() => arrange("8005:80", "8005:81"), conflict);
  equal(arrange("0.0.0.0:8005:80", "[::]:8005:80").length, 2);
  equal(arrange("127.0.0.1:8005:80", "127.0.0.2:8005:81", "8005:80/udp").length, 3);
});

Deno.test("--publish-all adds what is exposed and not published", () => {
  const mappings = [parsePublish("8080:80")];
  const exposed = parseExposedKeys(["80/tcp", "80/udp", "90-91/tcp", "91/tcp"]);
  equal(
    publishExposed(mappings, exposed).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`),
    [
      "80/udp",
      "90/tcp",
      "91/tcp",
    ],
  );
});

Deno.test("ports are shown as docker and podman show them", () => {
  const mappings = arrange("8000-8001:80-81", "[::1]:7000:70", "127.0.0.1:5353:53/udp");
  const exposed = parseExposedKeys(["80/tcp", "443/tcp", "444/tcp"]);
  equal(
    portsText(mappings, exposed),
    "0.0.0.0:8000-8001->80-81/tcp, [::1]:7000->70/tcp, 127.0.0.1:5353->53/udp, 443-444/tcp",
  );
  equal(portBindings(mappings), {
    "53/udp": [{ HostIp: "127.0.0.1", HostPort: "5353" }],
    "70/tcp": [{ HostIp: "::1", HostPort: "7000" }],
    "80/tcp": [{ HostIp: "", HostPort: "8000" }],
    "81/tcp": [{ HostIp: "", HostPort: "8001" }],
  });
  equal(exposedKeys(mappings, exposed), ["53/udp", "70/tcp", "80/tcp", "81/tcp", "443/tcp", "444/tcp"]);
});

Deno.test("joining what was spread gives it back; arranging twice changes nothing", () => {
  const mapping = fc.record({
    protocol: fc.constantFrom("tcp" as const, "udp" as const),
    hostAddress: fc.constantFrom("127.0.0.1", "::1"),
    hostPort: fc.integer({ min: 1, max: 40 }),
    containerPort: fc.integer({ min: 1, max: 40 }),
    count: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(fc.property(mapping, (one) => equal(joinPorts(spreadMapping(one)), [{ ...one }])));
  fc.assert(fc.property(fc.array(mapping, { maxLength: 6 }), (all) => {
    let once: PortMapping[];
    try {
      once = arrangeMappings(all);
    } catch (error) {
      if (/conflicting/.test((error as Error).message)) return;
      throw error;
    }
    equal(arrangeMappings(once), once.map((one) => ({ ...one })));
    const keys = (list: PortMapping[]) =>
      new Set(list.flatMap(spreadMapping).map((port) => JSON.stringify(port)));
    equal(keys(once).symmetricDifference(keys(all)).size, 0);
  }));
});

Deno.test("any text is a mapping or a refusal", () => {
  const text = fc.string({ unit: fc.constantFrom(..."0123456789:-/[].tcpu".split("")), maxLength: 24 });
  fc.assert(fc.property(text, (word) => {
    try {
      const { hostPort, containerPort, count } = parsePublish(word);
      equal(containerPort >= 1 && containerPort + count - 1 <= 65535 && hostPort <= 65535, true);
    } catch (error) {
      equal((error as Error).name, "InvalidArgumentError");
    }
  }));
});

function throws(action: () => unknown, message: string): void {
  throwsMatching(action, { name: "InvalidArgumentError", message });
}

Deno.test("an image that exposes everything a thousand times costs no more than once", () => {
  const keys = Array.from({ length: 1000 }, (_, at) => `${at + 1}-65535/tcp`);
  equal(parseExposedKeys(keys).reduce((sum, { count }) => sum + count, 0) <= 3 * 65535, true);
});

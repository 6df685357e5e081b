/** Two containers on a bridge of the user's own beside two network namespaces with a bare veth between them. */
import type { Host } from "../tests/harness.ts";
import { bareNamespace, inside, output, serve } from "./bench_network.ts";
import { median, type Row } from "./bench_table.ts";

const PORT = 25204;
const AT_LEAST = 0.9;

/** From one process's network to an address in another's. */
interface Pair {
  client: number;
  server: number;
  address: string;
  close(): Promise<void>;
}

export async function bridgeBesideVeth(host: Host, runs: number, seconds: number): Promise<Row> {
  const pairs = [await onBridge(host), await onVeth(host)];
  const samples: [Sample[], Sample[]] = [[], []];
  try {
    for (let run = 0; run < runs; run++) {
      for (const [index, pair] of pairs.entries()) samples[index]!.push(await measure(pair, seconds));
    }
  } finally {
    for (const pair of pairs) await pair.close();
  }
  const medians = (of: (sample: Sample) => number) =>
    samples.map((list) => median(list.map(of))) as [number, number];
  const [bridge, veth] = medians(({ gigabits }) => gigabits);
  const [bridgeCost, vethCost] = medians(({ secondsPerGigabyte }) => secondsPerGigabyte);
  const cost = `processor time per GB ${bridgeCost.toFixed(2)}; ${vethCost.toFixed(2)} s`;
  return {
    title: "container to container on a bridge, Gbit/s",
    values: [`${bridge.toFixed(1)}; veth ${veth.toFixed(1)}, ${(bridge / veth).toFixed(2)} ×; ${cost}`],
    verdict: bridge / veth >= AT_LEAST ? `≥ ${AT_LEAST} × veth` : `MISS (≥ ${AT_LEAST} × veth)`,
  };
}

/** Both ends on processors of their own, the same ones for both pairs: where the scheduler puts them decides more than the path. */
const PLACES = navigator.hardwareConcurrency > 1 ? ["0", "1"] : ["0", "0"];

interface Sample {
  gigabits: number;
  /** Of both ends together: what the kernel does between them is theirs. Other load on the machine changes it little. */
  secondsPerGigabyte: number;
}

async function measure({ client, server, address }: Pair, seconds: number): Promise<Sample> {
  const at = (place: number) => ["/usr/bin/taskset", "-c", PLACES[place]!, "/usr/bin/iperf3"];
  const stop = await serve([...inside(server), ...at(1), "-s", "--forceflush", "-p", String(PORT)]);
  try {
    const words = [...at(0), "-J", "-c", address, "-p", String(PORT), "-t", String(seconds)];
    const { end } = JSON.parse(await output([...inside(client), ...words]));
    const { bits_per_second, bytes, seconds: lasted } = end.sum_received;
    const { host_total, remote_total } = end.cpu_utilization_percent;
    return {
      gigabits: bits_per_second / 1e9,
      secondsPerGigabyte: (host_total + remote_total) / 100 * lasted / (bytes / 1e9),
    };
  } finally {
    await stop();
  }
}

async function onBridge(host: Host): Promise<Pair> {
  await host.ok("network", "create", "bench");
  const names = ["bench-client", "bench-server"];
  for (const name of names) {
    await host.ok("run", "-d", "--name", name, "--network", "bench", "host", "sleep", "100000");
  }
  const inspect = (name: string, field: string) => host.ok("inspect", "--format", `{{.${field}}}`, name);
  const [client, server] = await Promise.all(
    names.map(async (name) => Number(await inspect(name, "State.Pid"))),
  );
  return {
    client: client!,
    server: server!,
    address: await inspect("bench-server", "NetworkSettings.Networks.bench.IPAddress"),
    close: async () => {
      await host.ok("rm", "-f", "-t", "0", ...names);
      await host.ok("network", "rm", "bench");
    },
  };
}

async function onVeth(host: Host): Promise<Pair> {
  const [one, other] = [await bareNamespace(host), await bareNamespace(host)];
  const ip = (at: { pid: number }, ...words: string[]) =>
    output([...inside(at.pid), "/usr/sbin/ip", ...words]);
  await ip(
    one,
    ..."link add v0 mtu 1500 type veth peer name v0 mtu 1500 netns".split(" "),
    String(other.pid),
  );
  for (const [at, address] of [[one, "10.255.255.1/24"], [other, "10.255.255.2/24"]] as const) {
    await ip(at, "address", "add", address, "dev", "v0");
    await ip(at, "link", "set", "v0", "up");
  }
  return {
    client: one.pid,
    server: other.pid,
    address: "10.255.255.2",
    close: async () => {
      for (const { stop } of [one, other]) await stop();
    },
  };
}

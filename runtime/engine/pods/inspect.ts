/** `pod inspect`: the document, with podman's (5) keys. @see podman-pod-inspect(1) */

import type { ContainerConfig } from "../../container/config.ts";
import { networkModeText } from "../../container/network_choice.ts";
import { portBindings } from "../../network/ports.ts";
import { containerInspect } from "../inspect.ts";
import { loadConfig } from "../containers.ts";
import type { Engine } from "../engine.ts";
import { type ObservedPod, observePod } from "./find.ts";
import { settlePod } from "./idle.ts";

export type PodInspection = Awaited<ReturnType<typeof podInspect>>;

export async function podInspect(engine: Engine, text: string) {
  const observed = await settlePod(engine, await observePod(engine, text));
  const { pod, members, status } = observed;
  const { options, share } = pod.document;
  const hasInfra = pod.infraId !== undefined;
  const hasMember = members.some(({ row }) => row.id === pod.infraId);
  return {
    Id: pod.id,
    Name: pod.name,
    Created: pod.createdAt,
    ...(options.createCommand && { CreateCommand: options.createCommand }),
    ExitPolicy: options.exitPolicy ?? "continue",
    State: status as string,
    Hostname: options.hostname ?? "",
    ...(Object.keys(pod.labels).length > 0 && { Labels: pod.labels }),
    CreateCgroup: false,
    CreateInfra: hasInfra,
    ...(hasInfra && { InfraContainerID: pod.infraId }),
    ...(hasMember && await infraParts(engine, observed)),
    ...(hasInfra && { SharedNamespaces: share.toSorted() as string[] }),
    NumContainers: members.length,
    ...(members.length > 0 && {
      Containers: members.map(({ row, status }) => ({
        Id: row.id,
        Name: row.name,
        State: status.status as string,
      })),
    }),
    ...(options.restart !== undefined && { RestartPolicy: options.restart }),
    LockNumber: 0,
  };
}

async function infraParts(engine: Engine, { pod }: ObservedPod) {
  const config = loadConfig(engine, pod.infraId!);
  const { Mounts: mounts } = await containerInspect(engine, pod.infraId!);
  const { options } = pod.document;
  return {
    InfraConfig: infraConfig(config),
    ...(mounts.length > 0 && { mounts }),
    ...(options.volumesFrom?.length && { volumes_from: options.volumesFrom }),
    ...(options.securityOpt?.length && { security_opt: options.securityOpt }),
  };
}

function infraConfig(config: ContainerConfig) {
  const { network, hosts, resolver, namespaces } = config;
  const networks = network.mode === "bridge" ? network.networks : [];
  const listOrNull = (list: string[] | undefined) => list?.length ? list : null;
  const mode = (type: "pid" | "uts") => namespaces?.[type]?.mode ?? "private";
  return {
    PortBindings: portBindings(config.ports ?? []),
    HostNetwork: network.mode === "host",
    StaticIP: networks[0]?.ip ?? "",
    StaticMAC: networks[0]?.mac ?? "",
    NoManageResolvConf: resolver?.none ?? false,
    DNSServer: listOrNull(resolver?.servers),
    DNSSearch: listOrNull(resolver?.search),
    DNSOption: listOrNull(resolver?.options),
    NoManageHosts: hosts?.none ?? false,
    HostAdd: listOrNull(hosts?.added.map(({ names, address }) => `${names.join(";")}:${address}`)),
    Networks: listOrNull(networks.map((one) => one.network)),
    NetworkOptions: null,
    NetworkMode: networkModeText(network),
    pid_ns: mode("pid"),
    userns: config.userns as string,
    uts_ns: mode("uts"),
  };
}

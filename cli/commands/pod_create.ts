/** @see podman-pod-create(1) */

import { podCreate } from "../../runtime/engine/pods/create.ts";
import { InvalidArgumentError } from "../../runtime/errors.ts";
import { callerFacts } from "../caller.ts";
import { defineCommand } from "../command.ts";
import { engineFor } from "../engine.ts";
import { parseShare, POD_FLAGS, POD_NETWORK_FLAGS, podOptions } from "../flags/pod.ts";
import { print, printWarnings } from "../output/print.ts";
import { PullWatch } from "../terminal/pull_watch.ts";

export const command = defineCommand({
  usage: "[options] [NAME]",
  description:
    "Makes a pod and prints its id. Its containers, made with --pod NAME, have one network, one host name and one\n" +
    "ipc namespace, which an infra container holds: it starts with the first of them and needs no image. Ports are\n" +
    "published by the pod.",
  examples: [
    "skiff pod create --publish 8080:80 web",
    "skiff pod create --share +pid --label team=db db",
    "skiff pod create --exit-policy stop --network none --name job",
  ],
  flags: {
    ...POD_FLAGS,
    ...POD_NETWORK_FLAGS,
    "exit-policy": {
      kind: "string",
      value: "POLICY",
      help: "When the last container has ended, continue (default) or stop the pod",
    },
    infra: { kind: "bool", default: true, help: "With a container that holds what the pod shares" },
    "infra-image": {
      kind: "string",
      value: "IMAGE",
      help: "Image of the infra container (default: none is needed)",
    },
    name: { kind: "string", short: "n", value: "NAME", help: "Name of the pod" },
    "pod-id-file": { kind: "string", value: "FILE", help: "Write the pod's id to FILE" },
    replace: { kind: "bool", help: "Remove a pod that has the same name first" },
    share: {
      kind: "string",
      value: "LIST",
      help: "Namespaces that are shared: ipc,net,pid,uts, none, or +pid for one more (default ipc,net,uts)",
    },
    "share-parent": { kind: "bool", default: true, hidden: true, help: "Pods have no cgroup" },
  },
  arity: { max: 1 },
  async run({ options, given, args, global }) {
    if (options.name !== undefined && args[0] !== undefined) {
      throw new InvalidArgumentError("cannot specify --name and NAME at the same time");
    }
    const name = options.name ?? args[0];
    if (options.replace && name === undefined) {
      throw new InvalidArgumentError("cannot replace pod without --name being set");
    }
    const exitPolicy = options["exit-policy"] ?? "continue";
    if (exitPolicy !== "continue" && exitPolicy !== "stop") {
      throw new InvalidArgumentError(`running pod create option: invalid pod exit policy: "${exitPolicy}"`);
    }
    const share = parseShare(options.share);
    const infra = options.infra && share?.length !== 0;
    if (!infra && given.has("infra-image")) {
      throw new InvalidArgumentError("cannot set infra-image without an infra container");
    }
    const watch = new PullWatch(false);
    const { id, warnings } = await watch.during(() =>
      podCreate(engineFor(global), {
        ...podOptions(options, given, callerFacts()),
        network: options.network[0] || undefined,
        networks: options.network.length > 1 ? options.network.slice(1) : undefined,
        name,
        exitPolicy,
        infra,
        share,
        infraImage: options["infra-image"] || undefined,
        podIdFile: options["pod-id-file"],
        replace: options.replace,
      }, watch)
    );
    printWarnings(warnings);
    print(`${id}\n`);
  },
});

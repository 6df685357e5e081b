/** Bridges that are interfaces of this machine, as root. */

import { NETLINK_NETFILTER } from "../../../ffi/constants/netlink.ts";
import { RLIMIT_NOFILE } from "../../../ffi/constants/resource.ts";
import { NetlinkSocket, openNetlink } from "../../../ffi/netlink.ts";
import { getrlimit, setrlimit } from "../../../ffi/process.ts";
import type { HolderPlan } from "../plan.ts";
import { Bridges } from "./bridges.ts";
import type { BridgeGround } from "./ground.ts";
import { ownNetns } from "./holder_paths.ts";
import { HostLinks } from "./host_links.ts";
import { HostOutside } from "./host_outside.ts";
import { markOf, readRecord, undoRecord } from "./host_record.ts";
import { UNCHANGED } from "./forwarding.ts";
import { NameTable } from "./names.ts";

export function prepareHostGround(folders: Pick<HolderPlan, "run" | "data">): BridgeGround {
  return {
    /** Nothing that could be handed on: what is made has names, and is written down. */
    make() {
      undoRecord(folders);
      return [];
    },
    open(_fds, process) {
      const { soft, hard } = getrlimit(RLIMIT_NOFILE);
      if (soft < hard) setrlimit(RLIMIT_NOFILE, { soft: hard, hard });
      const record = readRecord(folders) ??
        { version: 1, netns: ownNetns(), forwarding: UNCHANGED, rules: { networks: [], ports: [] } };
      const names = new NameTable();
      const links = new HostLinks(new NetlinkSocket(), markOf(folders), record.rules.networks);
      const filter = new NetlinkSocket(openNetlink(NETLINK_NETFILTER));
      const outside = new HostOutside({ folders, links, filter, names, record, ...process });
      return new Bridges(links, names, outside);
    },
    end: () => undoRecord(folders),
  };
}

/**
 * What the command line decides about a container's network: plain data, handed to init (what is made inside the
 * network namespace) and to the monitor (what serves it from outside).
 */

/** An address and the length of its network's prefix: `10.0.2.100`, 24. */
export interface InterfaceAddress {
  address: string;
  prefix: number;
}

/** Who serves a container's network from outside. */
export type NetworkPlan =
  /** Our own stack, behind a TUN interface. */
  | { kind: "user-mode"; stack: StackPlan }
  /** Another program; what follows `args` says which network namespace it serves. */
  | { kind: "program"; program: "pasta" | "slirp4netns"; path: string; args: string[]; api?: SlirpApi }
  /** Bridges, of the holder that all containers of the user share. */
  | { kind: "bridge"; bridge: BridgePlan; holder: HolderPlan }
  /** Interfaces that hang on one of this machine (macvlan, ipvlan). */
  | { kind: "parent"; attachments: NetworkAttachment[] };

/** What a monitor needs to know to find the holder of the bridges, or to become its parent. */
export interface HolderPlan {
  /** The runtime folder. */
  run: string;
  /** Where members of the user's namespace register; "" as root. */
  members: string;
  /** The data folder. What is mounted in it is the monitors' alone. */
  data: string;
  /** The bridges are interfaces of this machine, not of a network namespace of their own. */
  isOfMachine?: boolean;
}

/** What slirp4netns is asked for when it is there, and whenever that changes: published ports. */
export interface SlirpApi {
  /** Shorter than 108 bytes. */
  socketPath: string;
  /** The container's address. */
  guest: string;
  ports: PublishedPort[];
}

/** The arguments of add_hostfwd. @see slirp4netns(1) */
export interface SlirpForward {
  proto: string;
  host_addr: string;
  host_port: number;
  guest_addr: string;
  guest_port: number;
}

/** The interface that init makes in the container's own network namespace; its descriptor goes to the monitor. */
export interface TunPlan {
  name: string;
  /** Bytes; 65520 unless the user says otherwise. */
  mtu: number;
  /** Packets the interface's ring takes; the kernel's default of 500 overflows with a thousand connections. */
  queueLength: number;
  addresses: InterfaceAddress[];
  /** Of the default routes. */
  gateways: string[];
}

/** The user-mode stack behind a TUN interface, as the monitor (or who else holds it) runs it. */
export interface StackPlan {
  mtu: number;
  /** Where packets of the guest may come from; what comes from elsewhere is dropped. */
  guests: InterfaceAddress[];
  /** The networks that the guests' interfaces are in: what is addressed there never goes out. */
  networks?: InterfaceAddress[];
  /** The addresses that answer for the host: `10.0.2.2`, `fd00::2`. */
  gateways: string[];
  /** The addresses at which the DNS forwarder listens: `10.0.2.3`, `fd00::3`. */
  nameservers: string[];
  /** Connections to a gateway's address reach the host's loopback (`--network slirp:allow_host_loopback=true`). */
  allowHostLoopback: boolean;
  /** The source of what goes out: an address or an interface of the host. */
  outbound?: { ipv4?: string; ipv6?: string };
  /** None is handed over to the kernel: who may shape or watch the interface's traffic has to find it there. */
  keepsConnections?: boolean;
  dns: DnsPlan;
}

/** Where the forwarder asks. */
export interface DnsPlan {
  /** The host's resolv.conf, read again when it changes. */
  resolvConf: string;
  /** `--dns`: asked instead of the host's servers. */
  servers?: string[];
}

/** One published port, after ranges were spread and random host ports chosen. */
export interface PublishedPort {
  protocol: "tcp" | "udp" | "sctp";
  /** "" is every address of the host, both IP versions. */
  hostAddress: string;
  hostPort: number;
  containerPort: number;
}

/**
 * A container's place in the networks of `network create`: what its monitor asks the holder of the bridges for. The
 * addresses are leased before the start, so that nobody else has them.
 */
export interface BridgePlan {
  /** The container's. */
  id: string;
  name: string;
  /** `--dns`: where names of the world are asked for this container. */
  nameservers?: string[];
  /** In the order asked for; the first that is not internal has the default routes. */
  attachments: NetworkAttachment[];
}

/** One container on one network: one interface. */
export interface NetworkAttachment {
  network: BridgeNetwork;
  /** In the container: `eth0`. */
  interface: string;
  /** The other end; chosen by who makes it unless the user has. */
  hostInterface?: string;
  /** One a subnet, with the subnet's own prefix length. */
  addresses: InterfaceAddress[];
  mac: string;
  /** Of the default routes; empty where another network has them or the network is internal. */
  gateways: string[];
  /** What resolves to the container on this network besides its name: aliases, the first 12 digits of its id. */
  aliases: string[];
}

/** A network of the user's, as those who perform it see it: a bridge, macvlan or ipvlan. */
export interface BridgeNetwork {
  /** 64 hex digits. */
  id: string;
  name: string;
  driver: "bridge" | "macvlan" | "ipvlan";
  /** Of the bridge (`podman1`, `--interface-name`); with macvlan and ipvlan the parent on the host. */
  interface: string;
  subnets: SubnetPlan[];
  /** No way out: neither default route nor names of the world. */
  internal: boolean;
  /** 0 is the kernel's (bridge, veth: 1500; behind the user-mode stack: the uplink's). */
  mtu: number;
  /** Containers' names are resolved. Without it, and on no internal network, the nameserver only forwards. */
  dns: boolean;
  /** `--dns`: where other names are asked instead of at the host's servers. */
  nameservers: string[];
  /** `--route`. */
  routes: RoutePlan[];
  /** `--opt isolate`: true keeps other networks with the option out, `strict` all others. */
  isolate: "" | "true" | "strict";
  /** `--opt com.docker.network.bridge.enable_icc=false`: its containers do not reach each other. */
  areMembersApart?: true;
  /** `--opt com.docker.network.bridge.enable_ip_masquerade=false`: what leaves keeps the container's address. */
  keepsSource?: true;
  /** `--opt vlan`: the bridge filters by VLAN and its ports are in this one; 0 is none. */
  vlan: number;
  /** `--opt mode` of macvlan (bridge, private, vepa, passthru) and ipvlan (l2, l3, l3s). */
  mode?: string;
  /** `--opt metric` of the default routes. */
  metric?: number;
  /** `--opt no_default_route`. */
  noDefaultRoute: boolean;
}

export interface SubnetPlan {
  /** `10.89.0.0/24`. */
  subnet: string;
  /** The bridge's own address; none with `--internal` networks without one, ipvlan l3. */
  gateway?: string;
}

export interface RoutePlan {
  destination: string;
  gateway: string;
  metric?: number;
}

/**
 * What a command asks the holder of the bridges to change while containers run. The names are those of the container
 * on the network; the answer is empty, or says what failed.
 */
export type BridgeChange =
  | { kind: "connect"; containerId: string; containerName: string; attachment: NetworkAttachment }
  | { kind: "disconnect"; containerId: string; networkId: string }
  /** `network update --dns-add`: the servers that other names are asked at from now on. */
  | { kind: "nameservers"; networkId: string; nameservers: string[] }
  /** `network reload`: everything of the container is made again as it is to be. */
  | { kind: "reload"; plan: BridgePlan };

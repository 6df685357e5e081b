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
  | { kind: "program"; program: "pasta" | "slirp4netns"; path: string; args: string[]; api?: SlirpApi };

/** What slirp4netns is asked for when it is there: published ports. */
export interface SlirpApi {
  /** Shorter than 108 bytes. */
  socketPath: string;
  forwards: SlirpForward[];
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

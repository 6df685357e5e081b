/** All of the stack that is not TCP: UDP, ICMP, neighbour discovery, fragments, and the DNS forwarder. */

import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_UDP } from "../../../ffi/constants/inet.ts";
import type { PublishedPort } from "../plan.ts";
import type { StackContext } from "./context.ts";
import { isIpv4Words } from "./destinations.ts";
import { DnsForwarder, type NameSource, udpAsker } from "./dns_forwarder.ts";
import { DnsStreams } from "./dns_stream.ts";
import { Reassembly } from "./fragments.ts";
import { IcmpHandler, Icmpv6Handler } from "./icmp.ts";
import { Echo } from "./icmp_echo.ts";
import { IcmpReporter } from "./icmp_report.ts";
import { toBytes } from "./packet.ts";
import { UdpHandler } from "./udp.ts";
import { dataOffset, sendDatagram, type UdpEnd } from "./udp_packet.ts";
import { PublishedUdp } from "./udp_published.ts";

export class Datagrams {
  readonly forwarder: DnsForwarder;
  readonly streams: DnsStreams;
  readonly udp: UdpHandler;
  readonly echo: Echo;
  readonly fragments: Reassembly;
  readonly published: PublishedUdp;
  readonly #context: StackContext;

  /** Registers with the link and fills in what the context offers to other protocols. */
  constructor(
    context: StackContext,
    options: { names?: NameSource; dnsPort?: number; endpoints?: number } = {},
  ) {
    const { link, host, plan } = this.#context = context;
    const { names, dnsPort: port, endpoints } = options;
    const report = new IcmpReporter(context);
    this.forwarder = new DnsForwarder({ host, plan: plan.dns, outbound: plan.outbound, names, port });
    this.streams = new DnsStreams(host, this.forwarder);
    this.published = new PublishedUdp(context);
    this.udp = new UdpHandler(context, report, this, this.published, endpoints);
    this.echo = new Echo(context, report);
    this.fragments = new Reassembly(link, host);
    link.handlers[IPPROTO_UDP] = this.udp;
    link.handlers[IPPROTO_ICMP] = new IcmpHandler(this.echo);
    link.handlers[IPPROTO_ICMPV6] = new Icmpv6Handler(context, this.echo);
    link.fragments = this.fragments;
    context.unreachable = (packet, errno) => report.unreachable(packet, errno);
    context.resolverStream = (asker) => this.streams.open(asker);
  }

  /** A question of a guest to one of the nameservers' addresses. */
  ask(query: Uint8Array<ArrayBuffer>, client: UdpEnd, server: UdpEnd): void {
    const { link, plan } = this.#context;
    this.forwarder.ask(query, udpAsker(toBytes(...client.words), client.port), (answer) => {
      const at = dataOffset(isIpv4Words(client.words) ? 4 : 6);
      if (at + answer.length > link.out.bytes.length) return;
      link.out.bytes.set(answer, at);
      sendDatagram(link, server, client, answer.length, plan.mtu);
    });
  }

  /** Takes over the bound UDP socket `fd`. */
  publish(port: PublishedPort, fd: number, guest: { ipv4?: string; ipv6?: string }): void {
    this.published.publish(port, fd, guest);
  }

  unpublish(port: PublishedPort): void {
    this.published.unpublish(port);
  }

  dispose(): void {
    this.streams.dispose();
    this.forwarder.dispose();
    this.udp.dispose();
    this.published.dispose();
    this.echo.dispose();
    this.fragments.dispose();
  }
}

/**
 * A TCP connection's end as a socket of the kernel, made of what somebody else knows of it: no packet tells the other end
 * that it is another one. The kernel lets who has CAP_NET_ADMIN in the socket's network namespace do this, so that
 * containers can be moved (CRIU).
 *
 * @see TCP_REPAIR in linux/tcp.h, net/ipv4/tcp.c; criu.org/TCP_connection
 */

import {
  IP_TRANSPARENT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_TRANSPARENT,
  SO_REUSEADDR,
  TCP_INFO,
  TCP_MAXSEG,
  TCP_NO_QUEUE,
  TCP_QUEUE_SEQ,
  TCP_RECV_QUEUE,
  TCP_REPAIR,
  TCP_REPAIR_OFF,
  TCP_REPAIR_ON,
  TCP_REPAIR_OPTIONS,
  TCP_REPAIR_QUEUE,
  TCP_REPAIR_WINDOW,
  TCP_SEND_QUEUE,
  TCPOPT_MAXSEG,
  TCPOPT_SACK_PERMITTED,
  TCPOPT_WINDOW,
} from "./constants/inet.ts";
import { SOL_SOCKET } from "./constants/socket.ts";
import { check } from "./errno.ts";
import { bindTo, closeSocket, connectTo, must, setOption, SocketAddress } from "./inet.ts";
import { libc } from "./libc.ts";

/** MAX_TCP_WINDOW. */
const MAXSEG_MAX = 32767;
/** In struct tcp_info. */
const TCPI_SEGS_IN = 140;

/** An end of a connection at which nothing waits: all that it sent is acknowledged, all that it got was taken. */
export interface TcpEnd {
  /** 4 bytes or 16; the own address may be anybody's. */
  address: Uint8Array<ArrayBuffer>;
  port: number;
  peer: { address: Uint8Array<ArrayBuffer>; port: number };
  /** Numbers that are sent next, and expected next. */
  sendNext: number;
  receiveNext: number;
  /** Bytes that the other end was allowed to send, and that it allows. */
  receiveWindow: number;
  sendWindow: number;
  /** Of the segments that are sent. */
  mss: number;
  /** By which windows of the headers are shifted; 0 both where a SYN did not name it. */
  scales: { send: number; receive: number };
  isSackPermitted: boolean;
}

/**
 * Makes `fd`, a TCP socket that is not connected, that end, which sends nothing until `announceEnd`.
 *
 * @throws {SyscallError} EPERM without CAP_NET_ADMIN in its network namespace; EADDRNOTAVAIL where it has this connection
 */
export function becomeEnd(fd: number, end: TcpEnd): void {
  const isIpv4 = end.address.length === 4;
  const set = (name: number, value: number) => must("setsockopt", setOption(fd, IPPROTO_TCP, name, value));
  if (isIpv4) must("setsockopt", setOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1));
  else must("setsockopt", setOption(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1));
  set(TCP_REPAIR, TCP_REPAIR_ON);
  for (
    const [queue, sequence] of [[TCP_SEND_QUEUE, end.sendNext], [TCP_RECV_QUEUE, end.receiveNext]] as const
  ) {
    set(TCP_REPAIR_QUEUE, queue);
    set(TCP_QUEUE_SEQ, sequence);
  }
  set(TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
  // the kernel settles on a size of segments when it connects, and takes 536 unless it was told
  set(TCP_MAXSEG, Math.min(end.mss, MAXSEG_MAX));
  must("bind", bindTo(fd, new SocketAddress().set(end.address, end.port)));
  // in repair nothing is sent: it is connected at once
  must("connect", connectTo(fd, new SocketAddress().set(end.peer.address, end.peer.port)));
  setWords(fd, TCP_REPAIR_OPTIONS, [
    ...[TCPOPT_MAXSEG, end.mss],
    // also where they are 0: the kernel would keep to the one that it would have asked for
    ...[TCPOPT_WINDOW, end.scales.send | end.scales.receive << 16],
    ...(end.isSackPermitted ? [TCPOPT_SACK_PERMITTED, 0] : []),
  ]);
  // struct tcp_repair_window { __u32 snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup; }
  const { receiveNext, receiveWindow, sendWindow } = end;
  setWords(fd, TCP_REPAIR_WINDOW, [receiveNext, sendWindow, sendWindow, receiveWindow, receiveNext]);
}

/** The socket lives from here on, and asks the other end for its window. @throws {SyscallError} */
export function announceEnd(fd: number): void {
  must("setsockopt", setOption(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF));
  // that takes it away: it bears a port that somebody in its namespace may want to listen on
  must("setsockopt", setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1));
}

/** Whether anything has come from the other end since. Linux 4.2. @see tcpi_segs_in in linux/tcp.h */
export function hasHeard(fd: number): boolean {
  const info = new Uint8Array(TCPI_SEGS_IN + 4);
  const length = new Uint8Array(Uint32Array.of(info.length).buffer);
  check("getsockopt", libc("socket").getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, length));
  return new DataView(info.buffer).getUint32(TCPI_SEGS_IN, true) > 0;
}

/** Closes the socket without a word to the other end, who goes on with somebody else; whether it had heard that end. */
export function withdrawEnd(fd: number): boolean {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
  const had = hasHeard(fd);
  closeSocket(fd);
  return had;
}

function setWords(fd: number, name: number, words: readonly number[]): void {
  const bytes = new Uint8Array(Int32Array.from(words, (word) => word | 0).buffer);
  check("setsockopt", libc("socket").setsockopt(fd, IPPROTO_TCP, name, bytes, bytes.length));
}

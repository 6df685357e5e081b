/** What commands ask the holder of the bridges: a line of JSON each way (see client.ts). */

import { EPOLLIN } from "../../../ffi/constants/poll.ts";
import { MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK } from "../../../ffi/constants/socket.ts";
import { EAGAIN, isErrno } from "../../../ffi/errno.ts";
import { close } from "../../../ffi/file.ts";
import { geteuid } from "../../../ffi/process.ts";
import { accept4, peerCredentials, recv, send } from "../../../ffi/socket.ts";
import type { ProcessLoop } from "../monitor_network.ts";
import type { BridgeChange } from "../plan.ts";
import { BRIDGE_PROTOCOL, type BridgeAnswer } from "./client.ts";

const REQUEST_LIMIT_BYTES = 256 * 1024;
const TIMEOUT_MS = 30_000;
const CLIENT_LIMIT = 64;

export class RequestServer {
  #clients = 0;
  readonly #buffer = new Uint8Array(16 * 1024);

  /** @param perform makes a change and tells whether anybody is concerned, or throws why it cannot be made */
  constructor(
    readonly loop: ProcessLoop,
    readonly listener: number,
    readonly perform: (change: BridgeChange) => boolean,
  ) {}

  accept(): void {
    let client: number;
    try {
      client = accept4(this.listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } catch (error) {
      if (isErrno(error, EAGAIN)) return;
      throw error;
    }
    if (this.#clients >= CLIENT_LIMIT || peerCredentials(client).uid !== geteuid()) return close(client);
    this.#clients++;
    let isOpen = true;
    const decoder = new TextDecoder();
    let text = "";
    const drop = () => {
      if (!isOpen) return;
      isOpen = false;
      this.#clients--;
      this.loop.unwatch(client);
      close(client);
    };
    this.loop.watch(client, () => {
      try {
        const count = recv(client, this.#buffer, MSG_DONTWAIT);
        text += decoder.decode(this.#buffer.subarray(0, count), { stream: true });
        if (text.includes("\n")) send(client, this.#answer(text), MSG_NOSIGNAL | MSG_DONTWAIT);
        else if (count > 0 && text.length < REQUEST_LIMIT_BYTES) return;
      } catch (error) {
        if (isErrno(error, EAGAIN)) return;
      }
      drop();
    }, EPOLLIN);
    this.loop.after(TIMEOUT_MS, drop);
  }

  #answer(text: string): Uint8Array<ArrayBuffer> {
    let answer: BridgeAnswer;
    try {
      const { version, change } = JSON.parse(text.slice(0, text.indexOf("\n")));
      if (version !== BRIDGE_PROTOCOL) throw new Error("the networks are held by another version of skiff");
      answer = { ok: true, isKnown: this.perform(change) };
    } catch (error) {
      answer = { ok: false, error: (error as Error).message.slice(0, 8000) };
    }
    return new TextEncoder().encode(`${JSON.stringify(answer)}\n`);
  }
}

/** What a server of lazy layers is told and given by the command that starts it. @see lazy_serve.ts */

export interface LazyServeRequest {
  /** Of the layers, in the order of the mount's folders. */
  keys: string[];
  data: string;
  run: string;
  /** Where who mounts connects to. */
  socket: string;
}

/** The socket, which listens. */
export const LISTEN_FD = 3;

/** From here on the folders of the layers, locked: what is served is removed by nobody. */
export const FIRST_HELD_FD = 4;

/** One client for many reads, with its connections and its login; where it fails, every place is asked again. */
import { RegistryError, VerificationError } from "../errors.ts";
import type { RegistryClient } from "./client.ts";
import { type PlaceOptions, tryPlaces } from "./places.ts";

export class HeldClient {
  #held: { client: Promise<RegistryClient>; release: () => void } | undefined;

  constructor(private readonly image: string, private readonly options: PlaceOptions) {}

  async use<T>(ask: (client: RegistryClient) => Promise<T>): Promise<T> {
    const held = this.#held ??= this.#hold();
    try {
      return await ask(await held.client);
    } catch (error) {
      // whatever it was: the next who asks has a client that was not in it
      if (this.#held === held) this.release();
      if (!(error instanceof RegistryError || error instanceof VerificationError)) throw error;
      this.options.signal?.throwIfAborted();
      // the first place may be a mirror that is down: the others have their turn
      return await tryPlaces(this.image, this.options, ask);
    }
  }

  /** Connects, for who will soon ask. */
  reach(): void {
    this.#held ??= this.#hold();
    this.#held.client.then((client) => client.reach()).catch(() => {});
  }

  release(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  /** The first place, for as long as nobody releases it. */
  #hold() {
    const client = Promise.withResolvers<RegistryClient>();
    const released = Promise.withResolvers<void>();
    tryPlaces(this.image, this.options, async (first) => {
      client.resolve(first);
      await released.promise;
    }).catch(client.reject);
    return { client: client.promise, release: released.resolve };
  }
}

/** A blob whose file is still being written while its beginning is sent. */

export class GrowingBlob {
  #bytes = 0;
  #ended: { failure?: unknown } | undefined;
  #news = Promise.withResolvers<void>();

  constructor(readonly path: string) {}

  /** So many bytes of the file may be read. */
  grow(bytes: number): void {
    this.#bytes = bytes;
    this.#tell();
  }

  /** No more will come. @param failure why what is there must not be used */
  end(failure?: unknown): void {
    this.#ended = { failure };
    this.#tell();
  }

  /** How many bytes there are, when they are more than `at` or all. @throws the failure, at whatever place */
  async beyond(at: number): Promise<number> {
    while (this.#ended === undefined && this.#bytes <= at) await this.#news.promise;
    this.check();
    return this.#bytes;
  }

  /** Resolves when the whole file may be used. @throws the failure */
  async whole(): Promise<void> {
    while (this.#ended === undefined) await this.#news.promise;
    this.check();
  }

  /** @throws the failure, where there is one already */
  check(): void {
    if (this.#ended?.failure !== undefined) throw this.#ended.failure;
  }

  #tell(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}

/** Writes a large body to its spool file while it arrives, in blocks, one after the other. */
import type { Spool, SpoolWriter } from '../store/store.ts';

/** What one write takes; a client may send a byte at a time. */
const BLOCK = 64 * 1024;

export class Spooling {
  readonly #createSpool: () => Promise<SpoolWriter>;
  #writer: SpoolWriter | undefined;
  readonly #block = Buffer.allocUnsafeSlow(BLOCK);
  #filled = 0;
  /** Steps under way, in order; never rejects. */
  #busy: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;
  #dropped = false;

  constructor(createSpool: () => Promise<SpoolWriter>) {
    this.#createSpool = createSpool;
  }

  /** What the caller must wait for before it brings more. */
  get busy(): Promise<void> | undefined {
    return this.#busy;
  }

  /** Takes a copy or writes; a failure is told by `finish`. */
  write(piece: Buffer): void {
    if (this.#dropped || this.#failure !== undefined) return;
    if (this.#busy === undefined && this.#filled + piece.length < BLOCK) this.#fill(piece);
    else this.#then(() => this.#take(piece));
  }

  /** Resolves when everything is on disk. Rejects with the first failure. */
  async finish(): Promise<{ readonly spool: Spool; readonly writer: SpoolWriter }> {
    await this.#busy;
    if (this.#failure !== undefined) throw this.#failure.cause;
    const writer = await this.#open();
    await this.#flush(writer);
    return { spool: await writer.finish(), writer };
  }

  /** Removes the file. Resolves when it is gone. */
  async drop(): Promise<void> {
    this.#dropped = true;
    await this.#busy;
    await this.#writer?.abort();
  }

  #then(step: () => Promise<void>): void {
    const run = async () => {
      if (!this.#dropped && this.#failure === undefined) await step();
    };
    const mine = (this.#busy ?? Promise.resolve())
      .then(run)
      .catch((cause: unknown) => {
        this.#failure ??= { cause };
      })
      .then(() => {
        if (this.#busy === mine) this.#busy = undefined;
      });
    this.#busy = mine;
  }

  async #take(piece: Buffer): Promise<void> {
    const writer = await this.#open();
    for (let rest = piece; rest.length > 0; ) {
      if (this.#filled === 0 && rest.length >= BLOCK) {
        await writer.write(rest);
        return;
      }
      rest = rest.subarray(this.#fill(rest));
      if (this.#filled === BLOCK) await this.#flush(writer);
    }
  }

  #fill(piece: Buffer): number {
    const taken = piece.copy(this.#block, this.#filled);
    this.#filled += taken;
    return taken;
  }

  async #flush(writer: SpoolWriter): Promise<void> {
    if (this.#filled === 0) return;
    await writer.write(this.#block.subarray(0, this.#filled));
    this.#filled = 0;
  }

  async #open(): Promise<SpoolWriter> {
    this.#writer ??= await this.#createSpool();
    return this.#writer;
  }
}

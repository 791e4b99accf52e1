/** Where the normalised bytes of a body wait: in memory while they are few, in a spool file when they are many. */
import type { Content, Spool, SpoolWriter } from '../store/store.ts';
import { Pieces } from './pieces.ts';
import { Spooling } from './spooling.ts';

/** The writers of finished spools, so that `discard` can delete the file. */
const writers = new WeakMap<Spool, SpoolWriter>();

type StorageOptions = { readonly inlineLimit: number; readonly createSpool: () => Promise<SpoolWriter> };

/** Bytes in, `Content` out. Only `finish` rejects. */
export class Storage {
  readonly #options: StorageOptions;
  readonly #pieces = new Pieces();
  #spooling: Spooling | undefined;
  #length = 0;
  #reserved = 0;

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  /** Bytes taken. */
  get length(): number {
    return this.#length;
  }

  /** What the caller must wait for before it brings more. */
  get busy(): Promise<void> | undefined {
    return this.#spooling?.busy;
  }

  /** Room that other parts of the message take: they count for what is kept in memory, though they come with `finish`. */
  reserve(bytes: number): void {
    this.#reserved += bytes;
  }

  add(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#spooling !== undefined) {
      this.#spooling.write(piece);
      return;
    }
    this.#pieces.add(piece);
    if (this.#reserved + this.#length <= this.#options.inlineLimit) return;
    this.#spooling = new Spooling(this.#options.createSpool);
    for (const held of this.#pieces.take()) this.#spooling.write(held);
  }

  /** Ends the data. What goes in front may be made meanwhile; a failure to make it comes before one to write. */
  async finish(making: Promise<readonly Buffer[]>): Promise<Content> {
    if (this.#spooling === undefined) return { kind: 'inline', bytes: joined([...(await making), ...this.#pieces.take()]) };
    const [prefix, written] = await Promise.allSettled([making, this.#spooling.finish()]);
    if (prefix.status === 'rejected') throw prefix.reason;
    if (written.status === 'rejected') throw written.reason;
    const { spool, writer } = written.value;
    writers.set(spool, writer);
    return { kind: 'spooled', prefix: joined(prefix.value), spool };
  }

  /** Forgets everything, on disk too. Resolves when it is gone. */
  async drop(): Promise<void> {
    this.#pieces.take();
    await this.#spooling?.drop();
  }
}

/** Removes what a prepared message left on disk, when it is not accepted after all. */
export async function discard(content: Content): Promise<void> {
  if (content.kind === 'spooled') await writers.get(content.spool)?.abort();
}

/** One buffer that owns its memory, never a slice of a pool: it is transferred to another thread. */
function joined(pieces: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) at += piece.copy(bytes, at);
  return bytes;
}

/** Where the normalised bytes of a body wait: in memory while they are few, in a spool file, written while they arrive, when they are many. */
import type { Content, Spool, SpoolWriter } from '../store/store.ts';

/** The writers of finished spools, so that `discard` can delete the file. */
const writers = new WeakMap<Spool, SpoolWriter>();

type StorageOptions = {
  /** Bytes up to which a message is kept in memory. */
  readonly inlineLimit: number;
  /** Bytes of the header, which comes with `finish`: they count for what is kept in memory. */
  readonly reserved: number;
  readonly createSpool: () => Promise<SpoolWriter>;
};

/** Bytes in, `Content` out. Only `finish` rejects. */
export class Storage {
  readonly #options: StorageOptions;
  readonly #pieces = new Pieces();
  #spooling: Spooling | undefined;
  #length = 0;

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

  add(piece: Buffer): void {
    this.#length += piece.length;
    if (this.#spooling !== undefined) {
      this.#spooling.write(piece);
      return;
    }
    this.#pieces.add(piece);
    const { reserved, inlineLimit, createSpool } = this.#options;
    if (reserved + this.#length <= inlineLimit) return;
    this.#spooling = new Spooling(createSpool);
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

/** Larger pieces are kept by reference; smaller ones would cost more to keep than to copy. */
const WORTH_KEEPING = 1024;
const PIECE = 16 * 1024;
/** The first few are kept whatever their size: the common message has no more. */
const FREE = 8;

/** Bytes in memory, as a list of pieces that does not grow by how finely the client cuts them. */
class Pieces {
  #list: Buffer[] = [];
  #tail: Buffer | undefined;
  #tailLength = 0;

  add(piece: Buffer): void {
    if (piece.length >= WORTH_KEEPING || (this.#list.length < FREE && this.#tail === undefined)) {
      this.#seal();
      this.#list.push(piece);
      return;
    }
    let rest = piece;
    while (rest.length > 0) {
      this.#tail ??= Buffer.allocUnsafeSlow(PIECE);
      const taken = rest.copy(this.#tail, this.#tailLength);
      this.#tailLength += taken;
      rest = rest.subarray(taken);
      if (this.#tailLength === PIECE) this.#seal();
    }
  }

  /** All pieces in order; the list is empty afterwards. */
  take(): readonly Buffer[] {
    this.#seal();
    const list = this.#list;
    this.#list = [];
    return list;
  }

  #seal(): void {
    if (this.#tail === undefined) return;
    this.#list.push(this.#tail.subarray(0, this.#tailLength));
    this.#tail = undefined;
    this.#tailLength = 0;
  }
}

/** What one write takes; a client may send a byte at a time. */
const BLOCK = 64 * 1024;

/** Writes to the spool file in blocks, one after the other. */
class Spooling {
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

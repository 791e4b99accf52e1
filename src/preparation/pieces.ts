/** Bytes of a message in memory, as a list of pieces that does not grow by how finely the client cuts them. */

/** Larger pieces are kept by reference; smaller ones would cost more to keep than to copy. */
const WORTH_KEEPING = 1024;
const BLOCK = 16 * 1024;
/** The first few are kept whatever their size: the common message has no more. */
const FREE = 8;

export class Pieces {
  #list: Buffer[] = [];
  #tail: Buffer | undefined;
  #tailLength = 0;
  #length = 0;

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    this.#length += piece.length;
    if (piece.length >= WORTH_KEEPING || (this.#list.length < FREE && this.#tail === undefined)) {
      this.#seal();
      this.#list.push(piece);
      return;
    }
    let rest = piece;
    while (rest.length > 0) {
      this.#tail ??= Buffer.allocUnsafeSlow(BLOCK);
      const taken = rest.copy(this.#tail, this.#tailLength);
      this.#tailLength += taken;
      rest = rest.subarray(taken);
      if (this.#tailLength === BLOCK) this.#seal();
    }
  }

  /** All pieces in order; the list is empty afterwards. */
  take(): readonly Buffer[] {
    this.#seal();
    const list = this.#list;
    this.#list = [];
    this.#length = 0;
    return list;
  }

  #seal(): void {
    if (this.#tail === undefined) return;
    this.#list.push(this.#tail.subarray(0, this.#tailLength));
    this.#tail = undefined;
    this.#tailLength = 0;
  }
}

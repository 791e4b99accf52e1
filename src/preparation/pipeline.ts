/** One message on its way through preparation: lines, header, body, storage, signature. */
import { isAscii } from 'node:buffer';
import { createBodyHash, type Signed } from '../signing/signing.ts';
import { refusal } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import { BroughtBodies, NOTHING_COVERED } from './brought-signatures.ts';
import { type LineSink, Lines } from './newlines.ts';
import { Pieces } from './pieces.ts';
import type { Preparation, PreparationOptions, PreparationRequest, Prepared } from './preparation.ts';
import { draftHeader, type HeaderDraft, type PreparedHeader } from './prepared-header.ts';
import { Storage } from './storage.ts';

const INLINE_LIMIT = 256 * 1024;
const SEPARATOR = Buffer.from('\r\n');
const UNSIGNED: Signed = { header: Buffer.alloc(0), signatures: [] };

export class Pipeline implements Preparation, LineSink {
  readonly #options: PreparationOptions;
  readonly #request: PreparationRequest;
  readonly #lines: Lines;
  readonly #head = new Pieces();
  readonly #bodyHash = createBodyHash();
  readonly #storage: Storage;
  #draft: HeaderDraft | undefined;
  /** Only where the message brought a signature. */
  #brought: BroughtBodies | undefined;
  #arrived = 0;
  #bareNewlines = false;
  #eightBit = false;
  /** The first thing that went wrong. */
  #failure: { readonly cause: unknown } | undefined;
  #dropping: Promise<void> | undefined;
  #finished = false;

  constructor(request: PreparationRequest, options: PreparationOptions) {
    this.#options = options;
    this.#request = request;
    this.#lines = new Lines(this, options);
    this.#storage = new Storage({ inlineLimit: options.inlineLimit ?? INLINE_LIMIT, createSpool: options.createSpool });
  }

  write(chunk: Buffer): Promise<void> | undefined {
    this.#arrived += chunk.length;
    if (this.#arrived > this.#options.maxMessageSize) this.#fail(this.#tooLarge());
    if (this.#failure !== undefined) return undefined;
    this.#lines.write(chunk);
    return this.#storage.busy;
  }

  async finish(): Promise<Prepared> {
    if (this.#failure === undefined) this.#lines.end();
    try {
      // Whatever else is wrong, in whatever pieces it came: a message that is too large is refused as that.
      if (this.#arrived > this.#options.maxMessageSize) throw this.#tooLarge();
      if (this.#failure !== undefined) throw this.#failure.cause;
      const prepared = await this.#complete(this.#draft!);
      this.#finished = true;
      return prepared;
    } catch (error) {
      await this.#drop();
      throw error;
    }
  }

  async abort(): Promise<void> {
    if (this.#finished) return;
    this.#failure ??= { cause: new Error('The message was aborted') };
    await this.#drop();
  }

  header(piece: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#head.add(piece);
    const { maxHeaderSize } = this.#options;
    if (this.#head.length > maxHeaderSize) {
      this.#fail(refusal('headerTooLarge', { octets: maxHeaderSize }));
    }
  }

  headerEnd(separated: boolean): void {
    if (this.#failure !== undefined) return;
    const pieces = this.#head.take();
    try {
      const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
      this.#draft = draftHeader(bytes, this.#request, this.#options);
      this.#storage.reserve(bytes.length);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#draft.brought.length > 0) this.#brought = new BroughtBodies(this.#draft.brought);
    if (separated) this.#storage.add(SEPARATOR);
  }

  body(piece: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#bodyHash.update(piece);
    this.#brought?.update(piece);
    this.#eightBit ||= !isAscii(piece);
    this.#storage.add(piece);
  }

  refuse(refusal: Refusal): void {
    this.#fail(refusal);
  }

  bareNewline(): void {
    this.#bareNewlines = true;
  }

  async #complete(draft: HeaderDraft): Promise<Prepared> {
    const bodyHash = this.#bodyHash.digest();
    const header = draft.finish(this.#brought?.covered(bodyHash) ?? NOTHING_COVERED);
    if (!header.ascii && !this.#request.envelope.smtpUtf8) {
      this.#options.warn?.('eightBitHeader', { queueId: this.#request.queueId });
    }
    const signing = this.#sign(draft.fromDomain, header, bodyHash);
    const content = await this.#storage.finish(signing.then((signed) => prefixOf(header, signed)));
    const prefix = content.kind === 'inline' ? content.bytes.length - this.#storage.length : content.prefix.length;
    return {
      content,
      size: prefix + this.#storage.length,
      messageId: header.messageId,
      signatures: (await signing).signatures,
      bareNewlines: this.#bareNewlines,
      needsSmtpUtf8: this.#request.envelope.smtpUtf8 && !header.ascii,
      eightBit: this.#eightBit || !header.ascii,
    };
  }

  async #sign(fromDomain: string, { added, kept }: PreparedHeader, bodyHash: string): Promise<Signed> {
    const { sign = true, now } = this.#request;
    if (!sign) return UNSIGNED;
    return this.#options.signer.sign({ fromDomain, fields: [...added, ...kept], bodyHash, now });
  }

  #tooLarge(): Refusal {
    return refusal('contentTooLarge', { octets: this.#options.maxMessageSize });
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { cause };
    void this.#drop();
  }

  /** Never rejects: a file that cannot be removed now is swept at the next start. */
  #drop(): Promise<void> {
    this.#dropping ??= this.#storage.drop().catch((error: unknown) => {
      this.#options.warn?.('spoolNotRemoved', { queueId: this.#request.queueId, error });
    });
    return this.#dropping;
  }
}

/** Received above the signature: it is written by a server, not by the author, and no signature covers it. */
function prefixOf({ received, added, section }: PreparedHeader, { header }: Signed): readonly Buffer[] {
  return [Buffer.from(received, 'latin1'), header, ...added.map(({ raw }) => raw), section];
}

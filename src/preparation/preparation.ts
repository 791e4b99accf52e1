/** The front door of preparation: what we do to a message before it is kept. RFC 6409 §8 */
import { isAscii } from 'node:buffer';
import type { Emit } from '../events/events.ts';
import { createBodyHash, type Signed, type Signer } from '../signing/signing.ts';
import type { Envelope } from '../smtp/envelope.ts';
import { refusal } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import type { Content, SpoolWriter } from '../store/store.ts';
import type { Author } from './from.ts';
import { type LineSink, Lines } from './newlines.ts';
import { draftHeader, type HeaderDraft, type PreparedHeader } from './prepared-header.ts';
import { Storage } from './storage.ts';

export { fromDomainsOf } from './from.ts';
export { type OwnMail, type OwnMailOptions, prepareOwnMail, textContent } from './own-mail.ts';
export { discard } from './storage.ts';

export type PreparationOptions = {
  readonly hostname: string;
  /** Bytes of a whole message as the client sends it. */
  readonly maxMessageSize: number;
  /** Bytes of its header section. */
  readonly maxHeaderSize: number;
  /** What to do with a bare CR or LF in a body. */
  readonly bareNewlines: 'normalize' | 'reject';
  /** Whether `TLS-Required: No` is obeyed: RFC 8689 §3. Absent: it is. */
  readonly tlsRequiredNo?: 'honor' | 'ignore';
  /** Whether `Prepared` has the subject. Absent: it has not. */
  readonly keepSubject?: boolean;
  readonly createSpool: () => Promise<SpoolWriter>;
  readonly signer: Signer;
  /** Bytes up to which a message is kept in memory; default 256 KiB. */
  readonly inlineLimit?: number;
  readonly warn?: Emit;
};

export type PreparationRequest = {
  readonly queueId: string;
  readonly now: number;
  readonly envelope: Envelope;
  /** 'submission': header rules, Received; 'report': our own message, taken as it is and signed. */
  readonly kind: 'submission' | 'report';
  /** What stands in Received instead of the login name. */
  readonly userToken?: string;
  readonly tls?: { readonly protocol: string; readonly cipher: string };
  /** Replaces the address in From, also where a signature of others covers it. */
  readonly rewrite?: string;
  /** false: every recipient's route asks for no signature of ours. */
  readonly sign?: boolean;
  /** Throws a Refusal; called once the header is known. */
  readonly check?: (author: Author) => void;
};

export type Prepared = {
  readonly content: Content;
  /** Bytes of the whole message, prefix included. */
  readonly size: number;
  /** With its angle brackets; empty where the message has no such field. */
  readonly messageId: string;
  /** `selector._domainkey.domain` of each signature made. */
  readonly signatures: readonly string[];
  /** A bare CR or LF was turned into CRLF. */
  readonly bareNewlines: boolean;
  /** SMTPUTF8 was given, and a header field is not ASCII. */
  readonly needsSmtpUtf8: boolean;
  /** Header or body have bytes above 127: RFC 6152 §3. */
  readonly eightBit: boolean;
  /** The header says `TLS-Required: No`, and that is obeyed: RFC 8689 §3. */
  readonly tlsOptional: boolean;
  /** What the Subject says, in one line. Absent: there is none, or it is not asked for. */
  readonly subject?: string;
  /** The domains of all addresses in From. */
  readonly fromDomains: readonly string[];
  /** The domains of DKIM signatures that the message brought along, and that fit its body. */
  readonly broughtBy: readonly string[];
  /** Auto-Submitted says that a machine has written it: RFC 3834 §5. */
  readonly automatic: boolean;
};

export type Preparation = {
  /**
   * Takes the content as the client sent it, bare CR and LF and all, without the dots that were stuffed: of two dots at the
   * beginning of a line one is gone, a single one is still there. The chunk may be kept by reference: the caller does not
   * reuse it. Returns a promise only where the caller must wait. Never throws and never rejects: what is wrong is told by
   * `finish`, and the rest is counted and dropped.
   */
  write(chunk: Buffer): Promise<void> | undefined;
  /**
   * Resolves with what is to be stored.
   * @throws Refusal where the client is at fault, any other error where we are. Nothing is left on disk then.
   */
  finish(): Promise<Prepared>;
  /** The client went away: forgets everything. Does nothing after `finish` has resolved. */
  abort(): Promise<void>;
};

/** Begins a preparation for each message. */
export type PreparationFactory = {
  start(request: PreparationRequest): Preparation;
  /** Holds for messages that start afterwards. */
  reload(changes: Partial<PreparationOptions>): void;
};

export function createPreparation(options: PreparationOptions): PreparationFactory {
  let current = options;
  return {
    start: (request) => new Pipeline(request, current),
    reload(changes) {
      current = { ...current, ...changes };
    },
  };
}

const INLINE_LIMIT = 256 * 1024;
const SEPARATOR = Buffer.from('\r\n');
const UNSIGNED: Signed = { header: '', signatures: [] };

/** One message on its way through preparation: lines, header, body, storage, signature. */
class Pipeline implements Preparation, LineSink {
  readonly #options: PreparationOptions;
  readonly #request: PreparationRequest;
  readonly #lines: Lines;
  readonly #bodyHash = createBodyHash();
  /** From here on the header has come. */
  #draft: HeaderDraft | undefined;
  #storage: Storage | undefined;
  #arrived = 0;
  #eightBit = false;
  /** The first thing that went wrong. */
  #failure: { readonly cause: unknown } | undefined;
  #dropping: Promise<void> | undefined;
  #finished = false;

  constructor(request: PreparationRequest, options: PreparationOptions) {
    this.#options = options;
    this.#request = request;
    this.#lines = new Lines(this, options);
  }

  write(chunk: Buffer): Promise<void> | undefined {
    this.#arrived += chunk.length;
    if (this.#arrived > this.#options.maxMessageSize) this.#fail(this.#tooLarge());
    if (this.#failure !== undefined) return undefined;
    this.#lines.write(chunk);
    return this.#storage?.busy;
  }

  async finish(): Promise<Prepared> {
    if (this.#failure === undefined) this.#lines.end();
    try {
      // Whatever else is wrong, in whatever pieces it came: a message that is too large is refused as that.
      if (this.#arrived > this.#options.maxMessageSize) throw this.#tooLarge();
      if (this.#failure !== undefined) throw this.#failure.cause;
      const prepared = await this.#complete(this.#draft!, this.#storage!);
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

  header(section: Buffer, separated: boolean): void {
    if (this.#failure !== undefined) return;
    const { inlineLimit = INLINE_LIMIT, createSpool } = this.#options;
    try {
      this.#draft = draftHeader(section, this.#request, this.#options);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#storage = new Storage({ inlineLimit, reserved: section.length, createSpool });
    if (separated) this.#storage.add(SEPARATOR);
  }

  body(piece: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#bodyHash.update(piece);
    this.#draft?.brought?.update(piece);
    this.#eightBit ||= !isAscii(piece);
    this.#storage?.add(piece);
  }

  refuse(refusal: Refusal): void {
    this.#fail(refusal);
  }

  async #complete(draft: HeaderDraft, storage: Storage): Promise<Prepared> {
    const { envelope, queueId } = this.#request;
    const bodyHash = this.#bodyHash.digest();
    const header = draft.finish(bodyHash);
    if (!header.ascii && !envelope.smtpUtf8) this.#options.warn?.('eightBitHeader', { queueId });
    const signing = this.#sign(draft.fromDomain, header, bodyHash);
    const content = await storage.finish(signing.then((signed) => [prefixOf(header, signed), header.section]));
    const prefix = content.kind === 'inline' ? content.bytes.length - storage.length : content.prefix.length;
    return {
      content,
      size: prefix + storage.length,
      messageId: header.messageId,
      signatures: (await signing).signatures,
      bareNewlines: this.#lines.bareNewlines,
      needsSmtpUtf8: envelope.smtpUtf8 && !header.ascii,
      eightBit: this.#eightBit || !header.ascii,
      tlsOptional: header.tlsOptional,
      automatic: header.automatic,
      ...(header.subject === undefined ? {} : { subject: header.subject }),
      fromDomains: draft.fromDomains,
      broughtBy: header.broughtBy,
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
    this.#dropping ??= (this.#storage?.drop() ?? Promise.resolve()).catch((error: unknown) => {
      this.#options.warn?.('spoolNotRemoved', { queueId: this.#request.queueId, error });
    });
    return this.#dropping;
  }
}

/** Received above the signature: it is written by a server, not by the author, and no signature covers it. */
function prefixOf({ received, added }: PreparedHeader, { header }: Signed): Buffer {
  return Buffer.from(`${received}${header}${added.map(({ text }) => text).join('')}`, 'latin1');
}

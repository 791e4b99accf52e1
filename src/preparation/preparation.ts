/** The front door of preparation: what we do to a message before it is kept. RFC 6409 §8 */
import type { Emit } from '../events/events.ts';
import type { Signer } from '../signing/signing.ts';
import type { Envelope } from '../smtp/envelope.ts';
import type { Content, SpoolWriter } from '../store/store.ts';
import type { Author } from './from.ts';
import { Pipeline } from './pipeline.ts';

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
  /** Received fields above which a message is in a loop; default 100. */
  readonly maxReceived?: number;
  /** What to do with doubled fields: default refuse. */
  readonly conformance?: 'refuse' | 'warn';
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
  /** With its angle brackets; empty where there is none. */
  readonly messageId: string;
  /** `selector._domainkey.domain` of each signature made. */
  readonly signatures: readonly string[];
  /** A bare CR or LF was turned into CRLF. */
  readonly bareNewlines: boolean;
  /** SMTPUTF8 was given, and a header field is not ASCII. */
  readonly needsSmtpUtf8: boolean;
  /** Header or body have bytes above 127: RFC 6152 §3. */
  readonly eightBit: boolean;
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

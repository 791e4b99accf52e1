/** How one attempt ended for one recipient; the kinds are the Action words of RFC 3464 §2.3.3, and "uncertain". */
import type { Reply } from './reply.ts';

declare const final: unique symbol;

/**
 * A refusal that is about the message or its recipient. A recipient ends as failed by such a reply and by no other: what is
 * true because of us (our session, our TLS, our login, our look-ups) is an ordinary Reply, and the compiler takes none here.
 * Only `delivery/verdict.ts` makes one; `test/architecture.test.ts` holds that.
 */
export type FinalReply = Reply & { readonly [final]: true };

/** Where the conversation took place, as far as it came. */
type Where = {
  /** Host name of the MX or upstream. */
  readonly mx?: string;
  /** The address connected to. */
  readonly ip?: string;
  /** Protocol of the session, `TLSv1.3`; absent in clear. */
  readonly tls?: string;
  /** Length of the attempt. */
  readonly seconds: number;
  /** What was said, one line each; only of a message that asks for it. */
  readonly conversation?: string;
};

/** What one attempt did to one recipient: the queue acts on it, the report quotes it. */
export type Outcome = Where &
  (
    | {
        readonly kind: 'relayed';
        readonly reply: Reply;
        /** The far side took over RET, ENVID, NOTIFY and ORCPT: it reports success, we do not. RFC 3461 §5.2.1 */
        readonly dsnPassedOn: boolean;
      }
    | {
        readonly kind: 'delayed'; // 4yz, or no answer
        readonly reply: Reply;
        /** Milliseconds before which it makes no sense to try again; absent: the queue's schedule decides. */
        readonly notBefore?: number;
        /** It waits for the operator of this relay, not for a destination: a login, a route. It is not given up meanwhile. */
        readonly waitsForUs?: true;
      }
    | { readonly kind: 'uncertain'; readonly reply: Reply } // no reply to the final dot
    | { readonly kind: 'failed'; readonly reply: FinalReply }
    /** Nothing was tried: shutting down, or no room. It is due again and no attempt is counted. */
    | { readonly kind: 'returned'; readonly reply: Reply; readonly notBefore?: number }
  );

/** How an attempt that was made ended: the word of the log, the trace and the metrics. */
export type AttemptEnd = Exclude<Outcome['kind'], 'returned'>;

/** The Action of RFC 3464 §2.3.3 that one report tells. */
export type DsnAction = Exclude<AttemptEnd, 'uncertain'>;

/** The result of one attempt for one recipient. The kinds are the Action words of RFC 3464 §2.3.3, and some of our own. */
import type { Reply } from './reply.ts';

declare const final: unique symbol;

/**
 * A refusal that is about the message or its recipient. Only such a reply makes a recipient fail. A refusal because of us (our session,
 * our TLS, our login, our look-ups) is an ordinary Reply, and the compiler does not accept it here.
 * Only `delivery/verdict.ts` makes one; `test/architecture.test.ts` checks that.
 */
export type FinalReply = Reply & { readonly [final]: true };

/** What a refusal was taken for, in the words of `smarthost reply explain`. */
export type JudgedReply = {
  readonly class: string;
  readonly action: string;
  /** The key of the provider, as far as it is known. */
  readonly provider?: string;
  readonly phase: string;
  /** The version of the known replies. */
  readonly rules: string;
};

/** The connection of the attempt, as far as it was established. */
type Where = {
  /** Host name of the MX or upstream. */
  readonly mx?: string;
  /** The IP address of the connection. */
  readonly ip?: string;
  /** The TLS version of the session, such as `TLSv1.3`; absent without TLS. */
  readonly tls?: string;
  /** What the session was worth: `clear`, `tls`, `dane` and others. Absent if no session was opened. */
  readonly assurance?: string;
  /** What the host's certificate was accepted by: the TLSA record that it matches, its issuer. Absent if it was not verified. */
  readonly proof?: string;
  /** The id of the MTA-STS policy that the session meets: RFC 8461 §3.1. */
  readonly policyId?: string;
  /** Absent if no host has refused anything. */
  readonly judged?: JudgedReply;
  /** The mail took the fallback upstream, because a provider refuses our address. `mx` is its host. */
  readonly via?: 'fallback';
  /** Duration of the attempt. */
  readonly seconds: number;
  /** The SMTP conversation, line by line. Only kept for messages that ask for it. */
  readonly conversation?: string;
};

/**
 * A provider that refuses our address, or (`HELD_LOGIN` and its name) a login that is stopped. `since`: when that began, milliseconds since
 * the epoch. `quiet`: the sender, who may be forged, is not warned.
 */
export type HeldBy = { readonly provider: string; readonly since: number; readonly quiet?: true };

/** Begins the key of mail that is held because its login does something unusual, and not because of a provider. */
export const HELD_LOGIN = 'login:';

/** True for mail that is held for a provider. */
export const isHeldByProvider = ({ provider }: { readonly provider: string }) => !provider.startsWith(HELD_LOGIN);

/** The result of one attempt for one recipient. The queue acts on it, and the report quotes it. */
export type Outcome = Where &
  (
    | {
        readonly kind: 'relayed';
        readonly reply: Reply;
        /** True if the destination accepted RET, ENVID, NOTIFY and ORCPT. Then it reports success, and we do not. RFC 3461 §5.2.1 */
        readonly dsnPassedOn: boolean;
      }
    | {
        readonly kind: 'delayed'; // 4yz, or no answer
        readonly reply: Reply;
        /** Earliest time of the next attempt, in milliseconds. If absent, the queue's schedule decides. */
        readonly notBefore?: number;
        /** Its provider refuses our address, so the mail is held until that has ended. */
        readonly heldBy?: HeldBy;
        /** The mail waits for the operator of this relay, for example because of a login or a route. It does not expire meanwhile. */
        readonly waitsForUs?: true;
      }
    | { readonly kind: 'uncertain'; readonly reply: Reply } // no reply to the final dot
    | {
        readonly kind: 'failed';
        readonly reply: FinalReply;
        /** It says that the address does not exist or is closed: see `suppression.ts`. */
        readonly suppress?: { readonly sure: boolean; readonly own: boolean };
      }
    /** There was no attempt, because the relay stops or has no room. The mail is due again, and no attempt is counted. */
    | { readonly kind: 'returned'; readonly reply: Reply; readonly notBefore?: number; readonly heldBy?: HeldBy }
  );

/** The result of an attempt that took place. Log, trace and metrics use this word. */
export type AttemptEnd = Exclude<Outcome['kind'], 'returned'>;

/** The Action of a report: RFC 3464 §2.3.3. */
export type DsnAction = Exclude<AttemptEnd, 'uncertain'>;

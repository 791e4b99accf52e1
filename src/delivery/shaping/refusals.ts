/**
 * Which refusals of our address are believed. What the provider itself says holds all its mail at once. What one of the domains that it
 * hosts may have written, or what is perhaps about us, needs a second sign; until then the mail of one domain waits.
 */
import { domainOf } from '../../smtp/envelope.ts';
import type { Reply } from '../../smtp/reply.ts';
import { HOUR, MINUTE } from '../../system/clock.ts';
import type { ReplyClass, ReplyPhase, ReplyVerb } from './reply-class.ts';

/** An answer about us. */
export type AddressRefusal = {
  readonly class?: ReplyClass | undefined;
  readonly verb?: ReplyVerb | undefined;
  /** The words leave no doubt that it is about us. */
  readonly sure?: boolean | undefined;
  /** The words are those of the provider, and not of a domain that it hosts. */
  readonly own?: boolean | undefined;
  readonly phase?: ReplyPhase | undefined;
  readonly reply?: Reply | undefined;
  readonly recipient?: string | undefined;
  /** Of the sender. */
  readonly domain?: string | undefined;
};

/** Mail for one domain waits, because it alone refuses us. Times are milliseconds since the epoch. */
export type DomainRest = { readonly domain: string; readonly since: number; readonly until: number; readonly reply: Reply };

/** Replies that are perhaps about us: so many recipients and domains of senders within this time make it sure. */
const SIGNS = { recipients: 3, domains: 2, within: HOUR } as const;
const MOST_SIGNS = 50;
/** So long mail of one domain waits that alone is refused. */
const SENDER_REST = HOUR;
/** The same for a domain of recipients; it doubles each time. */
const FIRST_REST = HOUR;
const MOST_REST = 4 * HOUR;
/** So long a delivery to one domain of recipients speaks against a refusal of another one: that alone may be meant, or hostile. */
const CONTRADICTS = 10 * MINUTE;
/** So many temporary refusals of our name within this time are a block. */
const NAME_REFUSALS = { count: 3, within: HOUR } as const;
const MOST_DOMAINS = 1000;

type Sign = { readonly at: number; readonly recipient: string; readonly to: string; readonly from: string };
type DomainAt = { readonly domain: string; readonly at: number };

export class Refusals {
  #signs: Sign[] = [];
  /** When our name was refused for now. */
  #named: number[] = [];
  /** The last deliveries, of two domains at most. */
  #taken: readonly DomainAt[] = [];
  /** The last refusal in the provider's words that a delivery speaks against. */
  #contradicted: DomainAt | undefined;
  /** The last refusal that names us, in words that may be those of a hosted domain. */
  #alleged: DomainAt | undefined;
  /** Until when mail of a sender's domain waits, because it alone is refused. */
  readonly #senders = new Map<string, number>();
  readonly #recipients = new Map<string, DomainRest>();

  /** Until when mail of this sender's domain waits; undefined: it does not. */
  senderWaits(domain: string, now: number): number | undefined {
    const until = this.#senders.size > 0 ? this.#senders.get(domain) : undefined;
    return until !== undefined && until > now && until <= now + SENDER_REST ? until : undefined;
  }

  /** Why mail for this domain waits; undefined: it does not. */
  recipientWaits(domain: string, now: number): DomainRest | undefined {
    const rest = this.#recipients.size > 0 ? this.#recipients.get(domain) : undefined;
    return rest !== undefined && rest.until > now && rest.until <= now + MOST_REST ? rest : undefined;
  }

  noteTaken({ recipient, domain }: Pick<AddressRefusal, 'recipient' | 'domain'>, at: number): void {
    if (this.#signs.length > 0) this.#signs = [];
    if (this.#named.length > 0) this.#named = [];
    this.#alleged = undefined;
    if (domain !== undefined && this.#senders.size > 0) this.#senders.delete(domain);
    if (recipient === undefined) return;
    const to = domainOf(recipient).toLowerCase();
    if (this.#recipients.size > 0) this.#recipients.delete(to);
    const other = this.#taken.find((one) => one.domain !== to);
    this.#taken = other === undefined ? [{ domain: to, at }] : [{ domain: to, at }, other];
  }

  /** Whether a sure refusal by a recipient in this domain would be believed now. @param own as in `AddressRefusal`. */
  believes(domain: string, own: boolean, now: number): boolean {
    if (!own) return isOther(this.#alleged, domain, now);
    const isContradicted = this.#taken.some((one) => one.domain !== domain && isNear(one, CONTRADICTS, now));
    return !isContradicted || isOther(this.#contradicted, domain, now);
  }

  /** @returns true if the provider refuses our address. False: one domain perhaps, whose mail waits. */
  isBlock(refusal: AddressRefusal, now: number): boolean {
    const { recipient = '', sure = false, own = false } = refusal;
    if (!sure) return this.#isManifold(refusal, now);
    const domain = domainOf(recipient).toLowerCase();
    if (this.believes(domain, own, now)) return true;
    if (own) this.#contradicted = { domain, at: now };
    else {
      this.#alleged = { domain, at: now };
      this.#rest(domain, refusal, now);
    }
    return false;
  }

  /** What we are told that way once is often an answer of the DNS that did not come. */
  isNameRefused(refusal: AddressRefusal, now: number): boolean {
    if (refusal.sure !== true || refusal.own !== true) return this.#isManifold(refusal, now);
    this.#named = [...this.#named.filter((at) => now - at < NAME_REFUSALS.within && at <= now), now];
    if (this.#named.length < NAME_REFUSALS.count) return false;
    this.#named = [];
    return true;
  }

  /** Refusals that are perhaps about us become sure by their number. As long as they concern one domain, its mail alone waits. */
  #isManifold(refusal: AddressRefusal, now: number): boolean {
    const { recipient = '', domain: from = '', own = false } = refusal;
    const to = domainOf(recipient).toLowerCase();
    this.#signs = [...this.#signs.filter(({ at }) => now - at < SIGNS.within && at <= now), { at: now, recipient, to, from }];
    if (this.#signs.length > MOST_SIGNS) this.#signs.shift();
    const count = (of: keyof Sign) => new Set(this.#signs.map((sign) => sign[of])).size;
    if (count('recipient') < SIGNS.recipients) return false;
    if (!own && count('to') < SIGNS.domains) {
      this.#rest(to, refusal, now);
      return false;
    }
    if (count('from') >= SIGNS.domains) {
      this.#signs = [];
      return true;
    }
    if (this.#senders.size >= MOST_DOMAINS) this.#senders.delete(this.#senders.keys().next().value!);
    this.#senders.set(from, now + SENDER_REST);
    return false;
  }

  #rest(domain: string, { reply }: AddressRefusal, now: number): void {
    const before = this.#recipients.get(domain);
    // What was under way when the rest began tells nothing new.
    if (reply === undefined || (before !== undefined && before.until > now)) return;
    const last = before === undefined ? 0 : before.until - before.since;
    this.#recipients.delete(domain);
    if (this.#recipients.size >= MOST_DOMAINS) this.#recipients.delete(this.#recipients.keys().next().value!);
    const pause = Math.min(Math.max(2 * last, FIRST_REST), MOST_REST);
    this.#recipients.set(domain, { domain, since: now, until: now + pause, reply });
  }
}

function isNear({ at }: DomainAt, time: number, now: number): boolean {
  return at <= now && now - at < time;
}

/** Another domain has said so within an hour. */
function isOther(said: DomainAt | undefined, domain: string, now: number): boolean {
  return said !== undefined && said.domain !== domain && isNear(said, HOUR, now);
}

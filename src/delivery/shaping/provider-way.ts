/** What is known of one provider as it sees one address of ours: its state, how much it takes, and what it has said. */
import { domainOf } from '../../smtp/envelope.ts';
import type { Reply } from '../../smtp/reply.ts';
import type { Shaping } from '../../store/store.ts';
import { DAY, HOUR, MINUTE } from '../../system/clock.ts';
import type { Family } from '../ip-families.ts';
import {
  allowanceOf,
  type BreakerEvent,
  type BreakerState,
  blockedByOperator,
  breakerAfter,
  breakerAt,
  freshRecovery,
  isBreakerKind,
  openState,
  probing,
  type Recovery,
  storedProbe,
} from './breaker.ts';
import { MessageRate } from './message-rate.ts';
import type { Provider } from './provider.ts';
import type { ReplyClass, ReplyVerb } from './reply-class.ts';

export type WayLimits = Pick<Provider, 'key' | 'sessions' | 'perConnection' | 'perMinute' | 'firstRest'>;

/** An address of ours, by which a provider counts. */
export type Way = { readonly family: Family; readonly source?: string | undefined };

/**
 * What an attempt was told by way of an address. clean: a message was taken; other: an answer that is not about us; silent: no answer;
 * us: an answer about us.
 */
export type Heard = Way & {
  readonly kind: 'clean' | 'other' | 'silent' | 'us';
  readonly class?: ReplyClass | undefined;
  readonly verb?: ReplyVerb | undefined;
  /** Of the verb `rest`. */
  readonly seconds?: number | undefined;
  /** The words leave no doubt that it is about us. */
  readonly sure?: boolean | undefined;
  readonly reply?: Reply | undefined;
  readonly mx?: string | undefined;
  readonly recipient?: string | undefined;
  /** Of the sender. */
  readonly domain?: string | undefined;
  /** The connection took so many messages and wanted no more. */
  readonly cap?: number | undefined;
};

/** What caused a block or a rest, for people. */
export type WayCause = { readonly class: ReplyClass | 'operator'; readonly reply: Reply; readonly mx?: string | undefined };

const HELD_BY_OPERATOR: WayCause = {
  class: 'operator',
  reply: { code: 451, status: '4.3.2', text: 'The operator of the relay has asked to hold mail for this provider' },
};

/** Kept beside the state, as JSON. */
type Evidence = {
  readonly endedAt?: number;
  readonly ladder?: number;
  readonly capAt?: number;
  readonly cause?: WayCause;
};

const CAP_KEPT = 7 * DAY;
/** After a provider has found that there are too many sessions. */
const LIMIT_KEPT = HOUR;
/** Replies that are perhaps about us: so many recipients and domains of senders within this time make it sure. */
const SIGNS = { recipients: 3, domains: 2, within: HOUR } as const;
/** So long mail of one domain waits that alone is refused. */
const DOMAIN_REST = HOUR;
/** So long a delivery to one domain of recipients speaks against a refusal of another one: that alone may be meant, or hostile. */
const CONTRADICTS = 10 * MINUTE;
const MOST_SIGNS = 50;
/** So many temporary refusals of our name within this time are a block. */
const NAME_REFUSALS = { count: 3, within: HOUR } as const;
const MOST_DOMAINS = 1000;

/** Of a recipient. */
type DomainAt = { readonly domain: string; readonly at: number };
type Sign = { readonly at: number; readonly recipient: string; readonly domain: string };

export class ProviderWay {
  readonly key: string;
  readonly way: Way;
  readonly #limits: () => WayLimits;
  #state: BreakerState;
  #recovery: Recovery;
  #rate: MessageRate;
  /** Attempts that have a permit. */
  running = 0;
  /** The message that may go as the probe; empty: any. Undefined: no probe waits to be taken. */
  probe: string | undefined;
  #cap: { readonly count: number; readonly at: number } | undefined;
  #limit: { readonly sessions: number; readonly until: number } | undefined;
  #cause: WayCause | undefined;
  #signs: Sign[] = [];
  /** When our name was refused for now. */
  #nameRefused: number[] = [];
  /** The last deliveries, of two domains at most. */
  #taken: readonly DomainAt[] = [];
  /** The last refusal that a delivery speaks against. */
  #doubted: DomainAt | undefined;
  /** Until when mail of a domain waits, because it alone is refused. */
  readonly #domains = new Map<string, number>();

  constructor(way: Way, limits: () => WayLimits, now: number, stored?: Shaping) {
    this.key = wayKey(way);
    this.way = way;
    this.#limits = limits;
    this.#rate = new MessageRate(limits().perMinute);
    this.#recovery = freshRecovery(now);
    this.#state = openState(limits(), now);
    if (stored !== undefined) this.restore(stored, now);
  }

  /** Takes over what was stored, at a start or after the operator's command. */
  restore(stored: Shaping, now: number): void {
    const { state: kind, since, until, step, sessions, rate, learnedCap, evidence } = stored;
    const { endedAt = 0, ladder = 0, capAt = 0, cause } = JSON.parse(evidence) as Evidence;
    // A probe that was under way is over.
    const known = isBreakerKind(kind) ? (kind === 'probing' ? 'blocked' : kind) : 'open';
    this.#state = breakerAt({ kind: known, since, until, step, sessions, rate, endedAt, ladder }, now, this.#limits());
    this.#recovery = freshRecovery(now);
    this.#cap = learnedCap === null ? undefined : { count: learnedCap, at: Math.min(capAt, now) };
    this.#cause = cause;
    this.probe = undefined;
  }

  state(now: number): BreakerState {
    this.#state = breakerAt(this.#state, now, this.#limits());
    return this.#state;
  }

  get cause(): WayCause | undefined {
    return this.#cause;
  }

  /** Its block is an operator's word, if it is blocked. */
  get isHeldByOperator(): boolean {
    return this.#cause?.class === 'operator';
  }

  /** Nothing may go there but a probe. */
  isBlocked(now: number): boolean {
    const { kind } = this.state(now);
    return kind === 'blocked' || kind === 'probing';
  }

  /** Its mail is held: it is blocked, or half open and has got what it takes now. */
  holds(now: number): boolean {
    const { kind, until } = this.state(now);
    if (kind === 'half-open') return until > now || this.allowance(now).freeAt > now;
    return kind === 'blocked' || kind === 'probing';
  }

  /** Sessions now, when the next message may begin, and whether a probe is due. */
  allowance(now: number): { readonly sessions: number; readonly freeAt: number; readonly probe: boolean } {
    const { sessions, rate, probe } = allowanceOf(this.state(now), now, this.#limits());
    const limit = this.#limit !== undefined && this.#limit.until > now ? this.#limit.sessions : sessions;
    return { sessions: Math.min(sessions, limit), freeAt: this.#rate.freeAt(now, rate), probe };
  }

  /** Messages in one connection. */
  perConnection(now: number): number {
    const { perConnection } = this.#limits();
    const isKnown = this.#cap !== undefined && Math.abs(now - this.#cap.at) < CAP_KEPT;
    return isKnown ? Math.min(this.#cap!.count, perConnection) : perConnection;
  }

  /** Until when mail of this domain waits; undefined: it does not. */
  domainBlockedUntil(domain: string, now: number): number | undefined {
    const until = this.#domains.size > 0 ? this.#domains.get(domain) : undefined;
    return until !== undefined && until > now && until <= now + DOMAIN_REST ? until : undefined;
  }

  begin(now: number): void {
    this.running++;
    this.#rate.note(now);
  }

  beginProbe(message: string, now: number): void {
    this.#state = probing(this.#state, now);
    this.probe = message;
  }

  open(now: number): void {
    const { step } = this.#state;
    this.#state = { ...openState(this.#limits(), now), endedAt: now, ladder: step };
    this.probe = undefined;
  }

  /** The next look begins a probe, where it is blocked. */
  probeNow(now: number): void {
    if (this.isBlocked(now) && !this.isHeldByOperator) this.#state = { ...this.#state, kind: 'blocked', until: now };
  }

  /** Until `open`, whatever the provider would say. */
  hold(now: number): void {
    this.#state = blockedByOperator(this.#state, now);
    this.#cause = HELD_BY_OPERATOR;
    this.probe = undefined;
  }

  /** @returns true if there is something to store. */
  hear(heard: Heard, { beganAt, probe, now }: { beganAt: number; probe: boolean; now: number }): boolean {
    const before = this.state(now);
    const learnt = heard.cap !== undefined && this.#learn(heard.cap, now);
    const event = this.#eventOf(heard, { now, probe });
    if (event === undefined) return learnt;
    const facts = { now, limits: this.#limits(), beganAt, probe };
    const after = breakerAfter(before, this.#recovery, event, facts);
    this.#state = after.state;
    this.#recovery = after.recovery;
    const begins = after.state !== before && (event.kind === 'block' || event.kind === 'throttle');
    if (begins && heard.reply !== undefined) this.#cause = { class: heard.class ?? 'unknown', reply: heard.reply, mx: heard.mx };
    if (probe) this.probe = undefined;
    return learnt || after.state !== before;
  }

  row(now: number): Shaping {
    const { kind, since, until, step, sessions, rate, endedAt, ladder } = kindOfProbe(this.#state, now);
    const evidence: Evidence = {
      ...(endedAt > 0 && { endedAt, ladder }),
      ...(this.#cap !== undefined && { capAt: this.#cap.at }),
      ...(this.#cause !== undefined && { cause: this.#cause }),
    };
    const { family, source = '' } = this.way;
    const learnedCap = this.#cap?.count ?? null;
    return {
      ...{ provider: this.#limits().key, source, family, state: kind, since, until, step, sessions, rate, learnedCap },
      evidence: JSON.stringify(evidence),
    };
  }

  #learn(count: number, now: number): boolean {
    if (count < 1 || count >= this.perConnection(now)) return false;
    this.#cap = { count, at: now };
    return true;
  }

  /** Undefined: it changes nothing. */
  #eventOf(heard: Heard, { now, probe }: { now: number; probe: boolean }): BreakerEvent | undefined {
    if (heard.kind === 'clean') {
      this.#noteTaken(heard, now);
      if (this.#signs.length > 0) this.#signs = [];
      if (this.#nameRefused.length > 0) this.#nameRefused = [];
      if (heard.domain !== undefined && this.#domains.size > 0) this.#domains.delete(heard.domain);
    }
    if (heard.kind !== 'us') return { kind: heard.kind };
    switch (heard.verb) {
      case 'hold':
        if (heard.sure === true && !probe && this.#isContradicted(heard, now)) return undefined;
        return heard.sure === true || this.#isSure(heard, now) ? { kind: 'block' } : undefined;
      case 'rest':
        return { kind: 'throttle', rest: (heard.seconds ?? 3600) * 1000 };
      case 'slow':
        return { kind: 'throttle' };
      case 'limit':
        // The attempt that was told has ended: what goes on is one less than it was.
        this.#limit = { sessions: Math.max(1, Math.min(this.running, this.#limits().sessions)), until: now + LIMIT_KEPT };
        return undefined;
      case 'retry':
        return heard.class === 'ptr-helo' && this.#isNameRefused(heard, now) ? { kind: 'block' } : { kind: 'other' };
      default:
        return { kind: 'other' };
    }
  }

  #noteTaken({ recipient }: Heard, at: number): void {
    if (recipient === undefined) return;
    const domain = domainOf(recipient).toLowerCase();
    const other = this.#taken.find((one) => one.domain !== domain);
    this.#taken = other === undefined ? [{ domain, at }] : [{ domain, at }, other];
  }

  /** The provider has just taken mail for another domain, and no second domain has refused us. */
  #isContradicted({ recipient = '' }: Heard, now: number): boolean {
    const domain = domainOf(recipient).toLowerCase();
    const isNear = ({ at }: DomainAt, time: number) => at <= now && now - at < time;
    if (!this.#taken.some((one) => one.domain !== domain && isNear(one, CONTRADICTS))) return false;
    const before = this.#doubted;
    this.#doubted = { domain, at: now };
    return before === undefined || before.domain === domain || !isNear(before, HOUR);
  }

  /** What it is told that way once is often an answer of the DNS that did not come. A probe that is told so has met the block. */
  #isNameRefused(heard: Heard, now: number): boolean {
    const { kind } = this.state(now);
    if (this.#cause?.class === 'ptr-helo' && (kind === 'probing' || kind === 'half-open')) return true;
    if (heard.sure !== true) return this.#isSure(heard, now);
    this.#nameRefused = [...this.#nameRefused.filter((at) => now - at < NAME_REFUSALS.within && at <= now), now];
    if (this.#nameRefused.length < NAME_REFUSALS.count) return false;
    this.#nameRefused = [];
    return true;
  }

  /** Refusals that are perhaps about us become sure by their number; as long as they concern one domain, its mail alone waits. */
  #isSure({ recipient = '', domain = '' }: Heard, now: number): boolean {
    this.#signs = [...this.#signs.filter(({ at }) => now - at < SIGNS.within && at <= now), { at: now, recipient, domain }];
    if (this.#signs.length > MOST_SIGNS) this.#signs.shift();
    if (new Set(this.#signs.map((sign) => sign.recipient)).size < SIGNS.recipients) return false;
    if (new Set(this.#signs.map((sign) => sign.domain)).size >= SIGNS.domains) {
      this.#signs = [];
      return true;
    }
    if (this.#domains.size >= MOST_DOMAINS) this.#domains.delete(this.#domains.keys().next().value!);
    this.#domains.set(domain, now + DOMAIN_REST);
    return false;
  }
}

/** What is stored of a state that nothing may be stored of later. */
function kindOfProbe(state: BreakerState, now: number): BreakerState {
  return state.kind === 'probing' ? storedProbe(state, now) : state;
}

export function wayKey({ family, source = '' }: Way): string {
  return `${family} ${source}`;
}

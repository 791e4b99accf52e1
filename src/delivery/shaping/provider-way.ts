/** What is known of one provider as it sees one address of ours: its state, how much it takes, and what it has said. */
import type { Reply } from '../../smtp/reply.ts';
import type { Shaping } from '../../store/store.ts';
import { DAY, HOUR } from '../../system/clock.ts';
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
import { Ipv6Evidence, type Ipv6Sign, type StoredIpv6 } from './ipv6-evidence.ts';
import { MessageRate } from './message-rate.ts';
import type { Provider } from './provider.ts';
import { type AddressRefusal, type DomainRest, Refusals } from './refusals.ts';
import { PHASES, type ReplyClass, type ReplyPhase } from './reply-class.ts';

import { type StoredWarmUp, WarmUp } from './warm-up.ts';

export type WayLimits = Pick<Provider, 'key' | 'sessions' | 'perConnection' | 'perMinute' | 'firstRest'>;

/** An address of ours, by which a provider counts. */
export type Way = { readonly family: Family; readonly source?: string | undefined };

/**
 * What an attempt was told by way of an address. clean: a message was taken; other: an answer that is not about us; silent: no answer;
 * us: an answer about us; ipv6: the address was no good, and another family was.
 */
export type Heard = Way &
  AddressRefusal & {
    readonly kind: 'clean' | 'other' | 'silent' | 'us' | 'ipv6';
    /** Of the kind `ipv6`: what IPv6 did not do, and IPv4 did then. */
    readonly sign?: Ipv6Sign | undefined;
    /** Of the verb `rest`. */
    readonly seconds?: number | undefined;
    readonly mx?: string | undefined;
    /** The connection took so many messages and wanted no more. */
    readonly cap?: number | undefined;
    /** What was refused looks like spam, and this user has handed it in. */
    readonly strikes?: string;
  };

/** Another way may be taken, because our address is refused for what it is. `isThrottle`: it is only asked for less, for its reputation. */
export type WayRefusal = { readonly since: number; readonly isThrottle: boolean };

const REFUSES_ADDRESS: ReadonlySet<WayCause['class']> = new Set<ReplyClass>(['address-blocked', 'ptr-helo', 'ipv6-refused']);

/** What caused a block or a rest, for people. */
export type WayCause = {
  readonly class: ReplyClass | 'operator';
  readonly reply: Reply;
  readonly mx?: string | undefined;
  readonly phase?: ReplyPhase | undefined;
};

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
  /** When the block began, and when we were first asked for less since the last delivery. */
  readonly blockedAt?: number;
  readonly throttledAt?: number;
  readonly ipv6?: StoredIpv6;
  readonly warmUp?: StoredWarmUp;
};

const CAP_KEPT = 7 * DAY;
/** After a provider has found that there are too many sessions. */
const LIMIT_KEPT = HOUR;
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
  readonly #refusals = new Refusals();
  readonly #ipv6 = new Ipv6Evidence();
  /** Absent: the provider knows the address. */
  warmUp: WarmUp | undefined;
  /** What is known of the other addresses. */
  neighbours = { refused: false, ipv4: false };
  /** When the block began, whatever its probes have found. */
  #blockedAt: number | undefined;
  /** When the reputation of our address was first named as the reason for less, since the last delivery. */
  #throttledAt: number | undefined;

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
    const {
      endedAt = 0,
      ladder = 0,
      capAt = 0,
      cause,
      blockedAt = since,
      throttledAt,
      ipv6,
      warmUp,
    } = JSON.parse(evidence) as Evidence;
    // A probe that was under way is over.
    const known = isBreakerKind(kind) ? (kind === 'probing' ? 'blocked' : kind) : 'open';
    this.#state = breakerAt({ kind: known, since, until, step, sessions, rate, endedAt, ladder }, now, this.#limits());
    this.#recovery = freshRecovery(now);
    this.#cap = learnedCap === null ? undefined : { count: learnedCap, at: Math.min(capAt, now) };
    this.#cause = cause;
    this.#blockedAt = blockedAt;
    this.#throttledAt = throttledAt;
    this.#ipv6.restore(ipv6);
    this.warmUp = warmUp && new WarmUp(now, warmUp);
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

  /** Undefined: it takes mail, or refuses it for another reason. */
  refusal(now: number): WayRefusal | undefined {
    if (this.#cause === undefined) return undefined;
    const { kind, until } = this.state(now);
    if (kind === 'open') return undefined;
    const rests = (kind === 'slow' || kind === 'resting') && until > now && this.#throttledAt !== undefined;
    if (rests) return { since: Math.min(this.#throttledAt!, now), isThrottle: true };
    if (!this.holds(now) || !REFUSES_ADDRESS.has(this.#cause.class)) return undefined;
    return { since: Math.min(this.#blockedAt ?? now, now), isThrottle: false };
  }

  /** It is not used, though nothing is known against it itself: its network is refused, or IPv6 is no good there and IPv4 is. */
  isOut(now: number): boolean {
    if (this.neighbours.refused) return true;
    return this.way.family === 6 && this.neighbours.ipv4 && this.#ipv6.isBad(now);
  }

  /** Its mail is held: it is blocked, or half open and has got what it takes now. */
  holds(now: number): boolean {
    if (this.isOut(now)) return true;
    const { kind, until } = this.state(now);
    if (kind === 'half-open') return until > now || this.allowance(now).freeAt > now;
    return kind === 'blocked' || kind === 'probing';
  }

  /** Sessions now, when the next message may begin, and whether a probe is due. */
  allowance(now: number): { readonly sessions: number; readonly freeAt: number; readonly probe: boolean } {
    const { sessions, rate, probe } = allowanceOf(this.state(now), now, this.#limits());
    const limit = this.#limit !== undefined && this.#limit.until > now ? this.#limit.sessions : sessions;
    return { sessions: this.isOut(now) ? 0 : Math.min(sessions, limit), freeAt: this.#rate.freeAt(now, rate), probe };
  }

  /** Messages in one connection. */
  perConnection(now: number): number {
    const { perConnection } = this.#limits();
    const isKnown = this.#cap !== undefined && Math.abs(now - this.#cap.at) < CAP_KEPT;
    return isKnown ? Math.min(this.#cap!.count, perConnection) : perConnection;
  }

  /** Until when mail of this sender's domain waits; undefined: it does not. */
  senderWaits(domain: string, now: number): number | undefined {
    return this.#refusals.senderWaits(domain, now);
  }

  /** Why mail for this domain waits; undefined: it does not. */
  recipientWaits(domain: string, now: number): DomainRest | undefined {
    return this.#refusals.recipientWaits(domain, now);
  }

  /** Whether a sure refusal by a recipient in this domain holds the mail of the provider. @param own the words are those of the provider. */
  believes(domain: string, own: boolean, now: number): boolean {
    return this.#refusals.believes(domain, own || this.#isOneReceiver, now);
  }

  /** Until when a message waits because the address is new; undefined: it may go. */
  warmUpWaits(priority: boolean, now: number): number | undefined {
    if (this.warmUp?.isOver(now) === true) this.warmUp = undefined;
    return this.warmUp?.waits(priority, now);
  }

  /** @returns true if there is something to store. */
  begin(now: number): boolean {
    this.running++;
    this.#rate.note(now);
    return this.warmUp?.note(now) === true;
  }

  beginProbe(message: string, now: number): void {
    this.#state = probing(this.#state, now);
    this.probe = message;
  }

  /** This message may go as the probe. Any may where none is held. */
  isProbe({ message, isStruck }: { readonly message: string; readonly isStruck: boolean }, now: number): boolean {
    if (isStruck) return false;
    return this.probe !== undefined && this.state(now).kind === 'probing' && (this.probe === '' || this.probe === message);
  }

  open(now: number): void {
    const { step } = this.#state;
    this.#state = { ...openState(this.#limits(), now), endedAt: now, ladder: step };
    this.#ipv6.forget();
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
    const turned = this.way.family === 6 && this.#ipv6.hear(signOf(heard), now);
    const learnt = (heard.cap !== undefined && this.#learn(heard.cap, now)) || turned;
    if (heard.kind === 'ipv6') return learnt;
    const event = this.#eventOf(heard, { now, probe });
    if (event === undefined) return learnt;
    const facts = { now, limits: this.#limits(), beganAt, probe };
    const after = breakerAfter(before, this.#recovery, event, facts);
    this.#state = after.state;
    this.#recovery = after.recovery;
    const begins = after.state !== before && (event.kind === 'block' || event.kind === 'throttle');
    const wasBlocked = before.kind === 'blocked' || before.kind === 'probing' || before.kind === 'half-open';
    if (event.kind === 'block' && !wasBlocked && begins) this.#blockedAt = now;
    if (event.kind === 'block' && begins) this.warmUp?.blocked(now);
    if (event.kind === 'throttle' && heard.class === 'address-throttled') this.warmUp?.throttled();
    if (event.kind === 'clean') this.#throttledAt = undefined;
    if (event.kind === 'throttle' && heard.class === 'address-throttled') this.#throttledAt ??= now;
    if (begins && heard.reply !== undefined) this.#cause = causeOf(heard, heard.reply);
    if (probe) this.probe = undefined;
    return learnt || after.state !== before;
  }

  row(now: number): Shaping {
    const { kind, since, until, step, sessions, rate, endedAt, ladder } = kindOfProbe(this.#state, now);
    const evidence: Evidence = {
      ...(endedAt > 0 && { endedAt, ladder }),
      ...(this.#cap !== undefined && { capAt: this.#cap.at }),
      ...(this.#cause !== undefined && { cause: this.#cause }),
      ...(kind !== 'open' && this.#blockedAt !== undefined && { blockedAt: this.#blockedAt }),
      ...(this.#throttledAt !== undefined && { throttledAt: this.#throttledAt }),
      ...(this.#ipv6.stored !== undefined && { ipv6: this.#ipv6.stored }),
      ...(this.warmUp !== undefined && { warmUp: this.warmUp.stored }),
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
    if (heard.kind === 'clean') this.#refusals.noteTaken(heard, now);
    if (heard.kind === 'ipv6') return undefined;
    if (heard.kind !== 'us') return probe ? this.#probeEvent(heard) : { kind: heard.kind };
    const refusal = { ...heard, own: heard.own === true || this.#isOneReceiver };
    switch (heard.verb) {
      case 'hold':
        return probe || this.#refusals.isBlock(refusal, now) ? { kind: 'block' } : undefined;
      case 'rest':
        return { kind: 'throttle', rest: (heard.seconds ?? 3600) * 1000 };
      case 'slow':
        return { kind: 'throttle' };
      case 'limit':
        // The attempt that was told has ended: what goes on is one less than it was.
        this.#limit = { sessions: Math.max(1, Math.min(this.running, this.#limits().sessions)), until: now + LIMIT_KEPT };
        return undefined;
      case 'retry':
        if (heard.class === 'ptr-helo' && this.#isNameRefused(refusal, now)) return { kind: 'block' };
        return probe ? this.#probeEvent(heard) : { kind: 'other' };
      default:
        return probe ? this.#probeEvent(heard) : { kind: 'other' };
    }
  }

  /** A refusal that came no later than that of the block does not tell whether the block has ended. */
  #probeEvent({ kind, phase }: Heard): BreakerEvent {
    if (kind === 'clean' || kind === 'silent') return { kind };
    const blockedAt = this.#cause?.phase;
    const isEarly = phase !== undefined && blockedAt !== undefined && PHASES.indexOf(phase) <= PHASES.indexOf(blockedAt);
    return { kind: isEarly ? 'silent' : 'other' };
  }

  /** A probe that is told so has met the block. */
  #isNameRefused(refusal: AddressRefusal, now: number): boolean {
    const { kind } = this.state(now);
    if (this.#cause?.class === 'ptr-helo' && (kind === 'probing' || kind === 'half-open')) return true;
    return this.#refusals.isNameRefused(refusal, now);
  }

  /** A set of hosts that no line of the table knows hosts nobody else. */
  get #isOneReceiver(): boolean {
    return this.#limits().key.includes(':');
  }
}

function signOf({ kind, sign, class: word }: Heard): Ipv6Sign | 'fine' | undefined {
  if (kind === 'clean') return 'fine';
  return word === 'ipv6-refused' ? 'refused' : sign;
}

function causeOf({ class: word = 'unknown', mx, phase }: Heard, reply: Reply): WayCause {
  return { class: word, reply, mx, ...(phase !== undefined && { phase }) };
}

/** What is stored of a state that nothing may be stored of later. */
function kindOfProbe(state: BreakerState, now: number): BreakerState {
  return state.kind === 'probing' ? storedProbe(state, now) : state;
}

export function wayKey({ family, source = '' }: Way): string {
  return `${family} ${source}`;
}

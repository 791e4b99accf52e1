/**
 * The front door of alignment: what receivers think of the mail of each sender, known in advance. A verdict is evaluated in the background,
 * kept in memory and in the store, and evaluated again before it is old. So a message finds it without a look-up, and a start asks nothing.
 */
import type { Emit } from '../events/events.ts';
import type { AlignmentStore, DkimKey, StoredSenderVerdict } from '../store/store.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND, systemClock } from '../system/clock.ts';
import { type Evaluation, evaluateSender, type SenderDetail, type SenderIdentity } from './evaluation.ts';
import type { SenderVerdict } from './verdict.ts';

export { adviceFor, describeMisalignment, type Misaligned, mendMisalignment } from './advice.ts';
export { type DmarcFacts, type DmarcPolicy, gatherDmarc, isAligned, policyOf } from './dmarc-policy.ts';
export { isDmarc } from './dmarc-record.ts';
export type { SenderDetail, SenderIdentity } from './evaluation.ts';
export {
  type DkimFacts,
  type GatheredSender,
  gatherSender,
  type PublishedKey,
  type SenderQuestion,
  senderOf,
} from './sender.ts';
export { gatherSpf, isSpf, type SpfFacts, type SpfResult, wantedSpf } from './spf.ts';
export { organizationOf, walkTree } from './tree-walk.ts';
export { judgeSender, type Passes, type SenderFacts, type SenderVerdict, signatureOf } from './verdict.ts';

/** Times are milliseconds since the epoch. */
export type KnownVerdict = {
  readonly verdict: SenderVerdict;
  /** Since when every evaluation has given this verdict. */
  readonly since: number;
  /** When it was evaluated last. */
  readonly at: number;
  readonly detail: SenderDetail;
};

export type SenderVerdicts = {
  /** What is known, or undefined. It never waits: an evaluation that is missing begins, as far as the bounds allow. */
  look(sender: SenderIdentity): KnownVerdict | undefined;
  /**
   * What is known if mail may be refused by it, else the result of an evaluation that is under way or begins now. Undefined if there are too
   * many of them, or it has failed.
   */
  fresh(sender: SenderIdentity): Promise<KnownVerdict | undefined>;
  /** The number of senders with each verdict. */
  counts(): Readonly<Partial<Record<SenderVerdict, number>>>;
  close(): Promise<void>;
};

type SenderVerdictsOptions = {
  readonly store: AlignmentStore;
  readonly hostname: string;
  readonly dns: Parameters<typeof evaluateSender>[0]['dns'];
  readonly keys: () => Promise<readonly DkimKey[]>;
  /** The addresses that mail leaves from now. Empty: not known. */
  readonly addresses: () => Promise<readonly string[]>;
  readonly log: { readonly emit: Emit };
  readonly now?: Clock;
};

/** Senders that are remembered. */
const MOST_SENDERS = 2000;
/** New senders that are evaluated in a second, and old ones. A stranger with random domains must not make us ask the DNS for each. */
const NEW_PER_SECOND = 5;
const REFRESHED_PER_SECOND = 5;
/** Evaluations at the same time. A resolver that is silent makes each take long. */
const MOST_RUNNING = 32;
/** A verdict is never kept for less or more, whatever the TTLs are. */
const SHORTEST = 5 * MINUTE;
const LONGEST = HOUR;
/** For verdicts that somebody will want to mend. */
const LONGEST_BAD = 15 * MINUTE;
/** Senders that no message has asked for are not evaluated any more. Older verdicts say nothing. */
const IN_USE = DAY;
const SPF_TIME = 10 * SECOND;
/** How often due verdicts are looked for, and changed ones stored. */
const TICK = SECOND;
const STORE_EVERY = 30 * SECOND;

type Sender = {
  readonly identity: SenderIdentity;
  known: KnownVerdict | undefined;
  interval: number;
  refreshAt: number;
  usedAt: number;
  running: Promise<KnownVerdict | undefined> | undefined;
  isStored: boolean;
};

/** @returns when the stored verdicts are read. Rejects if they cannot be. */
export async function startSenderVerdicts(options: SenderVerdictsOptions): Promise<SenderVerdicts> {
  const { now = systemClock } = options;
  const service = new Service(options, now);
  await service.load();
  return service;
}

class Service implements SenderVerdicts {
  readonly #options: SenderVerdictsOptions;
  readonly #now: Clock;
  /** In the order of their last use. */
  readonly #senders = new Map<string, Sender>();
  readonly #timer: NodeJS.Timeout;
  #running = 0;
  #second = 0;
  #begun = 0;
  #storedAt: number;
  #storing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: SenderVerdictsOptions, now: Clock) {
    this.#options = options;
    this.#now = now;
    this.#storedAt = now();
    this.#timer = setInterval(() => this.#tick(), TICK).unref();
  }

  async load(): Promise<void> {
    const stored = await this.#options.store.verdicts(this.#now() - IN_USE, MOST_SENDERS);
    for (const row of stored.toReversed()) this.#senders.set(keyOf(row), readSender(row, this.#now()));
  }

  look(identity: SenderIdentity): KnownVerdict | undefined {
    const at = this.#now();
    const sender = this.#use(identity, at);
    if (sender === undefined) return undefined;
    if (sender.known === undefined && at >= sender.refreshAt) void this.#begin(sender);
    return sender.known !== undefined && at - sender.known.at < IN_USE ? sender.known : undefined;
  }

  async fresh(identity: SenderIdentity): Promise<KnownVerdict | undefined> {
    const at = this.#now();
    const sender = this.#use(identity, at);
    if (sender === undefined) return undefined;
    return sender.known !== undefined && isFresh(sender.known, at) ? sender.known : this.#begin(sender);
  }

  counts(): Readonly<Partial<Record<SenderVerdict, number>>> {
    const counts: Partial<Record<SenderVerdict, number>> = {};
    for (const { known } of this.#senders.values())
      if (known !== undefined) counts[known.verdict] = (counts[known.verdict] ?? 0) + 1;
    return counts;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#store();
    await this.#storing;
  }

  /** @returns undefined for a new sender while there are too many of them. */
  #use(identity: SenderIdentity, at: number): Sender | undefined {
    const key = keyOf(identity);
    const there = this.#senders.get(key);
    // Other signatures are another question: the evaluations of the old ones prove nothing.
    if (there !== undefined && there.identity.signatures === identity.signatures) {
      if (at - there.usedAt >= MINUTE) {
        this.#senders.delete(key);
        this.#senders.set(key, there);
      }
      there.usedAt = at;
      return there;
    }
    if (!this.#takeTurn(at)) return undefined;
    const sender: Sender = {
      ...{ identity, known: undefined, interval: 0, refreshAt: 0, usedAt: at, running: undefined, isStored: true },
    };
    this.#senders.delete(key);
    this.#senders.set(key, sender);
    if (this.#senders.size > MOST_SENDERS) this.#senders.delete(this.#senders.keys().next().value!);
    return sender;
  }

  #takeTurn(at: number): boolean {
    const second = Math.floor(at / SECOND);
    if (second !== this.#second) {
      this.#second = second;
      this.#begun = 0;
    }
    return this.#running < MOST_RUNNING && ++this.#begun <= NEW_PER_SECOND;
  }

  /** One evaluation of a sender at a time. */
  #begin(sender: Sender): Promise<KnownVerdict | undefined> {
    if (sender.running !== undefined) return sender.running;
    if (this.#closed || this.#running >= MOST_RUNNING) return NOTHING;
    this.#running++;
    sender.running = this.#evaluate(sender)
      .catch((error: unknown) => {
        this.#options.log.emit('alignmentFailed', { domain: sender.identity.domain, error });
        sender.refreshAt = this.#now() + SHORTEST;
        return undefined;
      })
      .finally(() => {
        this.#running--;
        sender.running = undefined;
      });
    return sender.running;
  }

  async #evaluate(sender: Sender): Promise<KnownVerdict> {
    const { dns, hostname, keys, addresses } = this.#options;
    const evaluation = await evaluateSender({
      ...{ question: sender.identity, dns, hostname, timeout: SPF_TIME },
      ...{ keys: await keys(), addresses: await addresses() },
    });
    const at = this.#now();
    const { known: before } = sender;
    const isSame = before?.verdict === evaluation.verdict && at >= before.at && at - before.at < IN_USE;
    sender.interval = nextInterval(evaluation, isSame ? sender.interval : 0);
    sender.known = { verdict: evaluation.verdict, since: isSame ? before.since : at, at, detail: evaluation.detail };
    sender.refreshAt = at + sender.interval;
    sender.isStored = false;
    if (before === undefined ? evaluation.verdict !== 'ok' : before.verdict !== evaluation.verdict) this.#tell(sender, before);
    return sender.known;
  }

  #tell({ identity: { domain, envelope }, known }: Sender, before: KnownVerdict | undefined): void {
    const fields = { domain, envelope, verdict: known!.verdict };
    this.#options.log.emit('senderVerdict', before === undefined ? fields : { ...fields, before: before.verdict });
  }

  #tick(): void {
    const at = this.#now();
    let begun = 0;
    for (const [key, sender] of this.#senders) {
      if (at - sender.usedAt >= IN_USE) this.#senders.delete(key);
      else if (begun < REFRESHED_PER_SECOND && sender.known !== undefined && isDue(sender, at)) {
        begun++;
        void this.#begin(sender);
      }
    }
    if (Math.abs(at - this.#storedAt) < STORE_EVERY) return;
    this.#storedAt = at;
    this.#store();
  }

  /** What is not stored is evaluated again after a start, so that a failure costs questions only. */
  #store(): void {
    const changed = [...this.#senders.values()].filter(({ isStored, known }) => !isStored && known !== undefined);
    if (changed.length === 0) return;
    for (const sender of changed) sender.isStored = true;
    const { store, log } = this.#options;
    const rows = changed.map(storedSender);
    const usedSince = this.#now() - IN_USE;
    this.#storing = this.#storing
      .then(() => store.putVerdicts(rows))
      .then(() => store.trimVerdicts(usedSince))
      .catch((error: unknown) => log.emit('storeFailed', { operation: 'putVerdicts', error }));
  }
}

/** No mail is refused by a verdict that is older, or of the future. */
export function isFresh({ at }: KnownVerdict, now: number): boolean {
  return now >= at && now - at <= HOUR;
}

const NOTHING = Promise.resolve(undefined);
const keyOf = ({ domain, envelope }: Pick<SenderIdentity, 'domain' | 'envelope'>) => `${domain} ${envelope}`;

/** A time of refresh that is too far away: the clock has been set back. */
function isDue({ refreshAt, running }: Sender, at: number): boolean {
  return running === undefined && (at >= refreshAt || refreshAt - at > LONGEST);
}

/** By TTL, and twice the time before if nothing has changed, within the bounds. @param last 0: it has changed. */
function nextInterval({ verdict, ttl }: Evaluation, last: number): number {
  const longest = verdict === 'ok' || verdict === 'fragile' ? LONGEST : LONGEST_BAD;
  const least = verdict === 'unknown' ? SHORTEST : Math.max(SHORTEST, ttl);
  return Math.min(longest, Math.max(least, 2 * last));
}

function storedSender({ identity, known, refreshAt, usedAt }: Sender): StoredSenderVerdict {
  const { verdict, since, at, detail } = known!;
  return { ...identity, verdict, since, at, refreshAt, usedAt, detail: JSON.stringify(detail) };
}

/** Times in the future are those of a clock that was set back. */
function readSender({ domain, envelope, signatures, refreshAt, usedAt, ...row }: StoredSenderVerdict, now: number): Sender {
  const { verdict, since, at } = row;
  const known = { verdict: verdict as SenderVerdict, since, at, detail: JSON.parse(row.detail) as SenderDetail };
  return {
    ...{ identity: { domain, envelope, signatures }, known, interval: Math.max(0, refreshAt - at), refreshAt },
    ...{ usedAt: Math.min(usedAt, now), running: undefined, isStored: true },
  };
}

/**
 * Finds the MTA-STS policy that holds for a domain: RFC 8461 §3.3, §5. The store keeps policies over restarts, and the memory keeps those in use.
 * A fetched policy holds until it expires, also if the DNS or the host says something else meanwhile.
 */
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { toAsciiDomain } from '../smtp/domain.ts';
import type { StoredStsPolicy, TlsPolicyStore } from '../store/store.ts';
import { type Cache, createSizedCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND } from '../system/clock.ts';
import { data, inEnglish } from '../system/phrase.ts';
import { createFairTurns } from './fair-turns.ts';
import { findStsId, type PolicyFile, type StsPolicy, type StsProblem } from './mta-sts.ts';
import type { FetchedPolicy } from './mta-sts-fetch.ts';

/** The state of a domain. Without `policy`, mail is sent as if there were none. */
type KnownStsPolicy = {
  readonly policy?: StsPolicy;
  /** The reason why the announced policy could not be fetched. */
  readonly problem?: StsProblem;
  /** The present policy of the domain is not known: the DNS did not answer, or the fetch goes on. */
  readonly isUnknown?: true;
};

/** The result of another look at a policy that mail has failed by. */
type HealedStsPolicy = {
  /** The policy that holds now. */
  readonly policy?: StsPolicy;
  readonly changed: boolean;
  /** The host of the policy has just served it. If not, the domain may have another one by now. */
  readonly isCurrent: boolean;
};

export type StsPolicyOptions = {
  readonly store: TlsPolicyStore;
  readonly dns: Pick<DnsClient, 'txt'>;
  readonly log: Pick<EventLog, 'emit'>;
  /** Never rejects. */
  readonly fetch: (domain: string, signal: AbortSignal) => Promise<FetchedPolicy>;
  /** Who fetches: the relay, or an operator by a command. */
  readonly by: 'relay' | 'operator';
  readonly now: Clock;
  /** Milliseconds of the monotonic clock. */
  readonly monotonic: () => number;
  /** 0 to 1. */
  readonly random: () => number;
};

/** Mail waits for a fetch for this time after its beginning. Then mail is sent, and the fetch goes on. */
const PATIENCE = 10 * SECOND;
/** RFC 8461 §3.3: once every five minutes. */
const FIRST_PAUSE = 5 * MINUTE;
const LONGEST_PAUSE = HOUR;
/** `max_age: 0` means "for this delivery". */
const LEAST_AGE = MINUTE;
/** A failing refresh is an alarm after this time, or after half of the policy's life. */
export const OVERDUE = 3 * DAY;
/** The most fetches at once, and the most that wait for their turn. Any other is left to the next mail. */
const FETCHES = 32;
const WAITING_FETCHES = 500;
/** The most domains in memory, and the most bytes of their policies. */
const KNOWN_DOMAINS = 10_000;
const KNOWN_BYTES = 4 * 1024 * 1024;
/** The shortest time between two notes about the use of one policy. */
const USE_NOTED = HOUR;
/** After a larger leap, the clock stood still before, or was wrong. */
const LEAP = DAY;
/** The pause after a failure of the store, milliseconds. */
const STORE_PAUSE = 5 * SECOND;
/** The most policies that wait while the store fails. The next fetch brings the others back. */
const UNSAVED = 1000;
/** The most hosts that an event names. */
const NAMED_HOSTS = 20;

type Failure = {
  readonly id: string;
  readonly count: number;
  readonly at: number;
  readonly retryAt: number;
  readonly problem: StsProblem;
};
/** `unknown`: the look-up failed. Without an `id` there is no record. */
type Announced = { readonly id: string | undefined } | 'unknown';
/** `startedAt`: monotonic. */
type Fetching = { readonly startedAt: number; readonly done: Promise<void> };

/** The memory of a domain. */
type Entry = {
  /** Undefined: the store has no policy. */
  row: StoredStsPolicy | undefined;
  /** The state of the store that `row` was read in. */
  epoch: number;
  reading: Promise<void> | undefined;
  failure: Failure | undefined;
  fetching: Fetching | undefined;
  /** Of the last look after a failure under the policy; monotonic. */
  healedAt: number;
  /** That look, while it goes on. */
  healing: Promise<void> | undefined;
  notedAt: number;
};

export class StsPolicyKeeper {
  readonly #options: StsPolicyOptions;
  readonly #known: Cache<string, Entry> = createSizedCache(KNOWN_DOMAINS, KNOWN_BYTES, sizeOf);
  readonly #stop = new AbortController();
  readonly #turns = createFairTurns(FETCHES, WAITING_FETCHES);
  /** What the store could not take yet. */
  readonly #unsaved = new Map<string, StoredStsPolicy>();
  /** What mail asked for since it was last noted. */
  #uses = new Map<string, number>();
  #epoch = 0;
  /** Monotonic. */
  #storeFailedAt = Number.NEGATIVE_INFINITY;
  /** How far the wall clock is ahead of the monotonic one. */
  #offset: number;
  /** What a leap of the clock has ended holds on until it was asked for anew, for a day. */
  #leap: { readonly at: number; readonly by: number } | undefined;

  constructor(options: StsPolicyOptions) {
    this.#options = options;
    this.#offset = options.now() - options.monotonic();
  }

  /** Never rejects. Waits a short while for a policy that is not known yet. */
  async policyFor(name: string): Promise<KnownStsPolicy> {
    const domain = this.#known.has(name) ? name : toAsciiDomain(name); // what is known is in the form of the DNS
    if (domain === undefined) return NOTHING; // an address literal has none
    this.lookAtClock();
    const looking = this.#announced(domain, false);
    const entry = this.#readEntryOf(domain) ?? (await this.#entryOf(domain));
    const announced = await looking;
    const id = idIn(announced);
    const held = this.#valid(entry.row);
    if (id === undefined && held === undefined && announced !== 'unknown') return NOTHING;
    if (held !== undefined) this.#noteUse(domain, entry);
    // Nothing is announced, or nobody can say: what was fetched holds all the same, RFC 8461 §3.3.
    if (id === undefined || held?.id === id)
      return { ...(held !== undefined && { policy: held }), ...(announced === 'unknown' && { isUnknown: true }) };
    if (entry.fetching !== undefined || this.#mayFetch(entry, id)) await this.#waitFor(this.#fetchOnce(domain, entry, id));
    const policy = this.#valid(entry.row);
    const problem = entry.failure?.id === id ? entry.failure.problem : undefined;
    const isUnknown = problem === undefined && policy?.id !== id;
    return {
      ...(policy !== undefined && { policy }),
      ...(problem !== undefined && { problem }),
      ...(isUnknown && { isUnknown }),
    };
  }

  /**
   * After a failure under an enforced policy: record and file are asked for afresh, also where the record has not changed, at most once in
   * five minutes. RFC 8461 §5, §5.1. Never rejects.
   * @param failed the policy that the failure was under; where another one holds by now, that is a change too
   */
  async heal(name: string, failed?: Pick<StsPolicy, 'text'>): Promise<HealedStsPolicy> {
    const domain = toAsciiDomain(name);
    if (domain === undefined) return { changed: false, isCurrent: true };
    const entry = await this.#entryOf(domain);
    const held = this.#valid(entry.row)?.text;
    const before = failed === undefined ? held : failed.text;
    if (held === before) await this.#lookAfresh(domain, entry);
    const policy = this.#valid(entry.row);
    return { ...(policy !== undefined && { policy }), changed: policy?.text !== before, isCurrent: this.#isCurrent(entry) };
  }

  /** It was fetched within the time in which it is not fetched again, and no fetch has failed since. */
  #isCurrent({ row, failure }: Entry): boolean {
    return failure === undefined && row !== undefined && Math.abs(this.#options.now() - row.fetchedAt) < FIRST_PAUSE;
  }

  /** All whose mail fails at the same time wait for one look. */
  async #lookAfresh(domain: string, entry: Entry): Promise<void> {
    if (entry.healing === undefined && entry.fetching === undefined && this.#mayHeal(entry)) {
      entry.healedAt = this.#options.monotonic();
      entry.healing = this.#announced(domain, true).then((announced) => {
        const id = idIn(announced) ?? entry.row?.id;
        entry.healing = undefined;
        if (id !== undefined) this.#fetchOnce(domain, entry, id);
      });
    }
    await entry.healing;
    if (entry.fetching !== undefined) await this.#waitFor(entry.fetching);
  }

  /**
   * Fetches the policy now, whatever is known of it. Never rejects.
   * @returns why it could not be had; `absent`: the domain announces none, and none holds
   */
  async refresh(domain: string): Promise<StsProblem | 'absent' | undefined> {
    this.lookAtClock();
    const [entry, announced] = await Promise.all([
      this.#entryOf(domain),
      this.#announced(domain, this.#options.by === 'operator'),
    ]);
    // The file is asked for also where the record is gone: who can hide the record cannot end the policy so. RFC 8461 §10.2
    const id = idIn(announced) ?? this.#valid(entry.row)?.id;
    if (id === undefined) return 'absent';
    await this.#fetchOnce(domain, entry, id).done;
    return entry.failure?.problem;
  }

  /** Others have changed what the store holds. */
  forget(): void {
    this.#epoch++;
  }

  /** Notes what mail asked for since the last call, and what the store could not take before. Rejects where it cannot. */
  async save(): Promise<void> {
    const { store, by } = this.#options;
    const uses = [...this.#uses].map(([domain, at]) => ({ domain, at }));
    this.#uses = new Map();
    if (uses.length > 0) await store.noteStsUse(uses);
    for (const row of this.#unsaved.values()) {
      await store.putStsPolicy(row, by);
      if (this.#unsaved.get(row.domain) === row) this.#unsaved.delete(row.domain);
    }
  }

  /** Fetches under way end. */
  stop(): void {
    this.#stop.abort();
  }

  /** Notices where the wall clock has leapt ahead. @returns until when what ended by that still holds, and by which time it is measured. */
  lookAtClock(): { readonly heldAt: number; readonly hasLeapt: boolean } {
    const { now, monotonic } = this.#options;
    const at = now();
    const offset = at - monotonic();
    const by = offset - this.#offset;
    this.#offset = offset;
    if (by > LEAP) this.#leap = { at, by };
    const hasLeapt = this.#leap !== undefined && at >= this.#leap.at && at < this.#leap.at + DAY;
    if (!hasLeapt) this.#leap = undefined;
    return { heldAt: hasLeapt ? at - this.#leap!.by : at, hasLeapt };
  }

  /** The row where it holds: not expired, or only by a leap of the clock since which nobody could ask for it. */
  #valid(row: StoredStsPolicy | undefined): StoredStsPolicy | undefined {
    if (row === undefined || row.expiresAt > this.#options.now()) return row;
    const leap = this.#leap;
    if (leap === undefined || (row.failedAt ?? 0) >= leap.at) return undefined;
    return row.expiresAt > this.#options.now() - leap.by ? row : undefined;
  }

  /** The entry of a domain that the store has no policy of, where nothing has to be read. */
  #readEntryOf(domain: string): Entry | undefined {
    const entry = this.#known.get(domain);
    return entry?.epoch === this.#epoch && entry.row === undefined ? entry : undefined;
  }

  async #entryOf(domain: string): Promise<Entry> {
    let entry = this.#known.get(domain);
    if (entry === undefined) {
      entry = {
        ...{ row: undefined, epoch: -1, reading: undefined, failure: undefined, fetching: undefined, healing: undefined },
        ...{ healedAt: Number.NEGATIVE_INFINITY, notedAt: Number.NEGATIVE_INFINITY },
      };
      this.#known.set(domain, entry);
    }
    if (entry.epoch !== this.#epoch && this.#options.monotonic() - this.#storeFailedAt >= STORE_PAUSE)
      await (entry.reading ??= this.#read(domain, entry));
    if (entry.row !== undefined && entry.row.fetchedAt > this.#options.now() + MINUTE) this.#setRight(domain, entry, entry.row);
    return entry;
  }

  /** A store that cannot be read is as one that holds nothing, for this once: the policy is fetched then. */
  async #read(domain: string, entry: Entry): Promise<void> {
    const epoch = this.#epoch;
    try {
      const stored = await this.#options.store.stsPolicy(domain);
      entry.row = this.#unsaved.get(domain) ?? stored;
      entry.epoch = epoch;
      if (stored?.retryId != null) entry.failure ??= failureOf(stored);
      this.#known.set(domain, entry); // its size has changed
    } catch (error) {
      this.#storeFailedAt = this.#options.monotonic();
      this.#options.log.emit('storeFailed', { operation: 'stsPolicy', error });
    }
    entry.reading = undefined;
  }

  /** A clock that was ahead has dated it: it counts from now on, and for no longer than it says. */
  #setRight(domain: string, entry: Entry, row: StoredStsPolicy): void {
    const now = this.#options.now();
    this.#keep(domain, entry, {
      ...row,
      fetchedAt: now,
      expiresAt: now + ageOf(row),
      usedAt: Math.min(row.usedAt, now),
      refreshAt: now,
    });
  }

  /** The record that the domain has. */
  async #announced(domain: string, afresh: boolean): Promise<Announced> {
    const answer = await this.#options.dns.txt(`_mta-sts.${domain}`, afresh);
    if (answer.kind === 'temporary') return 'unknown';
    return { id: answer.kind === 'found' ? findStsId(answer.values) : undefined };
  }

  /** Another id is another policy, and asked for at once. */
  #mayFetch({ failure }: Entry, id: string): boolean {
    const now = this.#options.now();
    return failure === undefined || failure.id !== id || now >= failure.retryAt || now < failure.at;
  }

  #mayHeal({ failure, healedAt }: Entry): boolean {
    const { now, monotonic } = this.#options;
    const hasRested = failure === undefined || Math.abs(now() - failure.at) >= FIRST_PAUSE;
    return hasRested && monotonic() - healedAt >= FIRST_PAUSE;
  }

  /** One fetch of a domain at a time. */
  #fetchOnce(domain: string, entry: Entry, id: string): Fetching {
    if (entry.fetching !== undefined) return entry.fetching;
    const done = this.#fetch(domain, entry, id).finally(() => {
      entry.fetching = undefined;
    });
    entry.fetching = { startedAt: this.#options.monotonic(), done };
    return entry.fetching;
  }

  async #fetch(domain: string, entry: Entry, id: string): Promise<void> {
    if (!(await this.#turns.enter(ownerOf(domain)))) return;
    try {
      const fetched = await this.#options.fetch(domain, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      if ('file' in fetched) this.#took(domain, entry, { id, file: fetched.file });
      else this.#failed(domain, entry, { id, problem: fetched.problem });
    } finally {
      this.#turns.leave(ownerOf(domain));
    }
  }

  /** Resolves when the fetch is done, or has taken as long as mail waits. */
  async #waitFor({ startedAt, done }: Fetching): Promise<void> {
    const left = startedAt + PATIENCE - this.#options.monotonic();
    if (left <= 0) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([done, new Promise((resolve) => (timer = setTimeout(resolve, left)))]);
    clearTimeout(timer);
  }

  #took(domain: string, entry: Entry, { id, file }: { id: string; file: PolicyFile }): void {
    const { now, random, log } = this.#options;
    const at = now();
    const before = entry.row;
    const age = ageOf(file);
    // A day, or half of a life that is short, sooner or later by a fifth, so that policies of one hour do not stay together.
    const pause = Math.round(Math.min(DAY, age / 2) * (0.8 + 0.4 * random()));
    entry.failure = undefined;
    this.#keep(domain, entry, {
      ...{ domain, id, ...file, fetchedAt: at, expiresAt: at + age, usedAt: before?.usedAt ?? at },
      ...{ refreshAt: pause < FIRST_PAUSE ? null : at + pause },
      ...{ failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null },
    });
    const facts = { domain, id, result: 'fetched', mode: file.mode, mx: file.mx.slice(0, NAMED_HOSTS) };
    const until = { expiresAt: new Date(at + age).toISOString() };
    if (before === undefined) log.emit('stsPolicy', { action: 'fetched', ...facts, ...until });
    else if (before.text === file.text) log.emit('stsPolicy', { action: 'refreshed', ...facts, ...until }, 'debug');
    else {
      const old = { oldMode: before.mode, oldMx: before.mx.slice(0, NAMED_HOSTS) };
      log.emit('stsPolicy', { action: 'changed', ...facts, ...old, ...until });
    }
  }

  #failed(domain: string, entry: Entry, { id, problem }: { id: string; problem: StsProblem }): void {
    const { now, store, log } = this.#options;
    const at = now();
    const count = entry.failure?.id === id ? entry.failure.count + 1 : 1;
    const retryAt = at + Math.min(FIRST_PAUSE * 2 ** (count - 1), LONGEST_PAUSE);
    entry.failure = { id, count, at, retryAt, problem };
    const { row } = entry;
    const error = inEnglish(problem.why);
    if (row !== undefined) {
      const failure = { at, error, retryAt, retryId: id };
      entry.row = {
        ...{ ...row, failures: row.failures + 1, failedAt: at, lastError: error, retryAt, retryId: id },
        refreshAt: retryAt,
      };
      store
        .noteStsFailure({ domain, ...failure })
        .catch((error: unknown) => log.emit('storeFailed', { operation: 'noteStsFailure', error }));
    }
    const facts = { action: 'failed', domain, id, result: problem.type, detail: error, failures: count };
    const isOverdue = row !== undefined && at - row.fetchedAt > Math.min(OVERDUE, ageOf(row) / 2);
    log.emit('stsPolicy', facts, row?.mode === 'none' ? 'debug' : count === 1 || isOverdue ? 'warn' : 'info');
  }

  /** Counts at once; the store has it a moment later, and a store that fails is asked again. */
  #keep(domain: string, entry: Entry, row: StoredStsPolicy): void {
    const { store, log, by } = this.#options;
    entry.row = row;
    entry.epoch = this.#epoch;
    this.#known.set(domain, entry);
    if (this.#unsaved.size < UNSAVED || this.#unsaved.has(domain)) this.#unsaved.set(domain, row);
    store.putStsPolicy(row, by).then(
      () => {
        if (this.#unsaved.get(domain) === row) this.#unsaved.delete(domain);
      },
      (error: unknown) => log.emit('storeFailed', { operation: 'putStsPolicy', error }),
    );
  }

  #noteUse(domain: string, entry: Entry): void {
    const now = this.#options.now();
    if (Math.abs(now - entry.notedAt) < USE_NOTED) return;
    entry.notedAt = now;
    this.#uses.set(domain, now);
  }
}

const NOTHING: KnownStsPolicy = {};

const idIn = (announced: Announced) => (announced === 'unknown' ? undefined : announced.id);
const ageOf = ({ maxAge }: Pick<PolicyFile, 'maxAge'>) => Math.max(maxAge * SECOND, LEAST_AGE);
const sizeOf = ({ row }: Entry) => 300 + (row === undefined ? 0 : 2 * row.text.length);

/** As the last run of the relay has left it. */
function failureOf({ retryId, failures, failedAt, retryAt, lastError }: StoredStsPolicy): Failure {
  const problem = { type: 'sts-policy-fetch-error', why: data(lastError ?? '') } as const;
  return { id: retryId ?? '', count: failures, at: failedAt ?? 0, retryAt: retryAt ?? 0, problem };
}

/** Names of one owner mostly have the same ending. */
const ownerOf = (domain: string) => domain.split('.').slice(-2).join('.');

/**
 * The fallback upstream: mail for a provider that refuses our address leaves by another relay, in whose name the operator may send. It is
 * chosen per recipient, and ends by itself when the provider takes mail from us again.
 *
 * It never makes things worse. Mail waits as without it where the upstream fails, where its cap for the day is reached, and where receivers
 * would take mail from there for a forgery. The count of the day is stored before a message leaves, so that a crash does not forget it.
 */

import { matchesDomain } from '../../smtp/domain.ts';
import { domainOf } from '../../smtp/envelope.ts';
import { type Reply, replyLine } from '../../smtp/reply.ts';
import type { FallbackRule } from '../../smtp/route.ts';
import type { Shaping } from '../../store/store.ts';
import { createCache } from '../../system/cache.ts';
import { DAY, HOUR, MINUTE } from '../../system/clock.ts';
import type { Entrant, TurnedAway } from '../places.ts';
import { judgeReturned } from '../verdict.ts';
import type { Permit } from './permit.ts';
import type { ProviderLine } from './provider-line.ts';
import type { Heard } from './provider-way.ts';

/** Rows of the store with this prefix are upstreams, and not providers. */
const ROW = 'fallback:';

/** The first rule for this provider. Undefined: its mail waits. */
export function fallbackFor(rules: readonly FallbackRule[], provider: string): FallbackRule | undefined {
  const found = rules.find(({ providers }) => providers === undefined || providers.includes(provider));
  return found === undefined || found.hosts.length === 0 ? undefined : found;
}

/** What pacing and the store call an upstream. */
export function upstreamOf({ hosts, login }: Pick<FallbackRule, 'hosts' | 'login'>): string {
  return `route:${hosts.join(',')}${login === undefined ? '' : ` as ${login.user}`}`;
}

/** What is known of an upstream, from its row in the store. Undefined: it was never used. @param at milliseconds since the epoch. */
export function fallbackUse(rule: FallbackRule, rows: readonly Shaping[], at: number) {
  const row = rows.find(({ provider }) => provider === rowName(rule));
  if (row === undefined) return undefined;
  const { state, since, until, sessions, evidence } = row;
  const { day, cause } = JSON.parse(evidence) as Evidence;
  return { state, since, until, used: day === dayOf(at) ? sessions : 0, reply: cause === undefined ? null : replyLine(cause) };
}

/** Each upstream that was ever used. @param at milliseconds since the epoch. */
export function fallbackStates(rows: readonly Shaping[], at: number) {
  return rows.filter(isFallbackRow).map(({ provider, state, sessions, evidence }) => {
    const { day } = JSON.parse(evidence) as Evidence;
    return { upstream: provider.slice(ROW.length), used: day === dayOf(at) ? sessions : 0, failing: state === 'blocked' };
  });
}

export function isFallbackRow({ provider }: Pick<Shaping, 'provider'>): boolean {
  return provider.startsWith(ROW);
}

const rowName = (rule: Pick<FallbackRule, 'hosts' | 'login'>) => `${ROW}${upstreamOf(rule).slice('route:'.length)}`;
const dayOf = (now: number) => Math.floor(now / DAY);

/** A message as far as it decides about its way. */
export type FallbackMail = {
  /** Domains of the From field. */
  readonly from: readonly string[];
  readonly reversePath: string;
  /** `selector._domainkey.domain` of each signature of ours. */
  readonly signatures: readonly string[];
};

/** Whether receivers take mail from the upstream for mail of its From domain. `unknown`: the DNS gave no answer. */
export type FallbackStanding = 'aligned' | 'unaligned' | 'unknown';

/** For the operator. `upstream`: its hosts. */
export type FallbackNews = { readonly upstream: string; readonly provider: string; readonly at: number } & (
  | { readonly kind: 'cap'; readonly cap: number }
  | { readonly kind: 'failing'; readonly reply: Reply; readonly until: number }
  | { readonly kind: 'working' }
  | { readonly kind: 'unaligned'; readonly domain: string; readonly why: 'alignment' | 'domains' }
);

export type FallbackOptions = {
  readonly rules: () => readonly FallbackRule[];
  /** Absent: each message has the domain of its envelope sender in From, and it is aligned. */
  readonly mail?: {
    /** Undefined: it cannot be read. */
    read(message: string): Promise<FallbackMail | undefined>;
    judge(from: string, mail: FallbackMail, rule: FallbackRule): Promise<FallbackStanding>;
  };
  readonly onNews: (news: FallbackNews) => void;
};

type Surroundings = FallbackOptions & {
  readonly now: () => number;
  readonly changed: (row: Shaping) => void;
  readonly put: (row: Shaping) => unknown;
  /** Makes the next older held message of a provider due, behind one. @returns its id, or none. */
  readonly release: (provider: string, after: string) => Promise<readonly string[]>;
};

type Evidence = { readonly day: number; readonly cause?: Reply };

/** An upstream, and what it was used for today. `failures`: in a row. `until`: of its failure, when it is tried again. */
type Upstream = {
  readonly rule: FallbackRule;
  day: number;
  used: number;
  running: number;
  failures: number;
  blocked: boolean;
  since: number;
  until: number;
  step: number;
  cause: Reply | undefined;
  capTold: number;
};

/** How held mail of a provider moves: all that is held, one message a second, and again after a while what could not go then. */
type Walk = { after: string; restsUntil: number; busy: boolean };

const DEFAULT_AFTER = 15 * MINUTE;
/** Reputation that only slows us down is no reason before. */
const THROTTLED_AFTER = 4 * HOUR;
/** After a failure of the upstream it is tried again. */
const LADDER = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR] as const;
/** What is perhaps a failure of the upstream is one so often in a row. */
const FAILURES = 3;
const WALK_AGAIN = 5 * MINUTE;
/** A message that the upstream does not want is not offered to it again for so long. */
const UNWANTED = 4 * HOUR;
const STANDING_KEPT: { readonly [standing in FallbackStanding]: number } = {
  aligned: HOUR,
  unaligned: 10 * MINUTE,
  unknown: MINUTE,
};

export class Fallback {
  readonly #options: Surroundings;
  readonly #upstreams = new Map<string, Upstream>();
  readonly #walks = new Map<string, Walk>();
  readonly #unwanted;
  readonly #standings;

  constructor(options: Surroundings) {
    this.#options = options;
    this.#unwanted = createCache<string, number>(10_000);
    this.#standings = createCache<string, { readonly standing: FallbackStanding; readonly until: number }>(10_000);
  }

  /** Takes over what an earlier process has stored. */
  restore({ provider, state, since, until, step, sessions, evidence }: Shaping): void {
    const { day, cause } = JSON.parse(evidence) as Evidence;
    const now = this.#options.now();
    const known = { ...fresh({ hosts: [], dailyCap: 1 }, now), day, used: sessions, step, cause, blocked: state === 'blocked' };
    const latest = now + LADDER.at(-1)!;
    this.#upstreams.set(provider, { ...known, since: Math.min(since, now), until: Math.min(until, latest) });
  }

  rows(): readonly Shaping[] {
    return [...this.#upstreams].map(([name, upstream]) => rowOf(name, upstream));
  }

  /** The operator may have mended what failed. */
  retry(): void {
    for (const upstream of this.#upstreams.values()) if (upstream.blocked) upstream.until = this.#options.now();
    this.#walks.clear();
    this.#standings.clear();
    this.#unwanted.clear();
  }

  /** Mail for a provider may leave by its fallback now. @param message absent: any. @param isNew it waits because our address is new. */
  takes(line: Pick<ProviderLine, 'key' | 'refusal'>, message?: string, isNew = false): boolean {
    const rule = isNew ? fallbackFor(this.#options.rules(), line.key) : this.#ruleFor(line);
    if (rule === undefined || (message !== undefined && this.#isUnwanted(message))) return false;
    return this.#room(this.#upstream(rule), line.key) > 0;
  }

  /** A permit for as many recipients as the cap allows, once the message is known to be welcome there. */
  async enter({ fallback, message, sender }: Entrant): Promise<Permit | TurnedAway> {
    const { provider, upstream: key, count } = fallback!;
    const no: TurnedAway = { verdict: judgeReturned('The fallback upstream does not take this message') };
    const rule = fallbackFor(this.#options.rules(), provider);
    if (rule === undefined || upstreamOf(rule) !== key) return no;
    if (!(await this.#isWelcome(rule, { provider, message, sender }))) {
      this.#unwanted.set(message, this.#options.now() + STANDING_KEPT.unaligned);
      return no;
    }
    const upstream = this.#upstream(rule);
    const granted = Math.min(count, this.#room(upstream, provider));
    if (granted <= 0) return no;
    const beganAt = this.#options.now();
    upstream.used += granted;
    upstream.running++;
    await this.#options.put(rowOf(rowName(rule), upstream));
    const believed = { own: false, other: false };
    const permit = {
      provider,
      way: rowName(rule),
      sources: [],
      closed: [],
      perConnection: 100,
      probe: false,
      beside: 0,
      beganAt,
      believed,
    };
    return { ...permit, fallback: { granted, message } };
  }

  leave({ way, provider, fallback }: Permit, heard: readonly Heard[]): void {
    const upstream = this.#upstreams.get(way);
    if (upstream === undefined) return;
    upstream.running--;
    const { granted, message } = fallback!;
    const sent = heard.filter(({ kind }) => kind === 'clean' || kind === 'silent').length;
    const before = JSON.stringify(rowOf(way, upstream));
    upstream.used = Math.max(0, upstream.used - (granted - sent));
    if (heard.some(({ kind, sure }) => kind === 'other' || (kind === 'us' && sure === undefined)))
      this.#unwanted.set(message, this.#options.now() + UNWANTED);
    if (heard.some(({ kind }) => kind === 'clean')) this.#worked(upstream, provider);
    else {
      const failure = heard.find(({ kind, sure }) => kind === 'us' && sure === true) ?? heard.find(({ kind }) => kind === 'us');
      if (failure !== undefined) this.#failed(upstream, provider, failure);
    }
    const row = rowOf(way, upstream);
    if (JSON.stringify(row) !== before) this.#options.changed(row);
  }

  /** Moves held mail, if a provider has some that may go. Called each second. */
  move(line: Pick<ProviderLine, 'key' | 'refusal'>): void {
    const { key } = line;
    if (line.refusal() === undefined) {
      this.#walks.delete(key);
      return;
    }
    const walk = this.#walks.get(key) ?? { after: '', restsUntil: 0, busy: false };
    this.#walks.set(key, walk);
    const now = this.#options.now();
    const rests = walk.restsUntil > now && walk.restsUntil <= now + WALK_AGAIN;
    if (walk.busy || rests || !this.takes(line)) return;
    walk.busy = true;
    const told = (found: readonly string[]) => {
      walk.busy = false;
      walk.after = found.at(-1) ?? '';
      if (found.length === 0) walk.restsUntil = now + WALK_AGAIN;
    };
    void this.#options.release(key, walk.after).then(told, () => told([]));
  }

  /** Undefined: none, or it is too early. */
  #ruleFor(line: Pick<ProviderLine, 'key' | 'refusal'>): FallbackRule | undefined {
    const rules = this.#options.rules();
    if (rules.length === 0) return undefined;
    const refusal = line.refusal();
    const rule = refusal && fallbackFor(rules, line.key);
    if (refusal === undefined || rule === undefined) return undefined;
    const { after = DEFAULT_AFTER } = rule;
    const waits = refusal.isThrottle ? Math.max(after, THROTTLED_AFTER) : after;
    return this.#options.now() - refusal.since >= waits ? rule : undefined;
  }

  #upstream(rule: FallbackRule): Upstream {
    const name = rowName(rule);
    const known = this.#upstreams.get(name);
    if (known?.rule === rule) return known;
    const upstream = known === undefined ? fresh(rule, this.#options.now()) : { ...known, rule };
    // The same object, because attempts that are under way count in it.
    const kept = known === undefined ? upstream : Object.assign(known, { rule });
    this.#upstreams.set(name, kept);
    return kept;
  }

  /** Recipients that it takes now. */
  #room(upstream: Upstream, provider: string): number {
    const now = this.#options.now();
    const { blocked, running, rule } = upstream;
    const today = dayOf(now);
    // A day that lies ahead was noted by a clock that has been set back.
    if (upstream.day !== today) [upstream.day, upstream.used] = [today, 0];
    if (blocked && (upstream.until > now || running > 0)) return 0;
    const room = rule.dailyCap - upstream.used;
    if (room <= 0 && upstream.capTold !== today) {
      upstream.capTold = today;
      this.#tell({ kind: 'cap', cap: rule.dailyCap }, upstream, provider);
    }
    return room;
  }

  /** Sends to it as its From domain may be, and nothing that it has refused. */
  async #isWelcome(rule: FallbackRule, { provider, message, sender }: { provider: string; message: string; sender: string }) {
    const { mail } = this.#options;
    const read = mail ? await mail.read(message) : { from: [domainOf(sender)], reversePath: sender, signatures: [] };
    if (read === undefined || read.from.length === 0) return false;
    for (const domain of new Set(read.from)) {
      const allowed = rule.domains === undefined || rule.domains.some((pattern) => matchesDomain(pattern, domain));
      const standing = allowed ? await this.#standing(domain, read, rule) : 'unaligned';
      if (standing === 'aligned') continue;
      const why = allowed ? 'alignment' : 'domains';
      if (standing === 'unaligned') this.#tell({ kind: 'unaligned', domain, why }, this.#upstream(rule), provider);
      return false;
    }
    return true;
  }

  async #standing(from: string, read: FallbackMail, rule: FallbackRule): Promise<FallbackStanding> {
    const { mail, now } = this.#options;
    if (mail === undefined) return 'aligned';
    const key = [from, domainOf(read.reversePath), ...[...read.signatures].sort(), rowName(rule)].join(' ');
    const known = this.#standings.get(key);
    if (known !== undefined && known.until > now() && known.until <= now() + HOUR) return known.standing;
    const standing = await mail.judge(from, read, rule);
    this.#standings.set(key, { standing, until: now() + STANDING_KEPT[standing] });
    return standing;
  }

  #isUnwanted(message: string): boolean {
    const until = this.#unwanted.get(message) ?? 0;
    const now = this.#options.now();
    return until > now && until <= now + UNWANTED;
  }

  #worked(upstream: Upstream, provider: string): void {
    const wasBlocked = upstream.blocked;
    Object.assign(upstream, { failures: 0, blocked: false, step: 0, cause: undefined });
    if (!wasBlocked) return;
    upstream.since = this.#options.now();
    this.#tell({ kind: 'working' }, upstream, provider);
  }

  #failed(upstream: Upstream, provider: string, { sure, reply }: Heard): void {
    const now = this.#options.now();
    upstream.failures++;
    if (upstream.blocked && upstream.until > now) return; // what was under way together is one failure
    if (!upstream.blocked && sure !== true && upstream.failures < FAILURES) return;
    const step = upstream.blocked ? upstream.step + 1 : 0;
    const until = now + LADDER[Math.min(step, LADDER.length - 1)]!;
    const isNew = !upstream.blocked;
    Object.assign(upstream, { blocked: true, step, until, cause: reply, since: isNew ? now : upstream.since });
    if (isNew && reply !== undefined) this.#tell({ kind: 'failing', reply, until }, upstream, provider);
  }

  #tell(
    news:
      | { kind: 'cap'; cap: number }
      | { kind: 'failing'; reply: Reply; until: number }
      | { kind: 'working' }
      | { kind: 'unaligned'; domain: string; why: 'alignment' | 'domains' },
    { rule }: Upstream,
    provider: string,
  ): void {
    this.#options.onNews({ ...news, upstream: rule.hosts.join(', '), provider, at: this.#options.now() });
  }
}

function fresh(rule: FallbackRule, now: number): Upstream {
  return {
    ...{ rule, day: dayOf(now), used: 0, running: 0, failures: 0 },
    ...{ blocked: false, since: now, until: 0, step: 0, cause: undefined, capTold: -1 },
  };
}

/** `sessions` of the row is the count of the day. */
function rowOf(provider: string, { day, used, blocked, since, until, step, cause }: Upstream): Shaping {
  const evidence: Evidence = { day, ...(cause !== undefined && { cause }) };
  return {
    ...{ provider, source: '', family: 4, state: blocked ? 'blocked' : 'open', since, until: blocked ? until : 0, step },
    ...{ sessions: used, rate: 0, learnedCap: null, evidence: JSON.stringify(evidence) },
  };
}

/** Relay to destination MX or upstream: one Outcome per recipient. RFC 5321 §5. */
import { performance } from 'node:perf_hooks';
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import type { Outcome } from '../smtp/outcome.ts';
import type {
  DestinationFunction,
  DestinationRule,
  FallbackRule,
  IpPolicy,
  Route,
  SignsFunction,
  TlsLevel,
} from '../smtp/route.ts';
import type { Claim, OperationStore, Shaping, SlotStore, StoredRecipient } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, HOUR, MINUTE, systemClock } from '../system/clock.ts';
import type { PolicyMode } from '../tls-policy/tls-policy.ts';
import { type AttemptContext, type AttemptResult, attempt, effectOf } from './attempt.ts';
import { heldFrom, isClosed, outcomeOf, outcomeOfClosed, type Waits } from './attempt-outcome.ts';
import { deadlines } from './connection.ts';
import { attemptFallback, type FallbackLetter } from './fallback-attempt.ts';
import type { HeldPolicies } from './host-policy.ts';
import { isSourceOf } from './ip-families.ts';
import { Pacing } from './pacing.ts';
import type { Places, TurnedAway } from './places.ts';
import { type PlanContext, planFor } from './plan.ts';
import { createPlanContext } from './plan-context.ts';
import { createPool, type OnIdle, type Pool } from './pool.ts';
import { destinationOf, signs } from './route.ts';
import type { SessionResults } from './session-results.ts';
import { fallbackFor } from './shaping/fallback.ts';
import { heardFrom, withoutCrowd } from './shaping/heard.ts';
import type { BlockNews } from './shaping/permit.ts';
import { loadProviders } from './shaping/provider.ts';
import { type ProviderSurroundings, startProviders } from './shaping/provider-start.ts';
import type { Heard } from './shaping/provider-way.ts';
import { loadReplies } from './shaping/reply-table.ts';
import { createEncryption } from './tls.ts';
import { createTranscript } from './transcript.ts';
import { UpstreamSlots, upstreamLimits } from './upstream-slots.ts';
import { judgeFailure, type Verdict } from './verdict.ts';

export { exceptionsOf, type TlsException } from './operator.ts';
export type { Pacing } from './pacing.ts';
export type { Place, Places, TurnedAway } from './places.ts';
export { catchAll, destinationOf, routesTo, signs } from './route.ts';
export {
  type FallbackMail,
  type FallbackNews,
  type FallbackStanding,
  fallbackFor,
  fallbackStates,
  fallbackUse,
  isFallbackRow,
} from './shaping/fallback.ts';
export { judgeReply } from './shaping/judgement.ts';
export type { BlockNews } from './shaping/permit.ts';
export { loadProviders, type Provider, providerProblems } from './shaping/provider.ts';
export { formatAction, type ReplyJudgement, type ReplyPhase } from './shaping/reply-class.ts';
export { loadReplies, replyProblems } from './shaping/reply-table.ts';
export { fingerprintOf, parseReplyText } from './shaping/reply-text.ts';
export { warmUpShape } from './shaping/warm-up.ts';
export { type DomainSurvey, type SurveyedAddress, type SurveyedSession, surveyDomain } from './survey.ts';
export { isUnmetReply } from './unmet.ts';

/** Milliseconds: RFC 5321 §4.5.3.2. `command` is one reply to EHLO, STARTTLS, AUTH, MAIL or RCPT, and a TLS handshake. */
export type Timeouts = {
  readonly connect: number;
  readonly greeting: number;
  readonly command: number;
  readonly data: number;
  readonly block: number;
  readonly dot: number;
};

export type DeliveryOptions = {
  readonly hostname: string;
  readonly dns: DnsClient;
  readonly log: EventLog;
  /** Keeps back-off over a restart. */
  readonly operation: Pick<OperationStore, 'paces' | 'putPace' | 'removePace'> & ProviderSurroundings['operation'];
  /** Counts connections to upstreams with a limit over all relays. Absent: this is the only one. */
  readonly slots?: SlotStore | undefined;
  /** Mail that is held for a provider. Absent: its store holds none. */
  readonly held?: ProviderSurroundings['held'];
  readonly onBlock?: ProviderSurroundings['onBlock'];
  readonly onFallback?: ProviderSurroundings['onFallback'];
  readonly fallbackMail?: ProviderSurroundings['fallbackMail'];
  readonly routes: readonly Route[];
  /** What the operator asks of destinations without a route. Default: the same of all. */
  readonly destinations?: readonly DestinationRule[];
  /** Port of MX hosts. */
  readonly port: number;
  readonly ip: IpPolicy;
  /** Local addresses to send from; empty: the system chooses. */
  readonly source: readonly string[];
  /** Networks in CIDR that MX hosts may lie in though they are private. */
  readonly allowPrivate: readonly string[];
  readonly tls: TlsLevel;
  /** RFC 7672. Default: on. */
  readonly dane?: PolicyMode;
  /** RFC 8461. Default: on, where there is `sts`. */
  readonly mtaSts?: PolicyMode;
  /** The policies that domains publish; absent: nobody asks for them. */
  readonly sts?: HeldPolicies;
  /** False: the resolver does not validate. Absent: each answer is believed by itself. */
  readonly validates?: () => boolean;
  /** Asks the resolver now. Never rejects. Default: as `validates` says. */
  readonly validatesNow?: () => Promise<boolean>;
  /** Told how each session ended, for reports to the domains: RFC 8460. */
  readonly results?: SessionResults;
  /** The operator's own lines for the table of replies: a file. */
  readonly replies?: string | undefined;
  /** 8-bit content and a host without 8BITMIME: send it as it is, or fail with 5.6.3. */
  readonly eightBit: 'send' | 'return';
  /** The operator's own lines for the table of providers: a file. */
  readonly providers?: string | undefined;
  /** Relays for mail of providers that refuse our address; the first that names the provider counts. Default: such mail waits. */
  readonly fallback?: readonly FallbackRule[];
  /** A new address sends little to each provider at first (default: off), and the mail of these logins goes first. */
  readonly warmUp?: 'on' | 'off';
  readonly priority?: readonly string[];
  /** Sessions at most to one MX host set. */
  readonly concurrency: number;
  /** Sessions at most to all destinations together. */
  readonly maxSessions: number;
  readonly timeouts: Timeouts;
  /** PEM file of further roots to trust. */
  readonly caFile?: string;
  readonly now?: Clock;
  /** Addresses that are ourselves; default: those of this machine's interfaces that are neither loopback nor private. */
  readonly ownAddresses?: () => readonly string[];
};

export type Delivery = {
  /**
   * Never rejects. One Outcome per recipient of the claim, same order. `signal` aborted: hands back (`returned`) what has not
   * sent its final dot; what has waits for its reply, and is `uncertain` when `signal.reason` is 'now'.
   */
  deliver(claim: Claim, signal: AbortSignal): Promise<readonly Outcome[]>;
  /** What deliveries are grouped by: `route:<first host>` when a route matches, else the domain. Pure. */
  destinationOf: DestinationFunction;
  /** False: its route asks for no signature of ours; decided when the message is accepted. Pure. */
  signs: SignsFunction;
  /** How many more attempts this destination takes now, running and waiting in memory under its limit; 0 while it is backed off. */
  room(destination: string): number;
  /** Called when a destination that had no room has room again. */
  onRoom(listener: (destination: string) => void): void;
  /** When a backed-off destination may be tried again; undefined: now. */
  blockedUntil(destination: string): number | undefined;
  /** How many sets of MX hosts are left alone now. */
  resting(): number;
  /** For people who ask why mail is slow. */
  inspect: Pacing['inspect'];
  /** What has become of providers since the last call, to be stored with the results that have caused it. */
  takeShaping(): readonly Shaping[];
  /** Each address of ours as each provider sees it, as far as anything is known. */
  shaping(): readonly Shaping[];
  /** The providers that refuse an address of ours now. */
  blocks(): readonly BlockNews[];
  /** What an operator asks: `open`, `hold` or `probe`. Other words do nothing. */
  commandProvider(provider: string, command: string): void;
  /** The operator asks for an attempt at this destination: it lifts the rest of its hosts once. */
  tryNow(destination: string): void;
  /** Builds all that follows from the options; the function returned swaps it in and cannot fail. @throws where it cannot be built. */
  prepareReload(changes: Partial<DeliveryOptions>): () => void;
  reload(changes: Partial<DeliveryOptions>): void;
  /** Says QUIT to idle hosts. Ends what still runs. */
  close(): Promise<void>;
};

/** How long an address that could not be connected to is tried last. */
const UNREACHABLE = 5 * MINUTE;

/** Makes the attempts. It asks for a place for each of them. */
export type Courier = Pick<Delivery, 'deliver' | 'close'> &
  Pick<Pool, 'trim' | 'drop'> & {
    /** @throws where nothing can be built from the options. The function returned swaps them in, and cannot fail. */
    prepareReload(options: CourierOptions): () => void;
  };

export type CourierOptions = Omit<
  DeliveryOptions,
  'operation' | 'slots' | 'held' | 'onBlock' | 'onFallback' | 'fallbackMail' | 'concurrency' | 'maxSessions'
>;

/** Rejects where `caFile` cannot be read or the store fails. @param elsewhere makes the attempts in other threads. */
export async function startDelivery(given: DeliveryOptions, elsewhere?: (places: Pacing) => Courier): Promise<Delivery> {
  const now = given.now ?? systemClock;
  let options = given; // before pacing, which asks for its limits while it restores stored rests
  let table = loadProviders(given.providers);
  let limits = upstreamLimits(given.routes);
  const providers = await startProviders(given, {
    now,
    find: (key) => table.byKey.get(key),
    isOurs: ({ family, source }) => isSourceOf(options.source, family, source),
    rules: () => options.fallback ?? [],
    warmsUp: () => options.warmUp === 'on',
    concurrency: () => options.concurrency,
    drop: (hosts) => courier.drop(hosts),
    onRoom: (destination) => pacing.tell(destination),
  });
  const kept = { trim: (count: number) => courier.trim(count), drop: (hosts: string) => courier.drop(hosts) };
  const pacing = await Pacing.start({
    ...{ operation: given.operation, log: given.log, now, kept, providers },
    concurrency: (key) => Math.min(options.concurrency, limits.get(key) ?? options.concurrency),
    slots: new UpstreamSlots({ limitOf: (key) => limits.get(key), store: given.slots, drop: kept.drop, log: given.log }),
    maxSessions: () => options.maxSessions,
  });
  const courier = elsewhere?.(pacing) ?? createCourier(given, pacing, pacing.noteIdle);

  function prepareReload(changes: Partial<DeliveryOptions>): () => void {
    const next = { ...options, ...changes };
    const follow = courier.prepareReload(next);
    const nextTable = loadProviders(next.providers);
    return () => {
      options = next;
      table = nextTable;
      limits = upstreamLimits(next.routes);
      follow();
      pacing.forgetWays();
      providers.followOptions();
    };
  }

  return {
    deliver: courier.deliver,
    destinationOf: (message, address) => destinationOf(options.routes, message, address),
    signs: (message, address) => signs(options.routes, message, address),
    ...{ room: (destination) => pacing.room(destination), onRoom: (listener) => pacing.onRoom(listener) },
    blockedUntil: (destination) => pacing.blockedUntil(destination),
    resting: () => pacing.resting(),
    inspect: () => pacing.inspect(),
    takeShaping: () => providers.takeChanges(),
    ...{ shaping: () => providers.states(), blocks: () => providers.blocks() },
    commandProvider: (provider, command) => providers.obey(provider, command),
    tryNow: (destination) => pacing.tryNow(destination),
    prepareReload,
    reload: (changes) => prepareReload(changes)(),
    async close() {
      pacing.close();
      providers.close();
      await courier.close();
    },
  };
}

/** The part of delivery that may be in another thread than its places. @throws where `caFile` cannot be read */
export function createCourier(given: CourierOptions, pacing: Places, onIdle?: OnIdle): Courier {
  const now = given.now ?? systemClock;
  const { log } = given;
  let options = given;
  const pool = createPool(now, onIdle);
  const unreachable = createCache<string, true>(10_000, UNREACHABLE);
  const stopping = new AbortController();
  const live: AttemptContext['live'] = new Set();
  const running = new Set<Promise<unknown>>();
  let { plan, context } = inEffect(build(options));

  /** All that follows from the options; what goes on keeps what it began with. */
  function build(options: CourierOptions): { plan: PlanContext; context: Omit<AttemptContext, 'kept'> } {
    const { hostname, results } = options;
    const encryption = createEncryption(options.caFile, now);
    return {
      plan: createPlanContext(options, { now, isUnreachable: (ip) => unreachable.size > 0 && unreachable.has(ip) }),
      context: {
        ...{ places: pacing, unreachable, live },
        eightBit: options.eightBit,
        session: {
          hostname,
          timeouts: deadlines(options.timeouts),
          encryption,
          log,
          results,
          replies: loadReplies(options.replies),
        },
      },
    };
  }

  function inEffect({ plan, context }: ReturnType<typeof build>): { plan: PlanContext; context: AttemptContext } {
    return { plan, context: { ...context, kept: pool.begin() } };
  }

  function prepareReload(next: CourierOptions): () => void {
    const built = build(next);
    return () => {
      options = next;
      pool.clear();
      ({ plan, context } = inEffect(built));
    };
  }

  async function deliver(claim: Claim, signal: AbortSignal): Promise<readonly Outcome[]> {
    const { recipients } = claim;
    const outcomes: Outcome[] = [];
    try {
      if (recipients.length === 1) return await deliverGroup(claim, recipients, signal);
      for (const group of groups(claim)) {
        const members = group.map((i) => recipients[i]!);
        for (const [at, outcome] of (await deliverGroup(claim, members, signal)).entries()) outcomes[group[at]!] = outcome;
      }
      return outcomes;
    } catch (error) {
      log.emit('deliveryFailed', { queueId: claim.message.id, error });
      const { reply } = judgeFailure({ kind: 'local', stage: 'connect', detail: 'see the log' });
      // What was delivered before stays delivered.
      return recipients.map((_, i) => outcomes[i] ?? { kind: 'delayed', reply, waitsForUs: true, seconds: 0 });
    }
  }

  /** Recipients of one claim mostly go one way; after a change of routes they may not. */
  function groups({ message, recipients }: Claim): Iterable<readonly number[]> {
    const byWay = new Map<string, number[]>();
    for (const [i, { address }] of recipients.entries()) {
      const way = destinationOf(options.routes, message, address);
      const group = byWay.get(way);
      if (group === undefined) byWay.set(way, [i]);
      else group.push(i);
    }
    return byWay.values();
  }

  async function deliverGroup({ message, content }: Claim, recipients: readonly StoredRecipient[], signal: AbortSignal) {
    const { destination, address } = recipients[0]!;
    let started = performance.now();
    const all = (verdict: Verdict, why?: Waits) => recipients.map(() => outcomeOf({ verdict, dsn: false }, started, why));
    const lookUp = pacing.lookUp(destination);
    let found: Awaited<ReturnType<typeof planFor>>;
    try {
      found = await planFor(message, address, plan);
    } finally {
      pacing.lookedUp(lookUp);
    }
    if ('kind' in found) return all(found);
    const { id, user, reversePath: sender } = message;
    const { key, provider, ways = [] } = found;
    const reportOf = message.tlsReport ? message.acceptedAt : undefined;
    const priority = user === null || options.priority?.includes(user) === true;
    const place = await pacing.enter({ key, provider, ways, lookUp, message: id, user, sender, priority, reportOf, signal });
    if ('verdict' in place) return (await otherWay({ message, content }, recipients, place, signal)) ?? all(place.verdict, place);
    started = performance.now();
    const { permit } = place;
    let results: readonly AttemptResult[] = [];
    let heard: readonly Heard[] = [];
    const transcript = message.recorded ? createTranscript() : undefined;
    try {
      const letter = { message, content };
      results = await attempt(
        { queueId: id, hosts: key, place, letter, recipients, targets: await found.targets(permit), signal, transcript },
        context,
      );
    } finally {
      heard = ways.length === 0 ? [] : heardFrom(results, { message, recipients, provider }, permit !== undefined);
      results = withoutCrowd(results, permit);
      const { effect, reason } = effectOf(results);
      pacing.leave(place, effect, reason, heard);
    }
    const waits = heldFrom(heard, permit, provider ?? key, now());
    const outcomes = results.map((result) =>
      isClosed(result, permit) ? outcomeOfClosed(permit!, now() + HOUR) : outcomeOf(result, started, waits),
    );
    const conversation = transcript?.text() ?? '';
    return conversation === '' ? outcomes : outcomes.map((outcome) => ({ ...outcome, conversation }));
  }

  /** By its fallback upstream, if mail may go that way now. Undefined: it waits. */
  async function otherWay(claim: FallbackLetter, recipients: readonly StoredRecipient[], held: TurnedAway, signal: AbortSignal) {
    const rule = held.fallback === undefined ? undefined : fallbackFor(options.fallback ?? [], held.fallback);
    if (rule === undefined) return undefined;
    const started = performance.now();
    const job = { letter: claim, recipients, provider: held.fallback!, rule, signal };
    const results = await attemptFallback(job, { pacing, plan, context });
    return results?.map((result): Outcome => {
      if (result === undefined) return outcomeOf({ verdict: held.verdict, dsn: false }, started, held);
      const outcome = { ...outcomeOf(result, started), via: 'fallback' } as const;
      return outcome.kind === 'delayed' && held.heldBy !== undefined ? { ...outcome, heldBy: held.heldBy } : outcome;
    });
  }

  return {
    deliver(claim, signal) {
      const delivering = deliver(claim, stopping.signal.aborted ? stopping.signal : signal);
      running.add(delivering);
      void delivering.then(() => running.delete(delivering));
      return delivering;
    },
    prepareReload,
    trim: (count) => pool.trim(count),
    drop: (hosts) => pool.drop(hosts),
    async close() {
      stopping.abort();
      for (const attempt of live) attempt.stop('now');
      await Promise.all(running);
      await pool.close();
    },
  };
}

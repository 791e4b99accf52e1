/** Puts the outcomes of one claim, and what must be told of them, into one transaction; then says so in the log. */

import type { EventLog } from '../events/events.ts';
import type { Outcome } from '../smtp/outcome.ts';
import { replyLine } from '../smtp/reply.ts';
import type { Claim, MessageStore, NewSuppression, NewUntold, OverLimit, Settled, Settlement, Shaping } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR, SECOND } from '../system/clock.ts';
import { type Decision, decide, decideUntried, isForUs, worthAReport } from './decide.ts';
import type { Schedule } from './schedule.ts';
import type { Suspects } from './suspects.ts';
import { actionOf, type Reportable } from './telling.ts';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/**
 * How long a report waits for recipients of the same message that are being tried, or soon will be. Giving up came after days: those
 * that were late together end within some hours, by the chance in their pauses.
 */
const COLLECT = 30 * SECOND;
const COLLECT_EXPIRED = HOUR;
/** Why mail that was held over a limit is returned. */
const OVER_LIMIT = { code: 450, status: '4.7.1', text: 'It waited for its whole lifetime, because its sender was over a limit' };
/** A full disk must not fill the log too. */
const LOG_EVERY = 12;
const NOTHING_NOTED: readonly NewSuppression[] = [];
/** Destinations whose last failure is remembered. */
const REMEMBERED = 10_000;

type SettlerOptions = {
  readonly store: Pick<MessageStore, 'settle'>;
  readonly log: EventLog;
  readonly schedule: () => Schedule;
  readonly now: Clock;
  /** Milliseconds that no jump of the clock changes. */
  readonly monotonic: Clock;
  /** What has become of providers since the last call. It is stored with the results that have caused it. Default: nothing. */
  readonly shaping?: () => readonly Shaping[];
  /** What outcomes say of addresses. Default: nothing. */
  readonly suspects?: Pick<Suspects, 'noteOf'>;
  readonly random: () => number;
  /** Mail is to be tried again at `at`. */
  readonly onRetry: (at: number) => void;
  /** Mail was handed back untried, and is due at `at`. */
  readonly onReturned: (destination: string, at: number) => void;
  /** Something must be told; `now`: at once. */
  readonly onUntold: (now: boolean) => void;
};

export function createSettler(options: SettlerOptions) {
  const { store, log, now, monotonic, random, onRetry, onReturned, onUntold } = options;
  const failures = createFailureMemory();
  const holds = createHoldMemory();
  /** By destination and sender: some hosts refuse one sender alone. */
  const senderFailures = createFailureMemory();
  const senderAt = ({ message }: Claim, destination: string) => `${destination} ${message.reversePath}`;
  const pauses = new Set<() => void>();
  let closing = false;

  function settle(claim: Claim, outcomes: readonly Outcome[]): Promise<void> {
    const at = now();
    const when = { at, monotonic: monotonic() };
    const decisions = claim.recipients.map((recipient, i): Decision => {
      const { destination } = recipient;
      const outcome = outcomes[i]!;
      failures.note(destination, outcome, when);
      // The key is put together only where something is noted or forgotten.
      if (senderFailures.isConcerned(outcome)) senderFailures.note(senderAt(claim, destination), outcome, when);
      const failingFor = when.monotonic - failures.of(destination).since;
      const facts = {
        message: claim.message,
        schedule: options.schedule(),
        now: at,
        random: random(),
        recipient,
        outcome,
        failingFor: Math.max(failingFor, holds.knownFor(outcome, when.monotonic)),
      };
      const notBefore = outcome.kind === 'returned' ? outcome.notBefore : undefined;
      if (notBefore === undefined || isHeld(outcome)) return decide(facts);
      // A rest of one sender leaves room for others, so the runner does not review the mail that it stops.
      const own = senderFailures.of(senderAt(claim, destination));
      const { at: failedAt, since, outcome: failure } = own.at > 0 ? own : failures.of(destination);
      const shared = decideUntried({ ...facts, outcome: failure, failedAt, failingFor: when.monotonic - since });
      if (shared.event === 'expired') return shared;
      const { change } = decide(facts);
      const { report, change: warned } = shared;
      return { recipient, outcome, event: 'returned', change: { ...warned, ...change }, ...(report && { report }) };
    });
    return conclude(claim, at, decisions);
  }

  function settleUntried(claim: Claim): Promise<void> {
    const at = now();
    const facts = claim.recipients.map((recipient) => {
      const { at: failedAt, since, outcome } = failures.of(recipient.destination);
      const { message } = claim;
      const schedule = options.schedule();
      return { message, schedule, now: at, random: random(), recipient, outcome, failedAt, failingFor: monotonic() - since };
    });
    return conclude(claim, at, facts.map(decideUntried));
  }

  /** Mail that was held over a limit of ours for its whole lifetime, and never tried: its sender is told. Never rejects. */
  function giveUp({ id, reversePath, recipients }: OverLimit['expired'][number]): Promise<void> {
    const outcome: Outcome = { kind: 'returned', reply: OVER_LIMIT, seconds: 0 };
    const decisions = recipients.map((recipient): Decision => {
      const change = { n: recipient.n, state: 'expired', lastReply: replyLine(OVER_LIMIT) } as const;
      return { recipient, outcome, event: 'expired', change, ...worthAReport({ recipient, action: 'expired', outcome }) };
    });
    return conclude({ lease: null, message: { id, reversePath } }, now(), decisions);
  }

  type Concluded = {
    readonly lease: Claim['lease'] | null;
    readonly message: Pick<Claim['message'], 'id' | 'reversePath'> & { readonly user?: string | null };
  };
  async function conclude(claim: Concluded, at: number, decisions: readonly Decision[]): Promise<void> {
    const { id, reversePath, user } = claim.message;
    const reportable = decisions.flatMap((decision) => decision.report ?? []);
    // The null reverse-path has no sender to tell: such mail ends in event and log (RFC 5321 §6.1).
    const untold = reversePath === '' ? [] : reportable.map((one) => toUntold(one, at));
    const changes = decisions.map((decision) => decision.change);
    const shaping = options.shaping?.() ?? [];
    const suppression = suppressionOf(decisions, at);
    const settlement: { -readonly [K in keyof Settlement]: Settlement[K] } = { messageId: id, lease: claim.lease, at, changes };
    if (untold.length > 0) settlement.untold = untold;
    if (shaping.length > 0) settlement.shaping = shaping;
    if (suppression.length > 0) settlement.suppression = suppression;
    const settled = await stored(settlement);
    if (settled === undefined) return;
    const { unchanged, lost, reportDue } = settled;
    if (lost.length > 0) log.emit('claimLost', { queueId: id, recipients: lost.length });
    // What a command took away meanwhile had its line already.
    const applied = unchanged.length === 0 ? decisions : decisions.filter(({ change }) => !unchanged.includes(change.n));
    for (const decision of applied) logDecision(log, { queueId: id, user: user ?? undefined }, decision);
    if (reversePath === '') logNotReported(log, id, reportable);
    for (const { address, ...news } of settled.suppression ?? []) log.emit('suppression', { recipient: address, ...news });
    announce(applied);
    if (reportDue || untold.length > 0) onUntold(reportDue);
  }

  function suppressionOf(decisions: readonly Decision[], at: number): readonly NewSuppression[] {
    let notes: NewSuppression[] | undefined;
    for (const { recipient, outcome, event } of decisions) {
      const note = event === 'relayed' || event === 'failed' ? options.suspects?.noteOf(recipient, outcome, at) : undefined;
      if (note !== undefined) notes = [...(notes ?? []), note];
    }
    return notes ?? NOTHING_NOTED;
  }

  /**
   * Retries until the store answers. We hold the lease, so no process delivers the message meanwhile.
   * Undefined: the process ends first; the next start takes the lease back and the mail is tried again.
   */
  async function stored(settlement: Settlement): Promise<Settled | undefined> {
    for (let tries = 0; ; tries++) {
      try {
        return await store.settle(settlement);
      } catch (error) {
        const recipients = settlement.changes.map(({ n, state }) => `${n}:${state}`);
        const fields = { queueId: settlement.messageId, recipients, error };
        if (closing) {
          log.emit('settleAbandoned', fields);
          return undefined;
        }
        if (tries % LOG_EVERY === 0) log.emit('settleFailed', fields);
        await sleep(Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE));
      }
    }
  }

  function sleep(pause: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        pauses.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, pause);
      pauses.add(wake);
    });
  }

  function announce(decisions: readonly Decision[]): void {
    for (const { recipient, change, event } of decisions) {
      if (change.nextAttemptAt === undefined || event === 'untried') continue;
      if (event === 'returned') onReturned(recipient.destination, change.nextAttemptAt);
      else onRetry(change.nextAttemptAt);
    }
  }

  return {
    /** Never rejects. */
    settle,
    /** For mail that had to wait too long: what its destination's last failure means for it. Never rejects. */
    settleUntried,
    giveUp,
    /** From now on each settlement gets one more try. */
    close(): void {
      closing = true;
      for (const wake of pauses) wake();
    },
  };
}

/**
 * The last attempt at a destination that failed; `at` is -Infinity where there was none since the process started. `since`: when the
 * first one of those in a row failed that this process has seen. It is monotonic time: while the clock
 * jumps, and while no relay runs, nothing is tried.
 */
type LastFailure = { readonly at: number; readonly since: number; readonly outcome: Outcome };
const NONE: LastFailure = {
  at: Number.NEGATIVE_INFINITY,
  since: Number.POSITIVE_INFINITY,
  outcome: { kind: 'returned', reply: { code: 451, status: '4.4.5', text: 'waiting for the destination' }, seconds: 0 },
};

const isHeld = (outcome: Outcome) => 'heldBy' in outcome && outcome.heldBy !== undefined;

/** Held mail comes more often than this, so after it another block has begun. */
const SAME_BLOCK = DAY;

/** Since when this process has seen that a provider refuses our address, in monotonic time. */
function createHoldMemory() {
  const seen = createCache<string, { readonly since: number; readonly last: number }>(REMEMBERED);
  return {
    /** -Infinity: it does not. */
    knownFor(outcome: Outcome, monotonic: number): number {
      if (!('heldBy' in outcome) || outcome.heldBy === undefined) return Number.NEGATIVE_INFINITY;
      const { provider } = outcome.heldBy;
      const known = seen.get(provider);
      const since = known !== undefined && monotonic - known.last < SAME_BLOCK ? known.since : monotonic;
      seen.set(provider, { since, last: monotonic });
      return monotonic - since;
    },
  };
}

export function createFailureMemory() {
  const failures = createCache<string, LastFailure>(REMEMBERED);
  return {
    note(destination: string, outcome: Outcome, { at, monotonic }: { at: number; monotonic: number }): void {
      if (outcome.kind === 'delayed' || outcome.kind === 'uncertain') {
        const known = failures.get(destination)?.since ?? NONE.since;
        // While mail waits for us, its destination does not fail.
        failures.set(destination, { at, since: isForUs(outcome) ? NONE.since : Math.min(known, monotonic), outcome });
      } else if (failures.size > 0 && outcome.kind === 'relayed') failures.delete(destination);
    },
    of: (destination: string): LastFailure => (failures.size === 0 ? NONE : (failures.get(destination) ?? NONE)),
    /** False: there is nothing to note of this outcome. */
    isConcerned: ({ kind }: Outcome): boolean =>
      kind === 'delayed' || kind === 'uncertain' || (failures.size > 0 && kind === 'relayed'),
  };
}

function toUntold({ recipient, action, outcome }: NonNullable<Decision['report']>, at: number): NewUntold {
  const { reply, mx, ip } = outcome;
  const collectUntil = at + (action === 'expired' ? COLLECT_EXPIRED : COLLECT);
  return {
    n: recipient.n,
    action,
    reply,
    ...(mx === undefined ? {} : { mx }),
    ...(ip === undefined ? {} : { ip }),
    at,
    collectUntil,
  };
}

function logNotReported(log: EventLog, queueId: string, reportable: readonly Reportable[]): void {
  for (const action of new Set(reportable.map(actionOf)))
    log.emit('notReported', { queueId, action, reason: 'null reverse-path' });
}

/** Each recipient ends with exactly one line. What was only handed back leaves none: nothing happened to it. */
function logDecision(log: EventLog, of: { queueId: string; user: string | undefined }, decision: Decision): void {
  const { recipient, outcome, change, event } = decision;
  const { queueId, user } = of;
  const { mx, ip, tls, assurance, proof, policyId, judged, via, reply, seconds } = outcome;
  const facts = {
    queueId,
    recipient: recipient.address,
    user,
    mx,
    ip,
    tls,
    assurance,
    proof,
    policyId,
    judged,
    via,
    reply,
    attempt: recipient.attempts + 1,
    seconds,
  };
  if (event === 'relayed') log.relayed(facts);
  else if (event === 'failed') log.failed(facts);
  else if (event === 'expired') log.emit('expired', { queueId, recipient: recipient.address, user });
  else if (event === 'delayed') {
    log.delayed({
      ...facts,
      nextAttemptAt: change.nextAttemptAt ?? 0,
      ...(outcome.kind === 'uncertain' ? { uncertain: true } : {}),
    });
  }
}

/**
 * Mail that waits longer than it should because its destination takes no attempt: backed off, or all its room is in use.
 * A dead destination is probed with a few messages; the others would never be tried, so never expire and never be warned about.
 * Where a probe of the destination fails after a message's lifetime, the message expires as if it had been tried.
 */

import type { EventLog } from '../events/events.ts';
import type { Outcome } from '../smtp/outcome.ts';
import { replyLine } from '../smtp/reply.ts';
import type { Claim, MessageStore } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { HOUR, SECOND } from '../system/clock.ts';
import { type Decision, type DecisionFacts, isFairlyTried, isForUs, worthAReport } from './decide.ts';
import type { LostAnswers } from './lost-answers.ts';
import type { Schedule } from './schedule.ts';

/** Destinations whose last failure is remembered. */
const REMEMBERED = 10_000;
/** Messages looked at together. */
const BATCH = 20;

/**
 * The last attempt at a destination that failed; `at` is -Infinity where there was none since the process started. `since`: when the
 * first one of those in a row failed that this process has seen. It is monotonic time: what a jump of the clock skips, and the time
 * while no relay ran, is no time in which anything was tried.
 */
type LastFailure = { readonly at: number; readonly since: number; readonly outcome: Outcome };
const NONE: LastFailure = {
  at: Number.NEGATIVE_INFINITY,
  since: Number.POSITIVE_INFINITY,
  outcome: { kind: 'returned', reply: { code: 451, status: '4.4.5', text: 'waiting for the destination' }, seconds: 0 },
};

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
    of: (destination: string): LastFailure => failures.get(destination) ?? NONE,
  };
}

/** How long overdue mail waits for room before it is looked at, ms. */
export function patience({ delayWarning, lifetime }: Schedule): number {
  return Math.max(SECOND, Math.min(HOUR, delayWarning / 4, lifetime / 8));
}

type UntriedFacts = DecisionFacts & { readonly failedAt: number };

/** Pure. `outcome` is that of the destination's last failure, at `failedAt`. No attempt is counted. */
export function decideUntried(facts: UntriedFacts): Decision {
  const { message, recipient, outcome, schedule, now, failedAt } = facts;
  const { n } = recipient;
  // A failure that seems to lie ahead was noted by a clock that has been set back: it proves nothing.
  if (failedAt > message.expiresAt && failedAt <= now && isFairlyTried(facts)) {
    const change = { n, state: 'expired', lastReply: replyLine(outcome.reply) } as const;
    return { recipient, outcome, event: 'expired', change, ...worthAReport({ recipient, action: 'expired', outcome }) };
  }
  const state = recipient.attempts === 0 ? 'queued' : 'delayed';
  const change = { n, state, nextAttemptAt: now } as const;
  if (recipient.delayReported || now - message.acceptedAt < schedule.delayWarning) {
    return { recipient, outcome, event: 'untried', change };
  }
  const report = worthAReport({ recipient, action: 'delayed', outcome });
  return { recipient, outcome, event: 'untried', change: { ...change, delayReported: true }, ...report };
}

type UntriedOptions = {
  readonly store: Pick<MessageStore, 'claim'>;
  readonly log: EventLog;
  readonly lost: LostAnswers;
  /** Never rejects. */
  readonly settleUntried: (claim: Claim) => Promise<void>;
};

/** @param until what was due by then. @returns true if there may be more. Never rejects. */
export async function reviewUntried(destination: string, until: number, options: UntriedOptions): Promise<boolean> {
  const { store, log, lost, settleUntried } = options;
  const lease = lost.newLease();
  try {
    const claims = await store.claim({ destination, now: until, limit: BATCH, lease });
    await Promise.all(claims.map(settleUntried));
    return claims.length >= BATCH;
  } catch (error) {
    log.emit('storeFailed', { operation: 'claim', error });
    lost.claimLost(lease);
    return false;
  }
}

/** What one outcome means for one recipient: pure, with time and chance as arguments. RFC 5321 §4.5.4.1, RFC 3464 §2.3.3. */
import { HELD_LOGIN, type HeldBy, type Outcome } from '../smtp/outcome.ts';
import { type Reply, replyLine } from '../smtp/reply.ts';
import type { AttemptRecord, MessageFacts, RecipientChange, StoredRecipient } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';
import { fairAttempts, horizon, nextAttempt, type Schedule } from './schedule.ts';
import type { Reportable } from './telling.ts';

/** The change to store, what the log says once it is stored, and what the sender may have to hear. */
export type Decision = {
  readonly recipient: StoredRecipient;
  readonly outcome: Outcome;
  readonly change: RecipientChange;
  /** `untried`: still waiting for a destination that takes no attempt (`decideUntried`). */
  readonly event: 'relayed' | 'failed' | 'delayed' | 'expired' | 'returned' | 'untried';
  readonly report?: WithOutcome;
};

type WithOutcome = Reportable & { readonly outcome: Outcome };

/** @param random in [0, 1), moves the next attempt. */
export type DecisionFacts = {
  readonly message: MessageFacts;
  readonly recipient: StoredRecipient;
  readonly outcome: Outcome;
  readonly schedule: Schedule;
  readonly now: number;
  readonly random: number;
  /** How long every attempt at the destination has failed under the eyes of this process, ms. */
  readonly failingFor: number;
};

/** Characters of a reply that are stored. */
const MAX_REPLY = 1000;

export function decide(facts: DecisionFacts): Decision {
  const { outcome } = facts;
  switch (outcome.kind) {
    case 'relayed':
    case 'failed':
      return ended(facts, outcome.kind);
    case 'returned':
      return outcome.heldBy === undefined
        ? returned(facts, outcome.notBefore)
        : heldBack(facts, outcome.heldBy, outcome.notBefore);
    case 'delayed':
      return outcome.heldBy === undefined ? waiting(facts) : heldBack(facts, outcome.heldBy);
    case 'uncertain':
      return waiting(facts);
  }
}

/** Giving up is decided here alone, after an attempt: a clock that jumps ahead costs no message its last try. */
function waiting(facts: DecisionFacts): Decision {
  const { message, recipient, outcome, schedule, now, random } = facts;
  const attempts = recipient.attempts + 1;
  const notBefore = outcome.kind === 'delayed' ? outcome.notBefore : undefined;
  const at = Math.min(nextAttempt(schedule, { attempts, now, random, notBefore }), now + horizon(schedule));
  if (at > message.expiresAt && (outcome.kind === 'uncertain' || isFairlyTried(facts, attempts - (recipient.excused ?? 0))))
    return ended(facts, 'expired');
  const warn = !recipient.delayReported && now - message.acceptedAt >= schedule.delayWarning;
  return {
    recipient,
    outcome,
    event: 'delayed',
    change: {
      n: recipient.n,
      state: outcome.kind === 'uncertain' ? 'uncertain' : 'delayed',
      nextAttemptAt: at,
      ...attempted(outcome, now),
      ...(isForUs(outcome) ? { excused: true } : {}),
      ...(warn ? { delayReported: true } : {}),
    },
    ...(warn ? worthAReport({ recipient, action: 'delayed', outcome }) : {}),
  };
}

/**
 * Only a destination that had its chances ends mail by time. It had none while the mail waited for us; and where this relay stood
 * still for days, or its clock jumped, the first greylisting after that must not be the last. @param attempts of this recipient.
 */
function isFairlyTried({ outcome, message, schedule, failingFor }: DecisionFacts, attempts = 0): boolean {
  if (isForUs(outcome)) return false;
  const { count, duration } = fairAttempts(schedule, message.expiresAt - message.acceptedAt);
  return attempts >= count || failingFor >= duration;
}

/** The destination had no part in it. */
export function isForUs(outcome: Outcome): boolean {
  return outcome.kind === 'delayed' && outcome.waitsForUs === true;
}

/** Only what the sender asked to hear becomes a report. */
export function worthAReport(report: WithOutcome): { readonly report?: WithOutcome } {
  return isWanted(report) ? { report } : {};
}

/** NOTIFY of RFC 3461 §4.1; without it failure and delay. */
export function isWanted({ recipient, action, outcome }: Reportable): boolean {
  const notify = recipient.notify ?? ['FAILURE', 'DELAY'];
  if (action === 'delayed') return notify.includes('DELAY');
  if (action !== 'relayed') return notify.includes('FAILURE');
  // A server that took the parameters over reports success itself: RFC 3461 §5.2.1.
  return notify.includes('SUCCESS') && outcome?.dsnPassedOn !== true;
}

function ended({ recipient, outcome, now }: DecisionFacts, state: 'relayed' | 'failed' | 'expired'): Decision {
  const report = { recipient, action: state, outcome: namingTheWay(outcome) };
  const decision: Decision = { recipient, outcome, event: state, change: { n: recipient.n, state, ...attempted(outcome, now) } };
  return isWanted(report) ? { ...decision, report } : decision;
}

/** A sender reads which way its message took, where that is not the usual one. */
function namingTheWay(outcome: Outcome): Outcome {
  if (outcome.via === undefined) return outcome;
  const { reply } = outcome;
  const way =
    '(said by the fallback upstream of this relay, because the provider of the recipient refuses the address of the relay)';
  const words = reply.words === undefined ? {} : { words: `${reply.words} ${way}` };
  return { ...outcome, reply: { ...reply, text: `${reply.text} ${way}`, ...words } } as Outcome;
}

/**
 * The provider refuses our address, so the mail waits until it does no longer: it is not tried, and not returned for that. Its sender is
 * warned, and told where its lifetime ends, in the words of the provider. @param notBefore default: the usual pause.
 */
function heldBack(facts: DecisionFacts, { provider, quiet }: HeldBy, notBefore?: number): Decision {
  const { message, recipient, outcome, schedule, now, random } = facts;
  const { n, attempts } = recipient;
  const tried = outcome.kind === 'returned' ? {} : { ...attempted(outcome, now), excused: true as const };
  const said = { ...outcome, reply: blamingUs(outcome.reply, provider) } as Outcome;
  if (now > message.expiresAt && facts.failingFor >= fairAttempts(schedule, message.expiresAt - message.acceptedAt).duration) {
    const change = { n, state: 'expired', ...tried, lastReply: replyLine(said.reply) } as const;
    return {
      recipient,
      outcome: said,
      event: 'expired',
      change,
      ...worthAReport({ recipient, action: 'expired', outcome: said }),
    };
  }
  const warnAt = message.acceptedAt + schedule.delayWarning;
  const isWarned = recipient.delayReported || quiet === true;
  const warn = !isWarned && now >= warnAt;
  const at = notBefore ?? nextAttempt(schedule, { attempts: attempts + 1, now, random });
  // Something is due earlier than the next look at the provider: a warning, or the end.
  const sooner = [isWarned || warn ? at : warnAt, message.expiresAt + SECOND].filter((time) => time > now);
  const nextAttemptAt = Math.min(at, now + horizon(schedule), ...sooner);
  return {
    recipient,
    outcome,
    event: outcome.kind === 'returned' ? 'returned' : 'delayed',
    change: {
      ...{ n, state: attempts === 0 && outcome.kind === 'returned' ? 'queued' : 'delayed', nextAttemptAt },
      ...{ lastReply: replyLine(outcome.reply), ...tried, heldBy: provider, ...(warn ? { delayReported: true } : {}) },
    },
    ...(warn ? worthAReport({ recipient, action: 'delayed', outcome: said }) : {}),
  };
}

/** It does not say why: someone else may have the password. */
const HELD_TEXT = 'The relay keeps mail of your login back until its administrator has looked at it';

/** What a sender reads of a block: its mail is not the cause. */
function blamingUs(reply: Reply, provider: string): Reply {
  if (provider.startsWith(HELD_LOGIN)) return { ...reply, text: HELD_TEXT };
  const name = provider.replace(/^mx:/, '').slice(0, 100);
  const blame = `(${name} refuses the address of this relay. The cause is not this message.)`;
  return { ...reply, text: `${reply.text} ${blame}`, ...(reply.words !== undefined && { words: `${reply.words} ${blame}` }) };
}

/** Nothing was tried, so no attempt is counted: the recipient keeps its state, and is due again at once or when there is room. */
function returned({ recipient, outcome, schedule, now }: DecisionFacts, notBefore = now): Decision {
  const state = recipient.attempts === 0 ? 'queued' : 'delayed';
  const nextAttemptAt = Math.min(notBefore, now + horizon(schedule));
  return { recipient, outcome, event: 'returned', change: { n: recipient.n, state, nextAttemptAt } };
}

function attempted(outcome: Outcome, at: number): { lastReply: string; attempt?: AttemptRecord } {
  const line = replyLine(outcome.reply);
  const reply = line.length > MAX_REPLY ? `${line.slice(0, MAX_REPLY)}…` : line;
  if (outcome.kind === 'returned') return { lastReply: reply };
  const { kind, mx = null, ip = null, tls = null, assurance, proof, policyId, judged, via, seconds, conversation } = outcome;
  const { code, status } = outcome.reply;
  const worth = {
    ...(assurance !== undefined && { assurance }),
    ...(proof !== undefined && { proof }),
    ...(policyId !== undefined && { policyId }),
    ...(judged !== undefined && { judged }),
    ...(via !== undefined && { via }),
  };
  const attempt = { at, mx, ip, tls, outcome: kind, code, status, reply, seconds, ...worth };
  return { lastReply: reply, attempt: conversation === undefined ? attempt : { ...attempt, conversation } };
}

type UntriedFacts = DecisionFacts & { readonly failedAt: number };

/**
 * Mail that waits longer than it should because its destination takes no attempt: backed off, or all its room is in use. A dead
 * destination is probed with a few messages; the others would never be tried, so never expire, and their senders would never be warned.
 * Where a probe of the destination fails after a message's lifetime, the message expires as if it had been tried.
 * @param facts `outcome` is that of the destination's last failure, at `failedAt`. No attempt is counted.
 */
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

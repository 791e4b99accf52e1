/**
 * How much one provider gets from one address of ours: open → slow, resting → blocked → probing → half-open → open. Pure: time is an argument.
 *
 * - slow: the provider asks for less. No session for a while, which doubles with each further request, then one session, and more after each
 *   five minutes of clean deliveries. resting: the same, with a time that the provider has given.
 * - blocked: the provider refuses our address. Mail waits, and one real message is sent after 2, 4, 8 and then each 12 hours (probing).
 * - half-open: a probe has come through. One session and 20 messages in an hour, which doubles each clean hour, also when it is open again.
 *
 * No time lies farther ahead than its state allows: a clock that was wrong blocks no mail for as long as it was wrong.
 */
import { DAY, HOUR, MINUTE } from '../../system/clock.ts';

type BreakerKind = 'open' | 'slow' | 'resting' | 'blocked' | 'probing' | 'half-open';

/** Times are milliseconds since the epoch. */
export type BreakerState = {
  readonly kind: BreakerKind;
  readonly since: number;
  /** No session before this time; blocked: the next probe; probing: then nothing more is heard of it. */
  readonly until: number;
  /** slow, resting: requests for less in a row. blocked, probing, half-open: the place in the ladder of probes. */
  readonly step: number;
  /** Sessions at a time. */
  readonly sessions: number;
  /** Messages in a minute; below 1 it is counted by the hour. */
  readonly rate: number;
  /** When the last block ended, and the place in the ladder that it had reached; 0: never. */
  readonly endedAt: number;
  readonly ladder: number;
};

/** What the provider takes when all is well. */
type BreakerLimits = { readonly sessions: number; readonly perMinute: number; readonly firstRest: number };

/** What happened since the last step of a recovery. It is not kept over a restart. */
export type Recovery = { readonly since: number; readonly clean: number; readonly firstCleanAt: number };

/**
 * clean: it took a message. other: it answered, and not about us. silent: it gave no answer. throttle: it asks for less; `rest`: for this
 * time, ms. block: it refuses our address.
 */
export type BreakerEvent =
  | { readonly kind: 'clean' | 'other' | 'silent' | 'block' }
  | { readonly kind: 'throttle'; readonly rest?: number };

/** `beganAt`: when the attempt began. `probe`: it was one. */
type BreakerFacts = {
  readonly now: number;
  readonly limits: BreakerLimits;
  readonly beganAt: number;
  readonly probe: boolean;
};

const MAX_REST = 4 * HOUR;
/** A further request within this time after a rest doubles the next rest. */
const IN_A_ROW = 2 * HOUR;
const FORGOTTEN = 6 * HOUR;
/** Never under two hours: receivers remember a refusal for up to an hour and a half. */
const LADDER = [2 * HOUR, 4 * HOUR, 8 * HOUR, 12 * HOUR] as const;
/** After so long without a block the ladder begins anew. */
const LADDER_FORGOTTEN = DAY;
/** A probe that nothing was heard of, and one that met no answer. */
const PROBE_PATIENCE = 15 * MINUTE;
const PROBE_AGAIN = 30 * MINUTE;
const HALF_OPEN_RATE = 20 / 60;
/** Two clean deliveries so far apart end a block. */
const APART = 30 * MINUTE;
/** While a provider that asked for less recovers. */
const STEP = 5 * MINUTE;
const CLEAN_IN_STEP = 5;
const FASTER = 1.5;

const LONGEST: { readonly [kind in BreakerKind]: number } = {
  open: 0,
  slow: MAX_REST,
  resting: MAX_REST,
  blocked: LADDER.at(-1)!,
  probing: PROBE_PATIENCE,
  'half-open': MAX_REST,
};

export function isBreakerKind(word: string): word is BreakerKind {
  return Object.hasOwn(LONGEST, word);
}

export function openState({ sessions, perMinute: rate }: BreakerLimits, now: number): BreakerState {
  return { kind: 'open', since: now, until: 0, step: 0, sessions, rate, endedAt: 0, ladder: 0 };
}

export function freshRecovery(now: number): Recovery {
  return { since: now, clean: 0, firstCleanAt: 0 };
}

/** The state as it is at `now`: what a wrong clock has written is cut, and what is over is over. The same object where nothing changes. */
export function breakerAt(state: BreakerState, now: number, limits: BreakerLimits): BreakerState {
  let { kind, since, until, endedAt } = state;
  since = Math.min(since, now);
  until = Math.min(until, now + LONGEST[kind]);
  endedAt = Math.min(endedAt, now);
  if (kind === 'probing' && until <= now) return { ...state, kind: 'blocked', since, until: now + PROBE_AGAIN, endedAt };
  if ((kind === 'slow' || kind === 'resting') && now - Math.max(since, until) >= FORGOTTEN) {
    return { ...openState(limits, now), endedAt, ladder: state.ladder };
  }
  if (since === state.since && until === state.until && endedAt === state.endedAt) return state;
  return { ...state, since, until, endedAt };
}

/** What may go now. `probe`: nothing but one message, which a probe needs. */
export function allowanceOf(
  { kind, until, sessions, rate }: BreakerState,
  now: number,
  limits: BreakerLimits,
): { readonly sessions: number; readonly rate: number; readonly probe: boolean } {
  const waits = kind === 'blocked' || kind === 'probing' || (kind !== 'open' && until > now);
  return {
    sessions: waits ? 0 : Math.min(sessions, limits.sessions),
    rate: Math.min(rate, limits.perMinute),
    probe: kind === 'blocked' && until <= now,
  };
}

/** One message is under way, to learn whether the block has ended. */
export function probing(state: BreakerState, now: number): BreakerState {
  return { ...state, kind: 'probing', since: now, until: now + PROBE_PATIENCE };
}

/** What is stored when a probe begins: after a crash it is not repeated at once. */
export function storedProbe(state: BreakerState, now: number): BreakerState {
  return { ...state, kind: 'blocked', until: now + PROBE_AGAIN };
}

/** The operator's word: no probe is due. */
export function blockedByOperator(state: BreakerState, now: number): BreakerState {
  return { ...state, kind: 'blocked', since: now, until: 0, step: 0 };
}

/** The state after an attempt, and what counts for its next step. */
export function breakerAfter(
  before: BreakerState,
  recovery: Recovery,
  event: BreakerEvent,
  facts: BreakerFacts,
): { readonly state: BreakerState; readonly recovery: Recovery } {
  const { now, limits } = facts;
  const state = breakerAt(before, now, limits);
  switch (event.kind) {
    case 'block':
      return blocked(state, facts);
    case 'throttle':
      return throttled(state, recovery, event.rest, facts);
    case 'silent':
      return facts.probe && state.kind === 'probing'
        ? { state: { ...state, kind: 'blocked', since: now, until: now + PROBE_AGAIN }, recovery }
        : { state, recovery };
    case 'other':
      return facts.probe && state.kind === 'probing' ? halfOpen(state, now) : { state, recovery };
    case 'clean':
      return facts.probe && state.kind === 'probing' ? halfOpen(state, now, now) : cleaned(state, recovery, facts);
  }
}

/** What was under way when the block began tells nothing new. */
function blocked(state: BreakerState, { now, probe }: Pick<BreakerFacts, 'now' | 'probe'>) {
  const isOld = state.kind === 'blocked' || (state.kind === 'probing' && !probe);
  if (isOld) return { state, recovery: freshRecovery(now) };
  const again = state.kind === 'probing' || state.kind === 'half-open';
  const recent = state.endedAt > 0 && now - state.endedAt < LADDER_FORGOTTEN;
  const step = again ? state.step + 1 : recent ? state.ladder + 1 : 0;
  const until = now + LADDER[Math.min(step, LADDER.length - 1)]!;
  return { state: { ...state, kind: 'blocked', since: now, until, step } as const, recovery: freshRecovery(now) };
}

function halfOpen(state: BreakerState, now: number, firstCleanAt = 0) {
  return {
    state: { ...state, kind: 'half-open', since: now, until: 0, sessions: 1, rate: HALF_OPEN_RATE } as const,
    recovery: { since: now, clean: 0, firstCleanAt },
  };
}

function throttled(
  state: BreakerState,
  recovery: Recovery,
  rest: number | undefined,
  { now, limits, probe, beganAt }: BreakerFacts,
) {
  const { kind, until } = state;
  // A block outweighs it. A probe that is told to come later has to come later.
  if (kind === 'blocked' || (kind === 'probing' && !probe)) return { state, recovery };
  if (kind === 'probing') return blocked(state, { now, probe });
  // Sessions under way together are told the same: that is one request.
  if (until > now || (kind !== 'open' && beganAt < state.since)) return { state, recovery };
  const fresh = freshRecovery(now);
  if (kind === 'half-open')
    return { state: { ...state, until: now + Math.min(rest ?? limits.firstRest, MAX_REST) }, recovery: fresh };
  const inARow = kind !== 'open' && now - until <= IN_A_ROW;
  const step = rest === undefined ? (inARow ? state.step + 1 : 1) : state.step;
  const pause = Math.min(rest ?? limits.firstRest * 2 ** (step - 1), MAX_REST);
  const rate = rest === undefined ? Math.max(Math.min(1, limits.perMinute), state.rate / 2) : state.rate;
  const next: BreakerKind = rest === undefined ? 'slow' : 'resting';
  return { state: { ...state, kind: next, since: now, until: now + pause, step, sessions: 1, rate }, recovery: fresh };
}

function cleaned(state: BreakerState, recovery: Recovery, { now, limits, beganAt }: BreakerFacts) {
  const { kind, until } = state;
  const isWhole = kind === 'open' && state.sessions >= limits.sessions && state.rate >= limits.perMinute;
  if (isWhole || kind === 'blocked' || kind === 'probing' || until > now || beganAt < state.since) return { state, recovery };
  const since = Math.min(Math.max(recovery.since, until), now);
  const seen = { since, clean: recovery.clean + 1, firstCleanAt: Math.min(recovery.firstCleanAt || now, now) };
  if (kind === 'slow' || kind === 'resting') return faster(state, seen, { now, limits });
  if (kind === 'half-open' && now - seen.firstCleanAt >= APART) {
    const opened = { ...state, kind: 'open', since: now, endedAt: now, ladder: state.step, step: 0 } as const;
    return { state: opened, recovery: { ...seen, since } };
  }
  if (now - since < HOUR) return { state, recovery: seen };
  const doubled = Math.min(2 * state.rate, limits.perMinute);
  const sessions = kind === 'open' ? Math.min(state.sessions + 1, limits.sessions) : 1;
  return { state: { ...state, rate: doubled, sessions }, recovery: { ...seen, since: now, clean: 0 } };
}

function faster(state: BreakerState, seen: Recovery, { now, limits }: Pick<BreakerFacts, 'now' | 'limits'>) {
  if (now - seen.since < STEP) return { state, recovery: seen };
  const next = { since: now, clean: 0, firstCleanAt: seen.firstCleanAt };
  if (seen.clean < CLEAN_IN_STEP) return { state, recovery: next };
  const sessions = Math.min(state.sessions + 1, limits.sessions);
  const rate = Math.min(state.rate * FASTER, limits.perMinute);
  return { state: { ...state, sessions, rate }, recovery: next };
}

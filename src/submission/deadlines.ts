/**
 * How long a client may take. RFC 5321 §4.5.3.2.7 asks for at least five minutes for each command. While places are scarce, shorter
 * times hold for clients that have not logged in.
 */
import { SECOND } from '../system/clock.ts';
import type { SubmissionLimits } from './submission.ts';

/** Time for a TLS handshake and what comes before it: two round trips over a link of a phone or satellite that loses packets. */
export const HANDSHAKE_TIMEOUT = 30 * SECOND;
/** The longest times of a client that has not logged in, while places are scarce. */
const HURRIED = { idleTimeout: 10 * SECOND, commandTimeout: 60 * SECOND, authTimeout: 30 * SECOND } as const;
export const HURRIED_HANDSHAKE = 10 * SECOND;
/** How long a closed session may take to take its last reply. */
export const LINGER = 5 * SECOND;

/** Times in milliseconds of one clock. 0: the thing has not begun. */
type Timing = {
  /** The client was last heard, or got its last answer. */
  readonly activeAt: number;
  /** A command line has begun and has not ended. */
  readonly lineSince: number;
  /** An AUTH exchange has begun and has not ended. */
  readonly exchangeSince: number;
  /** Message text must come until then. */
  readonly textUntil: number;
  /** The client has not logged in, and places are scarce. */
  readonly hurried: boolean;
};

type Overdue = 'textTooSlow' | 'loginTooSlow' | 'commandTooSlow' | 'idleTooLong';

/** The name of the 421 reply. Undefined: there is still time. */
export function overdue(timing: Timing, limits: SubmissionLimits, now: number): Overdue | undefined {
  const { activeAt, lineSince, exchangeSince, textUntil, hurried } = timing;
  if (textUntil > 0) return now > textUntil ? 'textTooSlow' : undefined;
  const allowed = (name: keyof typeof HURRIED) => (hurried ? Math.min(HURRIED[name], limits[name]) : limits[name]);
  if (exchangeSince > 0 && now - exchangeSince > allowed('authTimeout')) return 'loginTooSlow';
  if (lineSince > 0 && now - lineSince > allowed('commandTimeout')) return 'commandTooSlow';
  return now - activeAt > allowed('idleTimeout') ? 'idleTooLong' : undefined;
}

/** At its beginning text may pause as long as a command may take. */
export function firstTextDeadline(limits: SubmissionLimits, now: number): number {
  return now + limits.commandTimeout;
}

/**
 * Each byte moves the deadline by its time at the least rate: at 500 B/s, 500 bytes by a second. The deadline is never farther away
 * than that of an idle session.
 */
export function nextTextDeadline(until: number, bytes: number, limits: SubmissionLimits, now: number): number {
  const earned = until + (bytes * SECOND) / Math.max(1, limits.minDataRate);
  return Math.min(earned, now + Math.max(limits.idleTimeout, limits.commandTimeout));
}

/** Milliseconds between two looks at all sessions: a quarter of the shortest limit, at least 20 and at most a second. */
export function sweepInterval({ idleTimeout, commandTimeout, authTimeout }: SubmissionLimits): number {
  return Math.min(SECOND, Math.max(20, Math.min(idleTimeout, commandTimeout, authTimeout) / 4));
}

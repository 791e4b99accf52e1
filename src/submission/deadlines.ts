/**
 * How long a client may take: RFC 5321 §4.5.3.2.7 wants at least five minutes for each command, whoever sends it and however it
 * comes. Shorter ones hold against clients that keep a session by a byte now and then, while places are scarce.
 */
import { SECOND } from '../system/clock.ts';
import type { SubmissionLimits } from './submission.ts';

/** A TLS handshake, and what comes before it: two round trips, over a phone's or a satellite's link that loses some of it. */
export const HANDSHAKE_TIMEOUT = 30 * SECOND;
/** What a client that has not logged in has at most while places are scarce: they are for clients that send mail. */
const HURRIED = { idleTimeout: 10 * SECOND, commandTimeout: 60 * SECOND, authTimeout: 30 * SECOND } as const;
export const HURRIED_HANDSHAKE = 10 * SECOND;
/** How long a closed session may take to take its last reply. */
export const LINGER = 5 * SECOND;

/** When what began; 0 or undefined: it has not. All in milliseconds of the same clock. */
type Timing = {
  /** The client was last heard, or waited for us. */
  readonly activeAt: number;
  /** A command line began that has not ended. */
  readonly lineSince: number;
  readonly exchangeSince: number;
  /** Message text must come until then. */
  readonly textUntil: number;
  /** Nobody has logged in, and places are scarce. */
  readonly hurried: boolean;
};

type Overdue = 'textTooSlow' | 'loginTooSlow' | 'commandTooSlow' | 'idleTooLong';

/** Which 421 it is, or undefined while there is time. */
export function overdue(timing: Timing, limits: SubmissionLimits, now: number): Overdue | undefined {
  const { activeAt, lineSince, exchangeSince, textUntil, hurried } = timing;
  if (textUntil > 0) return now > textUntil ? 'textTooSlow' : undefined;
  const allowed = (name: keyof typeof HURRIED) => (hurried ? Math.min(HURRIED[name], limits[name]) : limits[name]);
  if (exchangeSince > 0 && now - exchangeSince > allowed('authTimeout')) return 'loginTooSlow';
  if (lineSince > 0 && now - lineSince > allowed('commandTimeout')) return 'commandTooSlow';
  return now - activeAt > allowed('idleTimeout') ? 'idleTooLong' : undefined;
}

/** Text may pause as long as a command would be waited for, at the beginning. */
export function firstTextDeadline(limits: SubmissionLimits, now: number): number {
  return now + limits.commandTimeout;
}

/**
 * Each byte earns its time at the lowest rate: at 500 B/s, 500 bytes a second. What is earned in advance is no more than
 * an idle session would have.
 */
export function nextTextDeadline(until: number, bytes: number, limits: SubmissionLimits, now: number): number {
  const earned = until + (bytes * SECOND) / Math.max(1, limits.minDataRate);
  return Math.min(earned, now + Math.max(limits.idleTimeout, limits.commandTimeout));
}

/** How often to look: often enough for the shortest of the limits, and seldom enough to cost nothing. */
export function sweepInterval({ idleTimeout, commandTimeout, authTimeout }: SubmissionLimits): number {
  return Math.min(SECOND, Math.max(20, Math.min(idleTimeout, commandTimeout, authTimeout) / 4));
}

/** When a certificate is renewed and why, and how long a failure waits: RFC 9773 §4.2, RFC 8555 §6.6. Pure. */
import { DAY, HOUR, MINUTE } from '../system/clock.ts';

/** The time in which the authority would like the renewal to happen: RFC 9773 §4.1. */
export type SuggestedWindow = { readonly start: number; readonly end: number };

export type RenewalFacts = {
  /** Absent: no authority has signed one yet. */
  readonly certificate?: { readonly notBefore: number; readonly notAfter: number; readonly issuedAt: number } | undefined;
  /** False: it lacks one of the names that are wanted now. */
  readonly coversNames: boolean;
  /** False: another directory than the configured one issued it. */
  readonly sameDirectory: boolean;
  readonly window?: SuggestedWindow | undefined;
  /** `smarthost cert renew` asked for it. */
  readonly requested: boolean;
  /** Where in its window this certificate is renewed, from 0 to less than 1: so that not all come at once. */
  readonly spread: number;
};

type Decision = { readonly at: number; readonly reason: string };

/** @param now milliseconds since the epoch */
export function decideRenewal(facts: RenewalFacts, now: number): Decision {
  const { certificate, window, spread } = facts;
  if (certificate === undefined) return { at: now, reason: 'no authority has signed one yet' };
  if (!facts.coversNames) return { at: now, reason: 'the names have changed' };
  if (!facts.sameDirectory) return { at: now, reason: 'the authority has changed' };
  if (facts.requested) return { at: now, reason: 'renewal was asked for' };
  const { notBefore, notAfter, issuedAt } = certificate;
  const lifetime = notAfter - notBefore;
  if (window !== undefined && window.start < window.end) {
    const suggested = window.start + spread * (window.end - window.start);
    // an authority that names a time after the end is not followed into it, nor one that always names the past into a loop
    const [first, last] = [issuedAt + Math.min(lifetime / 10, 6 * HOUR), notAfter - lifetime / 10];
    return { at: Math.round(Math.min(Math.max(suggested, first), last)), reason: 'the authority suggests it (RFC 9773)' };
  }
  // up to a thirtieth of the lifetime early: three days of ninety, five hours of six days
  return { at: Math.round(notBefore + (lifetime * 2) / 3 - (spread * lifetime) / 30), reason: 'two thirds of its lifetime' };
}

/** Five checks of a name in the first hour, which public authorities allow, then rarer. */
export const PAUSES: readonly number[] = [
  MINUTE,
  5 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  4 * HOUR,
  8 * HOUR,
  12 * HOUR,
];
/** No authority's limit counts further back than a week. */
const LONGEST_WAIT = 7 * DAY;

type Failure = {
  /** How often in a row, this one included. */
  readonly failures: number;
  /** What the authority asked for by Retry-After: milliseconds since the epoch. */
  readonly retryAfter?: number | undefined;
  readonly pauses?: readonly number[] | undefined;
  /** From 0 to less than 1. */
  readonly random: number;
};

/** When to try again: the pause grows, and is never shorter than the authority asked for. */
export function nextRenewalAttempt({ failures, retryAfter = 0, pauses = PAUSES, random }: Failure, now: number): number {
  const pause = pauses[Math.min(failures, pauses.length) - 1] ?? HOUR;
  return Math.round(Math.max(now + pause * (1 + random / 4), Math.min(retryAfter, now + LONGEST_WAIT)));
}

/** True where people should be told, as nothing has renewed it: a quarter of the lifetime is left, or two weeks. */
export function endsSoon({ notBefore, notAfter }: { notBefore: number; notAfter: number }, now: number): boolean {
  return notAfter - now < Math.min((notAfter - notBefore) / 4, 14 * DAY);
}

/** How long an answer of the authority about renewal holds, by its Retry-After: RFC 9773 §4.3. */
export function recheckAfter(retryAfter: number | undefined): number {
  return Math.min(Math.max(retryAfter ?? 6 * HOUR, MINUTE), DAY);
}

/** Decides when and why a certificate is renewed, and the pause after a failure: RFC 9773 §4.2, RFC 8555 §6.6. Pure. */
import { DAY, HOUR, MINUTE } from '../system/clock.ts';

/** The period in which the authority suggests to renew: RFC 9773 §4.1. */
export type SuggestedWindow = { readonly start: number; readonly end: number };

export type RenewalFacts = {
  /** Absent if no authority has signed one yet. */
  readonly certificate?: { readonly notBefore: number; readonly notAfter: number; readonly issuedAt: number } | undefined;
  /** False if the certificate lacks one of the configured names. */
  readonly coversNames: boolean;
  /** False if another directory than the configured one issued the certificate. */
  readonly sameDirectory: boolean;
  readonly window?: SuggestedWindow | undefined;
  /** True if `smarthost cert renew` has asked for it. */
  readonly requested: boolean;
  /** The position in the window, from 0 to less than 1. It spreads the renewals of many relays. */
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
    // the limits prevent a renewal after the end, and endless renewals if the authority always names a past time
    const [first, last] = [issuedAt + Math.min(lifetime / 10, 6 * HOUR), notAfter - lifetime / 10];
    return { at: Math.round(Math.min(Math.max(suggested, first), last)), reason: 'the authority suggests it (RFC 9773)' };
  }
  // earlier by up to a thirtieth of the lifetime: three days of ninety, five hours of six days
  return { at: Math.round(notBefore + (lifetime * 2) / 3 - (spread * lifetime) / 30), reason: 'two thirds of its lifetime' };
}

/** At most five attempts in the first hour, which public authorities allow, then fewer. */
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
/** No known limit of an authority counts back more than a week. */
const LONGEST_WAIT = 7 * DAY;

type Failure = {
  /** Failures in a row, this one included. */
  readonly failures: number;
  /** The authority's Retry-After, in milliseconds since the epoch. */
  readonly retryAfter?: number | undefined;
  readonly pauses?: readonly number[] | undefined;
  /** From 0 to less than 1. */
  readonly random: number;
};

/** @returns the time of the next attempt. The pause grows, and is never shorter than the authority asked for. */
export function nextRenewalAttempt({ failures, retryAfter = 0, pauses = PAUSES, random }: Failure, now: number): number {
  const pause = pauses[Math.min(failures, pauses.length) - 1] ?? HOUR;
  return Math.round(Math.max(now + pause * (1 + random / 4), Math.min(retryAfter, now + LONGEST_WAIT)));
}

/** True if the operator should be warned: at most a quarter of the lifetime or two weeks are left, and nothing has renewed it. */
export function endsSoon({ notBefore, notAfter }: { notBefore: number; notAfter: number }, now: number): boolean {
  return notAfter - now < Math.min((notAfter - notBefore) / 4, 14 * DAY);
}

/** How long a renewal answer of the authority is valid, by its Retry-After: RFC 9773 §4.3. */
export function recheckAfter(retryAfter: number | undefined): number {
  return Math.min(Math.max(retryAfter ?? 6 * HOUR, MINUTE), DAY);
}

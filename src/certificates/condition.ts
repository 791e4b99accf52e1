/** The state of the served certificates, for operators and health checks, and the alarm before one expires. Pure except for the alarm. */

import type { EventLog } from '../events/events.ts';
import { DAY } from '../system/clock.ts';
import { RENEW_BEFORE } from './own-pairs.ts';
import type { KeyType, Pair } from './pair.ts';
import type { PlannedStatus } from './plan.ts';
import { endsSoon } from './renewal.ts';
import type { RenewalStatus } from './status.ts';

export type Circumstances = {
  readonly mode: 'acme' | 'files' | 'self-signed';
  readonly acceptTerms: boolean;
  readonly plans: ReadonlyMap<KeyType, PlannedStatus>;
  /** The reason why the newest state of the files is not served. */
  readonly fileError: (pair: Pair) => string | null;
};

export const NO_TERMS =
  'tls.acme.acceptTerms is not true: no authority is asked for a certificate, and clients see a self-signed one. Read the terms of the authority, then set it';
const UNPLANNED: RenewalStatus = { renewAt: null, renewReason: 'not looked at yet', lastError: null };

export function renewalStatusOf(pair: Pair, { mode, acceptTerms, plans, fileError }: Circumstances): RenewalStatus {
  if (mode === 'files')
    return { renewAt: null, renewReason: 'comes from files: renewed by whoever writes them', lastError: fileError(pair) };
  if (mode === 'self-signed')
    return {
      renewAt: pair.notAfter - RENEW_BEFORE,
      renewReason: 'self-signed: made again 30 days before its end',
      lastError: null,
    };
  if (!acceptTerms) return { renewAt: null, renewReason: NO_TERMS, lastError: null };
  const { renewAt, renewReason, lastError } = plans.get(pair.keyType) ?? UNPLANNED;
  return { renewAt, renewReason, lastError };
}

/** Reasons to send no clients here: the certificate has expired, or is self-signed although mode `acme` is set. */
export function problemsOf(pairs: readonly Pair[], circumstances: Circumstances, now: number): readonly string[] {
  return pairs.flatMap((pair) => {
    const { keyType, notAfter, selfSigned } = pair;
    if (notAfter <= now) return [`certificate: the ${keyType} certificate ended on ${new Date(notAfter).toISOString()}`];
    if (circumstances.mode !== 'acme' || !selfSigned) return [];
    const { lastError, renewReason } = renewalStatusOf(pair, circumstances);
    return [`certificate: the ${keyType} certificate is self-signed: ${lastError ?? renewReason}`];
  });
}

/** Things that become a problem unless the operator acts. */
export function warningsOf(pairs: readonly Pair[], circumstances: Circumstances): readonly string[] {
  return pairs.flatMap((pair) => {
    const { lastError } = renewalStatusOf(pair, circumstances);
    return lastError === null ? [] : [`certificate: ${pair.keyType}: ${lastError}`];
  });
}

/** Warns once a day, starting some time before the end, that a certificate ends and nothing has renewed it. */
export function createAlarm(log: EventLog): (pairs: readonly Pair[], now: number) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  return (pairs, now) => {
    const ending = pairs.filter((pair) => endsSoon(pair, now));
    if (ending.length === 0 || now - saidAt < DAY) return;
    saidAt = now;
    for (const { keyType, notAfter } of ending) {
      const end = new Date(notAfter).toISOString();
      const error = `the certificate ${notAfter <= now ? 'ended' : 'ends'} on ${end} and nothing has renewed it`;
      log.certificate({ action: 'ending', keyType, notAfter: end, error });
    }
  };
}

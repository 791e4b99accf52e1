/** The stored state of each renewal, so that any process can continue it, also after a restart. */
import type { OperationStore } from '../store/store.ts';
import type { RenewalInformation } from './ari.ts';
import type { KeyType } from './pair.ts';

export type RenewalState = {
  /** The directory that issued the stored certificate. */
  readonly directory?: string;
  /** Failed attempts since the last success. */
  readonly failures: number;
  /** Earliest time of the next attempt, in milliseconds since the epoch. `cert renew` may start one earlier. */
  readonly nextAttemptAt: number;
  /** Earliest time of any attempt, `cert renew` included: the authority demanded it. */
  readonly waitUntil: number;
  readonly lastError: string | null;
  readonly information?: RenewalInformation & { /** Of this certificate. */ readonly of: string };
};

export const FRESH: RenewalState = { failures: 0, nextAttemptAt: 0, waitUntil: 0, lastError: null };
const REQUEST = 'certificate.request';

const nameOf = (keyType: KeyType) => `certificate.renewal.${keyType}`;

export async function readState(operation: OperationStore, keyType: KeyType): Promise<RenewalState> {
  const text = await operation.value(nameOf(keyType));
  return text === undefined ? FRESH : { ...FRESH, ...(JSON.parse(text) as RenewalState) };
}

export function writeState(operation: OperationStore, keyType: KeyType, state: RenewalState): Promise<void> {
  return operation.setValue(nameOf(keyType), JSON.stringify(state));
}

/** Asks a running relay, or the next one that starts, to renew its certificates now. */
export function requestRenewal(operation: OperationStore): Promise<void> {
  return operation.setValue(REQUEST, String(Date.now()));
}

/** @returns the request that is not served yet. */
export function renewalRequest(operation: OperationStore): Promise<string | undefined> {
  return operation.value(REQUEST);
}

/** Ends this request. A newer one stays. */
export async function endRequest(operation: OperationStore, request: string): Promise<void> {
  if ((await operation.value(REQUEST)) === request) await operation.setValue(REQUEST, null);
}

/** The pairs of the store: those that an authority has signed, and until then self-signed ones of our own. */

import type { EventLog } from '../events/events.ts';
import type { OperationStore } from '../store/store.ts';
import { DAY } from '../system/clock.ts';
import { coversNames, KEY_TYPES, type KeyType, type Pair, toPair } from './pair.ts';
import { createSelfSigned } from './self-signed.ts';

export const RENEW_BEFORE = 30 * DAY;

type OwnPairsOptions = {
  readonly mode: 'acme' | 'self-signed';
  readonly names: readonly string[];
  readonly operation: OperationStore;
  readonly log: EventLog;
  readonly now: number;
  /** What is served now: a self-signed pair that the store has no room for lives there alone. */
  readonly served: readonly Pair[];
  /** Makes self-signed pairs anew, whatever there is. */
  readonly force: boolean;
};

/** Loads what the store has; makes self-signed pairs where one is missing, has other names or ends soon. */
export async function loadOwnPairs(options: OwnPairsOptions): Promise<readonly Pair[]> {
  const rows = await options.operation.certificates();
  return Promise.all(
    KEY_TYPES.map(async (keyType) => {
      const row = rows.find((one) => one.keyType === keyType);
      const stored = row && readable(row);
      const served = options.served.find((pair) => pair.keyType === keyType);
      const signed = row?.source === 'acme' && stored !== undefined;
      // an authority's certificate is served to its end and beyond: nothing that we can make is trusted more
      if (options.mode === 'acme' && signed) return stored;
      const own = signed ? served : stored;
      const wanted = options.mode === 'acme' ? false : options.force;
      return own !== undefined && !wanted && serves(own, options) ? own : make(options, keyType, signed);
    }),
  );
}

/** @param inMemory the store keeps an authority's certificate of this kind: it stays for the day when it is wanted again */
async function make({ names, operation, log, now, mode }: OwnPairsOptions, keyType: KeyType, inMemory: boolean): Promise<Pair> {
  const made = await createSelfSigned(keyType, names, now);
  if (!inMemory) await operation.putCertificate(made);
  const pair = toPair(made);
  const notAfter = new Date(pair.notAfter).toISOString();
  const error = mode === 'acme' ? { error: 'clients see a self-signed certificate until an authority has signed one' } : {};
  log.certificate({ action: 'self-signed', keyType, notAfter, ...error });
  return pair;
}

function serves(pair: Pair, { names, now }: OwnPairsOptions): boolean {
  return pair.selfSigned && pair.notAfter - now > RENEW_BEFORE && coversNames(pair.certificate, names);
}

function readable(row: { certificate: string; key: string }): Pair | undefined {
  try {
    return toPair(row);
  } catch {
    return undefined; // a damaged entry is made anew
  }
}

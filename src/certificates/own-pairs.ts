/** The pairs in the store: signed by an authority or, until then, self-signed. */

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
  /** The pairs that are served now. A self-signed pair is only here while the store keeps an authority's pair of its type. */
  readonly served: readonly Pair[];
  /** Makes new self-signed pairs, even if there are valid ones. */
  readonly force: boolean;
};

/** Loads the pairs of the store. Makes a self-signed pair where one is missing, has other names or expires soon. */
export async function loadOwnPairs(options: OwnPairsOptions): Promise<readonly Pair[]> {
  const rows = await options.operation.certificates();
  return Promise.all(
    KEY_TYPES.map(async (keyType) => {
      const row = rows.find((one) => one.keyType === keyType);
      const stored = row && readable(row);
      const served = options.served.find((pair) => pair.keyType === keyType);
      const signed = row?.source === 'acme' && stored !== undefined;
      // an authority's certificate is served even after its end: a self-signed one is trusted no more than an expired one
      if (options.mode === 'acme' && signed) return stored;
      const own = signed ? served : stored;
      const wanted = options.mode === 'acme' ? false : options.force;
      return own !== undefined && !wanted && serves(own, options) ? own : make(options, keyType, signed);
    }),
  );
}

/** @param inMemory does not write the pair to the store, which keeps an authority's certificate of this type for later use */
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
    return undefined; // a damaged entry is replaced
  }
}

/** Plans the renewal of each certificate from the data in the store. */
import { createHash, X509Certificate } from 'node:crypto';
import type { OperationStore, StoredCertificate } from '../store/store.ts';
import { coversNames, KEY_TYPES, type KeyType, toPair } from './pair.ts';
import { decideRenewal } from './renewal.ts';
import { type RenewalState, readState } from './renewal-state.ts';
import type { RenewalStatus } from './status.ts';

export type RenewalPlan = {
  readonly keyType: KeyType;
  readonly at: number;
  readonly reason: string;
  readonly state: RenewalState;
  /** From an authority. */
  readonly stored: StoredCertificate | undefined;
  /** When to ask the authority for its suggested renewal time (RFC 9773). */
  readonly askAt: number;
};

export type PlanOptions = {
  readonly operation: OperationStore;
  readonly names: readonly string[];
  readonly directory: string;
  readonly now: () => number;
};

/** @param requested true if an operator has asked for new certificates */
export async function makePlans(
  { operation, names, directory, now }: PlanOptions,
  requested: boolean,
): Promise<readonly RenewalPlan[]> {
  const rows = await operation.certificates();
  return Promise.all(
    KEY_TYPES.map(async (keyType): Promise<RenewalPlan> => {
      const state = await readState(operation, keyType);
      const stored = rows.find((row) => row.keyType === keyType && row.source === 'acme' && isReadable(row));
      const information = stored && state.information?.of === fingerprint(stored) ? state.information : undefined;
      const sameDirectory = state.directory === directory;
      const decision = decideRenewal(
        {
          certificate: stored && timesOf(stored),
          coversNames: stored !== undefined && coversNames(stored.certificate, names),
          sameDirectory,
          window: information?.window,
          requested,
          spread: stored === undefined ? 0 : spreadOf(stored),
        },
        now(),
      );
      const pause = requested ? state.waitUntil : Math.max(state.waitUntil, state.nextAttemptAt);
      const askAt = stored !== undefined && sameDirectory ? (information?.checkAt ?? 0) : Number.POSITIVE_INFINITY;
      const explained = information?.explanation === undefined ? '' : `, see ${information.explanation}`;
      return { keyType, at: Math.max(decision.at, pause), reason: decision.reason + explained, state, stored, askAt };
    }),
  );
}

export const isDue = (plans: readonly RenewalPlan[], now: number) => plans.some(({ at, askAt }) => at <= now || askAt <= now);

export type PlannedStatus = RenewalStatus & { readonly failures: number };
export const toStatus = ({ at, reason, state }: RenewalPlan): PlannedStatus => ({
  renewAt: at,
  renewReason: reason,
  lastError: state.lastError,
  failures: state.failures,
});

export const fingerprint = ({ certificate }: StoredCertificate) => new X509Certificate(certificate).fingerprint256;

function timesOf({ certificate, createdAt }: StoredCertificate) {
  const leaf = new X509Certificate(certificate);
  return { notBefore: leaf.validFromDate.getTime(), notAfter: leaf.validToDate.getTime(), issuedAt: createdAt };
}

function isReadable(row: StoredCertificate): boolean {
  try {
    toPair(row);
    return true;
  } catch {
    return false; // a damaged entry counts as missing: a new one is ordered
  }
}

/** The same value in every process and after every restart. */
function spreadOf({ certificate }: StoredCertificate): number {
  return createHash('sha256').update(certificate).digest().readUInt32BE(0) / 2 ** 32;
}

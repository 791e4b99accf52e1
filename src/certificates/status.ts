/** The status that `smarthost cert show` prints. The running relay writes it to the store, and the command reads it there. */
import { X509Certificate } from 'node:crypto';
import type { OperationStore } from '../store/store.ts';
import { describeCertificate, KEY_TYPES, type KeyType, type Pair } from './pair.ts';

/** Times in milliseconds since the epoch. */
export type CertificateStatus = {
  readonly keyType: KeyType;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** Of the certificate, in hex. */
  readonly sha256: string;
  /** null if the relay does not renew it. */
  readonly renewAt: number | null;
  readonly renewReason: string;
  readonly lastError: string | null;
};
export type RenewalStatus = Pick<CertificateStatus, 'renewAt' | 'renewReason' | 'lastError'>;

const nameOf = (keyType: KeyType) => `certificate.served.${keyType}`;

type Publisher = {
  /** Takes one status per served pair. Writes only if one has changed. */
  publish(served: readonly (RenewalStatus & { readonly pair: Pair })[]): Promise<void>;
};

export function createPublisher(operation: OperationStore): Publisher {
  const written = new Map<KeyType, string | null>();
  return {
    async publish(served) {
      for (const keyType of KEY_TYPES) {
        const found = served.find(({ pair }) => pair.keyType === keyType);
        const text = found === undefined ? null : serialize(found);
        if (written.get(keyType) === text) continue;
        await operation.setValue(nameOf(keyType), text);
        written.set(keyType, text);
      }
    },
  };
}

/** The certificate alone, never its key. */
function serialize({ pair, renewAt, renewReason, lastError }: RenewalStatus & { readonly pair: Pair }): string {
  return JSON.stringify({ certificate: new X509Certificate(pair.certificate).toString(), renewAt, renewReason, lastError });
}

/** The certificates that the relay serves, or will serve if it has never run. */
export async function describeCertificates(operation: OperationStore, now: number): Promise<readonly CertificateStatus[]> {
  const stored = await operation.certificates();
  const found = await Promise.all(
    KEY_TYPES.map(async (keyType): Promise<CertificateStatus | undefined> => {
      const text = await operation.value(nameOf(keyType));
      if (text !== undefined) {
        const { certificate, ...renewal } = JSON.parse(text) as RenewalStatus & { certificate: string };
        return { keyType, ...facts(certificate), ...overdue(renewal, now) };
      }
      const row = stored.find((entry) => entry.keyType === keyType);
      const reason = 'the relay has not run since it was made';
      return row && { keyType, ...facts(row.certificate), renewAt: null, renewReason: reason, lastError: null };
    }),
  );
  return found.filter((entry) => entry !== undefined);
}

function facts(certificate: string) {
  const parsed = new X509Certificate(certificate);
  const { names, issuer, notBefore, notAfter } = describeCertificate(parsed);
  return { names, issuer, notBefore, notAfter, sha256: parsed.fingerprint256.replaceAll(':', '') };
}

/** Marks a renewal as overdue if its time has passed: probably no relay is running. */
function overdue(renewal: RenewalStatus, now: number): RenewalStatus {
  const late = renewal.renewAt !== null && now - renewal.renewAt > 10 * 60_000;
  return late ? { ...renewal, renewReason: `${renewal.renewReason}; overdue: is the relay running?` } : renewal;
}

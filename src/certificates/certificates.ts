/** The certificates that the listeners serve: from files, or self-signed and kept in the store. RFC 8314 §4, RFC 6125. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { OperationStore, StoredCertificate } from '../store/store.ts';
import { type Clock, DAY, HOUR, systemClock } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';
import { createSelfSigned } from './self-signed.ts';

export { createSelfSigned };

export type CertificateOptions = {
  /** acme serves a self-signed pair until a CA has signed one. */
  readonly mode: 'acme' | 'files' | 'self-signed';
  readonly hostname: string;
  /** Further names of the certificate. */
  readonly names: readonly string[];
  /** One or two pairs, for `files`. */
  readonly files: readonly { readonly certificate: string; readonly key: string }[];
  readonly operation: OperationStore;
  readonly log: MailLog;
  readonly now?: Clock;
};

/** What a TLS listener takes: OpenSSL picks the pair that fits the client. */
export type TlsPairs = { readonly key: string[]; readonly cert: string[] };

export type Certificates = {
  current(): TlsPairs;
  /** One entry a pair, for metrics and health. */
  facts(): readonly { readonly keyType: 'ecdsa' | 'rsa'; readonly notAfter: number }[];
  /** Reads files again, makes a self-signed pair again whose names changed or whose time runs out. True if the pairs changed. */
  reload(changes: Partial<Pick<CertificateOptions, 'mode' | 'hostname' | 'names' | 'files'>>): Promise<boolean>;
  onChange(listener: (pairs: TlsPairs) => void): void;
  close(): void;
};

/** Thrown at start where files do not fit, with the sentence for the operator. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

const RENEW_BEFORE = 30 * DAY;

/** @throws CertificateError where the files cannot be read or key and certificate do not match. */
export async function startCertificates(given: CertificateOptions): Promise<Certificates> {
  let options = given;
  const { operation, log, now = systemClock } = given;
  const listeners: ((pairs: TlsPairs) => void)[] = [];
  let pairs = await load();
  const timer = setInterval(() => void renew(), 12 * HOUR).unref();

  async function load(): Promise<readonly Pair[]> {
    return options.mode === 'files' ? Promise.all(options.files.map(readPair)) : selfSigned(options, operation, log, now());
  }
  async function change(): Promise<boolean> {
    const next = await load();
    if (next.length === pairs.length && next.every((pair, i) => pair.certificate === pairs[i]!.certificate)) return false;
    pairs = next;
    for (const { keyType, notAfter } of pairs)
      log.certificate({ action: 'loaded', keyType, notAfter: new Date(notAfter).toISOString() });
    for (const listener of listeners) listener(current());
    return true;
  }
  async function renew(): Promise<void> {
    await change().catch((error: Error) => log.certificate({ action: 'kept', keyType: 'all', error: error.message }));
  }
  const current = (): TlsPairs => ({ key: pairs.map(({ key }) => key), cert: pairs.map(({ certificate }) => certificate) });
  return {
    current,
    facts: () => pairs.map(({ keyType, notAfter }) => ({ keyType, notAfter })),
    reload(changes) {
      options = { ...options, ...changes };
      return change();
    },
    onChange: (listener) => void listeners.push(listener),
    close: () => clearInterval(timer),
  };
}

type Pair = { readonly keyType: 'ecdsa' | 'rsa'; readonly certificate: string; readonly key: string; readonly notAfter: number };

async function readPair(files: { certificate: string; key: string }): Promise<Pair> {
  const [certificate, key] = await Promise.all([readText(files.certificate, 'certificate'), readText(files.key, 'key')]);
  try {
    return toPair({ certificate, key });
  } catch (cause) {
    throw new CertificateError(`tls.files: ${files.certificate} and ${files.key}: ${(cause as Error).message}`, { cause });
  }
}

async function readText(path: string, what: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CertificateError(`tls.files: the ${what} ${path} cannot be read (${cause.code})`, { cause });
  });
}

/** @throws Error with the reason, where the pair cannot serve. */
export function toPair({ certificate, key }: { certificate: string; key: string }): Pair {
  const leaf = new X509Certificate(certificate);
  const privateKey = createPrivateKey(key);
  if (!leaf.checkPrivateKey(privateKey)) throw new CertificateError('the key does not belong to the certificate');
  const type = leaf.publicKey.asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ec')
    throw new CertificateError(`a certificate with a key of type ${type} is not served: use ECDSA or RSA`);
  return { keyType: type === 'ec' ? 'ecdsa' : 'rsa', certificate, key, notAfter: leaf.validToDate.getTime() };
}

/** Loads what the store has; makes anew what is missing, has other names or ends soon. */
async function selfSigned(
  { hostname, names, mode }: CertificateOptions,
  operation: OperationStore,
  log: MailLog,
  now: number,
): Promise<readonly Pair[]> {
  const wanted = [...new Set([hostname, ...names])];
  const kept = await operation.certificates();
  return Promise.all(
    (['ecdsa', 'rsa'] as const).map(async (keyType) => {
      const found = kept.find((entry) => entry.keyType === keyType && (mode === 'acme' || entry.source === 'self-signed'));
      if (found !== undefined && serves(found, wanted, now)) return toPair(found);
      const made = await createSelfSigned(keyType, wanted, now);
      await operation.putCertificate(made);
      const pair = toPair(made);
      log.certificate({ action: 'self-signed', keyType, notAfter: new Date(pair.notAfter).toISOString() });
      return pair;
    }),
  );
}

function serves(entry: StoredCertificate, names: readonly string[], now: number): boolean {
  try {
    const leaf = new X509Certificate(entry.certificate);
    return leaf.validToDate.getTime() - now > RENEW_BEFORE && names.every((name) => leaf.checkHost(name) !== undefined);
  } catch {
    return false; // a damaged entry is made anew
  }
}

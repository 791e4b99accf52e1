/** `smarthost cert …`: the certificates that clients see. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import type { Store } from '../store/store.ts';
import { DAY } from '../system/clock.ts';
import { readConfig, withStoreOf } from './context.ts';
import { define, group, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { iso, table, time } from './text.ts';

type Source = 'files' | 'self-signed' | 'acme';
type View = {
  readonly keyType: 'ecdsa' | 'rsa';
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly renewAt: number | null;
  readonly renewReason: string;
  readonly lastError: string | null;
};

export const registerCert: Register = (program, io) => {
  const cert = group(program, 'cert', 'The certificates that clients see.');
  define(
    cert,
    {
      usage: 'show',
      about: 'Names, issuer, time of validity, and when they are renewed.',
      examples: ['cert show', 'cert show --json'],
    },
    async (_, options) => {
      const { config } = await readConfig(io, options);
      const views =
        config.tls.mode === 'files' ? await fromFiles(config) : await withStoreOf(config, (store) => fromStore(config, store));
      if (options.json) return printJson(io, views.map(shape));
      if (views.length === 0) return io.err('There is no certificate yet: the relay makes one when it starts.');
      await io.out(table(['KEY', 'NAMES', 'ISSUER', 'NOT AFTER', 'RENEWED', 'BECAUSE'], views.map(row)));
      for (const { lastError } of views) if (lastError !== null) io.err(lastError);
    },
  );
  define(
    cert,
    { usage: 'renew', about: 'Renew the certificates now, where this version can.', examples: ['cert renew'] },
    async (_, options) => {
      const { config } = await readConfig(io, options);
      throw new CommandError(WHY_NOT[config.tls.mode]);
    },
  );
};

const WHY_NOT: Readonly<Record<Config['tls']['mode'], string>> = {
  files: 'The certificates come from files (tls.mode files): replace the files, then send SIGHUP to the relay.',
  'self-signed': 'Self-signed certificates are made again by the running relay, 30 days before they end.',
  acme: 'This version asks no certificate authority yet: the relay serves a self-signed certificate. Use tls.mode files with certificates of your own.',
};

async function fromFiles({ tls }: Config): Promise<readonly View[]> {
  return Promise.all(
    tls.files.map(async ({ certificate }) => {
      const pem = await readFile(certificate, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        throw new CommandError(`${certificate} cannot be read (${cause.code}).`, { cause });
      });
      return viewOf(pem, 'files', null);
    }),
  );
}

async function fromStore({ tls }: Config, { operation }: Store): Promise<readonly View[]> {
  const certificates = await operation.certificates();
  const lastError = tls.mode === 'acme' ? 'No certificate authority has signed it: this version asks none yet.' : null;
  return certificates.map(({ certificate, source }) => viewOf(certificate, source, source === 'acme' ? null : lastError));
}

/** @param pem the chain, leaf first. */
function viewOf(pem: string, source: Source, lastError: string | null): View {
  const leaf = parse(pem);
  const [notBefore, notAfter] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  return {
    keyType: leaf.publicKey.asymmetricKeyType === 'rsa' ? 'rsa' : 'ecdsa',
    names: (leaf.subjectAltName ?? '').split(', ').flatMap((name) => /^DNS:(.+)$/.exec(name)?.[1] ?? []),
    issuer: nameOf(leaf.issuer),
    notBefore,
    notAfter,
    ...renewal(source, notBefore, notAfter),
    lastError,
  };
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new CommandError('A certificate cannot be read: it is not PEM.', { cause });
  }
}

function renewal(source: Source, notBefore: number, notAfter: number): Pick<View, 'renewAt' | 'renewReason'> {
  if (source === 'files') return { renewAt: null, renewReason: 'comes from files: renewed by whoever writes them' };
  if (source === 'self-signed')
    return { renewAt: notAfter - 30 * DAY, renewReason: 'self-signed: made again 30 days before its end' };
  return { renewAt: notBefore + Math.round(((notAfter - notBefore) * 2) / 3), renewReason: 'two thirds of its lifetime' };
}

/** The common name, or what there is. */
function nameOf(distinguishedName: string): string {
  return /(?:^|\n)CN=([^\n]+)/.exec(distinguishedName)?.[1] ?? distinguishedName.replaceAll('\n', ', ');
}

function shape({ notBefore, notAfter, renewAt, ...rest }: View) {
  const { keyType, names, issuer, renewReason, lastError } = rest;
  return {
    keyType,
    names,
    issuer,
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    renewAt: iso(renewAt),
    renewReason,
    lastError,
  };
}

function row({ keyType, names, issuer, notAfter, renewAt, renewReason }: View): readonly string[] {
  return [keyType, names.join(' '), issuer, time(notAfter), time(renewAt), renewReason];
}

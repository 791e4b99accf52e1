/** `smarthost cert …`: the certificates that clients see, as the relay that serves them has left word. */
import type { CertificateStatus } from '../certificates/certificates.ts';
import { withStore } from './context.ts';
import { define, group, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { iso, table, time } from './text.ts';

export const registerCert: Register = (program, io) => {
  const cert = group(program, 'cert', 'The certificates that clients see.');

  define(
    cert,
    {
      usage: 'show',
      about: 'Names, issuer, time of validity, when they are renewed, and what went wrong last.',
      examples: ['cert show', 'cert show --json'],
    },
    async (_, options) => {
      const { describeCertificates } = await import('../certificates/certificates.ts');
      const found = await withStore(io, options, ({ store }) => describeCertificates(store.operation, Date.now()));
      if (options.json) return printJson(io, found.map(shape));
      if (found.length === 0) return io.err('There is no certificate yet: the relay makes or loads one when it starts.');
      await io.out(table(['KEY', 'NAMES', 'ISSUER', 'NOT AFTER', 'RENEWED', 'BECAUSE'], found.map(row)));
      for (const { keyType, lastError } of found) if (lastError !== null) io.err(`${keyType}: ${lastError}`);
    },
  );

  define(
    cert,
    {
      usage: 'renew',
      about: 'Ask the running relay, or the next one that starts, to renew its certificates now.',
      examples: ['cert renew'],
    },
    async (_, options) => {
      const { requestRenewal } = await import('../certificates/certificates.ts');
      await withStore(io, options, async ({ config, store }) => {
        const { mode, acme } = config.tls;
        if (mode === 'acme' && !acme.acceptTerms)
          throw new CommandError('tls.acme.acceptTerms is not true: no authority is asked for a certificate.');
        await requestRenewal(store.operation);
        io.err(`${ASKED[mode]} \`smarthost cert show\` tells what came of it.`);
        if (options.json) await printJson(io, { requested: true });
      });
    },
  );
};

const ASKED = {
  acme: 'The relay was asked to get new certificates.',
  files: 'The relay was asked to read the certificate files again.',
  'self-signed': 'The relay was asked to make new certificates.',
} as const;

function shape({ keyType, names, issuer, notBefore, notAfter, renewAt, renewReason, lastError }: CertificateStatus) {
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

function row({ keyType, names, issuer, notAfter, renewAt, renewReason }: CertificateStatus): readonly string[] {
  return [keyType, names.join(' '), issuer, time(notAfter), time(renewAt), renewReason];
}

/** `smarthost cert …`: the certificates that clients see, from the status that the running relay writes to the store. */
import type { ServedCertificate } from '../control/control.ts';
import { withControl } from './context.ts';
import { define, group, type Register } from './define.ts';
import { printJson } from './io.ts';
import { table, time } from './text.ts';

export const registerCert: Register = (program, io) => {
  const cert = group(program, 'cert', 'The certificates that clients see.');

  define(
    cert,
    {
      usage: 'show',
      about: 'Show names, issuer, validity, next renewal and last error.',
      examples: ['cert show', 'cert show --json'],
    },
    async (_, options) => {
      const found = await withControl(io, options, ({ control }) => control.certificates.list());
      if (options.json) return printJson(io, found);
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
    (_, options) =>
      withControl(io, options, async ({ config, control }) => {
        const requested = await control.certificates.renew();
        io.err(`${ASKED[config.tls.mode]} \`smarthost cert show\` shows the result.`);
        if (options.json) await printJson(io, requested);
      }),
  );
};

const ASKED = {
  acme: 'The relay was asked to get new certificates.',
  files: 'The relay was asked to read the certificate files again.',
  'self-signed': 'The relay was asked to make new certificates.',
} as const;

function row({ keyType, names, issuer, notAfter, renewAt, renewReason }: ServedCertificate): readonly string[] {
  return [keyType, names.join(' '), issuer, time(notAfter), time(renewAt), renewReason];
}

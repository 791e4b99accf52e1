/** `smarthost tls …`: TLS with destinations, and the reports to their owners. */
import type { Command } from 'commander';
import { parseDuration } from '../config/config.ts';
import { readDay, type TlsFailure, type TlsReportCopy } from '../control/control.ts';
import { withControl } from './context.ts';
import { define, group, type Register } from './define.ts';
import { domainTyped, typed } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { table, time } from './text.ts';
import { registerCheck } from './tls-check.ts';
import { registerPolicies } from './tls-policies.ts';

export const registerTls: Register = (program, io) => {
  const tls = group(program, 'tls', 'TLS with destinations, and reports about it.');
  registerCheck(tls, io);
  registerPolicies(tls, io);
  registerReports(tls, io);
  define<{ readonly since?: string }>(
    tls,
    {
      usage: 'failures',
      about: 'Sessions whose TLS did not meet the policy, for domains that ask for reports; the latest day first.',
      examples: ['tls failures', 'tls failures --since 7d --json'],
      options: (command) => command.option('--since <duration>', 'how far to look back, up to 30d (default: 7d)'),
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const since = typed('--since', () => parseDuration(options.since ?? '7d'));
        const found = await control.tlsReports.failures(Date.now() - since);
        if (options.json) return printJson(io, found);
        if (found.length === 0) return io.err('No session failed.');
        await io.out(table(['DAY', 'DOMAIN', 'POLICY', 'FAILURE', 'REASON', 'MX', 'ADDRESS', 'SESSIONS'], found.map(failureRow)));
      }),
  );
};

function registerReports(tls: Command, io: Io): void {
  const reports = group(tls, 'reports', 'Reports about TLS to the owners of domains (RFC 8460).');
  define(
    reports,
    {
      usage: 'list',
      about: 'All copies of reports of the last 30 days.',
      examples: ['tls reports list', 'tls reports list --json'],
    },
    (_, options) =>
      withControl(io, options, async ({ control }) => {
        const found = await control.tlsReports.list();
        if (options.json) return printJson(io, found);
        if (found.length === 0) return io.err('No report was written.');
        await io.out(copyTable(found));
      }),
  );
  define(
    reports,
    {
      usage: 'show <day> <domain>',
      about: 'The report to one domain about one UTC day, and the state of its copies.',
      examples: ['tls reports show 2026-11-27 example.org'],
    },
    ([day, domain], options) =>
      withControl(io, options, async ({ control }) => {
        const shown = await control.tlsReports.show(readDay(day!), domainTyped(domain!));
        if (options.json) return printJson(io, shown);
        await printJson(io, shown.report);
        io.err(shown.copies.length === 0 ? 'No copy of it was written yet.' : copyTable(shown.copies).trimEnd());
      }),
  );
  define(
    reports,
    {
      usage: 'send <day> <domain>',
      about: 'Send a report now, also one that did not arrive. Sent copies are not sent again.',
      examples: ['tls reports send 2026-11-27 example.org'],
    },
    ([day, domain], options) =>
      withControl(io, options, async ({ control }) => {
        const asked = { day: readDay(day!), domain: domainTyped(domain!) };
        await control.tlsReports.send(asked.day, asked.domain);
        io.err('The relay was asked to send it. `smarthost tls reports list` shows the result.');
        if (options.json) await printJson(io, asked);
      }),
  );
  define<{ readonly lift?: boolean }>(
    reports,
    {
      usage: 'suppress <rua>',
      about: 'Send no reports to this address for 30 days.',
      examples: ['tls reports suppress mailto:tls@example.org', 'tls reports suppress mailto:tls@example.org --lift'],
      options: (command) => command.option('--lift', 'send them again'),
    },
    ([rua], options) =>
      withControl(io, options, async ({ control }) => {
        const suppressed = options.lift !== true;
        await control.tlsReports.suppress(rua!, suppressed);
        io.err(suppressed ? `${rua} gets no reports for 30 days.` : `${rua} gets reports again.`);
        if (options.json) await printJson(io, { rua, suppressed });
      }),
  );
}

function copyTable(copies: readonly TlsReportCopy[]): string {
  const rows = copies.map((copy) => [
    ...[copy.day, copy.domain, copy.rua ?? '', copy.state, String(copy.attempts), time(copy.nextAttemptAt), copy.lastError ?? ''],
  ]);
  return `${table(['DAY', 'DOMAIN', 'TO', 'STATE', 'ATTEMPTS', 'NEXT', 'REASON'], rows)}`;
}

function failureRow({ day, domain, policy, type, reason, mx, receivingIp, sessions }: TlsFailure): readonly string[] {
  return [day, domain, policy, type, reason ?? '', mx ?? '', receivingIp ?? '', String(sessions)];
}

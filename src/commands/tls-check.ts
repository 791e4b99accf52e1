/** `smarthost tls check`: what would happen to mail for a domain, and why. */
import type { Command } from 'commander';
import type { CheckedHost, DomainCheck } from '../control/control.ts';
import { withControl } from './context.ts';
import { define } from './define.ts';
import { CommandError, domainTyped, UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { clean, facts, time } from './text.ts';

type Options = { readonly connect?: boolean; readonly port?: string };

/** 2 is a wrong command line. */
const EXIT_CODES = { sent: 0, delayed: 1, returned: 3 } as const;

export function registerCheck(tls: Command, io: Io): void {
  define<Options>(
    tls,
    {
      usage: 'check <domain>',
      about:
        'What would happen to mail for a domain, and why: its hosts, DANE, MTA-STS, your settings. No mail is sent. Exit 0 if mail would be sent, 1 if it would wait, 3 if it would be returned.',
      examples: ['tls check example.org', 'tls check example.org --connect'],
      options: (command) =>
        command
          .option('--connect', 'talk to each host up to where mail would be sent, and show its certificates')
          .option('--port <number>', 'the port of the hosts (default: as configured)'),
    },
    ([name], options) =>
      withControl(io, options, async ({ control }) => {
        const domain = domainTyped(name!);
        const port = options.port === undefined ? undefined : portTyped(options.port);
        const found = await control.tlsCheck.check(domain, { connect: options.connect === true, port });
        await (options.json ? printJson(io, found) : io.out(describe(found)));
        const exitCode = EXIT_CODES[found.result];
        if (exitCode !== 0) throw new CommandError(`Mail to ${domain} would be ${found.result}.`, { exitCode });
      }),
  );
}

function portTyped(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new UsageError(`--port is a number from 1 to 65535, not "${text}"`);
  return port;
}

function describe(check: DomainCheck): string {
  const { domain, route, mx, mtaSts, mtaStsProblem, tlsReports, exceptions, validates, hosts } = check;
  const policy =
    mtaSts === null
      ? (mtaStsProblem ?? 'none')
      : `${mtaSts.mode} for ${mtaSts.mx.join(', ')}; id ${mtaSts.id}, fetched ${time(mtaSts.fetchedAt)}, ends ${time(mtaSts.expiresAt)}`;
  const head = facts([
    ['domain', domain],
    ...(route === null ? [] : [['route', route.join(', ')] as const]),
    ...(mx === null
      ? []
      : [['mx', `${mx.hosts.map((equals) => equals.join(' = ')).join(', ')} (${proven(mx.proven)})`] as const]),
    ['resolver', validates ? 'validates DNSSEC' : 'does not validate DNSSEC: DANE is off'],
    ['mta-sts', policy],
    ['tls reports', tlsReports === null ? 'not wanted' : tlsReports.join(', ')],
    ...exceptions.map(
      ({ subject, what, until }) =>
        ['exception', `${subject}: ${what}${until === null ? ', without an end' : `, until ${time(until)}`}`] as const,
    ),
  ]);
  return `${clean(check.sentence)}\n\n${head}${hosts.map(describeHost).join('')}`;
}

function proven(isProven: boolean): string {
  return isProven ? 'signed with DNSSEC' : 'not signed';
}

function describeHost({ host, port, ip, proven: isProven, tlsa, sentence, session }: CheckedHost): string {
  const lines = [
    ...tlsa.map(({ record, fate }) => `TLSA ${record}: ${fate}`),
    sentence,
    ...(session === null ? [] : describeSession(session)),
  ];
  return `\n${clean(host)} [${ip}] port ${port} (${proven(isProven)})\n${lines.map((line) => `  ${clean(line)}\n`).join('')}`;
}

function describeSession(session: NonNullable<CheckedHost['session']>): readonly string[] {
  const chain = session.chain.map(
    ({ subject, issuer, notAfter, names }) =>
      `certificate ${subject}${names === null ? '' : ` (${names})`}, issued by ${issuer}, ends ${time(notAfter)}`,
  );
  if (!session.ok) return [`not good enough: ${session.reply}`, ...chain];
  return [
    `connected: ${session.tls ?? 'in clear text'}, worth ${session.assurance}${session.matched == null ? '' : `, ${session.matched}`}`,
    `REQUIRETLS: ${session.requireTls === true ? 'offered' : 'not offered'}`,
    ...chain,
  ];
}

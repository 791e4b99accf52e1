/** The text of `smarthost report read`. */
import type { DomainReports, ReadReports } from '../control/control.ts';
import { clean, facts, several, table } from './text.ts';

/** Lines of a table, and domains: `--json` has them all. */
const SHOWN = 100;

/** The sums of all reports, who else sends, and each complaint. */
export function describeReports({ reports, sums, complaints, stored }: ReadReports): string {
  const parts = [
    ...(reports.length === 0 ? [] : [heading(reports, stored), sumsTable(sums), others(sums)]),
    ...complaints.map(complaintText),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

/** The same sums, of the reports in the store. */
export function describeDomains({ sums }: DomainReports): string {
  return [sumsTable(sums), others(sums)].join('\n');
}

function heading(reports: ReadReports['reports'], stored: number): string {
  const counted = reports.filter(({ repeated }) => !repeated);
  const times = counted.flatMap(({ begin, end }) => [begin, end].filter((time) => time !== null)).sort();
  const repeated = reports.length - counted.length;
  return facts([
    ['reports', `${counted.length}${repeated === 0 ? '' : `, and ${repeated} more of the same`}`],
    ['from', some(counted.map(({ reporter }) => reporter))],
    ['time', times.length === 0 ? '' : `${times[0]!.slice(0, 16)}Z to ${times.at(-1)!.slice(0, 16)}Z`],
    ['policy', some(counted.map(({ domain, policy }) => `${domain} ${policyText(policy)}`))],
    ...(stored === 0 ? [] : [['stored', several(stored, 'report')] as const]),
    ['messages', String(counted.reduce((total, { messages }) => total + messages, 0))],
    ...counted
      .flatMap(({ reporter, errors }) => errors.map((error) => [`error of ${clean(reporter)}`, error] as const))
      .slice(0, 10),
  ]);
}

function some(values: readonly string[]): string {
  const all = [...new Set(values)].sort();
  return all.length > 10 ? `${all.slice(0, 10).join(', ')} and ${all.length - 10} more` : all.join(', ');
}

function policyText(policy: Readonly<Record<string, string>>): string {
  const told = ['p', 'sp', 'np'].flatMap((name) => (policy[name] === undefined ? [] : [`${name}=${policy[name]}`]));
  return told.length === 0 ? '(not told)' : told.join(' ');
}

type Sum = ReadReports['sums'][number];

function sumsTable(sums: readonly Sum[]): string {
  const rows = sums
    .slice(0, SHOWN)
    .map(({ domain, source, sender, dmarc, dkim, spf, disposition, messages, verified }) => [
      ...[domain, source, sender, dmarc, dkim, spf, disposition, String(messages), verified.join(', ')],
    ]);
  const more = sums.length > SHOWN ? `${sums.length - SHOWN} more lines: --json has them all.\n` : '';
  return table(['DOMAIN', 'SOURCE', 'SENDER', 'DMARC', 'DKIM', 'SPF', 'DISPOSITION', 'MESSAGES', 'VERIFIED'], rows) + more;
}

/** The question that only receivers can answer, in sentences for each domain. */
function others(sums: readonly Sum[]): string {
  const domains = [...new Set(sums.map(({ domain }) => domain))].slice(0, SHOWN);
  return domains
    .flatMap((domain) => sentences(sums.filter((sum) => sum.domain === domain)).map((line) => `${clean(domain)}: ${line}\n`))
    .join('');
}

function sentences(sums: readonly Sum[]): readonly string[] {
  const others = sums.filter(({ sender }) => sender === 'other');
  return [
    ...(others.length === 0 ? ['nobody else sends as this domain.'] : []),
    ...counted(
      others.filter(({ dmarc }) => dmarc === 'fail'),
      'of others fail: a service that you forgot, or a forger.',
    ),
    ...counted(
      others.filter(({ dmarc }) => dmarc === 'pass'),
      'of others pass: a service that may send as this domain.',
    ),
    ...counted(
      sums.filter(({ sender, dkim }) => sender === 'us' && dkim === 'fail'),
      'of yours have no DKIM signature that passes for this domain: `smarthost doctor` finds most causes.',
    ),
  ];
}

function counted(sums: readonly Sum[], what: string): readonly string[] {
  if (sums.length === 0) return [];
  const addresses = new Set(sums.map(({ source }) => source)).size;
  const messages = sums.reduce((total, sum) => total + sum.messages, 0);
  return [`${several(messages, 'message')} from ${addresses === 1 ? '1 address' : `${addresses} addresses`} ${what}`];
}

function complaintText({
  type,
  reporter,
  arrived,
  source,
  sender,
  recipients,
  domain,
  incidents,
  ...mail
}: ReadReports['complaints'][number]) {
  const { messageId, from, subject, ours } = mail;
  const whose = ours ? 'yours: it came from your address or names your key' : 'not known to be yours';
  return facts([
    ['complaint', `${type}${incidents === 1 ? '' : `, ${incidents} times`}`],
    ['reported by', reporter ?? ''],
    ['mail', whose],
    ['source', source ?? ''],
    ['arrived', arrived ?? ''],
    ['domain', domain ?? ''],
    ['sender', sender ?? ''],
    ['recipients', recipients.join(', ')],
    ['from', from ?? ''],
    ['subject', subject ?? ''],
    ['message-id', messageId ?? ''],
    ...(ours && messageId !== null ? [['who sent it', `smarthost trace '${messageId.replaceAll("'", '')}'`] as const] : []),
  ]);
}

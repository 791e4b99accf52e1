/** What receivers and public testers of senders look at, as one list: each line sums up other checks. */
import { about, type Finding, worst } from './finding.ts';
import type { SecuredFacts } from './secured-delivery.ts';

/** The check of these findings. They repeat, so that they do not count as problems of their own. */
export const RECEIVERS = 'receivers';

type Line = readonly [subject: string, wanted: string, belongs: (finding: Finding) => boolean];

const one =
  (...checks: readonly string[]) =>
  ({ check }: Finding) =>
    checks.includes(check);

/** @param findings of all other checks. */
export function checkReceivers(findings: readonly Finding[], hostname: string, { requireTls }: SecuredFacts): readonly Finding[] {
  const lines: readonly Line[] = [
    ['DNSSEC and DANE', 'a resolver that validates, and TLSA records that are obeyed', one('dnssec', 'dane')],
    ['MTA-STS', 'policies that are obeyed', one('mtaSts')],
    ['root certificates', 'the roots of Node and of the system', one('roots')],
    ['clock', 'the right time', one('clock')],
    ['reverse names', 'each address has a PTR record that matches', one('ptr', 'helo')],
    ['DKIM of the host name', 'reports are signed', ({ check, subject }) => check === 'dkim' && subject.includes(hostname)],
    ['SPF and DMARC', 'published, and aligned with the From field', one('spf', 'dmarc', 'alignment')],
    ['exceptions', 'none without an end', ({ check, found }) => check === 'tlsExceptions' && !found.includes(', until ')],
    ['TLS reports', 'signed, and sent', one('tlsReports')],
  ];
  const sums = lines.map(([subject, wanted, belongs]) => {
    const say = about(RECEIVERS, subject);
    const own = findings.filter(belongs);
    const bad = own.filter(({ result }) => result !== 'ok');
    if (bad.length === 0) return say('ok', own.length === 0 ? 'nothing to say' : wanted, wanted);
    const named = [...new Set(bad.map(({ check }) => check))].join(', ');
    return say(worst(bad.map(({ result }) => result)), `see ${named}`, wanted);
  });
  return [tlsVersions(), ...sums, ipv6(findings), requireTlsOf(requireTls)];
}

function tlsVersions(): Finding {
  return about(RECEIVERS, 'TLS versions')('ok', 'TLS 1.3 and 1.2', 'TLS 1.3 and 1.2');
}

/** Testers have hosts with IPv6 alone. */
function ipv6(findings: readonly Finding[]): Finding {
  const say = about(RECEIVERS, 'IPv6');
  const wanted = 'mail is sent over IPv6 too, from an address with a PTR record';
  const own = findings.filter(({ check, subject }) => check === 'ptr' && subject.includes(':'));
  if (own.length === 0)
    return say('warning', 'no public IPv6 address', wanted, 'Mail to hosts that have only IPv6 cannot be sent.');
  const bad = own.filter(({ result }) => result !== 'ok');
  return bad.length === 0 ? say('ok', wanted, wanted) : say(worst(bad.map(({ result }) => result)), 'see ptr', wanted);
}

function requireTlsOf(mode: SecuredFacts['requireTls']): Finding {
  const say = about(RECEIVERS, 'REQUIRETLS');
  const wanted = 'announced to clients';
  return mode === 'offer' ? say('ok', wanted, wanted) : say('warning', 'off', wanted, 'Set `submission.requireTls: offer`.');
}

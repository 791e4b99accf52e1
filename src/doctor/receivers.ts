/** What receivers and public testers of senders look at, as one list: each line sums up other checks. */
import { type Phrase, phrase } from '../system/phrase.ts';
import { about, type Finding, worst } from './finding.ts';
import type { SecuredFacts } from './secured-delivery.ts';

/** The check of these findings. They repeat, so that they do not count as problems of their own. */
export const RECEIVERS = 'receivers';

type Line = readonly [subject: string, wanted: Phrase, belongs: (finding: Finding) => boolean];

const one =
  (...checks: readonly string[]) =>
  ({ check }: Finding) =>
    checks.includes(check);

/** @param findings of all other checks. */
export function checkReceivers(findings: readonly Finding[], hostname: string, { requireTls }: SecuredFacts): readonly Finding[] {
  const lines: readonly Line[] = [
    ['DNSSEC and DANE', phrase`a resolver that validates, and TLSA records that are obeyed`, one('dnssec', 'dane')],
    ['MTA-STS', phrase`policies that are obeyed`, one('mtaSts')],
    ['root certificates', phrase`the roots of Node and of the system`, one('roots')],
    ['clock', phrase`the right time`, one('clock')],
    ['reverse names', phrase`each address has a PTR record that matches`, one('ptr', 'helo')],
    ['DKIM of the host name', phrase`reports are signed`, ({ check, subject }) => check === 'dkim' && subject.includes(hostname)],
    ['SPF and DMARC', phrase`published, and aligned with the From field`, one('spf', 'dmarc', 'alignment')],
    ['exceptions', phrase`none without an end`, ({ check, found }) => check === 'tlsExceptions' && !found.includes(', until ')],
    ['TLS reports', phrase`signed, and sent`, one('tlsReports')],
  ];
  const sums = lines.map(([subject, wanted, belongs]) => {
    const say = about(RECEIVERS, subject);
    const own = findings.filter(belongs);
    const bad = own.filter(({ result }) => result !== 'ok');
    if (bad.length === 0) return say('ok', own.length === 0 ? phrase`nothing to say` : wanted, wanted);
    const named = [...new Set(bad.map(({ check }) => check))].join(', ');
    return say(worst(bad.map(({ result }) => result)), phrase`see ${named}`, wanted);
  });
  return [tlsVersions(), ...sums, ipv6(findings), requireTlsOf(requireTls)];
}

function tlsVersions(): Finding {
  return about(RECEIVERS, 'TLS versions')('ok', phrase`TLS 1.3 and 1.2`, phrase`TLS 1.3 and 1.2`);
}

/** Testers have hosts with IPv6 alone. */
function ipv6(findings: readonly Finding[]): Finding {
  const say = about(RECEIVERS, 'IPv6');
  const wanted = phrase`mail is sent over IPv6 too, from an address with a PTR record`;
  const own = findings.filter(({ check, subject }) => check === 'ptr' && subject.includes(':'));
  if (own.length === 0)
    return say('warning', phrase`no public IPv6 address`, wanted, phrase`Mail to hosts that have only IPv6 cannot be sent.`);
  const bad = own.filter(({ result }) => result !== 'ok');
  return bad.length === 0 ? say('ok', wanted, wanted) : say(worst(bad.map(({ result }) => result)), phrase`see ptr`, wanted);
}

function requireTlsOf(mode: SecuredFacts['requireTls']): Finding {
  const say = about(RECEIVERS, 'REQUIRETLS');
  const wanted = phrase`announced to clients`;
  return mode === 'offer'
    ? say('ok', wanted, wanted)
    : say('warning', phrase`off`, wanted, phrase`Set \`submission.requireTls: offer\`.`);
}

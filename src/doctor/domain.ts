/** All checks for one sending domain: SPF, DKIM, DMARC and alignment, and whether the domain takes mail. */
import { type GatheredSender, gatherSender, type SenderQuestion, senderOf } from '../alignment/alignment.ts';
import { checkDkim } from './dkim.ts';
import { checkAlignment, checkDmarc } from './dmarc.ts';
import type { Finding } from './finding.ts';
import { checkSenderDomain, gatherSenderDomain, type SenderDomainFacts } from './sender-domain.ts';
import { checkSpf } from './spf.ts';

export type DomainFacts = GatheredSender & {
  /** Absent for the host name, because its reports have the null sender. */
  readonly mail?: SenderDomainFacts;
};

export async function gatherDomain(question: SenderQuestion): Promise<DomainFacts> {
  const { domain, hostname, dns } = question;
  const [sender, mail] = await Promise.all([
    gatherSender(question),
    domain === hostname ? undefined : gatherSenderDomain(domain, dns),
  ]);
  return { ...sender, ...(mail === undefined ? {} : { mail }) };
}

export function checkDomain(facts: DomainFacts): readonly Finding[] {
  const { spf, dkim, dmarc, mail } = facts;
  return [
    checkSpf(spf),
    ...checkDkim(dkim),
    checkDmarc(dmarc),
    checkAlignment(senderOf(facts)),
    ...(mail === undefined ? [] : [checkSenderDomain(mail)]),
  ];
}

/** All checks for one sending domain: SPF, DKIM, DMARC and alignment, and whether the domain takes mail. */
import { type DmarcFacts, gatherDmarc } from '../alignment/alignment.ts';
import type { Dns } from '../dns/dns.ts';
import type { DkimKey } from '../store/store.ts';
import { checkDkim, type DkimFacts, gatherDkim, isSigned } from './dkim.ts';
import { checkAlignment, checkDmarc } from './dmarc.ts';
import type { Finding } from './finding.ts';
import { checkSenderDomain, gatherSenderDomain, type SenderDomainFacts } from './sender-domain.ts';
import { checkSpf, gatherSpf, type SpfFacts } from './spf.ts';

type DomainQuestion = {
  readonly domain: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly keys: readonly DkimKey[];
  readonly dns: Dns;
  /** Most milliseconds for the evaluation of SPF. */
  readonly timeout: number;
};

type DomainFacts = {
  readonly domain: string;
  readonly spf: SpfFacts;
  readonly dkim: DkimFacts;
  readonly dmarc: DmarcFacts;
  /** Absent for the host name, because its reports have the null sender. */
  readonly mail?: SenderDomainFacts;
};

export async function gatherDomain(question: DomainQuestion): Promise<DomainFacts> {
  const { domain, hostname, keys, dns } = question;
  const [spf, dkim, dmarc, mail] = await Promise.all([
    gatherSpf(question),
    gatherDkim(domain, keys, dns),
    gatherDmarc(domain, dns),
    domain === hostname ? undefined : gatherSenderDomain(domain, dns),
  ]);
  return { domain, spf, dkim, dmarc, ...(mail === undefined ? {} : { mail }) };
}

export function checkDomain({ domain, spf, dkim, dmarc, mail }: DomainFacts): readonly Finding[] {
  const judged = checkSpf(spf);
  return [
    judged,
    ...checkDkim(dkim),
    checkDmarc(dmarc),
    checkAlignment({ domain, spf: judged.result, signed: isSigned(dkim), dmarc }),
    ...(mail === undefined ? [] : [checkSenderDomain(mail)]),
  ];
}

/** All checks for one sending domain: SPF, DKIM, DMARC and alignment, and whether the domain takes mail. */
import { type DmarcFacts, gatherDmarc, type Passes, type SenderFacts, type TreeWalk, walkTree } from '../alignment/alignment.ts';
import type { Dns } from '../dns/dns.ts';
import type { DkimKey } from '../store/store.ts';
import { checkDkim, type DkimFacts, gatherDkim } from './dkim.ts';
import { checkAlignment, checkDmarc } from './dmarc.ts';
import type { Finding } from './finding.ts';
import { checkSenderDomain, gatherSenderDomain, type SenderDomainFacts } from './sender-domain.ts';
import { checkSpf, gatherSpf, type SpfFacts, spfPasses } from './spf.ts';

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
  readonly spf: SpfFacts;
  readonly dkim: DkimFacts;
  readonly dmarc: DmarcFacts;
  /** Of the domain whose keys sign. */
  readonly signer: TreeWalk;
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
  const by = dkim.signing[0]?.key.domain ?? domain;
  const signer = by === domain ? dmarc.walk : await walkTree(by, dns);
  return { spf, dkim, dmarc, signer, ...(mail === undefined ? {} : { mail }) };
}

/** What the verdict of receivers follows from. The envelope sender and From have the same domain. */
export function senderOf({ spf, dkim, dmarc, signer }: DomainFacts): SenderFacts {
  return {
    from: dmarc,
    spf: { walk: dmarc.walk, results: spfPasses(spf) },
    keys: dkim.signing.map(({ published }) => ({ walk: signer, result: PASSES[published.state] })),
  };
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

const PASSES: Readonly<Record<DkimFacts['signing'][number]['published']['state'], Passes>> = {
  published: 'pass',
  absent: 'fail',
  different: 'fail',
  unknown: 'unknown',
};

/** Checks whether a sender's domain takes mail. Bounces and replies need it, and some receivers demand it. RFC 5321 §5.1, RFC 7505. */
import type { Dns, DnsAnswer, MxRecord } from '../dns/dns.ts';
import { data, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding, nothingIn } from './finding.ts';
import { valuesOf } from './own-addresses.ts';

export type SenderDomainFacts = {
  readonly domain: string;
  readonly mx: DnsAnswer<MxRecord>;
  readonly a: DnsAnswer<string>;
  readonly aaaa: DnsAnswer<string>;
};

export async function gatherSenderDomain(domain: string, dns: Dns): Promise<SenderDomainFacts> {
  const [mx, a, aaaa] = await Promise.all([dns.mx(domain), dns.a(domain), dns.aaaa(domain)]);
  return { domain, mx, a, aaaa };
}

export function checkSenderDomain({ domain, mx, a, aaaa }: SenderDomainFacts): Finding {
  const say = about('mx', domain);
  const wanted = phrase`MX records`;
  if (mx.kind === 'temporary') return say('unknown', nothingIn(mx), wanted, ASK_AGAIN);
  const hosts = valuesOf(mx).map(({ exchange }) => exchange);
  if (hosts.length > 0 && hosts.every((host) => host === ''))
    return say(
      'error',
      phrase`null MX`,
      wanted,
      phrase`${domain} says that it takes no mail: bounces get lost, and receivers refuse its mail.`,
    );
  if (hosts.length > 0) return say('ok', data(hosts.join(', ')), wanted);
  if ([a, aaaa].some(({ kind }) => kind === 'found'))
    return say(
      'warning',
      phrase`no MX record, only an address`,
      wanted,
      phrase`Publish an MX record of ${domain}: bounces and replies go there.`,
    );
  if ([a, aaaa].some(({ kind }) => kind === 'temporary')) return say('unknown', nothingIn(mx), wanted, ASK_AGAIN);
  return say(
    'error',
    nothingIn(mx),
    wanted,
    phrase`Replies to mail of ${domain} cannot arrive, and some receivers refuse its mail: publish an MX record.`,
  );
}

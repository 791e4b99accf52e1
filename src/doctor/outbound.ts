/** Checks outbound port 25 by real connections to well-known MX hosts over IPv4 and IPv6. RFC 5321 §3.1. */

import { isIPv4 } from 'node:net';
import type { Dns } from '../dns/dns.ts';
import { isPublicAddress } from '../net/addresses.ts';
import type { IpPolicy } from '../smtp/route.ts';
import { data, type Phrase, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding, listed } from './finding.ts';
import { valuesOf } from './own-addresses.ts';
import type { SmtpAnswer, SmtpProbe } from './smtp-probe.ts';

type Family = 4 | 6;
export type Attempt = { readonly host: string; readonly address: string; readonly answer: SmtpAnswer };
export type OutboundFacts = {
  readonly port: number;
  readonly ip: IpPolicy;
  readonly destinations: readonly string[];
  /** Destinations for which the look-up of MX or address failed. */
  readonly unresolved: readonly string[];
  readonly attempts: readonly Attempt[];
  /** True if this machine has a public IPv6 address, or may use one. */
  readonly hasIpv6: boolean;
  /** The host to which a route without a condition sends all mail. */
  readonly upstream: string | undefined;
};

type OutboundQuestion = {
  readonly dns: Dns;
  readonly smtp: SmtpProbe;
  readonly destinations: readonly string[];
  readonly hostname: string;
  readonly port: number;
  readonly source: readonly string[];
  readonly timeout: number;
};

/** Connects to the best MX host of each destination, at one address per family. */
export async function gatherOutbound(question: OutboundQuestion): Promise<Pick<OutboundFacts, 'unresolved' | 'attempts'>> {
  const { dns, smtp, destinations, hostname, port, source, timeout } = question;
  const unresolved: string[] = [];
  const attempts = destinations.map(async (destination): Promise<readonly Attempt[]> => {
    const mx = [...valuesOf(await dns.mx(destination))].sort((a, b) => a.preference - b.preference)[0];
    const [a, aaaa] = mx === undefined ? [] : await Promise.all([dns.a(mx.exchange), dns.aaaa(mx.exchange)]);
    const addresses = [a, aaaa].flatMap((answer) => (answer === undefined ? [] : valuesOf(answer).slice(0, 1)));
    if (mx === undefined || addresses.length === 0) unresolved.push(destination);
    return Promise.all(
      addresses.map(async (address) => {
        const localAddress = source.find((own) => isIPv4(own) === isIPv4(address));
        const local = localAddress === undefined ? {} : { localAddress };
        const answer = await smtp({ address, port, hostname, tls: 'none', timeout, ...local });
        return { host: mx!.exchange, address, answer };
      }),
    );
  });
  return { attempts: (await Promise.all(attempts)).flat(), unresolved };
}

/** Some servers name our address in their EHLO reply. */
export function addressesSeen({ attempts }: Pick<OutboundFacts, 'attempts'>): readonly string[] {
  const seen = attempts.flatMap(({ answer }) => /\[([0-9A-Fa-f:.]+)\]/.exec(answer.ehlo?.[0] ?? '')?.[1] ?? []);
  return [...new Set(seen.filter(isPublicAddress))];
}

export function checkOutbound(facts: OutboundFacts): readonly Finding[] {
  return ([4, 6] as const).map((family) => checkFamily(facts, family));
}

function checkFamily(facts: OutboundFacts, family: Family): Finding {
  const { port, ip, unresolved, upstream, hasIpv6 } = facts;
  const say = about('outbound25', `IPv${family}`);
  const wanted = phrase`a greeting on port ${port}`;
  if (ip === (family === 4 ? 'v6-only' : 'v4-only')) return say('ok', phrase`not used (\`delivery.ip\`)`, phrase`not used`);
  if (facts.destinations.length === 0)
    return say('unknown', phrase`no destination to try`, wanted, phrase`Name some in \`doctor.destinations\`.`);
  const attempts = facts.attempts.filter(({ address }) => isIPv4(address) === (family === 4));
  const greeted = attempts.find(({ answer }) => answer.greeting?.[0]?.startsWith('220'));
  if (greeted !== undefined)
    return say('ok', data(`${greeted.host} [${greeted.address}]: ${greeted.answer.greeting![0]}`), wanted);
  if (attempts.length === 0)
    return say(
      'unknown',
      unresolved.length > 0
        ? phrase`no address of ${listed(facts.destinations)} was found in the DNS`
        : phrase`no address of ${listed(facts.destinations)} was found`,
      wanted,
      ASK_AGAIN,
    );
  const found = joined(attempts.map(({ host, address, answer }) => phrase`${host} [${address}]: ${outcome(answer)}`));
  if (family === 6 && (!hasIpv6 || attempts.every(({ answer }) => isUnroutable(answer))) && ip !== 'v6-only')
    return say('ok', phrase`this machine has no public IPv6 (${found})`, phrase`IPv6 is not needed`);
  const advice = explain(attempts.map(({ answer }) => answer));
  // IPv4 alone is enough for delivery. With an upstream, neither is needed.
  if (upstream !== undefined)
    return say('warning', found, wanted, phrase`All mail goes to ${upstream}, so it is not needed now. ${advice}`);
  if (family === 6 && ip !== 'v6-only') return say('warning', found, wanted, phrase`${advice} Or set \`delivery.ip: v4-only\`.`);
  return say('error', found, wanted, advice);
}

const joined = (phrases: readonly Phrase[]): Phrase => phrases.reduce((all, one) => phrase`${all}; ${one}`);

function outcome({ greeting, failure }: SmtpAnswer): Phrase {
  if (greeting !== undefined) return data(greeting[0]!);
  if (failure === 'ETIMEDOUT') return phrase`no answer (timeout)`;
  return failure === undefined ? phrase`closed` : data(failure);
}

function isUnroutable({ failure }: SmtpAnswer): boolean {
  return failure !== undefined && ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(failure);
}

/** A timeout usually means that the provider blocks the port, a refused connection that a firewall nearby does. */
function explain(answers: readonly SmtpAnswer[]): Phrase {
  if (answers.some(({ greeting }) => greeting !== undefined))
    return phrase`Port 25 is open, but these servers refuse us: read their replies, and see the checks blockList and ptr.`;
  if (answers.every(({ failure }) => failure === 'ETIMEDOUT'))
    return phrase`Your provider most likely blocks outbound port 25: Google Cloud always does, Azure for most subscriptions; AWS, Hetzner and OVH open it on request; DigitalOcean blocks 465 and 587 too. Ask for it, or send through an upstream on port 587 (\`routes\`).`;
  if (answers.some(({ failure }) => failure === 'EADDRNOTAVAIL'))
    return phrase`\`delivery.source\` names an address that this machine does not have.`;
  if (answers.every(isUnroutable)) return phrase`This machine has no route to the Internet: check its network.`;
  if (answers.every(({ failure }) => failure === 'ECONNREFUSED'))
    return phrase`Something nearby refuses port 25: check the firewall of this machine and its network.`;
  return phrase`No destination answered: check the firewall and the network, then ask the provider about port 25.`;
}

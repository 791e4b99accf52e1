/** Asks block lists in the DNS for our addresses: RFC 5782. An address counts as clean only if the list answers its test entry. */
import { isIPv4 } from 'node:net';
import { type Dns, type DnsAnswer, presentText } from '../dns/dns.ts';
import { reverseName } from '../net/addresses.ts';
import { phrase } from '../system/phrase.ts';
import { about, type Finding, nothingIn } from './finding.ts';
import { valuesOf } from './own-addresses.ts';

type BlockListFacts = {
  readonly list: string;
  readonly address: string;
  readonly listed: DnsAnswer<string>;
  /** The list's own explanation. */
  readonly reason: DnsAnswer<string>;
  /** The answer for the test entry that every list has: RFC 5782 §5. */
  readonly test: DnsAnswer<string>;
};

const TEST_V4 = '127.0.0.2';
const TEST_V6 = '::ffff:7f00:2';

export async function gatherBlockList(list: string, address: string, dns: Dns): Promise<BlockListFacts> {
  const name = nameAt(address, list);
  const [listed, test] = await Promise.all([dns.a(name), dns.a(nameAt(isIPv4(address) ? TEST_V4 : TEST_V6, list))]);
  const reason: DnsAnswer<string> = listed.kind === 'found' ? await dns.txt(name) : { kind: 'none' };
  return { list, address, listed, reason, test };
}

/** @returns undefined if the list does not support IPv6. */
export function checkBlockList({ list, address, listed, reason, test }: BlockListFacts): Finding | undefined {
  const say = about('blockList', `${address} at ${list}`);
  const wanted = phrase`not listed`;
  if ([...valuesOf(listed), ...valuesOf(test)].some(isRefusal) || isRefused(listed) || isRefused(test))
    return say(
      'unknown',
      phrase`query refused`,
      wanted,
      phrase`${list} does not answer this resolver (lists refuse public and busy resolvers): ask through a resolver of your own, or on its web page.`,
    );
  if (listed.kind === 'temporary') return say('unknown', nothingIn(listed), wanted, phrase`The list could not be asked now.`);
  const codes = valuesOf(listed);
  if (codes.some(isListing)) {
    const why = valuesOf(reason).map(presentText)[0];
    return say(
      'error',
      why === undefined ? phrase`listed (${codes.join(', ')})` : phrase`listed (${codes.join(', ')}): ${why}`,
      wanted,
      phrase`Find the cause and ask ${list} to remove ${address}: receivers refuse mail from it.`,
    );
  }
  if (codes.length > 0)
    return say(
      'unknown',
      phrase`${codes.join(', ')}, which no block list answers`,
      wanted,
      phrase`This resolver invents answers: use another one (\`dns.servers\`).`,
    );
  if (!valuesOf(test).some(isListing)) {
    if (!isIPv4(address)) return undefined;
    return say(
      'unknown',
      phrase`no answer, not even for the test entry ${TEST_V4}`,
      wanted,
      phrase`${list} does not serve this resolver, or serves no more.`,
    );
  }
  return say('ok', phrase`not listed`, wanted);
}

/** 127.255.255.0/24 is no listing but an error: too many questions, a public resolver, or a mistyped list. */
function isRefusal(code: string): boolean {
  return code.startsWith('127.255.255.');
}

function isRefused(answer: DnsAnswer<string>): boolean {
  return answer.kind === 'temporary' && answer.rcode === 'REFUSED';
}

function isListing(code: string): boolean {
  return code.startsWith('127.') && !isRefusal(code);
}

function nameAt(address: string, list: string): string {
  return `${reverseName(address).replace(/\.(in-addr|ip6)\.arpa$/, '')}.${list}`;
}

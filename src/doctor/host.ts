/** Checks the host name and its addresses: A and AAAA, PTR, and the name in EHLO. RFC 5321 §4.1.1.1, RFC 1912 §2.1. */
import { isIPv4 } from 'node:net';
import type { DnsAnswer } from '../dns/dns.ts';
import { canonicalAddress } from '../net/addresses.ts';
import { data, phrase } from '../system/phrase.ts';
import { ASK_AGAIN, about, type Finding, listed, nothingIn } from './finding.ts';
import { type AddressFacts, isUnreachable, type OwnAddresses, valuesOf } from './own-addresses.ts';

type HostFacts = AddressFacts & {
  readonly hostname: string;
  readonly own: OwnAddresses;
  /** PTR answers by address. */
  readonly ptr: ReadonlyMap<string, DnsAnswer<string>>;
};

export function checkHost(facts: HostFacts): readonly Finding[] {
  const reverse = facts.own.addresses.map((address) => checkReverse(facts, address));
  return [checkRecords(facts, 4), checkRecords(facts, 6), ...reverse, checkHelo(facts, reverse)];
}

/** Checks that the host name has a record for every address that mail is sent from. */
function checkRecords(facts: HostFacts, family: 4 | 6): Finding {
  const { hostname, own, ip } = facts;
  const [type, answer] = family === 4 ? (['A', facts.a] as const) : (['AAAA', facts.aaaa] as const);
  const say = about(type.toLowerCase(), hostname);
  const ours = own.addresses.filter((address) => isIPv4(address) === (family === 4));
  const wanted =
    ours.length > 0
      ? data(ours.join(', '))
      : ip === (family === 4 ? 'v6-only' : 'v4-only')
        ? phrase`none`
        : phrase`your IPv${String(family)} address`;
  if (answer.kind === 'temporary') return say('unknown', nothingIn(answer), wanted, ASK_AGAIN);
  const values = valuesOf(answer).map(canonicalAddress);
  if (values.length === 0) {
    if (ours.length === 0 && (family === 6 || ip === 'v6-only')) return say('ok', phrase`none, and none is needed`, phrase`none`);
    return say(
      'error',
      nothingIn(answer),
      wanted,
      phrase`Publish ${type} records of ${hostname} for the addresses that its mail is sent from.`,
    );
  }
  const found = data(values.join(', '));
  const unreachable = values.filter((address) => isUnreachable(facts, address));
  if (unreachable.length > 0)
    return say(
      'error',
      found,
      wanted,
      phrase`${listed(unreachable)} is not reachable from the Internet: publish the public address.`,
    );
  const missing = ours.filter((address) => !values.includes(address));
  if (missing.length > 0)
    return say(
      'error',
      found,
      wanted,
      phrase`Mail is sent from ${listed(missing)} too: add it to the ${type} records, or set \`delivery.source\`.`,
    );
  if (own.assumed)
    return say(
      'unknown',
      found,
      wanted,
      phrase`This machine has no public address of its own (NAT): compare this with the address that your provider shows.`,
    );
  return say('ok', found, wanted);
}

/** Checks forward-confirmed reverse DNS: the PTR of the address is the name, and the name has the address. */
function checkReverse(facts: HostFacts, address: string): Finding {
  const { hostname, ip } = facts;
  const say = about('ptr', address);
  const name = data(`${hostname}.`);
  const answer = facts.ptr.get(address) ?? { kind: 'temporary', why: phrase`not asked` };
  if (answer.kind === 'temporary') return say('unknown', nothingIn(answer), name, ASK_AGAIN);
  // With `auto`, delivery does not use IPv6 until this is right.
  const bad = !isIPv4(address) && ip === 'auto' ? 'warning' : 'error';
  const unused = bad === 'warning' ? phrase` IPv6 is not used until then.` : '';
  const names = valuesOf(answer);
  const found = names.length === 0 ? nothingIn(answer) : data(names.map((one) => `${one}.`).join(', '));
  if (!names.includes(hostname.toLowerCase()))
    return say(bad, found, name, phrase`Ask the provider of ${address} to set its PTR record to ${hostname}.${unused}`);
  const forward = isIPv4(address) ? facts.a : facts.aaaa;
  if (forward.kind === 'temporary') return say('unknown', phrase`${found} (${nothingIn(forward)})`, name, ASK_AGAIN);
  if (!valuesOf(forward).some((value) => canonicalAddress(value) === address))
    return say(
      bad,
      phrase`${found}, which does not have this address`,
      phrase`${hostname}., which has the address ${address}`,
      phrase`Add ${address} to the ${isIPv4(address) ? 'A' : 'AAAA'} records of ${hostname}.${unused}`,
    );
  return say('ok', found, name);
}

const NOWHERE = /\.(local|localdomain|localhost|internal|lan|home|corp|home\.arpa)$/i;

/** Checks the name in EHLO as receivers do: it exists, and it belongs to the address that sends it. */
function checkHelo({ hostname, own, a, aaaa }: HostFacts, reverse: readonly Finding[]): Finding {
  const say = about('helo', hostname);
  const wanted = phrase`EHLO ${hostname}, the name of each address`;
  const found =
    own.addresses.length === 0
      ? phrase`EHLO ${hostname} from no known address`
      : phrase`EHLO ${hostname} from ${own.addresses.join(', ')}`;
  if (NOWHERE.test(hostname))
    return say(
      'error',
      data(`EHLO ${hostname}`),
      phrase`a name in the public DNS`,
      phrase`Set \`hostname\` to a name in the public DNS.`,
    );
  if (a.kind === 'temporary' || aaaa.kind === 'temporary') return say('unknown', data(`EHLO ${hostname}`), wanted, ASK_AGAIN);
  const wrong = (result: string) => reverse.filter((finding) => finding.result === result).map(({ subject }) => subject);
  if (own.addresses.length === 0 || wrong('error').length > 0)
    return say('error', found, wanted, phrase`Receivers compare this name with A/AAAA and PTR: correct those first.`);
  if (wrong('unknown').length > 0) return say('unknown', found, wanted, ASK_AGAIN);
  if (wrong('warning').length > 0)
    return say('warning', found, wanted, phrase`It does not match ${listed(wrong('warning'))}, so that address is not used.`);
  return say('ok', found, wanted);
}

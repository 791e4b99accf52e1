/** The addresses of hosts, in the order to try them: at most five an attempt, none that is private or ours. RFC 5321 §5.1. */
import { isIP } from 'node:net';
import type { DnsAnswer, DnsClient, Resolved } from '../dns/dns.ts';
import type { AddressGuard } from '../net/address-guard.ts';
import { inEnglish } from '../system/phrase.ts';
import type { Family } from './ip-families.ts';
import { judgeOurProblem, judgeProblem, type Verdict } from './verdict.ts';

/** A host to look up, with whatever belongs to it. */
type Named = { readonly name: string };
/** What the look-up of one address family says of the host's name: the other family's may say something else. */
export type NameEvidence = {
  /** The address is proven, aliases included. */
  readonly secure: boolean;
  /** The resolver that answered is one whose proofs count. */
  readonly trusted: boolean;
  /** The name behind all aliases. */
  readonly expanded: string;
};
type FoundAddress = { readonly ip: string; readonly family: Family; readonly evidence: NameEvidence };
export type Addressed<H extends Named> = FoundAddress & { readonly host: H };

export type AddressRequest<H extends Named> = {
  /** The preferred first. */
  readonly hosts: readonly H[];
  readonly families: readonly Family[];
  /** `families` are those of the moment (`ip: auto`): a host that has only another one is delayed, not failed. */
  readonly provisional: boolean;
  /** Absent for hosts that the operator named. */
  readonly guard?: AddressGuard | undefined;
  /** Tried last: a dead host would cost every message its 30 seconds. */
  readonly isUnreachable: (ip: string) => boolean;
  /** False: it is passed over, and counts for nothing. Never rejects. */
  readonly isFit: (address: Addressed<H>) => boolean | Promise<boolean>;
  /** For the sentence in a report. */
  readonly domain: string;
};

/** One after the other, looked up when they are needed: a host that the DNS cannot find hurts only who has to try it. */
type Addresses<H extends Named> = {
  /** Undefined: there are no more, or enough were tried. Never rejects. */
  next(): Promise<Addressed<H> | undefined>;
  /** All that were found so far, also those not tried. */
  readonly found: readonly Addressed<H>[];
  /** The DNS has answered that mail cannot go to this host: it has no address, or none that is one. */
  isHopeless(host: H): boolean;
  /** The address that was given last does not count among the most that are tried. */
  giveBack(): void;
  /** Why there was none. */
  problem(): Verdict;
};

const MAX_ADDRESSES = 5;
/** With those that are given back. */
const MAX_GIVEN = 25;
const MAX_FAILURES = 5;

/** What stood in the way of those that are not in the list. */
type Obstacles = {
  failures: number;
  temporary?: string;
  /** Of the last failed look-up. */
  blind?: boolean;
  self?: string;
  private?: string;
  reserved?: string;
  otherFamily: boolean;
};

type Lookups = Pick<DnsClient, 'a' | 'aaaa'>;

export function createAddresses<H extends Named>(dns: Lookups, request: AddressRequest<H>): Addresses<H> {
  const { hosts, families, provisional, guard, isUnreachable, isFit } = request;
  const obstacles: Obstacles = { failures: 0, otherFamily: false };
  const found: Addressed<H>[] = [];
  const unreachable: Addressed<H>[] = [];
  let lookedAt = 0;
  let lookedUp = 0;
  let given = 0;
  let givenBack = 0;
  const hopeless = new Set<H>();

  async function lookUp(host: H): Promise<void> {
    const { failures } = obstacles;
    const { addresses, isOfOtherFamily } = await addressesOf(dns, host.name, families, obstacles);
    let mayTake = obstacles.failures > failures || (isOfOtherFamily && provisional);
    if (isOfOtherFamily) obstacles.otherFamily = true;
    for (const address of addresses) {
      const refused = guard?.(address.ip);
      if (refused !== undefined) obstacles[refused] = `${host.name} [${address.ip}]`;
      else found.push({ host, ...address });
      if (refused === undefined || refused === 'private') mayTake = true; // the operator may allow a private one
    }
    if (!mayTake) hopeless.add(host);
    // A host that is ourselves ends the list: what comes after it would send the mail back to us. RFC 5321 §5.1
    // A failed look-up takes seconds. After five of them the resolver is to blame, and we stop asking.
    if (obstacles.self !== undefined) for (const later of hosts.slice(lookedUp)) hopeless.add(later);
    if (obstacles.self !== undefined || obstacles.failures >= MAX_FAILURES) lookedUp = hosts.length;
  }

  function give(address: Addressed<H>): Addressed<H> {
    given++;
    return address;
  }

  return {
    found,
    isHopeless: (host) => hopeless.has(host),
    giveBack() {
      givenBack++;
    },
    async next() {
      if (given - givenBack >= MAX_ADDRESSES || given >= MAX_GIVEN) return undefined;
      for (;;) {
        if (lookedAt < found.length) {
          const address = found[lookedAt++]!;
          if (isUnreachable(address.ip)) unreachable.push(address);
          else {
            const fit = isFit(address);
            if (typeof fit === 'boolean' ? fit : await fit) return give(address);
          }
        } else if (lookedUp < hosts.length) await lookUp(hosts[lookedUp++]!);
        else if (unreachable.length === 0) return undefined;
        else if (await isFit(unreachable[0]!)) return give(unreachable.shift()!);
        else unreachable.shift();
      }
    },
    problem: () => problemOf(obstacles, request),
  };
}

async function addressesOf(
  dns: Lookups,
  name: string,
  families: readonly Family[],
  obstacles: Obstacles,
): Promise<{ readonly addresses: readonly FoundAddress[]; readonly isOfOtherFamily: boolean }> {
  const literal = isIP(name);
  if (literal !== 0) {
    const addresses = [{ ip: name, family: literal as Family, evidence: { secure: false, trusted: true, expanded: name } }];
    return { addresses, isOfOtherFamily: false };
  }
  const ask = (family: Family) => (family === 4 ? dns.a(name) : dns.aaaa(name));
  const answers: Resolved<string>[] =
    families.length === 1 ? [await ask(families[0]!)] : await Promise.all(families.map((family) => ask(family)));
  for (const answer of answers) noteFailure(obstacles, name, answer);
  const addresses = interleaved(answers.map((answer, i) => foundIn(answer, families[i]!)));
  if (addresses.length > 0 || families.length > 1 || answers[0]!.kind === 'temporary')
    return { addresses, isOfOtherFamily: false };
  const other = await ask(families[0] === 4 ? 6 : 4);
  noteFailure(obstacles, name, other);
  return { addresses, isOfOtherFamily: other.kind === 'found' };
}

function noteFailure(obstacles: Obstacles, name: string, answer: DnsAnswer<string>): void {
  if (answer.kind !== 'temporary') return;
  obstacles.failures++;
  obstacles.temporary = `${name}: ${inEnglish(answer.why)}`;
  obstacles.blind = answer.blind === true;
}

/** So that many addresses of one family do not crowd out the other. */
function interleaved<T>(lists: readonly (readonly T[])[]): readonly T[] {
  if (lists.length === 1) return lists[0]!;
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

function foundIn(answer: Resolved<string>, family: Family): readonly FoundAddress[] {
  if (answer.kind !== 'found') return [];
  const evidence = { secure: answer.secure, trusted: answer.trusted, expanded: answer.name };
  return answer.values.map((ip) => ({ ip, family, evidence }));
}

type Asked = Pick<AddressRequest<Named>, 'families' | 'provisional' | 'domain'>;

/** A failed look-up may hide the address that works, so it is looked at first; then a host that another family would reach. */
function problemOf(obstacles: Obstacles, { families, provisional, domain }: Asked): Verdict {
  if (obstacles.temporary !== undefined)
    return judgeOurProblem(obstacles.blind ? 'blind' : 'dns', `Looking up the hosts of ${domain} failed: ${obstacles.temporary}`);
  if (obstacles.otherFamily && provisional) return judgeOurProblem('unrouted', wrongFamily(families, domain).reply.text);
  if (obstacles.self !== undefined) return judgeProblem('loop', `Mail for ${domain} loops back to this relay: ${obstacles.self}`);
  if (obstacles.private !== undefined) {
    const text = `The hosts of ${domain} have private addresses, which this relay may not send to: ${obstacles.private}`;
    return judgeOurProblem('private', `${text} (delivery.allowPrivate)`);
  }
  if (obstacles.reserved !== undefined) {
    return judgeProblem('reserved', `The hosts of ${domain} have only reserved addresses: ${obstacles.reserved}`);
  }
  if (obstacles.otherFamily) return wrongFamily(families, domain);
  return judgeProblem('noHost', `No mail host of ${domain} has an address`);
}

function wrongFamily(families: readonly Family[], domain: string): Verdict {
  const [has, uses] = families[0] === 4 ? ['IPv6', 'IPv4'] : ['IPv4', 'IPv6'];
  return judgeProblem(
    `only${has === 'IPv6' ? 'Ipv6' : 'Ipv4'}`,
    `The hosts of ${domain} have ${has} addresses only, and this relay sends over ${uses} (delivery.ip)`,
  );
}

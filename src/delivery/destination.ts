/** Where mail for a domain goes: MX, null MX, or the domain itself. RFC 5321 §5.1, RFC 7505. */
import type { DnsClient, MxRecord } from '../dns/dns.ts';
import { inEnglish } from '../system/phrase.ts';
import { judgeOurProblem, judgeProblem, type Verdict } from './verdict.ts';

export type Destination = {
  /** Host names, the preferred first; those of one list are equals. */
  readonly preferences: readonly (readonly string[])[];
  /** Names the host set: domains with the same hosts share it. */
  readonly key: string;
  /** It is proven that these are the hosts: the MX records, or that there are none. RFC 7672 §2.2.1 */
  readonly secure: boolean;
  /** The resolver that said so is one whose proofs count. If not, they may be proven all the same. */
  readonly trusted: boolean;
  /** The domain's name behind all aliases. The domain itself if it is its own host, because that host is looked up by it: RFC 7672 §3.2.2. */
  readonly expanded: string;
};

/** Only so many hosts are looked at, whatever a zone holds. */
const MAX_HOSTS = 20;

export type Resolve = (domain: string) => Promise<Destination | Verdict>;

/** @param hostname our own: a host of that name, and those less preferred than it, would bring the mail back to us. */
export function createResolve(dns: Pick<DnsClient, 'mx'>, hostname: string): Resolve {
  /** Answers come from a cache: the same answer is sorted once. */
  const known = new WeakMap<readonly MxRecord[], Destination | Verdict>();
  return async (domain) => {
    if (domain.startsWith('[')) return judgeProblem('literal', `Mail to address literals is not relayed: ${domain}`);
    const answer = await dns.mx(domain);
    switch (answer.kind) {
      case 'found': {
        const destination = known.get(answer.values) ?? judge(domain, answer, hostname.toLowerCase());
        known.set(answer.values, destination);
        return destination;
      }
      case 'none': // no MX: the domain is its own host, RFC 5321 §5.1
        return { preferences: [[domain]], key: `mx:${domain}`, ...evidenceOf(answer), expanded: domain };
      case 'nxdomain':
        return judgeProblem('noDomain', `The domain ${domain} does not exist`);
      case 'temporary': // never taken for "no MX"
        return judgeOurProblem(answer.blind ? 'blind' : 'dns', `Looking up the MX of ${domain} failed: ${inEnglish(answer.why)}`);
    }
  };
}

type MxAnswer = Extract<Awaited<ReturnType<DnsClient['mx']>>, { kind: 'found' }>;

function judge(domain: string, answer: MxAnswer, hostname: string): Destination | Verdict {
  // A null MX beside others is against RFC 7505 §3, and ignored.
  const hosts = answer.values.filter(({ exchange }) => exchange !== '');
  if (hosts.length === 0) return judgeProblem('nullMx', `The domain ${domain} does not accept mail (null MX)`);
  const ours = Math.min(...hosts.filter(({ exchange }) => exchange === hostname).map(({ preference }) => preference));
  const others = hosts.filter(({ preference }) => preference < ours).sort((a, b) => a.preference - b.preference);
  if (others.length === 0)
    return judgeProblem('loop', `Mail for ${domain} loops back to ${hostname}: it is the best MX of the domain`);
  const groups = new Map<number, Set<string>>();
  for (const { preference, exchange } of others.slice(0, MAX_HOSTS)) {
    groups.set(preference, (groups.get(preference) ?? new Set()).add(exchange));
  }
  const preferences = [...groups.values()].map((names) => [...names]);
  return { preferences, key: `mx:${preferences.flat().sort().join(',')}`, ...evidenceOf(answer) };
}

function evidenceOf({ name, secure, trusted }: Pick<MxAnswer, 'name' | 'secure' | 'trusted'>) {
  return { secure, trusted, expanded: name };
}

/** All hosts in the order to try them, equals shuffled: RFC 5321 §5.1. @param random 0 to 1. */
export function ordered(
  { preferences }: Pick<Destination, 'preferences'>,
  random: () => number = Math.random,
): readonly string[] {
  return preferences.length === 1 && preferences[0]!.length === 1
    ? preferences[0]!
    : preferences.flatMap((names) => shuffled(names, random));
}

function shuffled(names: readonly string[], random: () => number): string[] {
  const list = [...names];
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}

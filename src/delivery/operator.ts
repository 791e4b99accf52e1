/** What the operator asks of the TLS of a destination: by recipient domain or by MX host, the first rule that matches holds. */
import { matchesDomain } from '../smtp/domain.ts';
import type { DestinationRule, TlsLevel } from '../smtp/route.ts';
import type { Clock } from '../system/clock.ts';
import { commaList, type Phrase, phrase } from '../system/phrase.ts';
import type { PolicyMode } from '../tls-policy/tls-policy.ts';

/** What holds for one host. */
export type OperatorPolicy = {
  readonly level: TlsLevel;
  /** Names that a certificate may be for at level `verify`; absent: the host's. */
  readonly names?: readonly string[] | undefined;
  readonly modes: { readonly dane: PolicyMode; readonly mtaSts: PolicyMode };
  /** What holds for messages with REQUIRETLS; absent: all that it demands. */
  readonly requireTls?: 'tls' | 'off' | undefined;
  /** The rule that says so; absent: the defaults. */
  readonly rule?: DestinationRule | undefined;
};

export type OperatorPolicies = {
  /** Somebody asks for the domain's policy of MTA-STS, whichever host is tried. */
  readonly wantsSts: boolean;
  /** @param mx lower case. */
  forHost(mx: string): OperatorPolicy;
};

export type OperatorSettings = {
  readonly destinations: readonly DestinationRule[];
  readonly tls: TlsLevel;
  readonly dane: PolicyMode;
  readonly mtaSts: PolicyMode;
  readonly now: Clock;
};

/** From the least that is asked for to the most. */
const LEVELS: readonly TlsLevel[] = ['none', 'opportunistic', 'encrypt', 'verify', 'dane'];

/** The same for all hosts. */
export function samePolicy(policy: OperatorPolicy): OperatorPolicies {
  return { wantsSts: policy.level !== 'none' && policy.modes.mtaSts !== 'off', forHost: () => policy };
}

/** @returns what holds for the hosts of a domain, given in lower-case A-labels. */
export function createOperatorPolicies(settings: OperatorSettings): (domain: string) => OperatorPolicies {
  const { destinations, tls, dane, mtaSts, now } = settings;
  const usual: OperatorPolicy = { level: tls, modes: { dane, mtaSts } };
  const always = samePolicy(usual);
  if (destinations.length === 0) return () => always;
  return (domain) => {
    const time = now();
    const candidates: { readonly mx?: string | undefined; readonly policy: OperatorPolicy }[] = [];
    for (const written of destinations) {
      if (written.domain !== undefined && !matchesDomain(written.domain, domain)) continue;
      const rule = ruleAt(written, tls, time);
      if (rule === undefined) continue;
      candidates.push({ mx: rule.mx, policy: policyOf(rule, usual) });
      if (rule.mx === undefined) break;
    }
    if (candidates.at(-1)?.mx !== undefined || candidates.length === 0) candidates.push({ policy: usual });
    return {
      wantsSts: candidates.some(({ policy }) => samePolicy(policy).wantsSts),
      forHost: (host) => candidates.find(({ mx }) => mx === undefined || matchesDomain(mx, host))!.policy,
    };
  };
}

function policyOf(rule: DestinationRule, { level, modes }: OperatorPolicy): OperatorPolicy {
  const modeOf = (kind: 'dane' | 'mtaSts'): PolicyMode => {
    if (rule.ignore?.includes(kind)) return 'off';
    return rule.audit === true && modes[kind] === 'on' ? 'audit' : modes[kind];
  };
  return {
    level: rule.tls ?? level,
    names: rule.names,
    modes: { dane: modeOf('dane'), mtaSts: modeOf('mtaSts') },
    requireTls: rule.requireTls === 'enforce' ? undefined : rule.requireTls,
    rule,
  };
}

/** After `until` a rule makes no exceptions. What it demands stays, and where it demands nothing the next rule counts. */
function ruleAt(rule: DestinationRule, usual: TlsLevel, now: number): DestinationRule | undefined {
  const { until, ignore: _ignore, audit: _audit, requireTls: _requireTls, tls, ...rest } = rule;
  if (until === undefined || now < until) return rule;
  return tls === undefined || isLower(tls, usual) ? undefined : { ...rest, tls };
}

function isLower(one: TlsLevel, other: TlsLevel): boolean {
  return LEVELS.indexOf(one) < LEVELS.indexOf(other);
}

/** A rule that takes something away from what domains or the operator's defaults demand. */
export type TlsException = {
  /** As the entry of `destinations` says it, which is the same in each language: `domain: example.org`, `mx: .example.org`. */
  readonly subject: string;
  /** In words. */
  readonly what: Phrase;
  /** Milliseconds since 1970; absent: it does not end. */
  readonly until?: number | undefined;
  readonly isOver: boolean;
};

/** In the order of the rules, those that are over included. */
export function exceptionsOf(destinations: readonly DestinationRule[], usual: TlsLevel, now: number): readonly TlsException[] {
  return destinations.flatMap((rule) => {
    const { ignore = [], audit, tls, requireTls = 'enforce', until } = rule;
    const what = [
      ...ignore.map((kind) => phrase`${kind === 'dane' ? 'DANE' : 'MTA-STS'} is ignored`),
      ...(audit === true ? [phrase`policies are only evaluated`] : []),
      ...(tls !== undefined && isLower(tls, usual) ? [phrase`TLS is ${tls} instead of ${usual}`] : []),
      ...(requireTls === 'enforce' ? [] : [phrase`REQUIRETLS is ${requireTls}`]),
    ];
    if (what.length === 0) return [];
    return [{ subject: subjectOf(rule), what: commaList(what), until, isOver: until !== undefined && now >= until }];
  });
}

function subjectOf({ domain, mx }: DestinationRule): string {
  return [...(domain === undefined ? [] : [`domain: ${domain}`]), ...(mx === undefined ? [] : [`mx: ${mx}`])].join(', ');
}

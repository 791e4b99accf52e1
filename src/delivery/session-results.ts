/** Results for reports to domains: one for each session, and one for each skipped host. RFC 8460 §4. */
import { type DaneFinding, tlsaText } from '../tls-policy/tls-policy.ts';
import type { DeliverySession, NoSession, Target } from './session.ts';
import type { Basis, Unmet } from './unmet.ts';

type Applied = {
  readonly type: 'tlsa' | 'sts' | 'no-policy-found';
  readonly domain: string;
  readonly strings: readonly string[];
  readonly mxHosts: readonly string[];
};
export type CountedFailure = {
  readonly type: Unmet['type'] | 'tlsa-invalid' | NonNullable<Basis['stsProblem']>['type'];
  readonly reason?: string;
};

export type SessionResults = {
  /** Never throws and never waits. */
  count(result: {
    readonly domain: string;
    readonly policies: readonly Applied[];
    readonly failure?: CountedFailure;
    readonly sendingIp?: string;
    readonly mx?: string;
    readonly helo?: string;
    readonly receivingIp?: string;
  }): void;
};

/** RFC 5321 §4.5.3.1.2. */
const MAX_DOMAIN = 255;

/**
 * The name in a greeting: a domain, or the literal of an address (RFC 5321 §4.2). Undefined: it has none, or one that is too long for a
 * name. Each report about TLS quotes it, so it holds no other characters.
 */
export function nameInGreeting({ lines }: { readonly lines: readonly string[] }): string | undefined {
  const [, name] = /^(\[[\dA-Fa-f:.]+\]|\[IPv6:[\dA-Fa-f:.]+\]|[\w.-]+)(?: |$)/.exec(lines[0] ?? '') ?? [];
  return name === undefined || name.length > MAX_DOMAIN ? undefined : name;
}

export function countPassedOver(results: SessionResults, { type, reason }: Unmet, basis: Basis, mx: string): void {
  if (!basis.isCounted) return;
  results.count({ domain: basis.domain, policies: appliedBy(basis), failure: { type, reason }, mx });
}

/**
 * Counts a connection that got as far as EHLO. Connections that ended earlier say nothing about TLS: RFC 8460 §4.3.4. A session without
 * TLS is a failure, also if nothing was demanded.
 */
export function countSession(results: SessionResults, opened: DeliverySession | NoSession, { basis, mx, ip }: Target): void {
  if (!basis.isCounted) return;
  const failure = failureOf(opened, basis);
  if (failure === 'none of it') return;
  const { from, helo } =
    'verdict' in opened ? opened : { from: opened.connection.localAddress, helo: opened.connection.greetedAs };
  results.count({
    domain: basis.domain,
    policies: appliedBy(basis),
    ...(failure !== undefined && { failure }),
    ...(from !== undefined && { sendingIp: from }),
    ...(helo !== undefined && { helo }),
    ...{ mx, receivingIp: ip },
  });
}

function failureOf(opened: DeliverySession | NoSession, { dane, stsProblem }: Basis): CountedFailure | undefined | 'none of it' {
  if ('verdict' in opened) return opened.fault ?? 'none of it';
  if (opened.tls === undefined) {
    return opened.standing.tls === 'failed'
      ? { type: 'validation-failure', reason: 'handshake-failed' }
      : { type: 'starttls-not-supported' };
  }
  if (opened.wouldFail !== undefined) return opened.wouldFail;
  if (dane.kind === 'unusable') return { type: 'tlsa-invalid', reason: 'no-usable-record' };
  return stsProblem && { type: stsProblem.type };
}

/** The policies that were applied. If DANE decided, MTA-STS was not applied: RFC 8461 §2. */
function appliedBy({ domain, dane, isDecidedByDane, sts, stsProblem }: Basis): readonly Applied[] {
  const policies = [...tlsaOf(dane), ...(isDecidedByDane ? [] : stsOf(domain, { sts, stsProblem }))];
  return policies.length > 0 ? policies : [{ type: 'no-policy-found', domain, strings: [], mxHosts: [] }];
}

function tlsaOf(dane: DaneFinding): readonly Applied[] {
  if (dane.kind === 'none') return [];
  const { base, records } = dane.kind === 'failed' ? { base: dane.name.replace(/^(?:_[^.]+\.)+/, ''), records: [] } : dane;
  return [{ type: 'tlsa', domain: base, strings: records.map(tlsaText), mxHosts: [] }];
}

function stsOf(domain: string, { sts, stsProblem }: Pick<Basis, 'sts' | 'stsProblem'>): readonly Applied[] {
  if (sts !== undefined && sts.mode !== 'none')
    return [{ type: 'sts', domain, strings: sts.text.split(/\r?\n/).filter((line) => line !== ''), mxHosts: sts.mx }];
  return stsProblem === undefined ? [] : [{ type: 'sts', domain, strings: [], mxHosts: [] }];
}

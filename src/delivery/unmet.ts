/** A host that does not meet the TLS demand: the text, the verdict and the log event. */
import type { EventLog } from '../events/events.ts';
import { data, inEnglish, type Phrase } from '../system/phrase.ts';
import { type DaneFinding, type DemandSource, isUnknownRoot, type Skip } from '../tls-policy/tls-policy.ts';
import { type AboutUs, judgeUnmet } from './verdict.ts';

/** Result types for sessions and skipped hosts: RFC 8460 §4.3. */
type UnmetType =
  | 'starttls-not-supported'
  | 'certificate-host-mismatch'
  | 'certificate-expired'
  | 'certificate-not-trusted'
  | 'validation-failure'
  | 'dnssec-invalid'
  | 'dane-required';

/** The facts behind a demand, for texts and for reports. */
export type Basis = {
  /** Of the recipient. */
  readonly domain: string;
  readonly dane: DaneFinding;
  /** The valid MTA-STS policy. */
  readonly sts?: HeldPolicy | undefined;
  /** Why there is no policy although the domain announces one. */
  readonly stsProblem?: StsTrouble | undefined;
  /** The proof that the host is one of the domain may only be missing now: what policy it has is not known. */
  readonly mayBeProven: boolean;
  /** Proofs of the DNS may exist, and our own resolver hides them: it does not validate, or another one has answered. */
  readonly isHidden: boolean;
  /** Records of DANE would decide about the host, if there were some. */
  readonly asksDane: boolean;
  /** DANE alone decides about the host. */
  readonly isDecidedByDane: boolean;
  /** The result is counted for reports to the domain: RFC 8460. */
  readonly isCounted: boolean;
  /** The message must not leave without verified TLS: RFC 8689 §4.2.1. */
  readonly isStrict: boolean;
};

/** A policy as `tls-policy/` keeps it. */
export type HeldPolicy = {
  readonly domain: string;
  readonly id: string;
  readonly mode: 'enforce' | 'testing' | 'none';
  readonly mx: readonly string[];
  readonly text: string;
};
export type StsTrouble = {
  readonly type: 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid';
  readonly why: Phrase;
};

type Fault = {
  readonly type: UnmetType;
  /** One word with hyphens, for logs and reports. */
  readonly reason: string;
  /** A text for people. */
  readonly detail: string;
  /** The check of the certificate that failed. Absent if there was no check. */
  readonly check?: 'dane' | 'pkix' | undefined;
};
export type Unmet = Fault & { readonly source: DemandSource; readonly verdict: AboutUs };

export const NO_STARTTLS = {
  type: 'starttls-not-supported',
  reason: 'starttls-not-offered',
  detail: 'it does not offer STARTTLS',
} as const;

/** What the host offers is not known, because it knows EHLO and has refused it. */
export const EHLO_REFUSED = {
  type: 'starttls-not-supported',
  reason: 'ehlo-refused',
  detail: 'it refuses EHLO, so it cannot say what it offers',
} as const;

/** REQUIRETLS is not offered under TLS that was verified. */
export const NO_REQUIRETLS = {
  type: 'validation-failure',
  reason: 'requiretls-not-offered',
  detail: 'it does not offer REQUIRETLS (RFC 8689)',
} as const;

/** Hosts of a policy that are named in words: a policy may have thousands. */
const NAMED_HOSTS = 20;

/** What may be otherwise in a moment: a look-up, a handshake that broke, a refusal for now. */
const PASSING: ReadonlySet<string> = new Set(['tlsa-lookup-failed', 'handshake-failed', 'starttls-refused', EHLO_REFUSED.reason]);

/** A wrong clock of ours gives the same results. */
const BY_THE_CLOCK: ReadonlySet<string> = new Set(['expired', 'not-yet-valid']);

/**
 * The host has shown that it cannot take mail that must not leave without verified TLS. What our own clock or our own roots may be the
 * cause of shows nothing.
 */
export function isDefinite(
  { reason, check }: Pick<Unmet, 'reason' | 'check'>,
  { mayBeProven, isHidden, asksDane }: Pick<Basis, 'mayBeProven' | 'isHidden' | 'asksDane'>,
): boolean {
  if (PASSING.has(reason) || BY_THE_CLOCK.has(reason) || isUnknownRoot({ reason })) return false;
  if (UNPROVEN.has(reason) && mayBeProven) return false;
  if (reason === 'not-proven') return !isHidden;
  return check === undefined || !(isHidden && asksDane); // a record of DANE might accept the host
}

/** Nothing proves that the host is one of the domain. */
const UNPROVEN: ReadonlySet<string> = new Set(['not-proven', 'mx-mismatch']);

/** Only DNSSEC can help, so the mail waits until our resolver validates. */
const NEEDS_PROOF: ReadonlySet<string> = new Set(['not-proven', 'dane-required']);

type Where = { readonly mx: string; readonly ip?: string | undefined };

export function unmetBy(fault: Fault, source: DemandSource, basis: Basis, where: Where): Unmet {
  const { mx, ip } = where;
  const text = `${mx}${ip === undefined ? '' : ` [${ip}]`} ${wordsOf(source, basis)}: ${fault.detail} (${fault.reason})`;
  const verdict = judgeUnmet(fault.type, text, source === 'operator');
  return {
    ...fault,
    source,
    verdict: basis.isHidden && NEEDS_PROOF.has(fault.reason) ? { ...verdict, waitsForUs: true } : verdict,
  };
}

function wordsOf(source: DemandSource, { domain, sts }: Basis): string {
  if (source === 'dane') return 'does not meet its own DANE policy (RFC 7672)';
  if (source === 'mta-sts') return `does not meet the MTA-STS policy of ${domain} (RFC 8461, id ${sts?.id ?? 'unknown'})`;
  return source === 'operator' ? 'does not meet what this relay demands of TLS' : 'does not meet what the sender demands of TLS';
}

/** A host that is skipped without a connection. */
export function passedOver({ source, why }: Skip, basis: Basis, mx: string): Unmet {
  return unmetBy(faultOf(why, basis, mx), source, basis, { mx });
}

function faultOf(why: Skip['why'], { domain, dane, sts, isHidden }: Basis, mx: string): Fault {
  const cause = isHidden ? ', as the resolver of this relay does not validate DNSSEC' : '';
  switch (why) {
    case 'tlsa-lookup': {
      const { name, why } = dane.kind === 'failed' ? dane : { name: mx, why: data('unknown') };
      const detail = `looking up its records at ${name} failed: ${inEnglish(why)}`;
      return { type: 'dnssec-invalid', reason: 'tlsa-lookup-failed', detail };
    }
    case 'mx-mismatch': {
      const detail = `the policy names ${sts === undefined ? 'other hosts' : sts.mx.slice(0, NAMED_HOSTS).join(', ')}`;
      return { type: 'validation-failure', reason: 'mx-mismatch', detail, check: 'pkix' };
    }
    case 'dane-required':
      return {
        type: 'dane-required',
        reason: 'dane-required',
        detail: `DANE is required for ${domain}, and ${lackOf(dane)}${cause}`,
      };
    case 'no-tls':
      return { type: 'starttls-not-supported', reason: 'tls-off', detail: 'this relay is configured to use no TLS with it' };
    case 'requiretls':
      return {
        type: 'validation-failure',
        reason: 'not-proven',
        detail: `nothing proves that it is a host of the domain${cause}`,
      };
  }
}

function lackOf(dane: DaneFinding): string {
  if (dane.kind === 'unusable') return `no TLSA record of ${dane.base} can be used`;
  if (dane.kind === 'records') return 'it is not proven that this is a host of the domain';
  return 'it has no TLSA records that are proven';
}

type Telling = { readonly basis: Basis; readonly would?: 'audit' | 'testing' | undefined } & Where;

/** `would`: the policy is only evaluated, and the mail was sent. */
export function tellFault(
  log: Pick<EventLog, 'emit'>,
  { source, check, type, reason, detail }: Unmet,
  { basis, mx, ip, would }: Telling,
): void {
  const { domain, sts } = basis;
  log.emit('tlsPolicyFailed', {
    domain,
    mx,
    ip,
    policy: source,
    check,
    id: source === 'mta-sts' ? sts?.id : undefined,
    type,
    reason,
    detail,
    would,
  });
  if (source === 'mta-sts' && would === undefined && isUnknownRoot({ reason }))
    log.emit('tlsRootUnknown', { domain, mx, ip, reason });
}

/** Whether a reply is of this relay's own making, because no host met what is demanded of TLS. */
export function isUnmetReply(line: string): boolean {
  return /^451 4\.7\.[45] .* does not meet (?:its own DANE policy|the MTA-STS policy of|what (?:this relay|the sender) demands of TLS)/.test(
    line,
  );
}

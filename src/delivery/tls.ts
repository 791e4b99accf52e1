/** TLS towards other servers: contexts that are made once, sessions that are resumed, hosts whose TLS is broken. RFC 8446, RFC 3207, RFC 7435. */

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, DEFAULT_CIPHERS, type SecureContext } from 'node:tls';
import { type Cache, createCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR, systemClock } from '../system/clock.ts';
import { createTrust } from '../system/trust.ts';
import {
  type Assurance,
  type Checks,
  type Connect,
  type Demand,
  type DemandSource,
  firstTrust,
  type Trust,
} from '../tls-policy/tls-policy.ts';
import type { TlsStart } from './connection.ts';

export type TlsPolicy = {
  /** Use STARTTLS where it is offered. */
  readonly use: boolean;
  /** No mail in clear. */
  readonly required: boolean;
  /** The checks of the host's certificate. */
  readonly checks: Checks;
  /** A demand that is only evaluated and logged. `would` says why it is not obeyed. */
  readonly shadow?: { readonly demand: Demand; readonly would: 'audit' | 'testing' } | undefined;
  /** The origin of the demand. Absent if nothing is demanded. */
  readonly source?: DemandSource | undefined;
  /** The value of a session that meets the demand. */
  readonly assurance: Assurance;
  /** The host must offer REQUIRETLS under it: RFC 8689 §4.2.1. */
  readonly keyword: boolean;
  /** When REQUIRETLS is passed on in a session to a host that offers it. */
  readonly promise: PromiseRule;
  /** The enforced policy of MTA-STS is a part of the demand. */
  readonly isSts: boolean;
  /** SNI: the name of the MX host, or of its TLSA records. RFC 7672 §8.1 */
  readonly name: string;
  /** TLS from the first byte: RFC 8314 §3.3. */
  readonly implicit: boolean;
  /** Sessions with equal keys may be shared. */
  readonly key: string;
};

/**
 * RFC 8689 §4.2.1. verified: in a session under DANE or an enforced policy, or that was opened for REQUIRETLS; offered: in each one under TLS,
 * because the operator says so; never: the operator wants none. Or in a session that also meets this demand.
 */
type PromiseRule = 'verified' | 'offered' | 'never' | Connect;

type Manner = {
  /** For upstreams on port 465; it makes no sense with a demand for clear text. */
  readonly implicit?: boolean;
  readonly shadow?: TlsPolicy['shadow'];
  readonly promise?: PromiseRule;
};

/** @param mx the host's name. */
export function tlsPolicy(
  demand: Connect,
  mx: string,
  { implicit = false, shadow, promise = 'verified' }: Manner = {},
): TlsPolicy {
  const { tls, pkix, dane, keyword, isSts, source, assurance, key } = demand;
  const alone = implicit && tls !== 'required';
  return {
    use: implicit || tls !== 'never',
    required: implicit || tls === 'required',
    checks: { pkix, dane },
    shadow,
    keyword,
    promise,
    isSts,
    source: alone ? 'operator' : source,
    assurance: alone ? 'encrypt' : assurance,
    name: dane?.base ?? mx,
    implicit,
    key: keyOf(alone ? 'encrypt' : key, shadow, promise),
  };
}

function keyOf(key: string, shadow: TlsPolicy['shadow'], promise: TlsPolicy['promise']): string {
  const shadowed = shadow === undefined ? key : `${key} ${keyOfShadow(shadow)}`;
  return promise === 'verified' ? shadowed : `${shadowed} promise ${typeof promise === 'string' ? promise : promise.key}`;
}

/** A shadow demand is evaluated once for each session, so sessions with different ones are not shared. */
function keyOfShadow({ demand, would }: NonNullable<TlsPolicy['shadow']>): string {
  return `${would} ${demand.kind === 'connect' ? demand.key : demand.why}`;
}

export type Encryption = {
  /** The certificates to trust in the first handshake with a host. */
  trustFor(policy: TlsPolicy): Trust;
  startFor(policy: TlsPolicy, ip: string, trust: Trust): TlsStart;
  /** Keeps the anchors that were found for the TLSA records of the checks. */
  remember(checks: Checks, anchors: readonly X509Certificate[]): void;
  /** TLS has failed with this host in more than one attempt: opportunistic mail goes in clear, for an hour at most. */
  isBroken(policy: TlsPolicy, ip: string): boolean;
  /**
   * TLS has failed with this host though it offered it. @param later the message has been tried before. `clear`: TLS had failed
   * with the host in an earlier attempt too. Then it protects nobody, and clear text is what this host would get without it:
   * RFC 7435 §3. One failure alone may be a stumble, or an attack.
   */
  noteFailure(policy: TlsPolicy, ip: string, later: boolean): 'clear' | 'wait';
  /** TLS works with this host, or clear text does not: the next attempt begins with TLS. */
  forgetFailure(policy: TlsPolicy, ip: string): void;
};

/** The oldest that is spoken with a host. Said here, so that no default of Node decides. */
const MIN_VERSION = 'TLSv1.2';

type Broken = { readonly at: number; readonly confirmed: boolean };

/** So long it is not asked for TLS. */
const NOT_ASKED = HOUR;
/** So long a failure counts as an earlier one. Longer than any pause of the queue's schedule. */
const REMEMBERED = 2 * DAY;

type Anchored = { readonly anchors: readonly X509Certificate[]; readonly context: SecureContext };

/** @param caFile PEM of further roots. Throws where it cannot be read. */
export function createEncryption(caFile: string | undefined, now: Clock = systemClock): Encryption {
  const unverified = createSecureContext({ minVersion: MIN_VERSION });
  const verified = createTrust(caFile);
  const sessions: Cache<string, Buffer> = createCache(5000, HOUR);
  const broken: Cache<string, Broken> = createCache(5000, REMEMBERED);
  const anchored: Cache<string, Anchored> = createCache(1000, HOUR);

  function contextFor(trust: Trust, { dane }: Checks): SecureContext {
    if (trust === 'none') return unverified;
    if (trust === 'roots') return verified();
    const known = dane && anchored.get(keyOfRecords(dane));
    return known?.anchors === trust ? known.context : contextOf(trust);
  }

  return {
    trustFor(policy) {
      const wanted = shownChecks(policy);
      return firstTrust(wanted, wanted.dane && anchored.get(keyOfRecords(wanted.dane))?.anchors);
    },
    startFor(policy, ip, trust) {
      // A resumed session does not show the certificate, so a session that is verified is never resumed.
      const isJudged = hasChecks(policy.checks) || policy.shadow !== undefined || typeof policy.promise === 'object';
      const key = `${policy.key} ${policy.name} ${ip}`;
      const session = isJudged ? undefined : sessions.get(key);
      return {
        options: {
          secureContext: contextFor(trust, shownChecks(policy)),
          // We judge the certificate after the handshake: RFC 8461 §4.1 and RFC 7672 §3.2.3 have other rules for names than Node.
          rejectUnauthorized: false,
          checkServerIdentity: () => undefined,
          host: policy.name,
          ...(isIP(policy.name) === 0 && { servername: policy.name }),
          ...(session !== undefined && { session }),
        },
        onSession: isJudged ? undefined : (fresh) => sessions.set(key, fresh),
        showsPeer: isJudged,
      };
    },
    remember({ dane }, anchors) {
      if (dane === undefined || anchored.get(keyOfRecords(dane))?.anchors === anchors) return;
      anchored.set(keyOfRecords(dane), { anchors, context: contextOf(anchors) });
    },
    isBroken(policy, ip) {
      if (policy.required || broken.size === 0) return false;
      const known = broken.get(hostOf(policy, ip));
      // A clock that has been set back makes it seem to lie ahead: that proves nothing.
      return known?.confirmed === true && Math.abs(now() - known.at) < NOT_ASKED;
    },
    noteFailure(policy, ip, later) {
      // A session that this host cannot resume must not be the cause of the next failure.
      sessions.delete(`${policy.key} ${policy.name} ${ip}`);
      if (policy.required) return 'wait';
      const host = hostOf(policy, ip);
      const known = broken.get(host);
      const confirmed = known !== undefined && (later || known.confirmed);
      broken.set(host, { at: now(), confirmed });
      return confirmed ? 'clear' : 'wait';
    },
    forgetFailure(policy, ip) {
      if (broken.size > 0) broken.delete(hostOf(policy, ip));
    },
  };
}

/** RSA keys of 1024 bits are accepted below an anchor, as by other senders: RFC 7672 has no least size. The default would be 2048 bits. */
const ANCHORED_CIPHERS = `${DEFAULT_CIPHERS}:@SECLEVEL=1`;

/** The anchors need not be roots: a path that ends at one of them is complete. */
function contextOf(anchors: readonly X509Certificate[]): SecureContext {
  return createSecureContext({
    minVersion: MIN_VERSION,
    ca: anchors.map((anchor) => anchor.toString()),
    allowPartialTrustChain: true,
    ciphers: ANCHORED_CIPHERS,
  });
}

export function hasChecks({ pkix, dane }: Checks): boolean {
  return pkix !== undefined || dane !== undefined;
}

/** The checks that are obeyed, or else those that are only evaluated. */
function shownChecks({ checks, shadow, promise }: TlsPolicy): Checks {
  if (hasChecks(checks)) return checks;
  if (shadow?.demand.kind === 'connect') return shadow.demand;
  return typeof promise === 'object' ? promise : checks;
}

function keyOfRecords({ base, hash }: NonNullable<Checks['dane']>): string {
  return `${base} ${hash}`;
}

function hostOf({ name }: TlsPolicy, ip: string): string {
  return `${name} ${ip}`;
}

/** TLS towards other servers: contexts that are made once, sessions that are resumed, hosts whose TLS is broken. RFC 8446, RFC 3207, RFC 7435. */

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
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
  /** What the host's certificate is held to. */
  readonly checks: Checks;
  /** The same, evaluated beside: nothing but words comes of it. `would`: why it is not obeyed. */
  readonly shadow?: { readonly demand: Demand; readonly would: 'audit' | 'testing' } | undefined;
  /** Whose demand it is; absent: nobody demands anything. */
  readonly source?: DemandSource | undefined;
  /** What a session is worth that meets it. */
  readonly assurance: Assurance;
  /** The host must offer REQUIRETLS under it: RFC 8689 §4.2.1. */
  readonly keyword: boolean;
  /** SNI: the MX host's name, or the one its TLSA records stand at. RFC 7672 §8.1 */
  readonly name: string;
  /** TLS from the first byte: RFC 8314 §3.3. */
  readonly implicit: boolean;
  /** Sessions may be shared where this is alike. */
  readonly key: string;
};

/**
 * @param mx the host's name.
 * @param implicit for upstreams on port 465; it makes no sense with a demand for clear text.
 */
export function tlsPolicy(demand: Connect, mx: string, implicit = false, shadow?: TlsPolicy['shadow']): TlsPolicy {
  const { tls, pkix, dane, keyword, source, assurance, key } = demand;
  const alone = implicit && tls !== 'required';
  return {
    use: implicit || tls !== 'never',
    required: implicit || tls === 'required',
    checks: { pkix, dane },
    shadow,
    keyword,
    source: alone ? 'operator' : source,
    assurance: alone ? 'encrypt' : assurance,
    name: dane?.base ?? mx,
    implicit,
    key: `${alone ? 'encrypt' : key}${shadow === undefined ? '' : ` ${keyOfShadow(shadow)}`}`,
  };
}

/** What is evaluated beside is evaluated once for each session, so sessions are not shared with those who evaluate something else. */
function keyOfShadow({ demand, would }: NonNullable<TlsPolicy['shadow']>): string {
  return `${would} ${demand.kind === 'connect' ? demand.key : demand.why}`;
}

export type Encryption = {
  /** Which certificates are trusted in the first handshake with a host. */
  trustFor(policy: TlsPolicy): Trust;
  startFor(policy: TlsPolicy, ip: string, trust: Trust): TlsStart;
  /** A way has led to these anchors of the policy's TLSA records, or may lead there. */
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
      // A resumed session does not show the certificate, so what is judged by it begins anew.
      const isJudged = hasChecks(policy.checks) || policy.shadow !== undefined;
      const key = `${policy.key} ${policy.name} ${ip}`;
      const session = isJudged ? undefined : sessions.get(key);
      return {
        options: {
          secureContext: contextFor(trust, shownChecks(policy)),
          // Judged by ours when the handshake is over: RFC 8461 §4.1 and RFC 7672 §3.2.3 know other names than Node does.
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

/** The anchors need not be roots: a way that ends at one of them is whole. */
function contextOf(anchors: readonly X509Certificate[]): SecureContext {
  return createSecureContext({
    minVersion: MIN_VERSION,
    ca: anchors.map((anchor) => anchor.toString()),
    allowPartialTrustChain: true,
  });
}

export function hasChecks({ pkix, dane }: Checks): boolean {
  return pkix !== undefined || dane !== undefined;
}

/** What certificates are held to, be it only for the words. */
function shownChecks({ checks, shadow }: TlsPolicy): Checks {
  return hasChecks(checks) || shadow?.demand.kind !== 'connect' ? checks : shadow.demand;
}

function keyOfRecords({ base, hash }: NonNullable<Checks['dane']>): string {
  return `${base} ${hash}`;
}

function hostOf({ name }: TlsPolicy, ip: string): string {
  return `${name} ${ip}`;
}

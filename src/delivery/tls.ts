/** TLS towards other servers: the policy of a session, contexts that are made once, sessions that are resumed, hosts whose TLS is broken. RFC 8446, RFC 3207, RFC 7435. */

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { TlsLevel } from '../smtp/route.ts';
import { type Cache, createCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR, systemClock } from '../system/clock.ts';
import type { TlsStart } from './connection.ts';

export type TlsPolicy = {
  readonly level: TlsLevel;
  /** Use STARTTLS where it is offered. */
  readonly use: boolean;
  /** No mail in clear. */
  readonly required: boolean;
  /** The certificate must be trusted and bear `name`. */
  readonly verify: boolean;
  /** SNI, and what a verified certificate must bear: the MX host's name, RFC 6125. */
  readonly name: string;
  /** TLS from the first byte: RFC 8314 §3.3. */
  readonly implicit: boolean;
};

/** @param implicit for upstreams on port 465; it makes no sense with `none`. */
export function tlsPolicy(level: TlsLevel, name: string, implicit = false): TlsPolicy {
  return {
    level,
    use: implicit || level !== 'none',
    required: implicit || level === 'encrypt' || level === 'verify',
    verify: level === 'verify',
    name,
    implicit,
  };
}

export type Encryption = {
  startFor(policy: TlsPolicy, ip: string): TlsStart;
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

/** @param caFile PEM of further roots. Throws where it cannot be read. */
export function createEncryption(caFile: string | undefined, now: Clock = systemClock): Encryption {
  const unverified = createSecureContext({ minVersion: MIN_VERSION });
  const extra = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  let trusting: SecureContext | undefined;
  const sessions: Cache<string, Buffer> = createCache(5000, HOUR);
  const broken: Cache<string, Broken> = createCache(5000, REMEMBERED);

  /** Parsing all roots takes milliseconds: only where verification is asked for, and once. */
  function verified(): SecureContext {
    trusting ??= createSecureContext({
      minVersion: MIN_VERSION,
      ...(extra === undefined ? {} : { ca: [...getCACertificates('default'), extra] }),
    });
    return trusting;
  }

  return {
    startFor(policy, ip) {
      // A resumed session is not verified again, so it must not serve another name or level.
      const key = `${policy.level} ${policy.name} ${ip}`;
      const session = sessions.get(key);
      return {
        options: {
          secureContext: policy.verify ? verified() : unverified,
          rejectUnauthorized: policy.verify,
          host: policy.name,
          ...(isIP(policy.name) === 0 && { servername: policy.name }),
          ...(session !== undefined && { session }),
        },
        onSession: (fresh) => sessions.set(key, fresh),
      };
    },
    isBroken(policy, ip) {
      if (policy.required || broken.size === 0) return false;
      const known = broken.get(hostOf(policy, ip));
      // A clock that has been set back makes it seem to lie ahead: that proves nothing.
      return known?.confirmed === true && Math.abs(now() - known.at) < NOT_ASKED;
    },
    noteFailure(policy, ip, later) {
      // A session that this host cannot resume must not be the cause of the next failure.
      sessions.delete(`${policy.level} ${policy.name} ${ip}`);
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

function hostOf({ name }: TlsPolicy, ip: string): string {
  return `${name} ${ip}`;
}

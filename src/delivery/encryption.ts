/** TLS towards other servers: contexts that are made once, sessions that are resumed, hosts whose TLS is broken. RFC 8446, RFC 3207. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { type Cache, createCache } from '../system/cache.ts';
import { HOUR } from '../system/clock.ts';
import type { TlsStart } from './connection.ts';
import type { TlsPolicy } from './tls-policy.ts';

export type Encryption = {
  startFor(policy: TlsPolicy, ip: string): TlsStart;
  /** TLS failed with this host though it offered it; opportunistic mail goes in clear for an hour at most. */
  isBroken(policy: TlsPolicy, ip: string): boolean;
  markBroken(policy: TlsPolicy, ip: string): void;
};

/** @param caFile PEM of further roots. Throws where it cannot be read. */
export function createEncryption(caFile: string | undefined): Encryption {
  const unverified = createSecureContext();
  const extra = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  let trusting: SecureContext | undefined;
  const sessions: Cache<string, Buffer> = createCache(5000, HOUR);
  const broken: Cache<string, true> = createCache(5000, HOUR);

  /** Parsing all roots takes milliseconds: only where verification is asked for, and once. */
  function verified(): SecureContext {
    trusting ??= createSecureContext(extra === undefined ? {} : { ca: [...getCACertificates('default'), extra] });
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
    isBroken: (policy, ip) => !policy.required && broken.has(`${policy.name} ${ip}`),
    markBroken: (policy, ip) => {
      broken.set(`${policy.name} ${ip}`, true);
    },
  };
}

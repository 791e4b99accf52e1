/** TLS towards clients: RFC 8314 and RFC 8997 (1.2 at least), AEAD ciphers only, no renegotiation. */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

/** One or two pairs in PEM, keys and certificates in the same order. OpenSSL picks the ECDSA or the RSA pair by client. */
export type TlsFiles = {
  readonly key: readonly string[];
  readonly cert: readonly string[];
  /** 48 random bytes, the same in all threads, so that a session of TLS resumes in any of them. Absent: new ones. */
  readonly ticketKeys?: Uint8Array;
};

/** In the server's order of preference. AES-128 costs least. The last ones are for older clients, such as those with Schannel. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** @throws Error where there is no pair, or a key does not fit its certificate. smtp-server would use a key that everybody knows. */
export function tlsOptions({ key, cert, ticketKeys }: TlsFiles): SecureContextOptions & { key: string[]; cert: string[] } {
  if (key.length === 0 || key.length !== cert.length) throw new Error('TLS needs a certificate and its key');
  const options = {
    key: [...key],
    cert: [...cert],
    ciphers: CIPHERS,
    honorCipherOrder: true,
    minVersion: 'TLSv1.2' as const,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(ticketKeys === undefined ? {} : { ticketKeys: Buffer.from(ticketKeys) }),
  };
  createSecureContext(options);
  // OpenSSL sorts keys and certificates by type. It notices a missing partner only when a client asks for it.
  const fits = cert.every((pem, i) => new X509Certificate(pem).checkPrivateKey(createPrivateKey(key[i]!)));
  if (!fits) throw new Error('A TLS key does not fit its certificate');
  return options;
}

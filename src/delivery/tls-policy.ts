/** How a session must be encrypted: RFC 3207, RFC 7435. MTA-STS and DANE will give policies of this same form. */
import type { TlsLevel } from '../smtp/route.ts';

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

/**
 * The cookie of a session. On plain loopback it has no `Secure` and no prefix, because Safari refuses them there, and the number of the port
 * in its name, because cookies know no ports.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Arrival } from './arrival.ts';

type Place = Pick<Arrival, 'secure' | 'port'>;

const nameOf = ({ secure, port }: Place) => (secure ? '__Host-smarthost' : `smarthost-${port}`);
const FLAGS = 'HttpOnly; SameSite=Strict; Path=/';

/** 256 random bits. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** What is stored of a secret, and what is looked up. */
export const secretHash = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** @param seconds until it is forgotten; 0: now. */
export function cookieFor(place: Place, secret: string, seconds: number): string {
  return `${nameOf(place)}=${secret}; ${place.secure ? 'Secure; ' : ''}${FLAGS}; Max-Age=${Math.floor(seconds)}`;
}

/** The first of its name. @param header the field Cookie. */
export function secretIn(header: string | undefined, place: Place): string | undefined {
  const name = `${nameOf(place)}=`;
  const found = header
    ?.split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(name));
  return found?.slice(name.length);
}

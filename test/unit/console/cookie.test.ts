/** The cookie of a session, and whose mail a caller may see. */
import { expect, test } from 'vitest';
import { cookieFor, newSecret, secretHash, secretIn } from '../../../src/console/access/cookie.ts';
import { sees } from '../../../src/console/api/sight.ts';

const TLS = { secure: true, port: 8443 };
const PLAIN = { secure: false, port: 8026 };

test('over TLS a cookie belongs to one host name, on loopback to one port', () => {
  expect(cookieFor(TLS, 'x', 60)).toBe('__Host-smarthost=x; Secure; HttpOnly; SameSite=Strict; Path=/; Max-Age=60');
  expect(cookieFor(PLAIN, 'x', 60)).toBe('smarthost-8026=x; HttpOnly; SameSite=Strict; Path=/; Max-Age=60');
});

test('only the cookie of this port counts', () => {
  expect(secretIn('a=b; smarthost-8027=no; smarthost-8026=yes; __Host-smarthost=other', PLAIN)).toBe('yes');
  expect(secretIn('smarthost-8026=no', TLS)).toBeUndefined();
  expect(secretIn(undefined, TLS)).toBeUndefined();
});

test('a secret has 256 bits, and is stored as a hash', () => {
  expect(Buffer.from(newSecret(), 'base64url')).toHaveLength(32);
  expect(newSecret()).not.toBe(newSecret());
  expect(secretHash('x')).toMatch(/^[0-9a-f]{64}$/);
});

test('who may see named credentials sees no others, and nothing of the relay itself', () => {
  expect([sees({ credentials: null }, 'a'), sees({ credentials: null }, null)]).toEqual([true, true]);
  const named = { credentials: ['a'] };
  expect([sees(named, 'a'), sees(named, 'b'), sees(named, null)]).toEqual([true, false, false]);
});

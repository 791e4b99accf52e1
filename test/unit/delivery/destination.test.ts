import { expect, test } from 'vitest';
import { createResolve, type Destination, ordered } from '../../../src/delivery/destination.ts';
import type { DnsClient, MxRecord, Resolved } from '../../../src/dns/dns.ts';
import { data } from '../../../src/system/phrase.ts';

async function resolve(answer: Resolved<MxRecord>, domain = 'd.test') {
  return createResolve({ mx: async () => answer } as Pick<DnsClient, 'mx'>, 'relay.example.net')(domain);
}
const EVIDENCE = { name: 'd.test', secure: false, trusted: true, ttl: 1000 } as const;
const mx = (...entries: readonly (readonly [number, string])[]): Resolved<MxRecord> => ({
  ...{ kind: 'found', ...EVIDENCE },
  values: entries.map(([preference, exchange]) => ({ preference, exchange })),
});

test('hosts are grouped by preference, and domains with the same hosts share a key', async () => {
  const one = (await resolve(mx([20, 'c'], [10, 'b'], [10, 'a'], [10, 'a']))) as Destination;
  expect(one.preferences).toEqual([['b', 'a'], ['c']]);
  const other = (await resolve(mx([5, 'a'], [6, 'b'], [7, 'c']), 'e.test')) as Destination;
  expect(other.key).toBe(one.key);
});

test('without MX the domain is its own host', async () => {
  const facts = { secure: false, trusted: true, expanded: 'd.test' };
  expect(await resolve({ kind: 'none', ...EVIDENCE })).toEqual({ preferences: [['d.test']], key: 'mx:d.test', ...facts });
});

test('the facts about the hosts are kept: whether they are secure, and the name after an alias. RFC 7672 §2.2.1', async () => {
  const answer = {
    kind: 'found',
    ...{ ...EVIDENCE, name: 'target.test', secure: true },
    values: [{ preference: 10, exchange: 'a' }],
  } as const;
  expect(await resolve(answer)).toMatchObject({ secure: true, expanded: 'target.test' });
  const none = { kind: 'none', ...EVIDENCE, name: 'target.test', secure: true } as const;
  expect(await resolve(none), 'its own host has two names: this, and the one that its address is found at').toMatchObject({
    secure: true,
    expanded: 'd.test',
    preferences: [['d.test']],
  });
  expect(await resolve({ kind: 'none', ...EVIDENCE, trusted: false })).toMatchObject({ trusted: false });
});

test.each([
  ['null MX', mx([0, '']), 'failed', '5.1.10'],
  ['no such domain', { kind: 'nxdomain', ...EVIDENCE, secure: true } as const, 'failed', '5.1.2'],
  ['a look-up that failed', { kind: 'temporary', why: data('SERVFAIL') } as const, 'delayed', '4.4.3'],
  ['ourselves as the best MX', mx([10, 'relay.example.net'], [20, 'backup']), 'failed', '5.4.6'],
])('%s', async (_, answer, kind, status) => {
  expect(await resolve(answer)).toMatchObject({ kind, reply: { status } });
});

test('a null MX beside others is ignored: RFC 7505 §3', async () => {
  expect(await resolve(mx([0, ''], [10, 'a']))).toMatchObject({ preferences: [['a']] });
});

test('if we are a backup MX ourselves, only better hosts are used: RFC 5321 §5.1', async () => {
  expect(await resolve(mx([10, 'a'], [20, 'relay.example.net'], [20, 'b'], [30, 'c']))).toMatchObject({ preferences: [['a']] });
});

test('an address literal is refused before any look-up', async () => {
  expect(await resolve({ kind: 'temporary', why: data('asked') }, '[127.0.0.1]')).toMatchObject({
    kind: 'failed',
    reply: { status: '5.1.2' },
  });
});

test('equals come in every order, preferences in one', () => {
  const destination = { preferences: [['a', 'b', 'c'], ['z']] };
  const seen = new Map<string, number>();
  for (let i = 0; i < 600; i++) {
    const order = ordered(destination).join('');
    expect(order.endsWith('z')).toBe(true);
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  expect(seen.size).toBe(6);
  for (const count of seen.values()) expect(count).toBeGreaterThan(40);
});

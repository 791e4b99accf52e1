import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDns, type Dns, type DnsClient } from '../../../src/dns/dns.ts';
import { HOUR, SECOND } from '../../../src/system/clock.ts';
import { startDns } from '../../support/dns.ts';
import type { DnsServer } from '../../support/dns-server.ts';

let server: DnsServer;
/** Asks about what is answered: load does not make it a failure. */
let patient: Dns;
let dns: Dns;
/** With what DANE needs beside. */
let client: DnsClient;
beforeAll(async () => {
  server = await startDns({
    'd.test': { MX: ['20 mx2.d.test', '10 MX1.d.test'], TXT: ['x'.repeat(300), ['a', 'b']] },
    'mx1.d.test': { A: ['192.0.2.1', '192.0.2.2'], AAAA: ['2001:db8::1'] },
    'null.test': { MX: ['0 .'] },
    'alias.test': { CNAME: 'mx1.d.test' },
    'loop.test': { CNAME: 'pool.test' },
    'pool.test': { CNAME: 'loop.test' },
    '192.0.2.1': { PTR: ['MX1.d.test'] },
    '2001:db8::1': { PTR: ['mx1.d.test'] },
    'many.test': { MX: Array.from({ length: 1000 }, (_, i) => `10 mx${i}.many.test`) },
    'truncated.test': { MX: ['10 a.test'], fault: 'truncated' },
    'half.test': { A: ['192.0.2.3'], fault: { MX: 'servfail' } },
    ...Object.fromEntries(
      ['servfail', 'refused', 'timeout', 'cut', 'garbage', 'wrong-id'].map((fault) => [
        `${fault}.test`,
        { fault: fault as 'servfail' },
      ]),
    ),
  });
  client = createDns({ servers: [server.server], timeout: 20_000 });
  patient = client;
  dns = createDns({ servers: [server.server], timeout: 150 });
});
afterAll(() => server.close());

describe('an existing record is found', () => {
  test('MX in lower case, a null MX as an empty name', async () => {
    const answer = await patient.mx('D.Test.');
    expect(answer).toMatchObject({ kind: 'found' });
    expect(answer.kind === 'found' && [...answer.values].sort((a, b) => a.preference - b.preference)).toEqual([
      { preference: 10, exchange: 'mx1.d.test' },
      { preference: 20, exchange: 'mx2.d.test' },
    ]);
    expect(await patient.mx('null.test')).toMatchObject({ kind: 'found', values: [{ preference: 0, exchange: '' }] });
  });
  test('addresses, names of addresses, and text joined', async () => {
    expect(await patient.a('mx1.d.test')).toMatchObject({ kind: 'found', values: ['192.0.2.1', '192.0.2.2'] });
    expect(await patient.aaaa('mx1.d.test')).toMatchObject({ kind: 'found', values: ['2001:db8::1'] });
    expect(await patient.ptr('192.0.2.1')).toMatchObject({ kind: 'found', values: ['mx1.d.test'] });
    expect(await patient.ptr('2001:db8::1')).toMatchObject({ kind: 'found', values: ['mx1.d.test'] });
    expect(await patient.txt('d.test')).toMatchObject({ kind: 'found', values: ['x'.repeat(300), 'ab'] });
  });
  test('after an alias, and over TCP if UDP is too small', async () => {
    expect(await patient.a('alias.test')).toMatchObject({ kind: 'found' });
    expect(await patient.mx('truncated.test')).toMatchObject({ kind: 'found' });
    const many = await patient.mx('many.test');
    expect(many.kind === 'found' && many.values.length).toBe(1000);
  });
});

test('a name without such a record is none, a name that does not exist is nxdomain', async () => {
  expect(await patient.mx('mx1.d.test')).toMatchObject({ kind: 'none' });
  expect(await patient.a('d.test')).toMatchObject({ kind: 'none' });
  expect(await patient.a('test')).toMatchObject({ kind: 'none' });
  expect(await patient.mx('alias.test')).toMatchObject({ kind: 'none' });
  for (const name of ['absent.test', 'a..test', '', `${'x'.repeat(64)}.test`]) {
    expect(await patient.mx(name)).toMatchObject({ kind: 'nxdomain' });
    expect(await patient.a(name)).toMatchObject({ kind: 'nxdomain' });
  }
  expect(await patient.ptr('no address')).toMatchObject({ kind: 'nxdomain' });
});

test.each(['servfail', 'refused', 'timeout', 'cut', 'garbage', 'wrong-id', 'loop'])(
  '%s is temporary, never an absence',
  async (fault) => {
    expect(await dns.mx(`${fault}.test`)).toMatchObject({ kind: 'temporary' });
    expect(await dns.a(`${fault}.test`)).toMatchObject({ kind: 'temporary' });
  },
);

test('a failure of one record type says nothing about another', async () => {
  expect(await dns.mx('half.test')).toMatchObject({ kind: 'temporary' });
  expect(await dns.a('half.test')).toMatchObject({ kind: 'found' });
});

test('a server that is not there is temporary', async () => {
  const gone = await startDns();
  await gone.close();
  expect(await createDns({ servers: [gone.server], timeout: 150 }).mx('d.test')).toMatchObject({ kind: 'temporary' });
});

describe('answers are remembered', () => {
  const asked = (question: string) => server.queries.filter((query) => query === question).length;

  test('questions asked together, and again within the TTL, are one question', async () => {
    server.set('kept.test', { A: ['192.0.2.9'], ttl: 600 });
    let now = 0;
    const kept = createDns({ servers: [server.server], now: () => now });
    await Promise.all([kept.a('kept.test'), kept.a('KEPT.test'), kept.a('kept.test.')]);
    now = 599 * SECOND;
    await kept.a('kept.test');
    expect(asked('A kept.test')).toBe(1);
    now = 601 * SECOND;
    await kept.a('kept.test');
    expect(asked('A kept.test')).toBe(2);
  });

  test.each([
    [0, 4 * SECOND, 6 * SECOND],
    [2 ** 31 - 1, HOUR - SECOND, HOUR + SECOND],
  ])('a TTL of %i s is clamped', async (ttl, within, after) => {
    const name = `ttl${ttl}.test`;
    server.set(name, { A: ['192.0.2.9'], ttl });
    let now = 0;
    const kept = createDns({ servers: [server.server], now: () => now });
    await kept.a(name);
    now = within;
    await kept.a(name);
    expect(asked(`A ${name}`)).toBe(1);
    now = after;
    await kept.a(name);
    expect(asked(`A ${name}`)).toBe(2);
  });

  test('a negative answer is not cached for longer if the clock is set back, because mail would be returned meanwhile', async () => {
    let now = 10 * HOUR;
    const kept = createDns({ servers: [server.server], now: () => now });
    expect(await kept.mx('new.test')).toMatchObject({ kind: 'nxdomain' });
    server.set('new.test', { MX: ['10 mx1.d.test'] });
    now = 0;
    expect(await kept.mx('new.test')).toMatchObject({ kind: 'found' });
  });

  test('negative answers for 30 s', async () => {
    let now = 0;
    const kept = createDns({ servers: [server.server], now: () => now });
    await kept.mx('gone.test');
    await kept.mx('gone.test');
    expect(asked('MX gone.test')).toBe(1);
    now = 31 * SECOND;
    await kept.mx('gone.test');
    expect(asked('MX gone.test')).toBe(2);
  });

  test('a failure for 5 s, so that each message of many does not ask again what has just failed', async () => {
    let now = HOUR;
    const kept = createDns({ servers: [server.server], now: () => now });
    server.set('ill.test', { fault: 'refused' });
    expect(await kept.mx('ill.test')).toMatchObject({ kind: 'temporary', rcode: 'REFUSED' });
    server.set('ill.test', { MX: ['10 mx.ill.test'], A: ['192.0.2.1'] });
    now += 4.9 * SECOND;
    expect(await kept.mx('ill.test')).toMatchObject({ kind: 'temporary', rcode: 'REFUSED' });
    expect(asked('MX ill.test')).toBe(1);
    expect(await kept.a('ill.test'), 'another question is not damped').toMatchObject({ kind: 'found' });
    now += 0.2 * SECOND;
    expect(await kept.mx('ill.test')).toMatchObject({ kind: 'found' });
  });

  test('a failure is not kept for longer if the clock is set back', async () => {
    let now = HOUR;
    const kept = createDns({ servers: [server.server], now: () => now });
    server.set('back.test', { fault: 'refused' });
    await kept.mx('back.test');
    server.set('back.test', { MX: ['10 mx.back.test'] });
    now = 0;
    expect(await kept.mx('back.test')).toMatchObject({ kind: 'found' });
  });

  test('a failure is kept also from who wants no old answer', async () => {
    const kept = createDns({ servers: [server.server], now: () => 0 });
    server.set('_25._tcp.ill.test', { fault: 'refused' });
    await kept.tlsa('_25._tcp.ill.test');
    await kept.tlsa('_25._tcp.ill.test', true);
    expect(asked('TLSA _25._tcp.ill.test')).toBe(1);
  });

  test('large answers do not fill the memory: those that were not used for longest make room', async () => {
    const addresses = Array.from({ length: 2000 }, (_, i) => `198.51.${i >> 8}.${i & 255}`);
    const names = Array.from({ length: 10 }, (_, i) => `large${i}.test`);
    for (const name of names) server.set(name, { A: addresses, ttl: 600 });
    const kept = createDns({ servers: [server.server], timeout: 20_000, cacheOctets: 1_000_000, now: () => 0 });
    for (const name of names) expect(await kept.a(name)).toMatchObject({ kind: 'found' });
    const before = [names[0], names[9]].map((name) => asked(`A ${name}`));
    for (const name of [names[9]!, names[0]!]) expect(await kept.a(name)).toMatchObject({ kind: 'found' });
    const again = [names[0], names[9]].map((name, i) => asked(`A ${name}`) > before[i]!);
    expect(again, 'the oldest was dropped, the newest was kept').toEqual([true, false]);
    for (const name of names) server.set(name, undefined);
  });
});

test('each question to the resolvers is told with its result, and answers from the cache are not', async () => {
  const told: string[] = [];
  const asking = createDns({
    servers: [server.server],
    timeout: 150,
    onAnswer: ({ type, result, seconds }) => {
      expect(seconds).toBeGreaterThan(0);
      told.push(`${type} ${result}`);
    },
  });
  await asking.mx('d.test');
  await asking.mx('d.test');
  await asking.a('d.test');
  await asking.a('nothing.at.all.test');
  await asking.a('refused.test');
  await asking.a('timeout.test');
  await asking.a('no name');
  expect(told).toEqual(['MX found', 'A none', 'A nxdomain', 'A failed', 'A silent']);
});

describe('TLSA records', () => {
  test('data that are too short make an unusable record, and do not hide that a record exists: RFC 7672 §2.2', async () => {
    server.set('_25._tcp.short.test', { TLSA: ['3 1 1', `3 1 1 ${'ab'.repeat(32)}`] });
    expect(await client.tlsa('_25._tcp.short.test')).toMatchObject({ kind: 'found', values: [{ usage: 255 }, { usage: 3 }] });
    server.set('_25._tcp.short.test', undefined);
  });
  test('are asked for again if the cached answer is no longer valid', async () => {
    const [old, fresh] = ['ab', 'cd'].map((octet) => `3 1 1 ${octet.repeat(32)}`);
    server.set('_25._tcp.rolled.test', { TLSA: [old!] });
    await client.tlsa('_25._tcp.rolled.test');
    server.set('_25._tcp.rolled.test', { TLSA: [fresh!] });
    expect(await client.tlsa('_25._tcp.rolled.test')).toMatchObject({ values: [{ data: Buffer.alloc(32, 0xab) }] });
    expect(await client.tlsa('_25._tcp.rolled.test', true)).toMatchObject({ values: [{ data: Buffer.alloc(32, 0xcd) }] });
    expect(await client.tlsa('_25._tcp.rolled.test')).toMatchObject({ values: [{ data: Buffer.alloc(32, 0xcd) }] });
    server.set('_25._tcp.rolled.test', undefined);
  });
});

test('the check whether the resolver validates asks for the root, each time again', async () => {
  expect(await client.validates()).toBe(false);
  server.set('.', { SOA: { mname: 'a.root.test', rname: 'b.root.test' }, secure: true });
  expect(await client.validates()).toBe(true);
  server.set('.', { SOA: { mname: 'a.root.test', rname: 'b.root.test' } });
  expect(await client.validates()).toBe(false);
  server.set('.', { fault: 'timeout' });
  expect(await createDns({ servers: [server.server], timeout: 50 }).validates()).toBeUndefined();
  server.set('.', undefined);
});

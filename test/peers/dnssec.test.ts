/** Our DNS client asks Unbound, which validates zones that Knot has signed: RFC 4035, RFC 7672 §2.1.1. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDns, type DnsClient } from '../../src/dns/dns.ts';
import { SECOND } from '../../src/system/clock.ts';
import { type Knot, startKnot } from '../support/knot.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { saying } from '../support/phrases.ts';
import { type NameServer, startUnbound } from '../support/unbound.ts';

const DIGEST = 'ab'.repeat(32);
const SIGNED = [
  'signed.test. 3600 IN MX 10 mx.signed.test.',
  'mx.signed.test. 120 IN A 127.0.0.1',
  'mx.signed.test. 90 IN AAAA ::1',
  `_25._tcp.mx.signed.test. 300 IN TLSA 3 1 1 ${DIGEST}`,
  ...Array.from(
    { length: 40 },
    (_, i) => `_25._tcp.many.signed.test. 300 IN TLSA 3 1 1 ${String(i).padStart(2, '0').repeat(32)}`,
  ),
  'alias.signed.test. 60 IN CNAME mx.signed.test.',
  'out.signed.test. 60 IN CNAME host.plain.test.',
  'text.signed.test. 600 IN TXT "v=STSv1; " "id=1"',
];
const PLAIN = ['plain.test. 3600 IN MX 10 host.plain.test.', 'host.plain.test. 60 IN A 127.0.0.2'];

const present = [requirePeer('knot', hasCommand('knotd')), requirePeer('unbound', hasCommand('unbound'))].every(Boolean);
let parts: (Knot | NameServer)[] = [];
let dns: DnsClient;
beforeAll(async () => {
  if (!present) return;
  const signed = await startKnot({ zone: 'signed.test.', records: SIGNED, signed: true });
  const bogus = await startKnot({ zone: 'bogus.test.', records: ['bogus.test. 60 IN MX 10 mx.bogus.test.'], signed: true });
  const plain = await startKnot({ zone: 'plain.test.', records: PLAIN });
  // The anchor of another zone: nothing below it can be right.
  const wrong = signed.anchors.map((anchor) => anchor.replace(/^\S+/, 'bogus.test.'));
  const stubs = [
    { zone: 'signed.test.', server: signed },
    { zone: 'bogus.test.', server: bogus },
    { zone: 'plain.test.', server: plain },
  ];
  const unbound = await startUnbound({ stubs, anchors: [...signed.anchors, ...wrong], address: '127.0.0.1' });
  parts = [unbound, plain, bogus, signed];
  dns = createDns({ servers: [`127.0.0.1:${unbound.port}`], timeout: 2 * SECOND });
});
afterAll(() => Promise.all(parts.map((part) => part.close())));

describe.skipIf(!present)('answers of a signed zone are secure', () => {
  test('MX, addresses, TLSA and text, each for its TTL', async () => {
    expect(await dns.mx('signed.test')).toMatchObject({
      kind: 'found',
      secure: true,
      values: [{ preference: 10, exchange: 'mx.signed.test' }],
    });
    const address = await dns.a('mx.signed.test');
    expect(address).toMatchObject({ kind: 'found', secure: true, values: ['127.0.0.1'] });
    expect(address.kind === 'found' && address.ttl).toBeLessThanOrEqual(120 * SECOND);
    expect(await dns.aaaa('mx.signed.test')).toMatchObject({ kind: 'found', secure: true, values: ['::1'] });
    expect(await dns.txt('text.signed.test')).toMatchObject({ kind: 'found', secure: true, values: ['v=STSv1; id=1'] });
    const tlsa = { usage: 3, selector: 1, matching: 1, data: Buffer.from(DIGEST, 'hex') };
    expect(await dns.tlsa('_25._tcp.mx.signed.test')).toMatchObject({ kind: 'found', secure: true, values: [tlsa] });
  });

  test('also negative answers', async () => {
    expect(await dns.tlsa('_25._tcp.text.signed.test')).toMatchObject({ kind: 'nxdomain', secure: true });
    expect(await dns.aaaa('text.signed.test')).toMatchObject({ kind: 'none', secure: true });
  });

  test('also after an alias, if all names on the way are signed', async () => {
    expect(await dns.a('alias.signed.test')).toMatchObject({ kind: 'found', secure: true, name: 'mx.signed.test' });
    expect(await dns.a('out.signed.test')).toMatchObject({ kind: 'found', secure: false, name: 'host.plain.test' });
    expect(await dns.cname('out.signed.test')).toMatchObject({ kind: 'found', secure: true, values: ['host.plain.test'] });
  });
});

test.skipIf(!present)('an answer that is too large for a datagram comes over TCP', async () => {
  const answer = await dns.tlsa('_25._tcp.many.signed.test');
  expect(answer).toMatchObject({ kind: 'found', secure: true });
  expect(answer.kind === 'found' && answer.values.length).toBe(40);
});

test.skipIf(!present)('answers of a zone without signatures are found, but not secure', async () => {
  expect(await dns.mx('plain.test')).toMatchObject({ kind: 'found', secure: false });
  expect(await dns.mx('host.plain.test')).toMatchObject({ kind: 'none', secure: false });
});

test.skipIf(!present)('a broken signature is a failed look-up, never an absence', async () => {
  expect(await dns.mx('bogus.test')).toMatchObject({
    kind: 'temporary',
    rcode: 'SERVFAIL',
    why: saying(/^SERVFAIL/),
  });
  expect(await dns.a('nothing.bogus.test')).toMatchObject({ kind: 'temporary' });
});

import { expect, test } from 'vitest';
import type { Dns } from '../../../src/dns/dns.ts';
import { gatherDmarc } from '../../../src/doctor/dmarc.ts';

/** A DNS that has these records, and what it was asked. */
function zone(records: Readonly<Record<string, readonly string[] | 'fault'>>) {
  const asked: string[] = [];
  const txt: Dns['txt'] = async (name) => {
    asked.push(name);
    const values = records[name];
    if (values === undefined) return { kind: 'nxdomain' };
    return values === 'fault' ? { kind: 'temporary', cause: 'SERVFAIL' } : { kind: 'found', values };
  };
  return { dns: { txt } as Dns, asked };
}
const record = (more = '') => [`v=DMARC1; p=reject${more}`];

test.each<[string, string, Readonly<Record<string, readonly string[] | 'fault'>>, string]>([
  ['its own record comes first', 'a.b.test', { '_dmarc.a.b.test': record(), '_dmarc.b.test': record() }, 'a.b.test'],
  ['that of the shortest name counts', 'a.b.c.test', { '_dmarc.b.c.test': record(), '_dmarc.c.test': record() }, 'c.test'],
  ['psd=n ends the walk', 'a.b.c.test', { '_dmarc.b.c.test': record('; psd=n'), '_dmarc.c.test': record() }, 'b.c.test'],
  [
    'below psd=y lies the organization',
    'a.b.c.test',
    { '_dmarc.b.c.test': record(), '_dmarc.c.test': record('; psd=y') },
    'b.c.test',
  ],
  ['psd=y alone speaks itself', 'a.b.c.test', { '_dmarc.c.test': record('; psd=y'), '_dmarc.test': record() }, 'c.test'],
  [
    'several at one level count as none',
    'a.b.c.test',
    { '_dmarc.b.c.test': record(), '_dmarc.c.test': [...record(), ...record()] },
    'b.c.test',
  ],
  [
    'what is no record of DMARC is left out',
    'a.b.test',
    { '_dmarc.a.b.test': ['v=spf1 -all'], '_dmarc.b.test': ['x', ...record()] },
    'b.test',
  ],
  ['what could not be asked is not skipped', 'a.b.c.test', { '_dmarc.b.c.test': record(), '_dmarc.c.test': 'fault' }, 'c.test'],
  ['none: the domain itself', 'a.b.test', {}, 'a.b.test'],
])('%s (RFC 9989 §4.10)', async (_, domain, records, at) => {
  expect((await gatherDmarc(domain, zone(records).dns)).at).toBe(at);
});

test('a long name continues with its last seven labels, so that it needs eight questions', async () => {
  const { dns, asked } = zone({ '_dmarc.j.test': record() });
  const { at } = await gatherDmarc('a.b.c.d.e.f.g.h.i.j.test', dns);
  expect(at).toBe('j.test');
  expect(asked).toEqual(
    [
      'a.b.c.d.e.f.g.h.i.j.test',
      'e.f.g.h.i.j.test',
      'f.g.h.i.j.test',
      'g.h.i.j.test',
      'h.i.j.test',
      'i.j.test',
      'j.test',
      'test',
    ].map((name) => `_dmarc.${name}`),
  );
});

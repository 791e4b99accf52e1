/** Where mail goes, and where it never goes: behaviour rules 10, 15 and 16. */
import { describe, expect, test } from 'vitest';
import { startRig, startScripted } from '../support/delivery-rig.ts';
import type { Zone } from '../support/dns-server.ts';

const PTR_OK: Zone = { '::1': { PTR: ['relay.example.net'] }, 'relay.example.net': { AAAA: ['::1'] } };

describe('a domain', () => {
  test.each<readonly [string, Zone, string, string]>([
    ['with a null MX fails at once', { 'd.test': { MX: ['0 .'] } }, 'failed', '556 5.1.10'],
    ['that does not exist fails', {}, 'failed', '550 5.1.2'],
    ['without MX and addresses fails', { 'd.test': { TXT: ['x'] } }, 'failed', '550 5.4.4'],
    ['whose MX host does not exist fails', { 'd.test': { MX: ['10 no.d.test'] } }, 'failed', '550 5.4.4'],
    [
      'whose MX look-up fails is delayed, though it has an address',
      { 'd.test': { A: ['127.0.3.1'], fault: { MX: 'servfail' } } },
      'delayed',
      '451 4.4.3',
    ],
    [
      'whose MX look-up is refused is delayed',
      { 'd.test': { A: ['127.0.3.1'], fault: { MX: 'refused' } } },
      'delayed',
      '451 4.4.3',
    ],
    [
      'whose MX look-up is garbage is delayed',
      { 'd.test': { A: ['127.0.3.1'], fault: { MX: 'garbage' } } },
      'delayed',
      '451 4.4.3',
    ],
    [
      'whose MX look-up has no answer is delayed',
      { 'd.test': { A: ['127.0.3.1'], fault: { MX: 'timeout' } } },
      'delayed',
      '451 4.4.3',
    ],
    [
      'whose MX answer cannot be had whole is delayed',
      { 'd.test': { A: ['127.0.3.1'], fault: { MX: 'cut' } } },
      'delayed',
      '451 4.4.3',
    ],
    [
      'whose host look-up fails is delayed',
      { 'd.test': { MX: ['10 h.test'] }, 'h.test': { fault: 'servfail' } },
      'delayed',
      '451 4.4.3',
    ],
    ['whose alias loops is delayed', { 'd.test': { CNAME: 'e.test' }, 'e.test': { CNAME: 'd.test' } }, 'delayed', '451 4.4.3'],
    [
      'whose only host is ourselves by name loops',
      { 'd.test': { MX: ['10 relay.example.net'] }, 'relay.example.net': { A: ['127.0.3.1'] } },
      'failed',
      '554 5.4.6',
    ],
    [
      'with private addresses only is delayed: the operator may allow them',
      { 'd.test': { MX: ['10 h.test'] }, 'h.test': { A: ['10.0.0.1', '192.168.0.1'] } },
      'delayed',
      '451 4.4.4',
    ],
    ['that is 169.254.169.254 in disguise fails', { 'd.test': { A: ['169.254.169.254'] } }, 'failed', '550 5.4.4'],
    ['that is not there over IPv4 fails with the reason', { 'd.test': { AAAA: ['::1'] } }, 'failed', '550 5.4.4'],
  ])('%s', async (_, zone, kind, codes) => {
    const { relay, mx } = await startRig({ zone });
    const [outcome] = await relay.send('a@d.test');
    expect(`${outcome!.kind} ${outcome!.reply.code} ${outcome!.reply.status}`).toBe(`${kind} ${codes}`);
    expect(outcome!.mx).toBeUndefined();
    expect(mx.sessions()).toBe(0);
  });

  test.each<readonly [string, Zone]>([
    ['without MX is its own host', { 'd.test': { A: ['127.0.3.1'] } }],
    ['with a null MX beside another uses the other', { 'd.test': { MX: ['0 .', '10 mx0.good.test'] } }],
    ['that is an alias is followed', { 'd.test': { CNAME: 'good.test' } }],
    ['whose MX is an alias is followed', { 'd.test': { MX: ['10 alias.test'] }, 'alias.test': { CNAME: 'mx0.good.test' } }],
    ['with a thousand MX is served', { 'd.test': { MX: Array.from({ length: 1000 }, (_, i) => `${i} mx0.good.test`) } }],
    ['with one private address uses the other one', { 'd.test': { A: ['10.0.0.1', '127.0.3.1'] } }],
    [
      'one of whose hosts cannot be looked up uses the other',
      { 'd.test': { MX: ['5 ill.test', '10 mx0.good.test'] }, 'ill.test': { fault: 'servfail' } },
    ],
    ['one of whose hosts has no address uses the other', { 'd.test': { MX: ['5 no.test', '10 mx0.good.test'] } }],
    ['of one label in upper case is served', { test2: { MX: ['10 mx0.good.test'] } }],
  ])('%s', async (name, zone) => {
    const { relay, mx } = await startRig({ zone });
    const domain = name.startsWith('of one label') ? 'TEST2' : 'd.test';
    expect(await relay.send(`a@${domain}`)).toMatchObject([{ kind: 'relayed' }]);
    expect(mx.count()).toBe(1);
  });
});

test.each(['[127.0.0.1]', '[IPv6:::1]', '127.0.3.1', 'localhost', 'd..test', '-d.test', 'd.test:2525'])(
  'an address at %s goes nowhere',
  async (domain) => {
    const { relay, mx } = await startRig();
    expect(await relay.send(`u@${domain}`)).toMatchObject([{ kind: 'failed', reply: { code: 550, status: '5.1.2' } }]);
    expect(mx.sessions()).toBe(0);
  },
);

test('addresses that are our own are a loop, also under another name', async () => {
  const { relay, mx } = await startRig({ delivery: { allowPrivate: [], ownAddresses: () => ['127.0.3.1'] } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'failed', reply: { code: 554, status: '5.4.6' } }]);
  expect(mx.sessions()).toBe(0);
});

test('a name that changes between look-up and connection is checked by the address of the connection', async () => {
  const { relay, mx, dns } = await startRig({ delivery: { allowPrivate: ['127.0.9.0/24'] } });
  dns.set('mx0.good.test', { A: ['127.0.9.1'], ttl: 0 });
  dns.set('mx0.good.test', { A: ['127.0.3.1'], ttl: 0 });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'failed', reply: { status: '5.4.4' } }]);
  expect(mx.sessions()).toBe(0);
});

test('hosts are tried by preference, and a dead one is skipped', async () => {
  const { relay, hosts, dns } = await startRig({ hosts: [{}, {}] });
  await relay.send('a@good.test');
  expect(hosts.map((host) => host.count())).toEqual([1, 0]);
  dns.set('d.test', { MX: ['1 dead.test', '2 mx1.good.test', '3 mx0.good.test'] });
  dns.set('dead.test', { A: ['127.0.3.99'] });
  expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
});

test('hosts of one preference share the mail', async () => {
  const { relay, hosts } = await startRig({
    hosts: [{}, {}],
    zone: { 'd.test': { MX: ['10 mx0.good.test', '10 mx1.good.test'] } },
  });
  for (let i = 0; i < 40; i++) await relay.send('a@d.test');
  expect(Math.min(...hosts.map((host) => host.count()))).toBeGreaterThan(4);
});

test('five addresses are tried, not six, and those known to be dead come last the next time', async () => {
  const addresses = [91, 92, 93, 94, 95, 96].map((n) => `127.0.3.${n}`);
  let now = 1_000_000;
  const { relay } = await startRig({
    zone: { 'd.test': { A: addresses }, 'e.test': { MX: ['1 d.test', '2 mx0.good.test'] } },
    delivery: { now: () => now },
  });
  expect(await relay.send('a@e.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.4.1' }, mx: 'd.test' }]);
  now += 60_000;
  expect(await relay.send('a@e.test')).toMatchObject([{ kind: 'relayed', mx: 'mx0.good.test' }]);
});

test('a backup host without an address costs no time while the best host works', async () => {
  const zone: Zone = { 'd.test': { MX: ['1 mx0.good.test', '2 ill.test', '3 ill.test'] }, 'ill.test': { fault: 'timeout' } };
  const { relay, dns } = await startRig({ zone });
  const [outcome] = await relay.send('a@d.test');
  expect(outcome).toMatchObject({ kind: 'relayed' });
  expect(dns.queries).not.toContain('A ill.test');
});

test('look-ups for a zone full of hosts without an address end after five', async () => {
  const hosts = Array.from({ length: 30 }, (_, i) => [`h${i}.test`, { fault: 'servfail' }] as const);
  const { relay, dns } = await startRig({
    zone: { ...Object.fromEntries(hosts), 'd.test': { MX: hosts.map(([name], i) => `${i} ${name}`) } },
  });
  expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.4.3' } }]);
  expect(new Set(dns.queries.filter((query) => query.startsWith('A '))).size).toBe(5);
});

describe('IPv6', () => {
  const both = (address: string): Zone => ({ 'd.test': { MX: ['10 h.test'] }, 'h.test': { A: [address], AAAA: ['::1'] } });

  test('is used with auto only if our address has a forward-confirmed PTR equal to our name', async () => {
    const { relay, mx, dns } = await startRig({
      hosts: [{ address: '::1' }],
      zone: { 'd.test': { MX: ['10 h.test'] }, 'h.test': { AAAA: ['::1'] }, '::1': { PTR: ['other.test'] } },
      delivery: { ip: 'auto', source: ['::1'], allowPrivate: ['::1/128', '127.0.0.0/8'] },
    });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'delayed', reply: { code: 451, status: '4.4.4' } }]);
    for (const [name, records] of Object.entries(PTR_OK)) dns.set(name, records);
    relay.reload({ dns: (await import('../../src/dns/dns.ts')).createDns({ servers: [dns.server] }) });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'relayed', ip: '::1' }]);
    expect(mx.messages[0]!.remoteAddress).toBe('::1');
  });

  test('mail for a host that only the other family reaches is delayed with auto, and fails if the operator has chosen the family', async () => {
    const zone = { 'd.test': { MX: ['10 h.test', '20 p.test'] }, 'h.test': { AAAA: ['::1'] }, 'p.test': { A: ['169.254.0.1'] } };
    const { relay } = await startRig({ zone, delivery: { ip: 'auto', source: ['::1'] } });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'delayed', reply: { code: 451, status: '4.4.4' } }]);
    relay.reload({ ip: 'v4-only' });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'failed', reply: { code: 550, status: '5.4.4' } }]);
  });

  test('a failed look-up for the other family does not count as absence', async () => {
    const zone = { 'd.test': { MX: ['10 h.test'] }, 'h.test': { fault: { AAAA: 'servfail' } } } as const;
    const { relay } = await startRig({ zone, delivery: { ip: 'auto' } });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.4.3' } }]);
  });

  test.each([
    ['v4-only', '127.0.3.1'],
    ['v4-first', '127.0.3.1'],
    ['v6-first', '::1'],
    ['v6-only', '::1'],
  ] as const)('%s connects to %s', async (ip, expected) => {
    const { relay } = await startRig({
      hosts: [{}, { address: '::1' }],
      zone: both('127.0.3.1'),
      delivery: { ip, allowPrivate: ['::1/128', '127.0.0.0/8'] },
    });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'relayed', ip: expected }]);
  });

  test('after a first refusal by policy the other family is tried once', async () => {
    const refusing = { address: '::1', script: { RCPT: '550 5.7.1 does not meet our guidelines' } };
    const { relay, hosts } = await startRig({
      hosts: [{}, refusing],
      zone: both('127.0.3.1'),
      delivery: { ip: 'v6-first', allowPrivate: ['::1/128', '127.0.0.0/8'] },
    });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'relayed', ip: '127.0.3.1' }]);
    expect(await relay.send('a@d.test', { recipient: { attempts: 1 } })).toMatchObject([{ kind: 'failed', ip: '::1' }]);
    hosts[0]!.script({ RCPT: '550 5.7.1 nor here' });
    expect(await relay.send('a@d.test')).toMatchObject([{ kind: 'failed', ip: '::1', reply: { status: '5.7.1' } }]);
  });

  test('if a reply names a block of our IPv6 address, each attempt tries IPv4 too', async () => {
    const refusing = { address: '::1', script: { RCPT: '550 5.7.25 [::1] has no PTR record' } };
    const { relay } = await startRig({
      hosts: [{}, refusing],
      zone: both('127.0.3.1'),
      delivery: { ip: 'v6-first', allowPrivate: ['::1/128', '127.0.0.0/8'] },
    });
    expect(await relay.send('a@d.test', { recipient: { attempts: 1 } })).toMatchObject([{ kind: 'relayed', ip: '127.0.3.1' }]);
  });
});

test('connections come from the configured source address', async () => {
  const { relay, mx } = await startRig({ delivery: { source: ['127.0.3.77'] } });
  await relay.send('a@good.test');
  expect(mx.messages[0]!.remoteAddress).toBe('127.0.3.77');
});

test('a refused connection delays with 4.4.1', async () => {
  const { relay, mx } = await startScripted({});
  await mx.close();
  expect(await relay.send('a@good.test')).toMatchObject([
    { kind: 'delayed', reply: { code: 451, status: '4.4.1' }, ip: '127.0.3.1' },
  ]);
});

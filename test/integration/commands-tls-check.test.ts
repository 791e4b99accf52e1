/** `smarthost tls check` against a DNS and MX hosts of the test: what it says is what delivery does. RFC 7672, RFC 8461. */
import { expect, onTestFinished, test } from 'vitest';
import type { StoredStsPolicy } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import { type Certified, makeHost, served, tlsaOf } from '../support/chains.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';
import { type Rig, startRig } from '../support/delivery-rig.ts';
import type { MxServerOptions } from '../support/mx-server.ts';

const [own, other] = (await Promise.all([makeHost({ names: ['mx0.good.test'] }), makeHost({ names: ['mx0.good.test'] })])) as [
  Certified,
  Certified,
];
const NOW = Date.now();

type World = Rig & { readonly bench: CommandBench };

async function startWorld({
  hosts = [{ tls: served(own) }],
  yaml = '',
}: {
  hosts?: readonly Partial<MxServerOptions>[];
  yaml?: string;
} = {}): Promise<World> {
  const rig = await startRig({ hosts });
  rig.dns.set('good.test', { MX: hosts.map((_, i) => `${10 + i} mx${i}.good.test`), secure: true });
  for (const [i, { address }] of rig.hosts.entries()) rig.dns.set(`mx${i}.good.test`, { A: [address], secure: true });
  rig.dns.set('', { SOA: { mname: 'a.test', rname: 'b.test' }, secure: true });
  const bench = await createCommandBench(
    `dns: { servers: ['${rig.dns.server}'] }\ndelivery: { port: ${rig.mx.port}, ip: v4-only, allowPrivate: [127.0.0.0/8] }\n${yaml}`,
  );
  onTestFinished(() => bench.close());
  return { ...rig, bench };
}

function setTlsa({ dns, mx }: Rig, records: readonly string[], host = 'mx0'): void {
  dns.set(`_${mx.port}._tcp.${host}.good.test`, { TLSA: records, secure: true });
}

/** As the record is named where it has matched. */
const shortOf = (host: typeof own) => `${tlsaOf(3, 1, 1, host).toUpperCase().slice(0, 22)}…`;

const check = ({ bench }: World, ...options: readonly string[]) => bench.run(['tls', 'check', 'good.test', ...options]);

test('a host whose record matches: everything about it, and its session', async () => {
  const world = await startWorld();
  const broken = `1 1 1 ${'00'.repeat(32)}`;
  setTlsa(world, [tlsaOf(3, 1, 1, own), broken]);
  world.dns.set('_smtp._tls.good.test', { TXT: ['v=TLSRPTv1; rua=mailto:tls@good.test'] });
  const found = await world.bench.json('tls', 'check', 'good.test', '--connect');
  expect(found).toMatchObject({
    ...{ domain: 'good.test', result: 'sent', validates: true, route: null, mtaSts: null, mtaStsProblem: null, exceptions: [] },
    sentence:
      'Mail to good.test would be sent: mx0.good.test gets mail only over TLS, with a certificate that matches the TLSA records of mx0.good.test, because these records are signed with DNSSEC (RFC 7672).',
    mx: { proven: true, name: 'good.test', hosts: [['mx0.good.test']] },
    tlsReports: ['mailto:tls@good.test'],
  });
  expect(found.hosts).toEqual([
    {
      ...{ host: 'mx0.good.test', port: world.mx.port, ip: world.mx.address, proven: true, dane: 'records', daneProblem: null },
      tlsa: expect.arrayContaining([
        { record: tlsaOf(3, 1, 1, own).toUpperCase(), fate: 'counts' },
        { record: broken, fate: 'usage 1 has no meaning for mail (RFC 7672)' },
      ]),
      ...{ level: 'opportunistic', modes: { dane: 'on', mtaSts: 'on' }, demand: 'dane', by: 'dane' },
      sentence: expect.stringContaining('mx0.good.test gets mail only over TLS'),
      session: {
        ...{ ok: true, tls: 'TLSv1.3', assurance: 'dane', matched: `TLSA ${shortOf(own)} of mx0.good.test`, requireTls: false },
        chain: [expect.objectContaining({ subject: 'CN=mx0.good.test', names: 'DNS:mx0.good.test' })],
      },
    },
  ]);
  expect(world.mx.commands.map((line) => line.split(' ')[1])).not.toContain('MAIL');
  const { code, out, err } = await check(world, '--connect');
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain(`connected: TLSv1.3, worth dane, TLSA ${shortOf(own)} of mx0.good.test`);
  expect(out).toMatch(
    /^Mail to good\.test would be sent: .*\.\n\ndomain: +good\.test\nmx: +mx0\.good\.test \(signed with DNSSEC\)\n/,
  );
});

test('a host whose certificate matches no record: mail would wait, exit 1, and the fault is named', async () => {
  const world = await startWorld({ hosts: [{ tls: served(other) }] });
  setTlsa(world, [tlsaOf(3, 1, 1, own)]);
  expect((await check(world)).code, 'without a look at the host nobody knows').toBe(0);
  const { code, out, err } = await check(world, '--connect', '--json');
  const found = JSON.parse(out);
  expect([code, err]).toEqual([1, 'Mail to good.test would be delayed.\n']);
  expect(found.sentence).toMatch(/^Mail to good\.test would be delayed: 451 4\.7\.5 mx0\.good\.test .*\(no-tlsa-match\)\.$/);
  expect(found.hosts[0].session).toMatchObject({ ok: false, tls: 'TLSv1.3', chain: [{ subject: 'CN=mx0.good.test' }] });
  expect(await world.relay.send('a@good.test'), 'as mail does').toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
});

test('an exception of the operator is told, and what it makes of the host', async () => {
  const world = await startWorld({
    hosts: [{ tls: served(other), extensions: ['SIZE 1000000', 'REQUIRETLS'] }],
    yaml: 'destinations: [{ domain: good.test, ignore: [dane], until: 2099-01-01 }]',
  });
  setTlsa(world, [tlsaOf(3, 1, 1, own)]);
  const found = await world.bench.json('tls', 'check', 'good.test', '--connect');
  expect(found).toMatchObject({
    exceptions: [{ subject: 'domain: good.test', what: 'DANE is ignored', until: '2099-01-01T00:00:00.000Z' }],
    hosts: [{ modes: { dane: 'off', mtaSts: 'on' }, demand: 'tls', session: { ok: true, assurance: 'tls', requireTls: true } }],
  });
  expect(found.sentence).toContain('DANE is off here');
  expect((await check(world)).out).toContain('exception:   domain: good.test: DANE is ignored, until 2099-01-01T00:00:00Z\n');
});

test('a look-up that fails: the host is passed over, and the next one is the one that gets the mail', async () => {
  const world = await startWorld({ hosts: [{ tls: served(own) }, {}] });
  world.dns.set(`_${world.mx.port}._tcp.mx0.good.test`, { fault: 'servfail' });
  const one = await world.bench.json('tls', 'check', 'good.test');
  expect(one.result).toBe('sent');
  expect(one.hosts.map(({ demand }: { demand: string }) => demand)).toEqual(['tlsa-lookup-failed', 'tls']);
  world.dns.set(`_${world.mx.port}._tcp.mx1.good.test`, { fault: 'servfail' });
  const { code, out } = await check(world, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out).sentence).toContain(
    'would be delayed: mx0.good.test gets no mail, because its TLSA records could not be looked up',
  );
});

test('a policy of MTA-STS that does not name the host delays, and is shown with its age', async () => {
  const world = await startWorld();
  const policy: StoredStsPolicy = {
    ...{ domain: 'good.test', id: '7', mode: 'enforce', maxAge: 604_800, mx: ['other.test'], text: 'version: STSv1' },
    ...{ fetchedAt: NOW, expiresAt: NOW + 7 * DAY, usedAt: NOW, refreshAt: NOW + DAY },
    ...{ failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null },
  };
  await world.bench.withStore((store) => store.tlsPolicies.putStsPolicy(policy, 'relay'));
  const { code, out } = await check(world, '--json');
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    ...{
      result: 'delayed',
      mtaSts: { mode: 'enforce', id: '7', mx: ['other.test'] },
      hosts: [{ demand: 'mx-mismatch', by: 'mta-sts' }],
    },
    sentence:
      'Mail to good.test would be delayed: mx0.good.test gets no mail, because the MTA-STS policy of good.test is enforced and does not name this host (RFC 8461).',
  });
});

test('a domain that takes no mail, one that does not exist, and one that a route serves', async () => {
  const world = await startWorld({ yaml: "routes: [{ recipientDomain: up.test, hosts: ['127.0.0.9:2525'], tls: encrypt }]" });
  world.dns.set('null.test', { MX: ['0 .'] });
  const run = async (domain: string) => {
    const { code, out } = await world.bench.run(['tls', 'check', domain, '--json']);
    return { code, ...JSON.parse(out) };
  };
  expect(await run('null.test')).toMatchObject({ code: 3, result: 'returned', hosts: [], mx: null });
  expect(await run('missing.test')).toMatchObject({ code: 3, result: 'returned', hosts: [] });
  expect(await run('up.test')).toMatchObject({
    ...{ code: 0, result: 'sent', mx: null, route: ['127.0.0.9:2525'] },
    hosts: [{ host: '127.0.0.9', port: 2525, level: 'encrypt', demand: 'encrypt', by: 'operator' }],
  });
});

test('a record that is the digest of nothing is told, since some programs publish it', async () => {
  const world = await startWorld();
  setTlsa(world, ['3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855']);
  expect((await check(world)).out).toMatch(/TLSA 3 1 1 E3B0C442[0-9A-F]+: counts, but is the digest of no data/);
});

test('bad arguments are told', async () => {
  const world = await startWorld();
  expect(await check(world, '--port', '0')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--port is a number from 1 to 65535'),
  });
  expect((await world.bench.run(['tls', 'check', 'no domain'])).err).toContain('DOMAIN must be a domain such as example.org');
});

/** MTA-STS at the wire, with policies that are fetched from a real host: what is delivered, what waits, and what heals. RFC 8461 §5 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import { createDns } from '../../src/dns/dns.ts';
import { startStsPolicies } from '../../src/tls-policy/tls-policy.ts';
import { type Certified, makeAuthority, makeHost, served } from '../support/chains.ts';
import { type Rig, startRig } from '../support/delivery-rig.ts';
import { createMemoryTlsPolicies } from '../support/memory-tls-policies.ts';
import type { MxServerOptions } from '../support/mx-server.ts';
import { type PolicyHost, startPolicyHost } from '../support/policy-host.ts';
import { policyText } from '../support/sts-rig.ts';

let root: Certified;
let policyCertificate: Certified;
let hosts: Certified[];
let stranger: Certified;
beforeAll(async () => {
  root = await makeAuthority('root');
  policyCertificate = await makeHost({ names: ['mta-sts.good.test', 'mta-sts.other.test'], issuer: root });
  hosts = await Promise.all([0, 1].map((i) => makeHost({ names: [`mx${i}.good.test`], issuer: root })));
  stranger = await makeHost({ names: ['mx0.good.test'] });
});

type Wanted = {
  readonly policy?: string;
  readonly hosts?: readonly Partial<MxServerOptions>[];
  readonly delivery?: Partial<DeliveryOptions>;
};

async function start({ policy, hosts: wanted = [{ tls: served(hosts[0]!) }], delivery = {} }: Wanted) {
  const folder = mkdtempSync(join(tmpdir(), 'sts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, root.pem);
  const policyHost: PolicyHost = await startPolicyHost(served(policyCertificate), { address: '127.0.3.100' });
  onTestFinished(() => policyHost.close());
  const late: { policies?: ReturnType<typeof startStsPolicies> } = {};
  const sts: NonNullable<DeliveryOptions['sts']> = {
    policyFor: (domain) => late.policies!.policyFor(domain),
    heal: (domain, failed) => late.policies!.heal(domain, failed),
  };
  const rig = await startRig({ hosts: wanted, delivery: { caFile, sts, ...delivery } });
  const told: Record<string, unknown>[] = [];
  late.policies = startStsPolicies({
    ...{ store: createMemoryTlsPolicies(), mtaSts: 'on', allowPrivate: ['127.0.0.0/8'], caFile, port: policyHost.port },
    dns: createDns({ servers: [rig.dns.server], timeout: 2000 }),
    log: { emit: (_, fields) => void told.push(fields as Record<string, unknown>) },
  });
  onTestFinished(() => late.policies!.close());
  if (policy !== undefined) {
    rig.dns.set('_mta-sts.good.test', { TXT: ['v=STSv1; id=1;'] });
    rig.dns.set('mta-sts.good.test', { A: ['127.0.3.100'] });
    policyHost.answer = policy;
  }
  return { rig, policyHost, told };
}

const events = ({ relay }: Rig, name: string) => relay.events.filter(({ event }) => event === name).map(({ fields }) => fields);
const enforce = (...mx: string[]) => policyText('enforce', { mx });

describe('an enforced policy', () => {
  test('that the host meets takes the mail to it, and the attempt says so', async () => {
    const { rig, policyHost } = await start({ policy: enforce('*.good.test') });
    const shown = { assurance: 'sts', proof: 'issued by CN=root', policyId: '1' };
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3', ...shown }]);
    expect(policyHost.asked).toEqual(['mta-sts.good.test/.well-known/mta-sts.txt']);
    expect(await rig.relay.send('b@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'sts' }]);
    expect(policyHost.asked).toHaveLength(1);
  });

  test('that is only tested is named where the session meets it', async () => {
    const { rig } = await start({ policy: policyText('testing', { mx: ['*.good.test'] }) });
    const met = { assurance: 'sts-testing', proof: 'issued by CN=root', policyId: '1' };
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', ...met }]);
  });

  test('that two domains have for one host, in one session: each attempt names the policy of its own domain', async () => {
    const { rig } = await start({ policy: enforce('*.good.test') });
    rig.dns.set('_mta-sts.other.test', { TXT: ['v=STSv1; id=2;'] });
    rig.dns.set('mta-sts.other.test', { A: ['127.0.3.100'] });
    rig.dns.set('other.test', { MX: ['10 mx0.good.test'] });
    rig.dns.set('plain.test', { MX: ['10 mx0.good.test'] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ assurance: 'sts', policyId: '1' }]);
    expect(await rig.relay.send('a@other.test')).toMatchObject([{ assurance: 'sts', policyId: '2' }]);
    expect(rig.mx.sessions()).toBe(1);
    const [plain] = await rig.relay.send('a@plain.test');
    expect([plain!.assurance, plain!.proof, plain!.policyId]).toEqual(['tls', undefined, undefined]);
  });

  test('that does not name the host delays the mail with a reason, and no connection is made', async () => {
    const { rig } = await start({ policy: enforce('mx.other.test') });
    const [outcome] = await rig.relay.send('a@good.test');
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { code: 451, status: '4.7.5' } });
    expect(outcome!.reply.text).toMatch(/mx0\.good\.test.*(?:MTA-STS|policy)/);
    expect(rig.mx.sessions()).toBe(0);
    expect(events(rig, 'tlsPolicyFailed')).toMatchObject([{ domain: 'good.test', mx: 'mx0.good.test', policy: 'mta-sts' }]);
  });

  test('that one of two hosts does not meet takes the mail to the other, whatever its preference', async () => {
    for (const [policy, certificate] of [
      [enforce('mx1.good.test'), hosts[0]!],
      [enforce('*.good.test'), stranger],
    ] as const) {
      const { rig } = await start({ policy, hosts: [{ tls: served(certificate) }, { tls: served(hosts[1]!) }] });
      expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test', assurance: 'sts' }]);
      expect(rig.mx.count()).toBe(0);
    }
  });

  test('of many hosts that it does not name is met at the last one all the same', async () => {
    const { rig } = await start({ policy: enforce('mx9.good.test') });
    const address = rig.mx.address;
    const names = Array.from({ length: 10 }, (_, i) => `mx${i}.good.test`);
    rig.dns.set('good.test', { MX: names.map((name, i) => `${10 + i} ${name}`) });
    for (const name of names) rig.dns.set(name, { A: [address] });
    const [outcome] = await rig.relay.send('a@good.test');
    // The server shows the certificate of mx0: that it was asked is what counts.
    expect(outcome).toMatchObject({ kind: 'delayed', mx: 'mx9.good.test' });
    expect(rig.mx.sessions()).toBe(1);
  });

  test.each([
    ['has no certificate that is trusted', { tls: served }, /issuer|self-signed/],
    ['offers no TLS', {}, /STARTTLS|starttls/],
  ] as const)(
    'is never answered with clear text, also where the host %s and was tried before',
    async (_, { ...given }, reason) => {
      const host = 'tls' in given ? { tls: served(stranger) } : {};
      const { rig } = await start({ policy: enforce('*.good.test'), hosts: [host] });
      for (const attempts of [0, 1, 2, 3]) {
        const [outcome] = await rig.relay.send('a@good.test', { recipient: { attempts } });
        expect(outcome).toMatchObject({ kind: 'delayed', reply: { code: 451, status: expect.stringMatching(/^4\.7\.[45]$/) } });
        expect(outcome!.reply.text).toMatch(reason);
      }
      expect(rig.mx.count()).toBe(0);
    },
  );

  test('of one domain never rests a host that other domains share', async () => {
    const { rig } = await start({ policy: enforce('mx.other.test') });
    rig.dns.set('neighbour.test', { MX: ['10 mx0.good.test'] });
    for (let i = 0; i < 3; i++) expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
    expect(rig.relay.resting()).toBe(0);
    expect(await rig.relay.send('a@neighbour.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
  });

  test('from an authority that this machine does not know is an alarm of its own', async () => {
    const unknown = await makeAuthority('unknown');
    const certificate = await makeHost({ names: ['mx0.good.test'], issuer: unknown });
    const { rig } = await start({ policy: enforce('*.good.test'), hosts: [{ tls: served(certificate, unknown) }] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
    expect(events(rig, 'tlsRootUnknown')).toMatchObject([{ domain: 'good.test', mx: 'mx0.good.test' }]);
  });
});

describe('healing', () => {
  test.each([
    ['names the host now', () => enforce('*.good.test'), 'sts'],
    ['is only tested now', () => policyText('testing', { mx: ['mx.old.test'] }), 'tls'],
    ['is revoked now', () => policyText('none', { mx: [] }), 'tls'],
  ])('mail that failed under a policy that %s, with the same id, goes in the same attempt', async (_, mended, assurance) => {
    const { rig, policyHost } = await start({ policy: enforce('mx.old.test') });
    policyHost.answer = (_request, response) => {
      // The first answer is the old policy, all others are the new one.
      const text = policyHost.asked.length === 1 ? enforce('mx.old.test') : mended();
      response.setHeader('content-type', 'text/plain');
      response.end(text);
    };
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance }]);
    expect(policyHost.asked).toHaveLength(2);
  });

  test('that fails lets mail with REQUIRETLS wait, since the domain may name the host by now', async () => {
    const { rig, policyHost } = await start({ policy: enforce('mx.old.test') });
    policyHost.answer = (_request, response) => {
      response.setHeader('content-type', 'text/plain');
      if (policyHost.asked.length > 1) response.statusCode = 503;
      response.end(enforce('mx.old.test'));
    };
    const [outcome] = await rig.relay.send('a@good.test', { requireTls: true });
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.7.5' } });
    expect(outcome!.reply.text).toMatch(/mx-mismatch/);
    expect(policyHost.asked).toHaveLength(2);
    const served = await start({ policy: enforce('mx.old.test') });
    expect(await served.rig.relay.send('a@good.test', { requireTls: true }), 'the policy was just served').toMatchObject([
      { kind: 'failed', reply: { status: '5.7.10' } },
    ]);
  });

  test('after a certificate that does not fit, too: the host is met again without the policy', async () => {
    const { rig, policyHost } = await start({ policy: enforce('*.good.test'), hosts: [{ tls: served(stranger) }] });
    policyHost.answer = (_request, response) => {
      const text = policyHost.asked.length === 1 ? enforce('*.good.test') : policyText('none', { mx: [] });
      response.setHeader('content-type', 'text/plain');
      response.end(text);
    };
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
  });

  test('all mail that fails at the same time under a policy that was mended goes at once', async () => {
    const { rig, policyHost } = await start({ policy: enforce('mx.old.test') });
    policyHost.answer = (_request, response) => {
      const text = policyHost.asked.length === 1 ? enforce('mx.old.test') : enforce('*.good.test');
      response.setHeader('content-type', 'text/plain');
      response.end(text);
    };
    const sent = await Promise.all(Array.from({ length: 20 }, (_, i) => rig.relay.send(`u${i}@good.test`)));
    expect(new Set(sent.flat().map(({ kind }) => kind))).toEqual(new Set(['relayed']));
    expect(policyHost.asked).toHaveLength(2);
  });

  test('a host that fails under a policy that nobody has mended is asked about once, however much mail there is', async () => {
    const { rig, policyHost } = await start({ policy: enforce('mx.old.test') });
    await Promise.all(Array.from({ length: 20 }, (_, i) => rig.relay.send(`u${i}@good.test`)));
    expect(policyHost.asked).toHaveLength(2);
  });
});

describe('mail goes as if there were no policy, and the log has what would have failed', () => {
  test.each([
    ['where it is only tested', { policy: policyText('testing', { mx: ['mx.other.test'] }) }, 'testing'],
    ['where policies are audited', { policy: enforce('mx.other.test'), delivery: { mtaSts: 'audit' as const } }, 'audit'],
  ])('%s', async (_, wanted, would) => {
    const { rig } = await start(wanted);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
    expect(events(rig, 'tlsPolicyFailed')).toMatchObject([{ domain: 'good.test', policy: 'mta-sts', would }]);
  });

  test('where policies are off nobody asks for them, and a reload brings them back', async () => {
    const { rig, policyHost } = await start({ policy: enforce('mx.other.test'), delivery: { mtaSts: 'off' } });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(rig.dns.queries.filter((query) => query.includes('mta-sts'))).toEqual([]);
    rig.relay.reload({ mtaSts: 'on' });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
    expect(policyHost.asked.length).toBeGreaterThan(0);
  });

  test('where its host fails on first contact, and there is no policy yet', async () => {
    const { rig, policyHost, told } = await start({ policy: enforce('mx.other.test') });
    policyHost.answer = (_, response) => void response.writeHead(500).end();
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(told).toMatchObject([{ action: 'failed', result: 'sts-policy-fetch-error' }]);
  });
});

test('a policy host that says nothing takes no session from other domains that have the same hosts', async () => {
  const waiting: (() => void)[] = [];
  const slow: NonNullable<DeliveryOptions['sts']> = {
    policyFor: (domain) =>
      domain === 'good.test' ? new Promise((resolve) => waiting.push(() => resolve({}))) : Promise.resolve({}),
    heal: async () => ({ changed: false, isCurrent: true }),
  };
  const { rig } = await start({ delivery: { sts: slow, concurrency: 1, maxSessions: 1 } });
  rig.dns.set('neighbour.test', { MX: ['10 mx0.good.test'] });
  const first = rig.relay.send('a@good.test');
  await expect.poll(() => waiting.length).toBe(1);
  expect(await rig.relay.send('a@neighbour.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(await rig.relay.send('b@neighbour.test')).toMatchObject([{ kind: 'relayed' }]);
  waiting[0]!();
  expect(await first).toMatchObject([{ kind: 'relayed' }]);
});

test('a domain without a policy costs one question more, asked beside the one for its MX, and none while the answer is kept', async () => {
  const { rig } = await start({});
  await rig.relay.send('a@good.test');
  expect(rig.dns.queries.filter((query) => query.startsWith('TXT'))).toEqual(['TXT _mta-sts.good.test']);
  expect(rig.dns.queries.slice(0, 2).sort()).toEqual(['MX good.test', 'TXT _mta-sts.good.test']);
  const before = rig.dns.queries.length;
  await rig.relay.send('b@good.test');
  expect(rig.dns.queries.length).toBe(before);
});

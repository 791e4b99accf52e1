/** DANE at the wire: which host gets mail, which is passed over, and what is said of it. RFC 7672. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import { type Certified, makeAuthority, makeHost, served, tlsaOf } from '../support/chains.ts';
import { type Rig, startRig } from '../support/delivery-rig.ts';
import type { ZoneRecords } from '../support/dns-server.ts';
import type { MxServerOptions } from '../support/mx-server.ts';
import { temporaryFolder } from '../support/program.ts';

let root: Certified;
let own: Certified;
let other: Certified;
beforeAll(async () => {
  root = await makeAuthority('root');
  own = await makeHost({ names: ['mx0.good.test'], issuer: root });
  other = await makeHost({ names: ['mx0.good.test'] });
});

type Wanted = {
  readonly hosts?: readonly Partial<MxServerOptions>[];
  /** Of `mx0`, unless the name says another. */
  readonly tlsa?: readonly string[] | ZoneRecords;
  readonly mxSecure?: boolean;
  readonly delivery?: Partial<DeliveryOptions>;
};

/** Hosts whose addresses are proven, and TLSA records at the port that they got. */
async function start({ hosts = [{ tls: served(own) }], tlsa = [], mxSecure = true, delivery = {} }: Wanted): Promise<Rig> {
  const rig = await startRig({ hosts, delivery });
  rig.dns.set('good.test', { MX: hosts.map((_, i) => `${10 + i} mx${i}.good.test`), secure: mxSecure });
  for (const [i, { address }] of rig.hosts.entries()) rig.dns.set(`mx${i}.good.test`, { A: [address], secure: true });
  setTlsa(rig, tlsa);
  return rig;
}

function setTlsa({ dns, mx }: Rig, tlsa: readonly string[] | ZoneRecords, host = 'mx0'): void {
  const records = Array.isArray(tlsa) ? { TLSA: tlsa as readonly string[], secure: true } : (tlsa as ZoneRecords);
  dns.set(`_${mx.port}._tcp.${host}.good.test`, records);
}

const events = ({ relay }: Rig, name: string) => relay.events.filter(({ event }) => event === name).map(({ fields }) => fields);
/** A message that was tried before. */
const LATER = { recipient: { attempts: 1 } };

test.each([0, 1, 2])('a host that shows the certificate of its record gets the mail: 3 1 %i', async (matching) => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, matching, own)] });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', tls: 'TLSv1.3', assurance: 'dane' }]);
  expect(rig.mx.messages[0]).toMatchObject({ servername: 'mx0.good.test' });
  const record = `TLSA ${tlsaOf(3, 1, matching, own).toUpperCase().slice(0, 22)}… of mx0.good.test`;
  expect(events(rig, 'tlsSession')).toMatchObject([{ assurance: 'dane', dane: record }]);
});

describe('a host that shows another certificate', () => {
  test('gets no mail, not in clear and not by anybody’s leave, and its hosts are not rested for it', async () => {
    const rig = await start({ hosts: [{ tls: served(other) }], tlsa: [tlsaOf(3, 1, 1, own)] });
    for (const message of [{}, LATER, LATER]) {
      const [outcome] = await rig.relay.send('a@good.test', message);
      expect(outcome).toMatchObject({ kind: 'delayed', reply: { code: 451, status: '4.7.5' }, mx: 'mx0.good.test' });
      expect(outcome!.reply.text).toMatch(/DANE.*matches no TLSA record of mx0\.good\.test \(no-tlsa-match\)/);
    }
    expect(rig.mx.count()).toBe(0);
    expect(
      rig.mx.commands.map((line) => line.split(' ')[1]),
      'nothing is said under TLS',
    ).not.toContain('MAIL');
    expect(rig.relay.blockedUntil('good.test')).toBeUndefined();
    expect(events(rig, 'tlsPolicyFailed')[0]).toMatchObject({
      ...{ domain: 'good.test', mx: 'mx0.good.test', policy: 'dane', type: 'validation-failure', reason: 'no-tlsa-match' },
    });
  });

  test('is followed by the next one', async () => {
    const second = await makeHost({ names: ['mx1.good.test'] });
    const rig = await start({ hosts: [{ tls: served(other) }, { tls: served(second) }], tlsa: [tlsaOf(3, 1, 1, own)] });
    setTlsa(rig, [tlsaOf(3, 1, 1, second)], 'mx1');
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test', assurance: 'dane' }]);
  });

  test('counts for no session of the attempt: of three hosts the last one gets the mail, if it alone matches', async () => {
    const third = await makeHost({ names: ['mx2.good.test'] });
    const rig = await start({ hosts: [{ tls: served(other) }, { tls: served(other) }, { tls: served(third) }] });
    for (const i of [0, 1]) setTlsa(rig, [tlsaOf(3, 1, 1, own)], `mx${i}`);
    setTlsa(rig, [tlsaOf(3, 1, 1, third)], 'mx2');
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx2.good.test', assurance: 'dane' }]);
  });

  test('after a change of its key is met at once, though the old record was kept', async () => {
    const rig = await start({ tlsa: [tlsaOf(3, 1, 1, other)] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
    setTlsa(rig, [tlsaOf(3, 1, 1, own)]);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
  });

  test('gets it all the same where DANE is audited, and the log has it', async () => {
    const rig = await start({ hosts: [{ tls: served(other) }], tlsa: [tlsaOf(3, 1, 1, own)], delivery: { dane: 'audit' } });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(events(rig, 'tlsPolicyFailed')).toMatchObject([{ reason: 'no-tlsa-match', would: 'audit' }]);
  });

  test('gets it where DANE is off, and nobody asks for records', async () => {
    const rig = await start({ hosts: [{ tls: served(other) }], tlsa: [tlsaOf(3, 1, 1, own)], delivery: { dane: 'off' } });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(rig.dns.queries.filter((query) => query.startsWith('TLSA'))).toEqual([]);
    rig.relay.reload({ dane: 'on' });
    expect(await rig.relay.send('a@good.test'), 'from a reload on').toMatchObject([{ kind: 'delayed' }]);
  });
});

test('the conversation of a test message says what a certificate was held to, and what came of it', async () => {
  const fits = await start({ hosts: [{ tls: served(own, root) }], tlsa: [tlsaOf(2, 1, 1, root)] });
  const [relayed] = await fits.relay.send('a@good.test', { recorded: true });
  expect(relayed!.conversation).toMatch(
    /\* the next connection trusts the authority that was sent\n[\s\S]*\* TLSA 2 1 1 [0-9A-F]{16}… of mx0\.good\.test\n/,
  );
  const wrong = await start({ hosts: [{ tls: served(other) }], tlsa: [tlsaOf(3, 1, 1, own)] });
  const [delayed] = await wrong.relay.send('a@good.test', { recorded: true });
  expect(delayed!.conversation).toMatch(/\* the certificate matches no TLSA record of mx0\.good\.test/);
});

describe('an authority as the record', () => {
  test('is looked at in the first session also where DANE is only audited, and the mail depends on none of it', async () => {
    const foreign = await makeAuthority('foreign');
    // The host sends the authority of its record, which has not issued its certificate.
    const unfit = {
      hosts: [{ tls: served(own, foreign) }],
      tlsa: [tlsaOf(2, 1, 1, foreign)],
      delivery: { dane: 'audit' },
    } as const;
    const rig = await start(unfit);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(events(rig, 'tlsPolicyFailed')).toMatchObject([{ mx: 'mx0.good.test', policy: 'dane', would: 'audit' }]);
    expect(rig.mx.count()).toBe(1);
    const once = await start(unfit);
    once.mx.script({ greeting: ({ session }) => (session === 1 ? undefined : '421 4.3.2 One at a time') });
    expect(await once.relay.send('a@good.test'), 'the first connection takes it').toMatchObject([{ kind: 'relayed' }]);
    expect(once.mx.sessions()).toBe(2);
    const fits = await start({ ...unfit, hosts: [{ tls: served(own, root) }], tlsa: [tlsaOf(2, 1, 1, root)] });
    expect(await fits.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
    expect(events(fits, 'tlsPolicyFailed')).toEqual([]);
  });

  test('is proven by a second connection, and remembered', async () => {
    const rig = await start({ hosts: [{ tls: served(own, root) }], tlsa: [tlsaOf(2, 1, 1, root)] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
    expect(rig.mx.sessions()).toBe(2);
    rig.mx.disconnect();
    await expect.poll(() => rig.mx.open()).toBe(0);
    expect(await rig.relay.send('b@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
    expect(rig.mx.sessions()).toBe(3);
  });

  test('that stands in the DNS whole needs neither a second connection nor to be sent', async () => {
    const rig = await start({ hosts: [{ tls: served(own) }], tlsa: [tlsaOf(2, 0, 0, root)] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
    expect(rig.mx.sessions()).toBe(1);
  });

  test('that was not sent matches nothing', async () => {
    const rig = await start({ hosts: [{ tls: served(own) }], tlsa: [tlsaOf(2, 1, 1, root)] });
    const [outcome] = await rig.relay.send('a@good.test');
    expect(outcome!.reply.text).toMatch(/no certificate of an authority that they name was sent/);
  });

  test('sent along with the certificate of a stranger proves nothing', async () => {
    const rig = await start({ hosts: [{ tls: served(other, root) }], tlsa: [tlsaOf(2, 0, 1, root)] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    expect(rig.mx.count()).toBe(0);
  });

  test('that is the host’s own certificate does not make it its own judge, once or twice', async () => {
    for (const chain of [served(other), served(other, other)]) {
      const rig = await start({ hosts: [{ tls: chain }], tlsa: [tlsaOf(2, 0, 1, other), tlsaOf(2, 0, 0, other)] });
      expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    }
  });
});

describe('a look-up that fails', () => {
  test('costs the host its turn and no connection: the next one gets the mail', async () => {
    const rig = await start({ hosts: [{ tls: served(own) }, {}], tlsa: { fault: 'servfail' } });
    rig.dns.set('mx1.good.test', { A: [rig.hosts[1]!.address] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
    expect(rig.mx.sessions()).toBe(0);
  });

  test('at every host delays the mail, whatever the other hosts lack', async () => {
    const rig = await start({ hosts: [{ tls: served(own) }, {}], tlsa: { fault: 'servfail' } });
    rig.dns.set('mx1.good.test', undefined);
    const [outcome] = await rig.relay.send('a@good.test');
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { code: 451, status: '4.7.5' } });
    expect(outcome!.reply.text).toMatch(/_\d+\._tcp\.mx0\.good\.test failed: SERVFAIL/);
    expect(rig.hosts.map((host) => host.sessions())).toEqual([0, 0]);
  });

  test('at six hosts uses up none of the addresses that are tried', async () => {
    const rig = await start({ hosts: Array.from({ length: 7 }, () => ({ tls: served(own) })) });
    for (let i = 0; i < 6; i++) setTlsa(rig, { fault: 'servfail' }, `mx${i}`);
    setTlsa(rig, [tlsaOf(3, 1, 1, own)], 'mx6');
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx6.good.test' }]);
  });

  test('is not made where the addresses are not proven', async () => {
    const rig = await start({ tlsa: { fault: 'servfail' } });
    rig.dns.set('mx0.good.test', { A: [rig.mx.address] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(rig.dns.queries.filter((query) => query.startsWith('TLSA'))).toEqual([]);
  });
});

test('an address family that cannot be looked up spoils nothing of the other one', async () => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, 1, own)], delivery: { ip: 'v6-first' } });
  rig.dns.set('mx0.good.test', { A: [rig.mx.address], secure: true, fault: { AAAA: 'servfail' } });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
});

test('an alias that is not proven is looked up by itself, and a failure of that passes the host over', async () => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, 1, other)] });
  rig.dns.set('target.test', { A: [rig.mx.address] });
  rig.dns.set('mx0.good.test', { CNAME: 'target.test' });
  expect(await rig.relay.send('a@good.test'), 'nothing is proven').toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
  expect(rig.dns.queries).toContain('CNAME mx0.good.test');
  const broken = await start({ tlsa: [tlsaOf(3, 1, 1, own)] });
  broken.dns.set('target.test', { A: [broken.mx.address] });
  broken.dns.set('mx0.good.test', { CNAME: 'target.test', fault: { CNAME: 'servfail' } });
  expect(await broken.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { code: 451, status: '4.7.5' } }]);
  expect(broken.mx.sessions()).toBe(0);
});

test('a host that offers no TLS, and says by its records that it does, gets nothing', async () => {
  const rig = await start({ hosts: [{}], tlsa: [tlsaOf(3, 1, 1, own)] });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { code: 451, status: '4.7.4' } }]);
  expect(await rig.relay.send('a@good.test', LATER)).toMatchObject([{ kind: 'delayed' }]);
  expect(rig.mx.count()).toBe(0);
});

test('records that nobody can use demand TLS, whoever the host is', async () => {
  const useless = tlsaOf(1, 1, 1, own);
  const secured = await start({ hosts: [{ tls: served(other) }], tlsa: [useless] });
  expect(await secured.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'encrypt' }]);
  const clear = await start({ hosts: [{}], tlsa: [useless] });
  expect(await clear.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.4' } }]);
});

test('MX records that are not proven, and a host that is: the host is held to its records, and the word says so', async () => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, 1, own)], mxSecure: false });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane-insecure-mx' }]);
  const wrong = await start({ tlsa: [tlsaOf(3, 1, 1, other)], mxSecure: false });
  expect(await wrong.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
});

describe('MX records that are not proven, an enforced policy, and records that name an authority', () => {
  const text = 'version: STSv1\r\nmode: enforce\r\nmx: mx0.good.test\r\nmax_age: 86400\r\n';
  const policy = { domain: 'good.test', id: '1', mode: 'enforce', mx: ['mx0.good.test'], text } as const;
  const sts = { policyFor: async () => ({ policy }), heal: async () => ({ policy, changed: false, isCurrent: true }) };
  const folder = temporaryFolder('ca');
  afterAll(() => folder.remove());
  let caFile: string;
  beforeAll(() => {
    caFile = join(folder.path, 'ca.pem');
    writeFileSync(caFile, root.pem);
  });

  test('a host that meets both gets the mail: the roots judge the first connection, the records the second', async () => {
    const delivery = { sts, caFile };
    const rig = await start({ hosts: [{ tls: served(own, root) }], tlsa: [tlsaOf(2, 1, 1, root)], mxSecure: false, delivery });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'sts' }]);
    expect(rig.mx.sessions()).toBe(2);
  });

  test('a host that meets the policy alone, or the records alone, gets nothing', async () => {
    const byRecords = { tlsa: [tlsaOf(2, 1, 1, root)], mxSecure: false, delivery: { sts } };
    const first = await start({ hosts: [{ tls: served(own, root) }], ...byRecords });
    expect(await first.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    const stranger = await makeAuthority('stranger');
    const byPolicy = { tlsa: [tlsaOf(2, 1, 1, stranger)], mxSecure: false, delivery: { sts, caFile } };
    const second = await start({ hosts: [{ tls: served(own, root, stranger) }], ...byPolicy });
    expect(await second.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    expect([first.mx.count(), second.mx.count()]).toEqual([0, 0]);
    expect(first.relay.blockedUntil('good.test')).toBeUndefined();
  });
});

test('a resolver that does not validate proves nothing, and mail flows', async () => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, 1, other)], delivery: { validates: () => false } });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
  rig.relay.reload({ destinations: [{ domain: 'good.test', tls: 'dane' }] });
  expect(await rig.relay.send('a@good.test'), 'but not where the operator demands DANE').toMatchObject([
    { kind: 'delayed', reply: { code: 451, status: '4.7.5' } },
  ]);
});

test('mail for which TLS is optional is not held to the records, and never rides on the session of mail that is, nor the other way', async () => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, 1, own)] });
  await rig.relay.send('a@good.test');
  expect(await rig.relay.send('a@good.test', { tlsOptional: true })).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
  expect(rig.mx.sessions()).toBe(2);
});

test('a new connection shows its certificate again: nothing is resumed that was judged', async () => {
  const rig = await start({ tlsa: [tlsaOf(3, 1, 1, own)] });
  await rig.relay.send('a@good.test');
  rig.mx.disconnect();
  await expect.poll(() => rig.mx.open()).toBe(0);
  setTlsa(rig, [tlsaOf(3, 1, 1, other)]);
  rig.relay.reload({});
  rig.dns.set('good.test', { MX: ['10 mx0.good.test'], secure: true });
  const [first] = await rig.relay.send('a@good.test');
  expect(first, 'the kept record still says yes').toMatchObject({ kind: 'relayed', assurance: 'dane' });
  expect(rig.mx.sessions()).toBe(2);
});

describe('the operator demands DANE', () => {
  test('and a host without proven records gets nothing, and is not connected to', async () => {
    const rig = await start({ delivery: { tls: 'dane' } });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { code: 451, status: '4.7.5' } }]);
    expect(rig.mx.sessions()).toBe(0);
  });
  test('of a host that a route names, which counts as proven', async () => {
    const rig = await start({ tlsa: [tlsaOf(3, 1, 1, own)] });
    const route = { recipientDomain: '*', hosts: [`mx0.good.test:${rig.mx.port}`], tls: 'dane' } as const;
    rig.relay.reload({ routes: [route] });
    expect(await rig.relay.send('a@any.test')).toMatchObject([{ kind: 'relayed', assurance: 'dane' }]);
  });
});

test('each session is counted once for the report to the domain, with what was applied', async () => {
  const counted: unknown[] = [];
  const results = { count: (result: unknown) => void counted.push(result) };
  const rig = await start({ hosts: [{ tls: served(own, root) }], tlsa: [tlsaOf(2, 1, 1, root)], delivery: { results } });
  await rig.relay.send('a@good.test');
  await rig.relay.send('b@good.test');
  const [, , , data] = tlsaOf(2, 1, 1, root).split(' ');
  const applied = { type: 'tlsa', domain: 'mx0.good.test', strings: [`2 1 1 ${data!.toUpperCase()}`], mxHosts: [] };
  const where = { mx: 'mx0.good.test', helo: 'mx0.good.test', receivingIp: rig.mx.address, sendingIp: '127.0.0.1' };
  expect(counted).toEqual([{ domain: 'good.test', policies: [applied], ...where }]);
  setTlsa(rig, { fault: 'servfail' });
  rig.relay.reload({ dane: 'on' });
  await rig.relay.send('c@good.test', { tlsReport: true });
  expect(counted, 'reports are not counted').toHaveLength(1);
});

test.each<readonly [string, Partial<MxServerOptions>, unknown]>([
  ['a host without TLS', {}, { type: 'starttls-not-supported' }],
  ['TLS for nobody in particular', { tls: { key: '', cert: '' } }, undefined],
  [
    'a refusal of STARTTLS',
    { script: { STARTTLS: '454 4.7.0 Not now' }, tls: { key: '', cert: '' } },
    { type: 'starttls-not-supported', reason: 'starttls-refused' },
  ],
  [
    'a handshake that breaks',
    { script: { handshake: 'close' }, tls: { key: '', cert: '' } },
    { type: 'validation-failure', reason: 'handshake-failed' },
  ],
])('and where nothing is demanded: %s', async (_, { tls, ...host }, failure) => {
  const counted: { failure?: unknown; policies: unknown }[] = [];
  const results = { count: (result: { failure?: unknown; policies: unknown }) => void counted.push(result) };
  const rig = await startRig({ hosts: [{ ...host, ...(tls && { tls: served(own) }) }], delivery: { results } });
  await rig.relay.send('a@good.test');
  expect(counted).toHaveLength(1);
  expect(counted[0]!.failure).toEqual(failure);
  expect(counted[0]!.policies).toEqual([{ type: 'no-policy-found', domain: 'good.test', strings: [], mxHosts: [] }]);
});

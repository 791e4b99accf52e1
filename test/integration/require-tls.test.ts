/** REQUIRETLS at the wire: who gets such mail, with which words, and when it comes back. RFC 8689. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import { createDns } from '../../src/dns/dns.ts';
import type { Route } from '../../src/smtp/route.ts';
import { type Certified, makeAuthority, makeHost, served, tlsaOf } from '../support/chains.ts';
import { type Rig, startRig } from '../support/delivery-rig.ts';
import { startDnsServer } from '../support/dns-server.ts';
import type { MxServerOptions } from '../support/mx-server.ts';
import { temporaryFolder } from '../support/program.ts';

const EXTENSIONS = ['PIPELINING', 'SIZE 104857600', '8BITMIME', 'ENHANCEDSTATUSCODES', 'DSN'];
const PROMISED = [...EXTENSIONS, 'REQUIRETLS'];
const noChange = async () => ({ changed: false, isCurrent: true });
const REQUIRED = { requireTls: true } as const;

let hosts: readonly Certified[];
let root: Certified;
let stranger: Certified;
let wildcard: Certified;
const folder = temporaryFolder('require-tls');
afterAll(() => folder.remove());
let caFile: string;
beforeAll(async () => {
  root = await makeAuthority('root');
  hosts = await Promise.all([0, 1, 2].map((i) => makeHost({ names: [`mx${i}.good.test`], issuer: root })));
  wildcard = await makeHost({ names: ['*.good.test'], issuer: root });
  stranger = await makeHost({ names: ['mx0.good.test'] });
  caFile = join(folder.path, 'ca.pem');
  writeFileSync(caFile, root.pem);
});

/** `clear`: it has no TLS. */
type Host = Partial<MxServerOptions> & { readonly clear?: true };
type Wanted = {
  readonly hosts?: readonly Host[];
  /** The DNS proves the MX records, and the addresses. */
  readonly secure?: boolean;
  readonly tlsa?: readonly string[] | undefined;
  readonly delivery?: Partial<DeliveryOptions>;
};

async function start({ hosts: wanted = [{ extensions: PROMISED }], secure = true, tlsa, delivery }: Wanted = {}): Promise<Rig> {
  const options = wanted.map(({ clear, ...host }, i) => ({ ...(clear ? {} : { tls: served(hosts[i]!) }), ...host }));
  const rig = await startRig({ hosts: options, delivery: { caFile, ...delivery } });
  rig.dns.set('good.test', { MX: options.map((_, i) => `${10 + i} mx${i}.good.test`), secure });
  for (const [i, { address }] of rig.hosts.entries()) rig.dns.set(`mx${i}.good.test`, { A: [address], secure });
  if (tlsa !== undefined) rig.dns.set(`_${rig.mx.port}._tcp.mx0.good.test`, { TLSA: tlsa, secure: true });
  return rig;
}

const mailOf = ({ commands }: Rig['mx']) =>
  commands.filter((line) => / MAIL /.test(line)).map((line) => line.replace(/^\d+ /, ''));
const failures = ({ relay }: Rig) => relay.events.filter(({ event }) => event === 'requireTlsFailed').map(({ fields }) => fields);

describe('a message with REQUIRETLS', () => {
  test.each([
    ['by DANE', () => [tlsaOf(3, 1, 1, hosts[0]!)]],
    ['by its name, where its MX record is proven', () => undefined],
  ])('is passed on with it to a host that promises the same and is verified %s', async (_, tlsa) => {
    const rig = await start({ tlsa: tlsa() });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'required' }]);
    expect(mailOf(rig.mx)).toEqual([expect.stringMatching(/ REQUIRETLS( |$)/)]);
  });

  test('never shares a session with mail that asks for less', async () => {
    const rig = await start();
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'required' }]);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(mailOf(rig.mx).map((line) => line.includes('REQUIRETLS'))).toEqual([false, true, false]);
    expect(rig.mx.sessions()).toBe(2);
  });

  test('goes to the host that promises it, wherever that stands in the list', async () => {
    const rig = await start({ hosts: [{ extensions: EXTENSIONS }, { extensions: EXTENSIONS }, { extensions: PROMISED }] });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', mx: 'mx2.good.test' }]);
    expect(rig.hosts.map((host) => mailOf(host).length)).toEqual([0, 0, 1]);
  });

  test('comes back at once with 5.7.30 where no host promises it, and nothing of it was said', async () => {
    const rig = await start({ hosts: [{ extensions: EXTENSIONS }, { extensions: EXTENSIONS }, { extensions: EXTENSIONS }] });
    const [outcome] = await rig.relay.send('a@good.test', REQUIRED);
    expect(outcome).toMatchObject({ kind: 'failed', reply: { code: 550, status: '5.7.30' } });
    expect(outcome!.reply.text).toMatch(/REQUIRETLS.*mx0\.good\.test.*mx1\.good\.test.*mx2\.good\.test/);
    expect(rig.hosts.flatMap(mailOf)).toEqual([]);
    expect(failures(rig)).toMatchObject([{ code: 550, status: '5.7.30' }]);
    expect(rig.relay.blockedUntil('good.test'), 'the hosts take other mail').toBeUndefined();
  });

  test.each<[string, () => Host]>([
    ['shows the certificate of a stranger', () => ({ tls: served(stranger) })],
    ['offers no TLS, and the keyword in clear', () => ({ clear: true })],
  ])('comes back at once with 5.7.10 where the only host %s', async (_, host) => {
    const rig = await start({ hosts: [{ extensions: PROMISED, ...host() }] });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([
      { kind: 'failed', reply: { code: 550, status: '5.7.10' } },
    ]);
    expect(mailOf(rig.mx)).toEqual([]);
  });

  test.each<[string, () => Promise<Host>]>([
    [
      'a certificate that has expired',
      async () => ({ tls: served(await makeHost({ names: ['mx0.good.test'], issuer: root, expired: true })) }),
    ],
    [
      'a certificate of an authority that is not known here',
      async () => {
        const authority = await makeAuthority('another root');
        const host = await makeHost({ names: ['mx0.good.test'], issuer: authority });
        const { cert, key } = served(host);
        return { tls: { cert: `${cert}${authority.pem}`, key } };
      },
    ],
  ])('waits where the only host shows %s: our clock, or our roots, may be the cause', async (_, host) => {
    const rig = await start({ hosts: [{ extensions: PROMISED, ...(await host()) }] });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([
      { kind: 'delayed', reply: { code: 451, status: '4.7.5' } },
    ]);
    expect(mailOf(rig.mx)).toEqual([]);
  });

  test('comes back without a connection where nothing proves whose hosts they are', async () => {
    const rig = await start({ secure: false });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([
      { kind: 'failed', reply: { code: 550, status: '5.7.10' } },
    ]);
    expect(rig.mx.sessions()).toBe(0);
  });

  test('is passed on where one address of a host has a wrong certificate, and another one has the right one', async () => {
    const wrong = { extensions: PROMISED, tls: served(stranger) };
    const rig = await start({ hosts: [wrong, { extensions: PROMISED, tls: served(hosts[0]!) }] });
    rig.dns.set('good.test', { MX: ['10 mx0.good.test'], secure: true });
    rig.dns.set('mx0.good.test', { A: rig.hosts.map(({ address }) => address), secure: true });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'required' }]);
    expect(rig.hosts.map((host) => mailOf(host).length)).toEqual([0, 1]);
  });

  test('comes back at once where the same host is named twice', async () => {
    const rig = await start({ hosts: [{ extensions: EXTENSIONS }] });
    rig.dns.set('good.test', { MX: ['10 mx0.good.test', '20 mx0.good.test'], secure: true });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'failed', reply: { status: '5.7.30' } }]);
  });

  test('waits where the host refuses EHLO, so that nobody knows what it offers', async () => {
    const script = { EHLO: '550 5.7.1 Your address has no name' };
    const rig = await start({ hosts: [{ extensions: PROMISED, script }] });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed' }]);
  });

  test.each<[string, Partial<DeliveryOptions>]>([
    [
      'whether the domain has a policy is not known yet',
      { sts: { policyFor: async () => ({ isUnknown: true }), heal: noChange } },
    ],
    ['the resolver does not validate', { validates: () => false }],
    ['the resolver validates no more since it was last checked', { validatesNow: async () => false }],
  ])('waits where nothing proves whose hosts they are, but %s', async (_, delivery) => {
    const rig = await start({ secure: false, delivery });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    expect(rig.mx.sessions()).toBe(0);
  });

  test('takes the way of a route to hosts that keep it and prove their name, and comes back from others', async () => {
    const byRoute = async (host: Host, tls: Route['tls']) => {
      const rig = await start({ hosts: [host], secure: false });
      rig.relay.reload({ routes: [{ recipientDomain: '*', hosts: [`mx0.good.test:${rig.mx.port}`], ...(tls && { tls }) }] });
      const [outcome] = await rig.relay.send('a@elsewhere.test', REQUIRED);
      return [outcome!.kind, outcome!.reply.status, mailOf(rig.mx).filter((line) => line.includes('REQUIRETLS')).length];
    };
    expect(await byRoute({ extensions: PROMISED }, undefined)).toEqual(['relayed', '2.0.0', 1]);
    expect(await byRoute({ extensions: PROMISED }, 'opportunistic')).toEqual(['relayed', '2.0.0', 1]);
    expect(await byRoute({ extensions: EXTENSIONS }, undefined)).toEqual(['failed', '5.7.30', 0]);
    expect(await byRoute({ extensions: PROMISED, tls: served(stranger) }, 'encrypt')).toEqual(['failed', '5.7.10', 0]);
    expect(await byRoute({ extensions: PROMISED }, 'none')).toEqual(['failed', '5.7.10', 0]);
  });

  test('comes back with 5.1.10 where the domain takes no mail, and no host is looked at: RFC 7505', async () => {
    const rig = await start();
    rig.dns.set('good.test', { MX: ['0 .'], secure: true });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([
      { kind: 'failed', reply: { code: 556, status: '5.1.10' } },
    ]);
    expect(rig.mx.sessions()).toBe(0);
  });

  test('waits for us, beyond its lifetime, where only our own resolver is in the way, and the reply says so', async () => {
    const rig = await start({ secure: false, delivery: { validates: () => false } });
    const text = expect.stringContaining('the resolver of this relay does not validate DNSSEC (not-proven)');
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed', waitsForUs: true, reply: { text } }]);
  });

  test('waits for us where a resolver has answered whose proofs do not count, as the trusted one is silent', async () => {
    const rig = await start({ secure: false });
    const other = await startDnsServer({
      address: '127.0.0.2',
      zone: { 'good.test': { MX: ['10 mx0.good.test'], secure: true }, 'mx0.good.test': { A: [rig.mx.address], secure: true } },
    });
    onTestFinished(() => other.close());
    rig.relay.reload({ dns: createDns({ servers: ['127.0.0.1:1', other.server], timeout: 1000 }) });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed', waitsForUs: true }]);
    expect(rig.mx.sessions()).toBe(0);
  });

  test('waits where the answer that nothing proves is an old one, and is passed on the next time', async () => {
    const rig = await start({ secure: false });
    await rig.relay.send('a@good.test'); // the answer is kept
    rig.dns.set('good.test', { MX: ['10 mx0.good.test'], secure: true });
    const [outcome] = await rig.relay.send('a@good.test', REQUIRED);
    expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.7.5' } });
    expect(outcome, 'our resolver is sound').not.toHaveProperty('waitsForUs');
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'required' }]);
  });

  test('waits where a certificate has no known authority, while our resolver hides whether DANE would accept it', async () => {
    const policy = { domain: 'good.test', id: '1', mode: 'enforce', mx: ['*.good.test'], text: '' } as const;
    const sts = { policyFor: async () => ({ policy }), heal: async () => ({ policy, changed: false, isCurrent: true }) };
    const wrong = { extensions: PROMISED, tls: served(stranger) };
    const hidden = await start({ hosts: [wrong], secure: false, delivery: { sts, validates: () => false } });
    expect(await hidden.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed' }]);
    const off = await start({ hosts: [wrong], secure: false, delivery: { sts, validates: () => false, dane: 'off' } });
    expect(await off.relay.send('a@good.test', REQUIRED), 'DANE decides nothing').toMatchObject([{ kind: 'failed' }]);
    const sound = await start({ hosts: [wrong], secure: false, delivery: { sts } });
    expect(await sound.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'failed', reply: { status: '5.7.10' } }]);
  });

  test('comes back where the operator wants clear text, and the reply says so', async () => {
    const rig = await start({ delivery: { tls: 'none' } });
    const reply = { status: '5.7.10', text: expect.stringContaining('this relay is configured to use no TLS with it') };
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'failed', reply }]);
    expect(rig.mx.sessions()).toBe(0);
  });

  test('goes to hosts of which the operator says so, over any TLS or as other mail, and to no others', async () => {
    const plain: Host = { extensions: EXTENSIONS, tls: served(stranger) };
    const start1 = (requireTls: 'tls' | 'off', host: Host) =>
      start({ hosts: [host], delivery: { destinations: [{ mx: 'mx0.good.test', requireTls }] } });
    const rig = await start1('tls', plain);
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'encrypt' }]);
    expect(mailOf(rig.mx)).toEqual([expect.not.stringContaining('REQUIRETLS')]);
    const promising = await start1('tls', { extensions: PROMISED, tls: served(stranger) });
    expect(await promising.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'encrypt' }]);
    expect(mailOf(promising.mx), 'the keyword goes to whoever offers it').toEqual([expect.stringMatching(/ REQUIRETLS( |$)/)]);
    expect(await promising.relay.send('b@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(mailOf(promising.mx).at(-1)).not.toContain('REQUIRETLS');
    const clear = await start1('tls', { clear: true });
    expect(await clear.relay.send('a@good.test', REQUIRED), 'no TLS is no reason to return it').toMatchObject([
      { kind: 'delayed' },
    ]);
    const off = await start1('off', { clear: true, extensions: PROMISED });
    expect(await off.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'relayed', assurance: 'clear' }]);
    expect(mailOf(off.mx)).toEqual([expect.not.stringContaining('REQUIRETLS')]);
    const other = await start({ hosts: [plain], delivery: { destinations: [{ mx: 'mx1.good.test', requireTls: 'off' }] } });
    expect(await other.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'failed', reply: { status: '5.7.10' } }]);
  });

  test('waits while anything about any host may be otherwise in a moment', async () => {
    const rig = await start({
      hosts: [{ extensions: EXTENSIONS }, { extensions: EXTENSIONS, script: { greeting: '421 4.3.2 Later' } }],
    });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed' }]);
    const failing = await start();
    failing.dns.set(`_${failing.mx.port}._tcp.mx0.good.test`, { fault: 'servfail' });
    expect(await failing.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    const rolling = await start({ tlsa: [tlsaOf(3, 1, 1, stranger)] });
    rolling.mx.script({
      greeting: () => void rolling.dns.set(`_${rolling.mx.port}._tcp.mx0.good.test`, { fault: 'servfail' }) as undefined,
    });
    const [outcome] = await rolling.relay.send('a@good.test', REQUIRED);
    expect(outcome, 'records that may be newer cannot be looked up').toMatchObject({
      kind: 'delayed',
      reply: { status: '4.7.5' },
    });
    expect(outcome!.reply.text).toMatch(/tlsa-lookup-failed/);
  });

  test('comes back although one MX has no address, since no mail can go there', async () => {
    const rig = await start({ hosts: [{ extensions: EXTENSIONS }] });
    rig.dns.set('good.test', { MX: ['5 gone.good.test', '10 mx0.good.test', '20 none.good.test'], secure: true });
    rig.dns.set('none.good.test', { TXT: ['no address'], secure: true });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'failed', reply: { status: '5.7.30' } }]);
    for (const unknown of [{ fault: 'servfail' }, { A: ['10.0.0.1'] }] as const) {
      rig.dns.set('none.good.test', unknown);
      const later = await start({ hosts: [{ extensions: EXTENSIONS }] });
      later.dns.set('good.test', { MX: ['10 mx0.good.test', '20 none.good.test'], secure: true });
      later.dns.set('none.good.test', unknown);
      expect(await later.relay.send('a@good.test', REQUIRED), JSON.stringify(unknown)).toMatchObject([{ kind: 'delayed' }]);
    }
  });

  test('comes back where none of many hosts promises it, each asked once', async () => {
    const rig = await start({ hosts: [{ extensions: EXTENSIONS, tls: served(wildcard) }] });
    const names = Array.from({ length: 8 }, (_, i) => `mx${i}.good.test`);
    rig.dns.set('good.test', { MX: names.map((name, i) => `${10 + i} ${name}`), secure: true });
    for (const name of names) rig.dns.set(name, { A: [rig.mx.address], secure: true });
    expect(await rig.relay.send('a@good.test', REQUIRED)).toMatchObject([{ kind: 'failed', reply: { status: '5.7.30' } }]);
    expect(rig.mx.sessions()).toBe(8);
  });
});

describe('a report about such a message', () => {
  const REPORT = { requireTls: true, reversePath: '' } as const;

  test.each([
    ['by DANE', () => [tlsaOf(3, 1, 1, hosts[0]!)], 'dane'],
    ['by its name, where its MX record is proven', () => undefined, 'tls'],
  ])('takes REQUIRETLS along where the host is verified %s and promises it', async (_, tlsa, assurance) => {
    const rig = await start({ tlsa: tlsa() });
    expect(await rig.relay.send('a@good.test', REPORT)).toMatchObject([{ kind: 'relayed', assurance }]);
    expect(mailOf(rig.mx)).toEqual([expect.stringMatching(/^MAIL FROM:<>.* REQUIRETLS( |$)/)]);
  });

  test.each<[string, Wanted]>([
    ['is not verified', { hosts: [{ extensions: PROMISED }], secure: false }],
    [
      'has the certificate of a stranger',
      {
        hosts: [
          {
            extensions: PROMISED,
            get tls() {
              return served(stranger);
            },
          },
        ],
      },
    ],
    ['promises nothing', { hosts: [{ extensions: EXTENSIONS }], secure: false }],
  ])('goes without it where the host %s, and is never lost for it', async (_, wanted) => {
    const rig = await start(wanted);
    expect(await rig.relay.send('a@good.test', REPORT)).toMatchObject([{ kind: 'relayed' }]);
    expect(mailOf(rig.mx)).toEqual([expect.not.stringContaining('REQUIRETLS')]);
  });
});

describe('a message for which TLS is optional', () => {
  const OPTIONAL = { tlsOptional: true } as const;

  test('asks for no records of DANE and obeys none', async () => {
    const rig = await start({ hosts: [{ tls: served(stranger) }], tlsa: [tlsaOf(3, 1, 1, hosts[0]!)] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
    const before = rig.dns.queries.length;
    expect(await rig.relay.send('a@good.test', OPTIONAL)).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(rig.dns.queries.slice(before).filter((query) => query.startsWith('TLSA'))).toEqual([]);
  });

  test('does not lift what the operator demands', async () => {
    const rig = await start({ hosts: [{ tls: served(stranger) }], delivery: { tls: 'verify' } });
    expect(await rig.relay.send('a@good.test', OPTIONAL)).toMatchObject([{ kind: 'delayed' }]);
    expect(mailOf(rig.mx)).toEqual([]);
  });

  test('means nothing beside REQUIRETLS', async () => {
    const rig = await start({ hosts: [{ extensions: EXTENSIONS }] });
    const both = { requireTls: true, tlsOptional: true };
    expect(await rig.relay.send('a@good.test', both)).toMatchObject([{ kind: 'failed', reply: { status: '5.7.30' } }]);
  });
});

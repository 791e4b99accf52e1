/** The setting `destinations` at the wire: which host gets mail because of an entry, and which does not. RFC 7672, RFC 8461. */
import { describe, expect, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import type { HeldPolicies } from '../../src/delivery/host-policy.ts';
import type { DestinationRule } from '../../src/smtp/route.ts';
import { type Certified, makeHost, served, tlsaOf } from '../support/chains.ts';
import { type Rig, startRig } from '../support/delivery-rig.ts';

const END = Date.UTC(2026, 11, 31);
const [shown, wanted] = await Promise.all([makeHost({ names: ['mx0.good.test'] }), makeHost({ names: ['mx0.good.test'] })]);

/** A host that shows another certificate than its proven record names. */
async function startMismatch(destinations: readonly DestinationRule[], options: Partial<DeliveryOptions> = {}): Promise<Rig> {
  const rig = await startRig({ hosts: [{ tls: served(shown as Certified) }], delivery: { destinations, ...options } });
  rig.dns.set('good.test', { MX: ['10 mx0.good.test'], secure: true });
  rig.dns.set('mx0.good.test', { A: [rig.mx.address], secure: true });
  rig.dns.set(`_${rig.mx.port}._tcp.mx0.good.test`, { TLSA: [tlsaOf(3, 1, 1, wanted as Certified)], secure: true });
  return rig;
}
const events = ({ relay }: Rig, name: string) => relay.events.filter(({ event }) => event === name).map(({ fields }) => fields);

describe('a host whose record does not match', () => {
  test.each<readonly [string, DestinationRule]>([
    ['its domain', { domain: 'good.test', ignore: ['dane'], until: END }],
    ['its name', { mx: 'mx0.good.test', ignore: ['dane'], until: END }],
  ])('gets mail by an exception for %s, until the exception ends', async (_, rule) => {
    let now = END - 1;
    const rig = await startMismatch([rule], { now: () => now });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(rig.dns.queries.filter((query) => query.startsWith('TLSA'))).toEqual([]);
    rig.mx.disconnect();
    await expect.poll(() => rig.mx.open()).toBe(0);
    now = END;
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
  });

  test('gets no mail by an exception for another host or domain', async () => {
    const rig = await startMismatch([
      { domain: '.good.test', ignore: ['dane'], until: END },
      { mx: 'mx1.good.test', ignore: ['dane'], until: END },
    ]);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
    expect(rig.mx.count()).toBe(0);
  });

  test('gets mail under audit, and the log has what would have been', async () => {
    const rig = await startMismatch([{ domain: 'good.test', audit: true }]);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', assurance: 'tls' }]);
    expect(events(rig, 'tlsPolicyFailed')).toMatchObject([{ policy: 'dane', reason: 'no-tlsa-match', would: 'audit' }]);
  });

  test('gets mail by an exception from the next message after a reload on', async () => {
    const rig = await startMismatch([]);
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
    rig.relay.reload({ destinations: [{ domain: 'good.test', ignore: ['dane'], until: Date.now() + 1e9 }] });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  });
});

test('the operator’s demand for DANE holds for one domain, also where DANE is off for all others', async () => {
  const rig = await startMismatch([{ domain: 'good.test', tls: 'dane' }], { dane: 'off' });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
  const none = await startRig({
    hosts: [{ tls: served(shown as Certified) }],
    delivery: { destinations: [{ domain: '*', tls: 'dane' }] },
  });
  const [outcome] = await none.relay.send('a@good.test');
  expect(outcome).toMatchObject({ kind: 'delayed', reply: { status: '4.7.5' } });
  expect(outcome!.reply.text).toContain('DANE is required for good.test');
});

test('an entry by host counts for that host alone, which is known only when its turn comes', async () => {
  const rig = await startRig({
    hosts: [{}, {}],
    delivery: {
      destinations: [
        { mx: 'mx0.good.test', tls: 'encrypt' },
        { domain: 'good.test', tls: 'none' },
      ],
    },
  });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test', assurance: 'clear' }]);
  expect(rig.mx.commands.some((line) => line.includes('MAIL'))).toBe(false);
});

test('a policy of MTA-STS that is ignored is not asked for', async () => {
  const asked: string[] = [];
  const sts: HeldPolicies = {
    async policyFor(domain) {
      asked.push(domain);
      return { policy: { domain, id: '1', mode: 'enforce', mx: ['other.test'], text: '' } };
    },
    heal: async () => ({ changed: false, isCurrent: true }),
  };
  const rig = await startRig({
    delivery: { sts, destinations: [{ domain: 'good.test', ignore: ['mtaSts'], until: END }], now: () => 0 },
  });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(asked).toEqual([]);
  rig.relay.reload({ destinations: [{ mx: 'mx0.good.test', ignore: ['mtaSts'], until: END }] });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(asked, 'another host could need it').toEqual(['good.test']);
  rig.relay.reload({ destinations: [] });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.7.5' } }]);
});

/** Records as the servers of their zone have them, and not as resolvers have kept them. */
import { expect, onTestFinished, test } from 'vitest';
import { createZoneDns } from '../../../src/dns/dns.ts';
import { type DnsServer, startDnsServer, type Zone } from '../../support/dns-server.ts';

const OLD = { TXT: ['v=spf1 old -all'] };
const NEW = { TXT: ['v=spf1 new -all'] };

async function server(zone: Zone, { authoritative = true, port = 0, address = '127.0.0.1' } = {}): Promise<DnsServer> {
  const started = await startDnsServer({ zone, authoritative, port, address });
  onTestFinished(() => started.close());
  return started;
}

/** A resolver that keeps what was, and the servers of zones, all on one port. */
async function world(kept: Zone, zone: Zone, authority: { readonly authoritative?: boolean } = {}) {
  const own = await server(zone, { ...authority, address: '127.0.0.53' });
  const resolver = await server(kept, { authoritative: false });
  const look = (mayAsk: (address: string) => boolean = () => true) =>
    createZoneDns({
      ...{ servers: [resolver.server], timeout: 500, port: own.port, mayAsk },
      isOwn: (name) => name.endsWith('x.test') || name.endsWith('y.test'),
    });
  return { own, resolver, look };
}

const DELEGATED = { 'ns1.host.test': { A: ['127.0.0.53'] }, 'x.test': { NS: ['ns1.host.test'], ...OLD } };

test('a record that was changed is seen at once, though the resolver still has the old one, and its server is named', async () => {
  const { own, look } = await world(DELEGATED, { 'x.test': NEW });
  const dns = look();
  expect(await dns.txt('X.test.')).toMatchObject({ kind: 'found', values: ['v=spf1 new -all'] });
  expect(await dns.answerer('TXT', 'x.test')).toEqual({ server: '127.0.0.53', name: 'ns1.host.test', authoritative: true });
  own.set('x.test', { TXT: ['v=spf1 newer -all'] });
  expect(await dns.txt('x.test')).toMatchObject({ values: ['v=spf1 new -all'] }); // one look has one truth
  expect(await look().txt('x.test')).toMatchObject({ values: ['v=spf1 newer -all'] });
  own.set('x.test', { MX: ['10 mx.x.test'] });
  expect((await look().txt('x.test')).kind).toBe('none');
  expect((await look().txt('a.b.x.test')).kind).toBe('nxdomain');
});

test('a part of the domain with servers of its own is asked there, and an alias is followed into its zone', async () => {
  const { look } = await world(
    { ...DELEGATED, 'y.test': { NS: ['ns1.host.test'] }, 'k1.y.test': { TXT: ['old key'] } },
    { 's._domainkey.x.test': { CNAME: 'k1.y.test' }, 'k1.y.test': { TXT: ['new key'] } },
  );
  expect(await look().txt('s._domainkey.x.test')).toMatchObject({ kind: 'found', values: ['new key'] });
});

test('where nobody answers for the zone the resolver does, and why is told', async () => {
  const forwarder = await world(DELEGATED, { 'x.test': NEW }, { authoritative: false });
  const asked = async (dns: ReturnType<typeof forwarder.look>) => [await dns.txt('x.test'), await dns.answerer('TXT', 'x.test')];
  const bySilence = { server: forwarder.resolver.server, authoritative: false, unasked: 'silent' };
  expect(await asked(forwarder.look())).toMatchObject([{ values: OLD.TXT }, bySilence]);
  const dead = await world(DELEGATED, { 'x.test': { ...NEW, fault: 'timeout' } });
  expect(await asked(dead.look())).toMatchObject([{ values: OLD.TXT }, { unasked: 'silent' }]);
  const inside = await world(DELEGATED, { 'x.test': NEW });
  expect(await asked(inside.look(() => false))).toMatchObject([{ values: OLD.TXT }, { unasked: 'refused' }]);
  expect(inside.own.queries).toEqual([]);
  const unknown = await world({ 'x.test': OLD }, {});
  expect(await asked(unknown.look())).toMatchObject([{ values: OLD.TXT }, { unasked: 'unknown' }]);
  const other = await world({ 'z.example': OLD, 'host.example': { NS: ['ns1.host.test'] } }, {});
  const dns = other.look();
  expect(await dns.txt('z.example')).toMatchObject({ values: OLD.TXT });
  expect(await dns.answerer('TXT', 'z.example')).toMatchObject({ unasked: 'foreign' });
  expect(other.own.queries).toEqual([]);
});

/** Records as they are copied from the page are read by a name server as they are meant: RFC 1035 §5.1, and seen there by our own look. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createZoneDns } from '../../src/dns/dns.ts';
import { zoneLine } from '../../src/signing/signing.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { startKnot } from '../support/knot.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { mustRun } from '../support/program.ts';

const VALUES = {
  'long._domainkey.copy.test': `v=DKIM1; k=rsa; p=${'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A'.repeat(12)}`,
  'exact.copy.test': 'x'.repeat(255),
  'signs.copy.test': 'v=spf1 exp="a\\b" ; (not a comment) -all',
  'octets.copy.test': Buffer.from('caf\u00e9').toString('latin1'),
  'text.copy.test': 'caf\u00e9 \u20ac',
  '_dmarc.copy.test': 'v=DMARC1; p=none',
};

describe.skipIf(!requirePeer('knot', hasCommand('knotd', 'kdig')))('Knot', () => {
  test('reads copied lines as they are meant, and one look at its zone has the values again', async () => {
    const records = Object.entries(VALUES).map(([name, value]) => zoneLine({ name, type: 'TXT', ttl: 60, value }));
    const knot = await startKnot({ zone: 'copy.test.', records });
    const { address } = knot;
    const resolver = await startDnsServer({
      zone: { 'copy.test': { NS: ['ns.copy.test'] }, 'ns.copy.test': { A: [address] } },
      authoritative: false,
    });
    onTestFinished(async () => void (await Promise.all([knot.close(), resolver.close()])));
    const dns = createZoneDns({
      ...{ servers: [resolver.server], timeout: 2000, port: knot.port },
      ...{ isOwn: () => true, mayAsk: () => true },
    });
    for (const [name, value] of Object.entries(VALUES)) {
      const octets = value.includes('\u20ac') ? Buffer.from(value).toString('latin1') : value;
      expect([name, await dns.txt(name)]).toMatchObject([name, { kind: 'found', values: [octets] }]);
      expect(await dns.answerer('TXT', name)).toEqual({ server: address, name: 'ns.copy.test', authoritative: true });
      const shown = await mustRun('kdig', [`@${address}`, '-p', String(knot.port), '+short', name, 'TXT']);
      const line = zoneLine({ name, type: 'TXT', ttl: 60, value });
      expect(shown.trim()).toBe(line.slice(line.indexOf('"')));
    }
  });
});

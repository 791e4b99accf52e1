/** What stands in the DNS is shown octet by octet, as zone files and `dig` have it. */
import { expect, test } from 'vitest';
import { presentText } from '../../../src/dns/dns.ts';
import type { DomainFacts } from '../../../src/doctor/domain.ts';
import { describeRecords } from '../../../src/doctor/domain-records.ts';
import { zoneLine } from '../../../src/signing/signing.ts';

test('octets that are no printable ASCII are shown by their numbers, in what stands, what is wanted and what is copied', () => {
  const text = Buffer.from('v=spf1 ip4:192.0.2.1 x=é\u0007\\ ~all').toString('latin1');
  const shown = String.raw`v=spf1 ip4:192.0.2.1 x=\195\169\007\\ ~all`;
  expect(presentText(text)).toBe(shown);
  const found = { kind: 'found', values: [text] } as const;
  const facts = { spf: { domain: 'x.test', hostname: 'relay.test', txt: found, evaluated: [] }, dkim: { keys: [] } };
  const texts = new Map([['_dmarc.x.test', { kind: 'none' } as const]]);
  const [spf] = describeRecords({
    ...{ facts: facts as unknown as DomainFacts, findings: [], hostname: 'relay.test', texts },
  });
  expect(spf).toMatchObject({ purpose: 'spf', found: [shown] });
  expect(spf!.wanted).toContain(String.raw`x=\195\169\007\\`);
  expect(spf!.line).toContain(String.raw`x=\195\169\007\\`);
  expect(zoneLine({ name: 'x.test', type: 'TXT', ttl: 60, value: text })).toBe(`x.test. 60 IN TXT "${shown}"`);
});

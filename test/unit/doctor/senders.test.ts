/** The doctor repeats what the relay has found out of other senders, and says if this machine sees another DNS than receivers do. */
import { expect, onTestFinished, test } from 'vitest';
import { createDns } from '../../../src/dns/dns.ts';
import type { StoredSenderVerdict } from '../../../src/store/store.ts';
import { startDns } from '../../support/dns.ts';
import { DOMAIN, diagnose, of, rightZone } from '../../support/doctor.ts';

const detail = JSON.stringify({
  needsKey: true,
  publish: [{ name: 'other.test', value: 'v=spf1 a:relay.test -all', now: 'absent' }],
});
const row = (change: Partial<StoredSenderVerdict> = {}): StoredSenderVerdict => ({
  ...{ domain: 'other.test', envelope: 'other.test', signatures: '', verdict: 'rejected', detail },
  ...{ since: 0, at: Date.UTC(2026, 5, 1, 11), refreshAt: 0, usedAt: 0 },
  ...change,
});

test('a sender without keys here whose mail fails is an error that says what to do', async () => {
  const senders = [row(), row({ domain: 'good.test', verdict: 'ok', detail: '{}' }), row({ domain: DOMAIN })];
  const findings = of(await diagnose({ options: { senders } }), 'alignment').filter(({ result }) => result !== 'ok');
  expect(findings).toMatchObject([{ subject: 'other.test', result: 'error' }]);
  expect(findings[0]!.found).toBe('rejected (mail of the last day, envelope other.test, looked up 2026-06-01T11:00:00.000Z)');
  expect(findings[0]!.advice).toContain('What is wrong: this relay has no DKIM key of other.test');
  expect(findings[0]!.advice).toContain('smarthost domain add other.test');
});

test('with public resolvers, their answers count, and a difference is a warning', async () => {
  const server = await startDns({ ...rightZone(), [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=none'] } });
  onTestFinished(() => server.close());
  const publicDns = createDns({ servers: [server.server], timeout: 250 });
  const inside = { [DOMAIN]: { A: ['10.0.0.1'] } };
  const keys = Object.keys(rightZone()).filter((name) => name.endsWith(`_domainkey.${DOMAIN}`));
  const findings = await diagnose({ zone: inside, without: keys, probes: { publicDns } });
  expect(of(findings, 'dmarc', DOMAIN)[0]!.found).toBe('v=DMARC1; p=none');
  expect(of(findings, 'alignment', DOMAIN).map(({ result, found }) => `${result}: ${found}`)).toEqual([
    expect.stringMatching(/^ok: SPF passes, DKIM passes/),
    'warning: spam by the resolvers of this machine, ok by `alignment.resolvers`',
  ]);
});

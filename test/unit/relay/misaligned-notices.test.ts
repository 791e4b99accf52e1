/** Notices about senders that fail are bounded, whoever sends with how many domains. */
import { expect, test } from 'vitest';
import { createMisalignedNotices } from '../../../src/relay/alignment.ts';
import { createMemoryData } from '../../support/memory-data.ts';

test('of a thousand domains in a day, 500 are logged and 20 are mailed, each once', async () => {
  const store = { ...createMemoryData().client(), now: () => Date.UTC(2026, 5, 1, 12) };
  const logged: string[] = [];
  const mailed: string[] = [];
  const tell = createMisalignedNotices({
    store,
    log: { emit: (_: string, fields: { domain: string }) => void logged.push(fields.domain) } as never,
    config: () => ({ hostname: 'relay.test', operator: 'ops@relay.test' }),
    send: async (_, { subject }) => void mailed.push(subject),
  });
  for (let i = 0; i < 1000; i++) {
    const domain = `d${i}.test`;
    for (let again = 0; again < 2; again++)
      tell({ ...{ domain, envelope: domain, signatures: '', user: 'x', verdict: 'weak', at: 0 }, detail: { needsKey: true } });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect([logged.length, new Set(logged).size]).toEqual([500, 500]);
  expect(mailed).toHaveLength(20);
  expect(mailed[0]).toBe('relay.test: mail from d0.test fails DMARC');
});

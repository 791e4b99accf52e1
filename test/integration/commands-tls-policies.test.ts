/** `smarthost tls policies` on a real store. What `refresh` fetches from a real host: test/peers/mta-sts.test.ts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StoredStsPolicy } from '../../src/store/store.ts';
import { DAY } from '../../src/system/clock.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench("dns: { servers: ['127.0.0.1:9'] }");
});
afterEach(() => bench.close());

const NOW = Math.floor(Date.now() / 1000) * 1000;
const policy = (change: Partial<StoredStsPolicy> = {}): StoredStsPolicy => ({
  ...{ domain: 'example.org', id: '20260101', mode: 'enforce', maxAge: 604_800, mx: ['mx1.example.org', '*.mx.example.org'] },
  ...{ text: 'version: STSv1\nmode: enforce', fetchedAt: NOW, expiresAt: NOW + 7 * DAY, usedAt: NOW, refreshAt: NOW + DAY },
  ...{ failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null },
  ...change,
});
const failing: Partial<StoredStsPolicy> = {
  ...{ domain: 'failing.example', mode: 'testing', expiresAt: NOW - DAY, mx: ['a.example', 'b.example', 'c.example'] },
  ...{
    failures: 3,
    failedAt: NOW,
    lastError: 'mta-sts.failing.example answers with status 404',
    retryAt: NOW + DAY,
    retryId: '2',
  },
};

const keep = (...policies: readonly StoredStsPolicy[]) =>
  bench.withStore(async (store) => {
    for (const one of policies) await store.tlsPolicies.putStsPolicy(one, 'relay');
  });

test('list shows each policy, or those alone whose fetch fails', async () => {
  expect(await bench.run(['tls', 'policies', 'list'])).toEqual({ code: 0, out: '', err: 'The relay knows no policies.\n' });
  await keep(policy(), policy(failing));
  const all = await bench.json('tls', 'policies', 'list');
  expect(all).toEqual([
    {
      ...{ domain: 'example.org', state: 'holds', mode: 'enforce', mx: ['mx1.example.org', '*.mx.example.org'] },
      ...{
        id: '20260101',
        maxAge: 604_800,
        fetchedAt: new Date(NOW).toISOString(),
        expiresAt: new Date(NOW + 7 * DAY).toISOString(),
      },
      ...{ usedAt: new Date(NOW).toISOString(), refreshAt: new Date(NOW + DAY).toISOString() },
      ...{ failures: 0, failedAt: null, lastError: null },
    },
    expect.objectContaining({ domain: 'failing.example', state: 'expired', failures: 3, lastError: failing.lastError }),
  ]);
  expect(await bench.json('tls', 'policies', 'list', '--failing')).toEqual([all[1]]);
  const { out } = await bench.run(['tls', 'policies', 'list']);
  expect(out).toMatch(
    /^DOMAIN +MODE +STATE +ENDS +MX[^\n]+\nexample\.org +enforce +holds +\S+Z +mx1\.example\.org, \*\.mx\.example\.org +- +-\n/,
  );
  expect(out).toMatch(/failing\.example +testing +expired +\S+Z +a\.example and 2 more +3 +mta-sts\.failing\.example answers/);
});

test('list shows more policies than one look at the store brings', async () => {
  await bench.withStore(async ({ tlsPolicies }) => {
    const all = Array.from({ length: 1001 }, (_, i) => policy({ domain: `d${i}.example` }));
    await Promise.all(all.map((one) => tlsPolicies.putStsPolicy(one, 'relay')));
  });
  expect(await bench.json('tls', 'policies', 'list')).toHaveLength(1001);
});

test('show tells one policy, its file and its last failure', async () => {
  await keep(policy(), policy(failing));
  expect(await bench.json('tls', 'policies', 'show', 'Example.ORG.')).toMatchObject({
    ...{ domain: 'example.org', state: 'holds', text: 'version: STSv1\nmode: enforce' },
  });
  const { out } = await bench.run(['tls', 'policies', 'show', 'failing.example']);
  expect(out).toMatch(/^domain: +failing\.example\nstate: +expired\nmode: +testing\n/);
  expect(out).toMatch(/\nlast failure: +\S+Z \(3 failures in a row\): mta-sts\.failing\.example answers with status 404\n$/);
});

test('forget takes a policy away, and a running relay hears of it', async () => {
  await keep(policy());
  await bench.withStore(async (store) => {
    const told = new Promise((resolve) => store.onChange((changes) => changes.has('policies') && resolve('told')));
    expect(await bench.run(['tls', 'policies', 'forget', 'example.org'])).toMatchObject({
      ...{ code: 0, out: '', err: expect.stringContaining('smarthost queue retry --domain example.org') },
    });
    expect(await told).toBe('told');
    expect(await store.tlsPolicies.stsPolicy('example.org')).toBeUndefined();
  });
});

test('a domain without a policy, and what is no domain, are told apart', async () => {
  const unknown = 'The relay knows no policy of example.org. `smarthost tls policies list` shows those that it knows.\n';
  for (const word of ['show', 'forget'])
    expect(await bench.run(['tls', 'policies', word, 'example.org'])).toEqual({ code: 1, out: '', err: unknown });
  expect(await bench.run(['tls', 'policies', 'show', 'example..org'])).toMatchObject({ code: 2 });
});

test('refresh says why no policy could be had, and what holds stays', async () => {
  const { code, err } = await bench.run(['tls', 'policies', 'refresh', 'example.org']);
  expect([code, err]).toEqual([1, 'No policy could be fetched: example.org announces no policy at _mta-sts.example.org.\n']);
  await keep(policy());
  expect(await bench.run(['tls', 'policies', 'refresh', 'example.org'])).toMatchObject({
    ...{ code: 1, err: expect.stringMatching(/^No policy could be fetched: the look-up of mta-sts\.example\.org failed/) },
  });
  expect(await bench.json('tls', 'policies', 'show', 'example.org')).toMatchObject({ state: 'holds', failures: 1 });
});

/** Policies that are looked after while a relay runs, with a real host and a real store. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { DnsClient } from '../../../src/dns/dns.ts';
import type { StoredStsPolicy } from '../../../src/store/store.ts';
import { DAY, HOUR, SECOND } from '../../../src/system/clock.ts';
import { type StsServiceOptions, startStsPolicies } from '../../../src/tls-policy/mta-sts-service.ts';
import { type Certified, makeAuthority, makeHost, served } from '../../support/chains.ts';
import { createMemoryTlsPolicies } from '../../support/memory-tls-policies.ts';
import { type PolicyHost, startPolicyHost } from '../../support/policy-host.ts';
import { until } from '../../support/store-rig.ts';
import { policyText } from '../../support/sts-rig.ts';

let authority: Certified;
let certificate: Certified;
beforeAll(async () => {
  authority = await makeAuthority('root');
  const names = ['mta-sts.x.example', 'mta-sts.y.example', 'mta-sts.z.example'];
  certificate = await makeHost({ names, issuer: authority });
});

const ANSWERED = { secure: false, trusted: true, ttl: HOUR } as const;
const dns: Pick<DnsClient, 'txt' | 'a' | 'aaaa'> = {
  txt: async (name) => ({ kind: 'found', values: ['v=STSv1; id=a1;'], name, ...ANSWERED }),
  a: async (name) => ({ kind: 'found', values: ['127.0.0.1'], name, ...ANSWERED }),
  aaaa: async (name) => ({ kind: 'none', name, ...ANSWERED }),
};

async function running(change: Partial<StsServiceOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'sts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, authority.pem);
  const host: PolicyHost = await startPolicyHost(served(certificate));
  onTestFinished(() => host.close());
  host.answer = policyText('enforce');
  const events: Record<string, unknown>[] = [];
  const store = change.store ?? createMemoryTlsPolicies();
  const service = startStsPolicies({
    ...{ store, dns, mtaSts: 'on', allowPrivate: ['127.0.0.0/8'], caFile, port: host.port, interval: 20 },
    log: { emit: (_, fields) => void events.push(fields as Record<string, unknown>) },
    ...change,
  });
  onTestFinished(() => service.close());
  return { host, events, store, service };
}

const row = (domain: string, change: Partial<StoredStsPolicy> = {}): StoredStsPolicy => ({
  ...{ domain, id: 'a1', mode: 'testing', maxAge: 604_800, mx: ['old.example'], text: 'old' },
  ...{ fetchedAt: Date.now() - DAY, expiresAt: Date.now() + DAY, usedAt: Date.now(), refreshAt: Date.now() },
  ...{ failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null },
  ...change,
});

test('a policy is fetched for mail by HTTPS, and holds', async () => {
  const { host, store, service } = await running();
  expect(await service.policyFor('x.example')).toMatchObject({ policy: { id: 'a1', mode: 'enforce', mx: ['mx.x.example'] } });
  expect(host.asked).toEqual(['mta-sts.x.example/.well-known/mta-sts.txt']);
  await until(async () => (await store.stsPolicy('x.example')) !== undefined);
});

test('policies of domains that get mail are fetched again in the background, and the end of a policy is logged', async () => {
  const store = createMemoryTlsPolicies();
  await store.putStsPolicy(row('x.example'), 'relay');
  await store.putStsPolicy(row('y.example', { usedAt: Date.now() - 31 * DAY }), 'relay');
  await store.putStsPolicy(row('z.example', { expiresAt: Date.now() - 1 }), 'relay');
  const { host, events, service } = await running({ store });
  await until(async () => (await store.stsPolicy('x.example'))?.mode === 'enforce');
  expect(host.asked).toEqual(['mta-sts.x.example/.well-known/mta-sts.txt']);
  expect(events).toEqual(
    expect.arrayContaining([
      { action: 'expired', domain: 'z.example' },
      expect.objectContaining({ action: 'changed', domain: 'x.example', oldMode: 'testing', oldMx: ['old.example'] }),
    ]),
  );
  await until(() => service.counts().modes.enforce + service.counts().modes.testing === 2);
});

test('nothing is fetched in the background while it is off, and a reload turns it on again', async () => {
  const store = createMemoryTlsPolicies();
  await store.putStsPolicy(row('x.example'), 'relay');
  const { host, service } = await running({ store, mtaSts: 'off' });
  await until(() => service.counts().modes.testing === 1); // looks have been made
  expect(host.asked).toEqual([]);
  expect(() => service.prepareReload({ mtaSts: 'on', allowPrivate: [], caFile: '/nowhere.pem' })).toThrow('ENOENT');
  service.prepareReload({ mtaSts: 'on', allowPrivate: [] })();
  await until(async () => ((await store.stsPolicy('x.example'))?.failures ?? 0) > 0);
  expect(await store.stsPolicy('x.example')).toMatchObject({ lastError: expect.stringContaining('delivery.allowPrivate') });
});

test('old policies are forgotten, an hour after the start at the earliest', async () => {
  const store = createMemoryTlsPolicies();
  await store.putStsPolicy(row('y.example', { expiresAt: Date.now() - 8 * DAY }), 'relay');
  await store.putStsPolicy(row('z.example', { usedAt: Date.now() - 181 * DAY }), 'relay');
  let passed = 0;
  const { events, service } = await running({
    store,
    monotonic: () => performance.now() + passed,
    now: () => Date.now() + passed,
  });
  await until(() => service.counts().modes.testing === 1);
  expect(await store.stsPolicy('y.example')).toBeDefined();
  passed = HOUR;
  await until(() => events.filter(({ action }) => action === 'forgotten').length === 2);
  expect(await store.listStsPolicies('', 9)).toEqual([]);
});

test('a stop does not wait for a host that says nothing', async () => {
  const { host, service } = await running();
  host.answer = () => {};
  const asking = service.policyFor('x.example');
  await until(() => host.asked.length > 0);
  const late = new Promise((resolve) => setTimeout(resolve, 30 * SECOND, 'late').unref());
  expect(await Promise.race([service.close(), late])).toBeUndefined();
  expect(await asking).toEqual({ isUnknown: true });
});

import { expect, test } from 'vitest';
import { createMetrics } from '../../../src/metrics/metrics.ts';
import { type SnapshotParts, snapshot } from '../../../src/relay/health.ts';

const parts = (counts: () => Promise<unknown>): SnapshotParts => ({
  store: { messages: { counts }, database: () => undefined } as unknown as SnapshotParts['store'],
  certificates: { facts: () => [] },
  sessions: 3,
  threads: 2,
  sessionsByThread: [3, 4],
  ...{ resting: 2, blocked: [], senders: {}, shaping: [], stopped: 0 },
  exceptions: 2,
  otherConfigurations: 0,
  policies: { modes: { enforce: 5, testing: 1, none: 0 }, overdue: 4 },
  validates: true,
});
const queue = async () => ({ states: { delayed: 7 }, oldestAcceptedAt: null });
const line = (text: string, start: string) => text.split('\n').find((one) => one.startsWith(start));

test('store trouble and damaged messages are counted from 0, so that the first one is an increase', async () => {
  const metrics = createMetrics('1.0.0');
  const look = async () => metrics.render(await snapshot(parts(queue)));
  expect(line(await look(), 'smarthost_store_trouble_total')).toBe('smarthost_store_trouble_total 0');
  metrics.observe({ event: 'storeTrouble', fields: { error: new Error('no disk') } });
  metrics.observe({ event: 'damaged', fields: { queueId: 'x', reason: 'no body' } });
  const after = await look();
  expect(line(after, 'smarthost_store_trouble_total')).toBe('smarthost_store_trouble_total 1');
  expect(line(after, 'smarthost_damaged_total')).toBe('smarthost_damaged_total 1');
  expect(line(after, 'smarthost_resting_host_sets')).toBe('smarthost_resting_host_sets 2');
});

test('refusals of an upstream because of us are counted from 0, the login separately', async () => {
  const metrics = createMetrics('1.0.0');
  const look = async () => metrics.render(await snapshot(parts(queue)));
  const [login, relay] = ['login', 'relay'].map((what) => `smarthost_upstream_refused_total{what="${what}"}`);
  expect(line(await look(), login!)).toBe(`${login} 0`);
  const answer = { mx: 'up.test', ip: '192.0.2.1', code: 535, status: '5.7.8', reply: 'No' };
  metrics.observe({ event: 'upstreamLoginFailed', fields: { ...answer, user: 'us' } });
  expect(line(await look(), login!)).toBe(`${login} 1`);
  expect(line(await look(), relay!)).toBe(`${relay} 0`);
});

test('fetches of policies are counted by result from 0 on, and policies that hold are shown by mode', async () => {
  const metrics = createMetrics('1.0.0');
  const fetched = (result: string) => ({ event: 'stsPolicy', fields: { action: 'any', domain: 'x.example', result } }) as const;
  metrics.observe(fetched('fetched'));
  metrics.observe(fetched('fetched'));
  metrics.observe(fetched('sts-webpki-invalid'));
  metrics.observe({ event: 'stsPolicy', fields: { action: 'forgotten', domain: 'x.example' } });
  const text = await metrics.render(await snapshot(parts(queue)));
  const values = text.split('\n').filter((one) => one.startsWith('smarthost_sts_'));
  expect(values).toEqual([
    'smarthost_sts_fetches_total{result="fetched"} 2',
    'smarthost_sts_fetches_total{result="sts-policy-fetch-error"} 0',
    'smarthost_sts_fetches_total{result="sts-policy-invalid"} 0',
    'smarthost_sts_fetches_total{result="sts-webpki-invalid"} 1',
    'smarthost_sts_policies{mode="enforce"} 5',
    'smarthost_sts_policies{mode="testing"} 1',
    'smarthost_sts_policies{mode="none"} 0',
    'smarthost_sts_refresh_overdue 4',
  ]);
});

test.each([
  ['fails', () => Promise.reject(new Error('disk I/O error'))],
  ['never answers', () => new Promise<never>(() => {})],
])('metrics are shown while the store %s, with what it said last', async (_, counts) => {
  const metrics = createMetrics('1.0.0');
  await metrics.render(await snapshot(parts(queue)));
  const text = await metrics.render(await snapshot(parts(counts)));
  expect(line(text, 'smarthost_queue_recipients{state="delayed"}')).toBe('smarthost_queue_recipients{state="delayed"} 7');
  expect(line(text, 'smarthost_sessions')).toBe('smarthost_sessions 3');
  expect(line(text, 'smarthost_session_threads')).toBe('smarthost_session_threads 2');
});

test('the database that relays share is shown only where there is one', async () => {
  const store = {
    messages: { counts: queue },
    ...{ database: () => ({ bytes: 7, oldestTransaction: 400 }), relays: () => [{}, {}], condition: () => 'unsure' },
    now: () => Date.now() - 3000,
  } as unknown as SnapshotParts['store'];
  const shown = async (given: SnapshotParts) =>
    (await createMetrics('1.0.0').render(await snapshot(given)))
      .split('\n')
      .filter((one) => one.startsWith('smarthost_database'));
  expect(await shown(parts(queue))).toEqual([]);
  const lines = await shown({ ...parts(queue), store, otherConfigurations: 1 });
  expect(lines.slice(0, 5)).toEqual([
    'smarthost_database_relays 3',
    'smarthost_database_other_configurations 1',
    'smarthost_database_reachable 0',
    'smarthost_database_bytes 7',
    'smarthost_database_oldest_transaction_seconds 400',
  ]);
  const [name, skew] = lines[5]!.split(' ');
  expect([name, Math.round(Number(skew))]).toEqual(['smarthost_database_clock_skew_seconds', 3]);
});

test('exceptions from TLS are shown as they are now', async () => {
  const text = await createMetrics('1.0.0').render(await snapshot(parts(queue)));
  expect(line(text, 'smarthost_tls_exceptions')).toBe('smarthost_tls_exceptions 2');
});

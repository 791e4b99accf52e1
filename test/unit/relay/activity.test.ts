/** What the relay keeps of refusals and of the mail of an hour. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readLastLogins } from '../../../src/control/last-logins.ts';
import { createEventLog } from '../../../src/events/events.ts';
import { createActivity } from '../../../src/relay/activity.ts';
import type { ActivityStore } from '../../../src/store/store.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';
import { asLeader } from '../../support/led.ts';
import { createMemoryActivity } from '../../support/memory-activity.ts';
import { createMemoryData } from '../../support/memory-data.ts';

const NOW = Date.UTC(2026, 10, 28, 10, 30);
beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

function rig(store: ActivityStore = createMemoryActivity()) {
  const activity = createActivity(Date.now);
  const told: string[] = [];
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }), (event) => {
    told.push(event.event);
    activity.observe(event);
  });
  const { operation } = createMemoryData().client();
  return { store, activity, log, told, operation, end: activity.keep({ activity: store, operation }, log) };
}

const refusal = (change = {}) => ({
  ...{
    session: 's',
    ip: '192.0.2.1',
    user: 'shop',
    verb: 'MAIL',
    reply: { code: 553, status: '5.7.1', text: 'no' },
    reversePath: 'a@x.example',
  },
  ...change,
});
const sent = {
  queueId: 'q',
  recipient: 'b@y.example',
  user: 'shop',
  attempt: 1,
  seconds: 1,
  reply: { code: 250, status: '2.0.0', text: 'ok' },
};
const accepted = {
  queueId: 'q',
  user: 'shop',
  reversePath: 'a@x.example',
  recipients: ['b@y.example'],
  size: 100,
  messageId: '',
  signatures: [],
};

test('a refusal can be found after five seconds, and equal ones in a row are one', async () => {
  const { store, log } = rig();
  log.refused(refusal());
  vi.setSystemTime(NOW + SECOND);
  log.refused(refusal());
  log.refused(refusal({ verb: 'RCPT', recipient: 'b@y.example\r\nforged', user: undefined }));
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  const facts = { session: 's', ip: '192.0.2.1', code: 553, status: '5.7.1', reply: '553 5.7.1 no', reversePath: 'a@x.example' };
  expect(await store.refused({ limit: 10 })).toEqual([
    {
      ...facts,
      seq: 2,
      at: NOW + SECOND,
      until: NOW + SECOND,
      count: 1,
      user: null,
      verb: 'RCPT',
      recipient: 'b@y.example forged',
    },
    { ...facts, seq: 1, at: NOW, until: NOW + SECOND, count: 2, user: 'shop', verb: 'MAIL', recipient: null },
  ]);
});

test('a failed login is found by the name that was typed', async () => {
  const { store, log } = rig();
  log.emit('authFailed', { session: 's', ip: '192.0.2.1', user: 'shpo', mechanism: 'LOGIN', reason: 'wrong' });
  log.refused(refusal({ verb: 'AUTH', user: undefined, reversePath: undefined }));
  log.refused(refusal({ verb: 'MAIL', session: 't', user: undefined }));
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  expect(await store.refused({ limit: 10 })).toMatchObject([
    { verb: 'MAIL', user: null },
    { verb: 'AUTH', user: 'shpo' },
  ]);
});

test('a flood of different refusals takes a bounded memory', async () => {
  const { store, log } = rig();
  for (let i = 0; i < 5000; i++) log.refused(refusal({ ip: `192.0.2.${i}` }));
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  expect(await store.refused({ limit: 5000 })).toHaveLength(1000);
});

test('mail is counted by its login and by the domain of its recipients, once a minute', async () => {
  const { store, log } = rig();
  log.emit('accepted', accepted);
  log.relayed(sent);
  log.failed({ ...sent, recipient: 'c@z.example' });
  log.delayed({ ...sent, user: undefined, nextAttemptAt: NOW });
  log.refused(refusal());
  const query = { from: NOW, to: NOW, step: HOUR, names: true };
  await vi.advanceTimersByTimeAsync(59 * SECOND);
  expect(await store.history({ ...query, by: 'user' })).toEqual([]);
  await vi.advanceTimersByTimeAsync(SECOND);
  const brief = async (by: 'user' | 'destination') =>
    (await store.history({ ...query, by })).map(({ name, outcome, count, bytes }) => `${name} ${outcome} ${count} ${bytes}`);
  expect(await brief('user')).toEqual([
    ' delayed 1 0',
    'shop accepted 1 100',
    'shop relayed 1 0',
    'shop failed 1 0',
    'shop refused 1 0',
  ]);
  expect(await brief('destination')).toEqual(['y.example relayed 1 0', 'y.example delayed 1 0', 'z.example failed 1 0']);
});

test('destinations without room are counted together, and have room again in the next hour', async () => {
  const { store, log } = rig();
  const relay = (from: number, to: number) => {
    for (let i = from; i < to; i++) log.relayed({ ...sent, recipient: `a@d${i}.example` });
  };
  relay(0, 400);
  relay(0, 1);
  await vi.advanceTimersByTimeAsync(HOUR);
  relay(399, 400);
  await vi.advanceTimersByTimeAsync(MINUTE);
  const rows = await store.history({ by: 'destination', from: NOW, to: NOW + HOUR, step: HOUR, names: true });
  const count = (name: string) => rows.filter((row) => row.name === name).map((row) => row.count);
  expect([rows.length, count(''), count('d0.example'), count('d399.example')]).toEqual([302, [100], [2], [1]]);
});

test('what is not written yet is written at the end', async () => {
  const { store, log, end } = rig();
  log.refused(refusal());
  log.emit('accepted', accepted);
  await end();
  expect(await store.refused({ limit: 1 })).toHaveLength(1);
  expect(await store.history({ by: 'user', from: NOW, to: NOW, step: HOUR, names: false })).toHaveLength(2);
});

test('a store that fails is told, and the next write is tried', async () => {
  const memory = createMemoryActivity();
  let works = false;
  const addRefused: ActivityStore['addRefused'] = async (rows) => {
    if (!works) throw new Error('full');
    await memory.addRefused(rows);
  };
  const { log, told } = rig({ ...memory, addRefused });
  log.refused(refusal());
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  expect(told).toEqual(['refused', 'activityNotKept']);
  works = true;
  log.refused(refusal());
  await vi.advanceTimersByTimeAsync(5 * SECOND);
  expect(await memory.refused({ limit: 10 })).toMatchObject([{ count: 1 }]);
});

test('counts of logins are kept for 400 days, those of destinations for 31', async () => {
  const { store, activity } = rig();
  const count = { outcome: 'relayed', count: 1, bytes: 0, name: 'x' } as const;
  const days = [10, 40, 410];
  await store.addHistory(
    (['user', 'destination'] as const).flatMap((by) =>
      days.map((ago) => ({ ...count, by, hour: NOW - (NOW % HOUR) - ago * DAY })),
    ),
  );
  await activity.trim(asLeader(store));
  const left = async (by: 'user' | 'destination') =>
    (await store.history({ by, from: 0, to: NOW, step: HOUR, names: true })).length;
  expect([await left('user'), await left('destination')]).toEqual([2, 1]);
});

test('the last login of a credential is known after 20 seconds, and not written before', async () => {
  const { operation, log } = rig();
  const login = { session: 's', user: 'Shop', mechanism: 'PLAIN', tls: 'TLSv1.3' };
  log.emit('authenticated', { ...login, ip: '192.0.2.1' });
  log.emit('authenticated', { ...login, ip: '192.0.2.2' });
  expect((await readLastLogins({ operation }))('shop')).toBeNull();
  await vi.advanceTimersByTimeAsync(20 * SECOND);
  const known = { at: NOW, ip: '192.0.2.2', tls: 'TLSv1.3', mechanism: 'PLAIN' };
  expect((await readLastLogins({ operation }))('shop')).toEqual(known);
});

test('the mail of an hour is kept under whole hours, however often the clock goes on while it is read', async () => {
  let time = NOW;
  const activity = createActivity(() => time++);
  const hours: number[] = [];
  const store: ActivityStore = {
    ...createMemoryActivity(),
    async addHistory(counts) {
      hours.push(...counts.map(({ hour }) => hour));
    },
  };
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }), (event) => activity.observe(event));
  const end = activity.keep({ activity: store, operation: createMemoryData().client().operation }, log);
  log.emit('accepted', accepted);
  log.relayed(sent);
  await end();
  expect(hours.length).toBeGreaterThan(0);
  expect(hours.filter((hour) => hour % HOUR !== 0)).toEqual([]);
});

/** What the doctor says of a database that relays share. */
import { expect, test } from 'vitest';
import { checkDatabase } from '../../../src/doctor/doctor.ts';
import type { ClusterLook, PrimaryFacts, ServerFacts } from '../../../src/store/store.ts';

const server = (place: string, change: Partial<ServerFacts> = {}): ServerFacts => ({
  ...{ place, problem: null, isRunning: true, role: 'standby', version: '15.18', system: '7', certificateDays: null },
  ...change,
});
const settings = {
  ...{ fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on', synchronous_standby_names: 'ANY 1 (b, c)' },
  ...{ max_connections: '100', wal_keep_size: String(4 * 1024 ** 3) },
};
const relay = (name: string, digest = 'limits:1 routes:2') => ({ name, digest });
const standby = (name: string, sync = 'quorum') => ({ name, state: 'streaming', sync, behind: 0 });
const primary: PrimaryFacts = {
  ...{ place: 'a:5432', version: 150018, settings, standbys: [standby('b'), standby('c')], slots: 0, isPooled: false },
  ...{ free: 88, hidden: 0, encoding: 'UTF8', isReadOnly: false, lacking: null },
  ...{ connections: 12, oldestTransaction: 1, size: 1, format: 1, ahead: 20, relays: [relay('one'), relay('two')] },
};
const good: ClusterLook = {
  ...{ durability: 'two', wantedFormat: 1, primary },
  servers: [server('a:5432', { role: 'primary' }), server('b:5432'), server('c:5432')],
};
const change = (facts: Partial<PrimaryFacts>): ClusterLook => ({ ...good, primary: { ...primary, ...facts } });
const set = (values: Record<string, string>) => change({ settings: { ...settings, ...values } });

/** All that is not right. */
const wrong = (look: ClusterLook) =>
  checkDatabase(look)
    .filter(({ result }) => result !== 'ok')
    .map(({ subject, result, found }) => `${subject} ${result}: ${found}`);

test('a primary with two synchronous standbys is right', () => {
  expect(wrong(good)).toEqual([]);
});

test.each<[string, ClusterLook, readonly string[]]>([
  ['no synchronous standby', set({ synchronous_standby_names: '' }), ['durability error: no synchronous standby is named']],
  ['a lax commit', set({ synchronous_commit: 'local' }), ['durability error: synchronous_commit is local']],
  ['no sync of the disk', set({ fsync: 'off' }), ['durability error: fsync is off']],
  ['no whole pages', set({ full_page_writes: 'off' }), ['durability error: full_page_writes is off']],
  ['a named standby that is not there', change({ standbys: [] }), ['standbys error: none is connected']],
  ['one standby alone', change({ standbys: [standby('b', 'sync')] }), ['standbys warning: b (sync, streaming, 0 MiB behind)']],
  ['standbys that the user may not see', change({ standbys: null }), ['standbys unknown: this user may not see them']],
  ['a clock that differs', change({ ahead: -9700 }), ['clock warning: 10 s behind']],
  [
    'another configuration',
    change({ relays: [relay('one'), relay('two', 'limits:3 routes:4'), relay('three', 'limits:1 routes:4')] }),
    ['configurations warning: two has other limits and routes than one; three has other routes than one'],
  ],
  ['pgbouncer', change({ isPooled: true }), ['connection error: a connection pooler is in between']],
  ['a short log without a slot', set({ wal_keep_size: '0' }), ['wal_keep_size warning: 0 MiB, and no slot']],
  ['an old transaction', change({ oldestTransaction: 600 }), ['oldest transaction warning: open for 10 min']],
  ['few connections', change({ free: 3 }), ['connections warning: 12 of 100, 3 free for this user']],
  [
    'sessions that the user may not see',
    change({ hidden: 2 }),
    ['oldest transaction unknown: this user may not see 2 sessions of others'],
  ],
  ['a server that tells no activity', set({ track_activities: 'off' }), ['oldest transaction unknown: track_activities is off']],
  [
    'an old transaction that is seen beside others',
    change({ hidden: 2, oldestTransaction: 600 }),
    ['oldest transaction warning: open for 10 min'],
  ],
  ['another encoding', change({ encoding: 'LATIN1' }), ['use error: the database has the encoding LATIN1']],
  ['a user who may only read', change({ isReadOnly: true }), ['use error: this user may only read']],
  ['tables of another user', change({ lacking: 'contents' }), ['use error: this user may not read and write contents']],
  [
    'a certificate that ends soon',
    { ...good, servers: [server('a:5432', { role: 'primary', certificateDays: 13 }), server('b:5432', { certificateDays: 14 })] },
    ['a:5432 warning: its certificate ends in 13 days'],
  ],
  ['older tables', change({ format: 0 }), ['tables warning: format 0']],
  ['newer tables', change({ format: 2 }), ['tables error: format 2']],
  ['one machine alone', { ...set({ synchronous_standby_names: '' }), durability: 'one' }, ['durability warning: one machine']],
  [
    'a server that is down',
    { ...good, servers: [good.servers[0]!, server('b:5432', { role: null, isRunning: false, problem: 'connect ECONNREFUSED' })] },
    ['b:5432 warning: connect ECONNREFUSED'],
  ],
  [
    'two primaries',
    { ...good, servers: [good.servers[0]!, server('b:5432', { role: 'primary' })] },
    ['primary error: a:5432 and b:5432'],
  ],
  [
    'servers of two clusters',
    { ...good, servers: [good.servers[0]!, server('b:5432', { system: '8' })] },
    ['cluster error: 2 different clusters'],
  ],
  ['no primary', { ...good, primary: undefined, servers: [server('b:5432')] }, ['primary error: no server that answers is one']],
])('%s is found', (_, look, expected) => {
  expect(wrong(look)).toEqual(expected);
  for (const finding of checkDatabase(look)) if (finding.result !== 'ok') expect(finding.advice).not.toBe('');
});

test('a standby is to be promoted only when all servers are seen, and none is the primary', () => {
  const adviceOn = (subject: string, servers: readonly ServerFacts[]) =>
    checkDatabase({ ...good, primary: undefined, servers }).find((one) => one.subject === subject)?.advice;
  const down = server('a:5432', { role: null, isRunning: false, problem: 'connect ECONNREFUSED' });
  const closed = server('a:5432', { role: null, problem: 'password authentication failed' });
  expect(adviceOn('primary', [server('b:5432'), server('c:5432')])).toContain('Promote a standby: until then');
  for (const one of [down, closed]) expect(adviceOn('primary', [one, server('b:5432')])).toContain('may be the primary');
  expect(adviceOn('a:5432', [down, server('b:5432')])).toContain('Start it');
  expect(adviceOn('a:5432', [closed, server('b:5432')])).toBe('It runs: mend what it refuses.');
});

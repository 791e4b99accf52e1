/** Counting sessions for TLS reports: RFC 8460 §4. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { createEventLog } from '../../../src/events/events.ts';
import { isFurtherTlsPolicies, type TlsSessionCount } from '../../../src/store/store.ts';
import { DAY } from '../../../src/system/clock.ts';
import { createLog } from '../../../src/system/log.ts';
import { data, type Phrase } from '../../../src/system/phrase.ts';
import { type AppliedPolicy, createTlsResults, type SessionResult } from '../../../src/tls-policy/tls-results.ts';

const NOON = Date.UTC(2026, 10, 27, 12);
const WANTS = 'v=TLSRPTv1; rua=mailto:tls@x.example';
const NONE: AppliedPolicy = { type: 'no-policy-found', domain: 'x.example', strings: [], mxHosts: [] };
const TLSA: AppliedPolicy = { type: 'tlsa', domain: 'mx.y.example', strings: ['3 1 1 AB'], mxHosts: [] };
const session = (rest: Partial<SessionResult> = {}): SessionResult => ({ domain: 'x.example', policies: [NONE], ...rest });

type Answer = { kind: 'found'; values: string[] } | { kind: 'none' } | { kind: 'temporary'; why: Phrase };

function start(records: Record<string, Answer> = { 'x.example': { kind: 'found', values: [WANTS] } }) {
  const stored: TlsSessionCount[] = [];
  const asked: string[] = [];
  const events: string[] = [];
  const state = { now: NOON, wanted: true, fails: false, answers: Promise.resolve() };
  const results = createTlsResults({
    store: {
      async addTlsResults(counts) {
        if (state.fails) throw new Error('disk full');
        stored.push(...counts);
      },
    },
    dns: {
      async txt(name) {
        asked.push(name);
        await state.answers;
        return records[name.replace('_smtp._tls.', '')] ?? { kind: 'none' };
      },
    },
    log: createEventLog(createLog({ level: 'debug', format: 'json', write: () => {} }), ({ event }) => events.push(event)),
    wanted: () => state.wanted,
    now: () => state.now,
  });
  onTestFinished(() => results.close());
  return { results, stored, asked, events, state };
}

test('sessions are counted by day, domain and policy, each with its failures by kind', async () => {
  const { results, stored, asked } = start();
  const failure = { type: 'certificate-expired', reason: 'expired' } as const;
  const where = { sendingIp: '192.0.2.1', mx: 'mx.x.example', helo: 'mx.x.example', receivingIp: '192.0.2.2' };
  for (let i = 0; i < 3; i++) results.count(session());
  for (let i = 0; i < 2; i++) results.count(session({ failure, ...where }));
  results.count(session({ failure: { type: 'starttls-not-supported' } }));
  await results.flush();
  expect(stored).toHaveLength(1);
  const nothing = { sendingIp: null, mx: null, helo: null, receivingIp: null, reason: null };
  expect(stored[0]).toMatchObject({ day: Math.floor(NOON / DAY), domain: 'x.example', ok: 3, failed: 3 });
  expect(stored[0]?.failures).toEqual([
    { type: 'certificate-expired', ...where, reason: 'expired', count: 2 },
    { type: 'starttls-not-supported', ...nothing, count: 1 },
  ]);
  expect(asked).toEqual(['_smtp._tls.x.example']);
});

test('a domain without a record is asked for one once a day, and never counted', async () => {
  const { results, stored, asked, state } = start({
    'x.example': { kind: 'none' },
    'z.example': { kind: 'found', values: ['x'] },
  });
  for (let i = 0; i < 100; i++) results.count(session());
  results.count(session({ domain: 'z.example' }));
  await results.flush();
  results.count(session());
  expect(asked).toHaveLength(2);
  state.now += DAY;
  results.count(session());
  await results.flush();
  expect(asked).toHaveLength(3);
  expect(stored).toEqual([]);
});

test('a domain whose record cannot be looked up is counted', async () => {
  const { results, stored } = start({ 'x.example': { kind: 'temporary', why: data('timeout') } });
  results.count(session());
  await results.flush();
  expect(stored).toHaveLength(1);
});

test('a policy of TLSA records is counted if the base wants reports, also if the recipient domain wants none', async () => {
  const { results, stored, asked } = start({ 'mx.y.example': { kind: 'found', values: [WANTS] } });
  results.count(session({ policies: [TLSA, NONE] }));
  await results.flush();
  expect(asked.sort()).toEqual(['_smtp._tls.mx.y.example', '_smtp._tls.x.example']);
  expect(stored.map(({ domain, policy }) => [domain, policy.type, policy.domain])).toEqual([
    ['x.example', 'tlsa', 'mx.y.example'],
  ]);
});

test('a session under two policies counts for both', async () => {
  const { results, stored } = start();
  results.count(session({ policies: [TLSA, { ...NONE, type: 'sts', strings: ['mode: enforce'] }] }));
  await results.flush();
  expect(stored.map(({ policy }) => policy.type).sort()).toEqual(['sts', 'tlsa']);
  expect(new Set(stored.map(({ policy }) => policy.key)).size).toBe(2);
});

test('the day is that of the end of the session, also around midnight', async () => {
  const { results, stored, state } = start();
  state.now = Math.ceil(NOON / DAY) * DAY - 1;
  results.count(session());
  state.now++;
  results.count(session());
  await results.flush();
  expect(stored.map(({ day, ok }) => [day - Math.floor(NOON / DAY), ok])).toEqual([
    [0, 1],
    [1, 1],
  ]);
});

test('of many kinds of failure a hundred are kept apart, the rest keep type and number', async () => {
  const { results, stored } = start();
  for (let i = 0; i < 150; i++) results.count(session({ failure: { type: 'validation-failure' }, receivingIp: `192.0.2.${i}` }));
  await results.flush();
  const { failed, failures } = stored[0]!;
  expect(failed).toBe(150);
  expect(failures).toHaveLength(101);
  expect(failures.at(-1)).toMatchObject({ type: 'validation-failure', receivingIp: null, count: 50 });
});

test('counts come to the store by themselves within seconds, those of a domain that is still looked up after it', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { results, stored, state } = start();
  let answer = () => {};
  state.answers = new Promise((resolve) => (answer = resolve));
  results.count(session());
  await vi.advanceTimersByTimeAsync(5000);
  expect(stored).toEqual([]);
  answer();
  await vi.advanceTimersByTimeAsync(5000);
  expect(stored).toHaveLength(1);
});

test('nothing is counted if no reports are sent, and a failing store costs an event and no memory', async () => {
  const { results, stored, events, asked, state } = start();
  state.wanted = false;
  results.count(session());
  expect(asked).toEqual([]);
  state.wanted = true;
  state.fails = true;
  results.count(session());
  await results.flush();
  expect(events).toEqual(['tlsResultsLost']);
  state.fails = false;
  await results.flush();
  expect(stored).toEqual([]);
});

test('a domain with ever new policies, or with a very long one, is counted without their texts, and no session is lost', async () => {
  const { results, stored } = start();
  const records = (text: string): AppliedPolicy => ({ ...TLSA, strings: [text] });
  for (let i = 0; i < 150; i++) results.count(session({ policies: [records(`3 1 1 ${i}`)] }));
  results.count(session({ policies: [records('3 1 1 7')] }));
  results.count(session({ policies: [records('A'.repeat(17_000))], failure: { type: 'validation-failure' } }));
  await results.flush();
  expect(stored).toHaveLength(101);
  expect(stored.find(({ policy }) => policy.strings[0] === '3 1 1 7')).toMatchObject({ ok: 2 });
  expect(stored.filter(({ policy }) => isFurtherTlsPolicies(policy))).toEqual([
    expect.objectContaining({
      ok: 50,
      failed: 1,
      policy: expect.objectContaining({ type: 'tlsa', domain: 'x.example', strings: [] }),
    }),
  ]);
  results.count(session({ policies: [records('3 1 1 200')] }));
  await results.flush();
  expect(stored.at(-1)?.policy.strings).toEqual(['3 1 1 200']); // the store has its own bound for a day
});

test('texts of policies that wait for a slow store take no more than a few megabytes', async () => {
  const domains = Array.from({ length: 30 }, (_, i) => `d${i}.example`);
  const { results, stored } = start(Object.fromEntries(domains.map((name) => [name, { kind: 'found', values: [WANTS] }])));
  for (const domain of domains)
    for (let i = 0; i < 20; i++)
      results.count(session({ domain, policies: [{ ...NONE, type: 'sts', strings: [`${i} ${'x'.repeat(15_000)}`] }] }));
  await results.flush();
  const size = stored.reduce((sum, { policy }) => sum + (policy.strings[0]?.length ?? 0), 0);
  expect(size).toBeLessThan(4.1 * 1024 * 1024);
  expect(stored.reduce((sum, { ok }) => sum + ok, 0)).toBe(600);
});

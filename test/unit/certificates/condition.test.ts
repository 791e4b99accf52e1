import { expect, test } from 'vitest';
import { type Circumstances, createAlarm, problemsOf, renewalStatusOf, warningsOf } from '../../../src/certificates/condition.ts';
import type { Pair } from '../../../src/certificates/pair.ts';
import type { EventLog } from '../../../src/events/events.ts';
import { DAY, HOUR } from '../../../src/system/clock.ts';

const NOW = Date.UTC(2026, 0, 1);
const pair = (more: Partial<Pair> = {}): Pair => ({
  keyType: 'rsa',
  certificate: '',
  key: '',
  names: ['relay.test'],
  issuer: 'CN=x',
  notBefore: NOW - 30 * DAY,
  notAfter: NOW + 60 * DAY,
  selfSigned: false,
  ...more,
});
const circumstances = (more: Partial<Circumstances> = {}): Circumstances => ({
  mode: 'acme',
  acceptTerms: true,
  plans: new Map(),
  fileError: () => null,
  ...more,
});
const failing = new Map([['rsa' as const, { renewAt: NOW, renewReason: 'two thirds', lastError: 'no answer', failures: 3 }]]);

test('a failed renewal of an authority’s certificate is a warning and no problem', () => {
  expect(problemsOf([pair()], circumstances({ plans: failing }), NOW)).toEqual([]);
  expect(warningsOf([pair()], circumstances({ plans: failing }))).toEqual(['certificate: rsa: no answer']);
  expect(warningsOf([pair()], circumstances())).toEqual([]);
});

test('an expired certificate is a problem in every mode', () => {
  for (const mode of ['acme', 'files', 'self-signed'] as const)
    expect(problemsOf([pair({ notAfter: NOW })], circumstances({ mode }), NOW)).toEqual([
      expect.stringMatching(/rsa certificate ended on/),
    ]);
});

test('a self-signed one is a problem only in mode acme, with the reason', () => {
  const own = pair({ selfSigned: true });
  expect(problemsOf([own], circumstances({ mode: 'self-signed' }), NOW)).toEqual([]);
  expect(problemsOf([own], circumstances({ mode: 'files' }), NOW)).toEqual([]);
  expect(problemsOf([own], circumstances({ plans: failing }), NOW)).toEqual([expect.stringMatching(/self-signed: no answer/)]);
  expect(problemsOf([own], circumstances({ acceptTerms: false }), NOW)).toEqual([
    expect.stringMatching(/tls\.acme\.acceptTerms/),
  ]);
});

test('files have the reason why their newest state is not served', () => {
  const status = renewalStatusOf(pair(), circumstances({ mode: 'files', fileError: () => 'the key does not belong' }));
  expect(status).toMatchObject({ renewAt: null, lastError: 'the key does not belong' });
});

test('the alarm comes once a day, in time, and not before', () => {
  const said: unknown[] = [];
  const alarm = createAlarm({ certificate: (facts: unknown) => void said.push(facts) } as unknown as EventLog);
  const end = NOW + 60 * DAY;
  alarm([pair()], end - 20 * DAY);
  expect(said).toEqual([]);
  for (const before of [10 * DAY, 10 * DAY - HOUR, 9 * DAY + HOUR, 9 * DAY]) alarm([pair()], end - before);
  expect(said).toHaveLength(2);
  expect(said[0]).toMatchObject({ action: 'ending', keyType: 'rsa', error: expect.stringMatching(/nothing has renewed it/) });
});

import { expect, test } from 'vitest';
import { createAnswers, putChallenge, removeChallenges } from '../../../src/certificates/challenges.ts';
import type { OperationStore } from '../../../src/store/store.ts';

/** Values in memory, whose readings end when the test says so. */
function slowValues() {
  const values = new Map<string, string>();
  const readings: (() => void)[] = [];
  let count = 0;
  const operation = {
    setValue: async (name: string, value: string | null) => void (value === null ? values.delete(name) : values.set(name, value)),
    values(prefix: string) {
      count++;
      const found = [...values].filter(([name]) => name.startsWith(prefix)).map(([name, value]) => ({ name, value }));
      return new Promise((resolve) => readings.push(() => resolve(found)));
    },
  } as unknown as OperationStore;
  const finish = async () => {
    await expect.poll(() => readings.length).toBeGreaterThan(0);
    readings.shift()!();
  };
  return { operation, values, finish, count: () => count };
}

test('an answer that was stored before the question is found, also while an older read is running', async () => {
  const { operation, finish } = slowValues();
  const answers = createAnswers(operation, 'http-01');
  const early = answers.find('token');
  await putChallenge(operation, 'http-01', 'token', 'proof');
  const late = answers.find('token');
  await finish();
  expect(await early).toBeUndefined();
  await finish();
  expect(await late).toBe('proof');
});

test('a thousand questions at the same time need two reads', async () => {
  const { operation, finish, count } = slowValues();
  const answers = createAnswers(operation, 'http-01');
  const all = Array.from({ length: 1000 }, (_, i) => answers.find(`t${i}`));
  await finish();
  await finish();
  expect(await Promise.all(all)).toEqual(Array(1000).fill(undefined));
  expect(count()).toBe(2);
});

test('a failed read fails its own questions, and no later ones', async () => {
  let fails = true;
  const operation = { values: async () => (fails ? Promise.reject(new Error('disk')) : []) } as unknown as OperationStore;
  const answers = createAnswers(operation, 'http-01');
  await expect(answers.find('token')).rejects.toThrow('disk');
  fails = false;
  expect(await answers.find('token')).toBeUndefined();
});

test('types of challenges are separate, and all are removed together', async () => {
  const { operation, finish, values } = slowValues();
  await putChallenge(operation, 'tls-alpn-01', 'relay.test', 'certificate');
  const found = createAnswers(operation, 'http-01').find('relay.test');
  await finish();
  expect(await found).toBeUndefined();
  const removed = removeChallenges(operation);
  await finish();
  await removed;
  expect(values.size).toBe(0);
});

import { expect, test } from 'vitest';
import { createTurnstile } from '../../../src/credentials/turnstile.ts';

const gate = () => Promise.withResolvers<string>();

test('a limited number runs at the same time, the others in their order', async () => {
  const turnstile = createTurnstile(2, 1000);
  const gates = [gate(), gate(), gate(), gate()];
  const begun: number[] = [];
  const begin = (i: number, promise: Promise<string>) => {
    begun.push(i);
    return promise;
  };
  const runs = gates.map(({ promise }, i) => turnstile.run(() => begin(i, promise)));
  await expect.poll(() => begun).toEqual([0, 1]);
  gates[1]?.resolve('second');
  expect(await runs[1]).toBe('second');
  await expect.poll(() => begun).toEqual([0, 1, 2]);
  for (const { resolve } of gates) resolve('done');
  expect(await Promise.all(runs)).toEqual(['done', 'second', 'done', 'done']);
});

test('a caller that waits too long gets no turn', async () => {
  const turnstile = createTurnstile(1, 20);
  const { promise, resolve } = gate();
  const first = turnstile.run(() => promise);
  const waiting = turnstile.run(async () => 'never');
  expect(await turnstile.run(async () => 'never')).toBeUndefined();
  expect(await waiting).toBeUndefined();
  resolve('first');
  expect(await first).toBe('first');
  expect(await turnstile.run(async () => 'next')).toBe('next');
});

test('a failure makes room too', async () => {
  const turnstile = createTurnstile(1, 1000);
  await expect(turnstile.run(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
  expect(await turnstile.run(async () => 'next')).toBe('next');
});

const asker = (client: string, network: string, known = false) => ({ client, network, known });

/** Lets all clients wait behind one, and returns the order of their turns. */
async function order(askers: readonly ReturnType<typeof asker>[]): Promise<string[]> {
  const turnstile = createTurnstile(1, 5000);
  const { promise, resolve } = gate();
  const begun: string[] = [];
  const first = turnstile.run(() => promise, asker('0', '0'));
  const others = askers.map((one) => turnstile.run(async () => begun.push(one.client), one));
  resolve('first');
  await Promise.all([first, ...others]);
  return begun;
}

test('networks take turns, and in each network its clients: new addresses give a network no more turns', async () => {
  const flood = Array.from({ length: 6 }, (_, i) => asker(`a${i}`, 'a'));
  expect(await order([...flood, asker('b1', 'b'), asker('b1', 'b'), asker('b2', 'b'), asker('c', 'c')])).toEqual(
    ['a0', 'b1', 'c', 'a1', 'b2', 'a2', 'b1', 'a3', 'a4', 'a5'], // b1 has its second turn behind b2
  );
});

test('half of the turns are for clients that have logged in before, and unused turns go to the others', async () => {
  const strangers = Array.from({ length: 4 }, (_, i) => asker(`s${i}`, `n${i}`));
  const known = [asker('k0', 'n0', true), asker('k1', 'n0', true)];
  expect(await order([...strangers, ...known])).toEqual(['k0', 's0', 'k1', 's1', 's2', 's3']);
});

test('a caller that stops waiting leaves no entry', async () => {
  const turnstile = createTurnstile(1, 20);
  const { promise, resolve } = gate();
  const first = turnstile.run(() => promise);
  expect(await turnstile.run(async () => 'never', asker('a', 'n'))).toBeUndefined();
  const late = turnstile.run(async () => 'late', asker('a', 'n'));
  resolve('first');
  expect(await Promise.all([first, late])).toEqual(['first', 'late']);
});

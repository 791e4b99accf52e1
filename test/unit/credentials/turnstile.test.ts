import { expect, test } from 'vitest';
import { createTurnstile } from '../../../src/credentials/turnstile.ts';

const gate = () => Promise.withResolvers<string>();

test('so many run at once, the others in their order', async () => {
  const turnstile = createTurnstile(2, 10, 1000);
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

test('who waits too long, or finds the room full, gets nothing', async () => {
  const turnstile = createTurnstile(1, 1, 20);
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
  const turnstile = createTurnstile(1, 1, 1000);
  await expect(turnstile.run(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
  expect(await turnstile.run(async () => 'next')).toBe('next');
});

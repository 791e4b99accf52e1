import { expect, test } from 'vitest';
import { createCommitCheck, createUsableCheck, whyUnusable } from '../../../src/relay/health.ts';

test('many questions whether the store commits cost one commit, and the answer is used for two seconds', async () => {
  let now = 0;
  let pings = 0;
  let works = true;
  const ping = async () => {
    pings++;
    if (!works) throw new Error('disk full');
  };
  const check = createCommitCheck({ ping }, () => now);
  expect(await Promise.all(Array.from({ length: 100 }, check))).toEqual(Array(100).fill(undefined));
  works = false;
  now = 1999;
  expect([await check(), pings]).toEqual([undefined, 1]);
  now = 2000;
  expect([await check(), await check(), pings]).toEqual(['store: disk full', 'store: disk full', 2]);
  works = true;
  now = 4000;
  expect([await check(), pings]).toEqual([undefined, 3]);
});

test('while more than 64 MiB of bodies wait for the store, a client waits at MAIL, and after 30 s it shall come again', async () => {
  let storing = 64 * 1024 * 1024;
  let waited = 0;
  const parts = { disk: undefined, minFree: 1, store: { condition: () => 'ready' as const }, queue: { storing: () => storing } };
  const check = createUsableCheck(
    () => whyUnusable(parts),
    async (ms) => {
      waited += ms;
      if (waited === 2000) storing = 0;
    },
  );
  expect(check()).toBeUndefined();
  storing++;
  expect(await check()).toBeUndefined();
  expect(waited).toBe(2000);
  storing = 1e9;
  expect(await check()).toMatchObject({ reply: { code: 451, status: '4.3.0' } });
  expect(waited).toBe(32_000);
});

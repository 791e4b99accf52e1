import { expect, test } from 'vitest';
import { createCommitCheck } from '../../../src/relay/health.ts';

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

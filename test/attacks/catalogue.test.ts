/** The catalogue is complete, and its page is up to date. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { IDS, page, README, rows } from './catalogue.ts';

test('every row of the catalogue has a test, or a reason why not', () => {
  const found = new Set(rows().map(({ id }) => id));
  expect(IDS.filter((id) => !found.has(id))).toEqual([]);
  expect([...found].filter((id) => !IDS.includes(id))).toEqual([]);
});

test('no two rows have the same text', () => {
  const told = rows().map(({ id, what }) => `${id} ${what}`);
  expect(told.filter((one, i) => told.indexOf(one) !== i)).toEqual([]);
});

test('README.md is what `node test/attacks/catalogue.ts` writes', () => {
  expect(readFileSync(README, 'utf8')).toBe(page());
});

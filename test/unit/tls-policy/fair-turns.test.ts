/** Turns for fetches that strangers can make slow. */
import { expect, test } from 'vitest';
import { createFairTurns } from '../../../src/tls-policy/fair-turns.ts';

/** Enters for each group; `begun` has those whose turn it is, `away` those that had no room, in their order. */
function start(places: number, room: number) {
  const turns = createFairTurns(places, room);
  const begun: string[] = [];
  const away: string[] = [];
  const enter = async (...groups: readonly string[]) => {
    for (const group of groups) void turns.enter(group).then((has) => (has ? begun : away).push(group));
    await new Promise(setImmediate);
  };
  const leave = async (group: string) => {
    turns.leave(group);
    await new Promise(setImmediate);
  };
  return { begun, away, enter, leave };
}

test('one group has half of the places, and others go at once', async () => {
  const { begun, enter, leave } = start(4, 10);
  await enter('a', 'a', 'a', 'a');
  expect(begun).toEqual(['a', 'a']);
  await enter('b', 'c');
  expect(begun).toEqual(['a', 'a', 'b', 'c']);
  await leave('b');
  expect(begun, 'a place stays free for others').toHaveLength(4);
  await leave('a');
  expect(begun.at(-1)).toBe('a');
});

test('a place that gets free goes to the group with the fewest, among equals to the one that waits longest', async () => {
  const { begun, enter, leave } = start(4, 10);
  await enter('a', 'a', 'b', 'b', 'a', 'c', 'd');
  await leave('b');
  expect(begun.at(-1)).toBe('c');
  await leave('a');
  expect(begun.at(-1)).toBe('d');
});

test('where too many wait, the group with the most loses its newest', async () => {
  const { begun, away, enter } = start(2, 3);
  await enter('a', 'b', 'a', 'a', 'c');
  expect([begun, away]).toEqual([['a', 'b'], []]);
  await enter('d');
  expect(away).toEqual(['a']);
  await enter('e');
  expect(away, 'all have one: the newest').toEqual(['a', 'e']);
});

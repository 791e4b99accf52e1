/** Garbage that V8 would keep. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { collectGarbage, createCollector } from '../../../src/system/garbage.ts';

test('garbage is collected when old objects have grown by so much since the last time', () => {
  let bytes = 10;
  let collected = 0;
  const look = createCollector(4, {
    used: () => bytes,
    collect: () => {
      collected++;
      bytes -= 2;
    },
  });
  const counts: number[] = [];
  for (bytes of [13, 14, 15, 16, 17]) {
    look();
    counts.push(collected);
  }
  expect(counts).toEqual([0, 1, 1, 2, 2]);
});

test('what nobody holds any more is gone after a collection, and the rest is not', async () => {
  const kept = { name: 'kept' };
  const refs = [dropped(), new WeakRef(kept)];
  await turn(); // a WeakRef holds its target until the end of the turn that made it
  collectGarbage();
  expect(refs.map((ref) => ref.deref()?.name)).toEqual([undefined, 'kept']);
  expect(kept.name).toBe('kept');
});

/** In a function of its own, so that nothing of its frame is left. */
function dropped(): WeakRef<{ name: string }> {
  return new WeakRef({ name: 'dropped' });
}

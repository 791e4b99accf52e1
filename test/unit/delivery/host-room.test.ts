/** A set of hosts never sees more sessions than its limit, those that wait for another message included. */
import { expect, test } from 'vitest';
import { HostRoom } from '../../../src/delivery/host-room.ts';
import type { HostSet } from '../../../src/delivery/host-set.ts';

function startRoom({ most = 3, waiting = 0 }) {
  const dropped: (() => void)[] = [];
  const room = new HostRoom({ most: () => most, drop: () => new Promise((resolve) => dropped.push(resolve)) });
  for (let i = 0; i < waiting; i++) room.note('mx', 1);
  /** The host has closed the session that was dropped first. */
  const close = async () => {
    room.note('mx', -1);
    dropped.shift()!();
    await new Promise(setImmediate);
  };
  return { room, dropped, close };
}

const running = (count: number) => ({ key: 'mx', running: count }) as HostSet;

test('a new session waits until one that waits is closed, and asks for no more than it needs', async () => {
  const { room, dropped, close } = startRoom({ waiting: 2 });
  let made = false;
  const making = room.make(running(2)).then(() => {
    made = true;
  });
  await new Promise(setImmediate);
  expect([made, dropped.length]).toEqual([false, 1]);
  await close();
  await making;
  expect([made, dropped.length, room.isThere(running(2))]).toEqual([true, 0, true]);
});

test('an attempt whose own session was given up for another one waits for its end, as for that of a stranger', async () => {
  const { room, dropped, close } = startRoom({ waiting: 1 });
  const made: string[] = [];
  // Both have a place. The first has none of its own to use, the second found that the one it counted on is being closed.
  const makings = ['first', 'second'].map((name) => room.make(running(3)).then(() => made.push(name)));
  await new Promise(setImmediate);
  expect(made).toEqual([]);
  await close();
  dropped.shift()!();
  await Promise.all(makings);
  expect(made).toEqual(['first', 'second']);
});

test('while no session waits nothing is asked, however many attempts of an earlier time still run', async () => {
  const { room, dropped } = startRoom({});
  await room.make(running(9));
  expect(dropped).toEqual([]);
});

test('hosts that never say good-bye, or threads that cannot be asked, do not hold the mail for ever', async () => {
  let asked = 0;
  const drop = () => {
    asked++;
    return Promise.reject(new Error('The thread has ended'));
  };
  const room = new HostRoom({ most: () => 3, drop });
  room.note('mx', 1);
  await room.make(running(3));
  expect(asked).toBe(3 + 8);
});

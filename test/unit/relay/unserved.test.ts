/** Connections that no thread serves yet are bounded in number and in time. */
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Unserved } from '../../../src/relay/threads/unserved.ts';

function connections(count: number) {
  const left: number[] = [];
  const sockets = Array.from({ length: count }, () => new Socket());
  const callers = sockets.map((_, i) => ({
    ...{ ip: '192.0.2.1', client: '192.0.2.1', wait: 0 },
    place: { loggedIn: () => {}, leave: () => void left.push(i) },
  }));
  return { sockets, callers, left };
}

test('connections wait for the next thread, also those whose client a proxy has yet to name', () => {
  const unserved = new Unserved();
  const { sockets, callers } = connections(2);
  unserved.add(sockets[0]!, 'submission', callers[0]);
  unserved.add(sockets[1]!, 'submissions', undefined);
  unserved.sweep();
  expect(unserved.takeAll()).toEqual([
    [sockets[0], 'submission', callers[0]],
    [sockets[1], 'submissions', undefined],
  ]);
  expect(unserved.takeAll()).toEqual([]);
});

test('a connection that has waited too long is closed and gives its place back, and so does the oldest of too many', () => {
  const unserved = new Unserved();
  const { sockets, callers, left } = connections(1026);
  for (const [i, socket] of sockets.entries()) unserved.add(socket, 'submission', i === 1 ? undefined : callers[i]);
  expect([left, sockets.filter(({ destroyed }) => destroyed).length]).toEqual([[0], 2]);
  unserved.sweep(performance.now() + 9000);
  expect(left).toHaveLength(1);
  unserved.sweep(performance.now() + 10_000);
  expect([left.length, sockets.every(({ destroyed }) => destroyed), unserved.takeAll()]).toEqual([1025, true, []]);
});

test('a relay that stops closes all of them', () => {
  const unserved = new Unserved();
  const { sockets, callers, left } = connections(3);
  for (const [i, socket] of sockets.entries()) unserved.add(socket, 'submission', callers[i]);
  unserved.dropAll();
  expect([left, sockets.every(({ destroyed }) => destroyed)]).toEqual([[0, 1, 2], true]);
});

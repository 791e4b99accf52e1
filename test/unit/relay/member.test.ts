/** What a thread has of the things that are one for the machine comes back when it ends. */
import { EventEmitter, once } from 'node:events';
import { MessageChannel, type Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import type { Machine, PacedPlaces } from '../../../src/relay/threads/member.ts';
import { Member } from '../../../src/relay/threads/member.ts';
import { ThreadPeer } from '../../../src/relay/threads/peer.ts';
import type { MainServices } from '../../../src/relay/threads/protocol.ts';
import { createRemoteGuard } from '../../../src/relay/threads/remote.ts';
import type { Guard } from '../../../src/submission/submission.ts';

const nothing = () => {};

function startMember(places: () => PacedPlaces, guard?: Pick<Guard, 'admit'>) {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  const machine = { places, guard: () => guard, log: { emit: nothing } } as unknown as Machine;
  const neighbours = { ready: nothing, noteUse: nothing, learn: nothing };
  const member = new Member(1, port1 as unknown as Worker, machine, neighbours);
  return { member, thread: new ThreadPeer<MainServices>(port2, nothing), exit: () => port1.emit('exit', 0) };
}

test('a thread that ends before delivery has started gives the places of its sessions back', () => {
  const { member } = startMember(() => {
    throw new Error('Delivery has not started');
  });
  let left = 0;
  member.seat({ loggedIn: nothing, leave: () => void left++ });
  member.release();
  member.release();
  expect([left, member.sessions, member.ended]).toEqual([1, 0, true]);
});

test('a client that leaves while it waits for a place waits no longer, nor does that of a thread that ends', async () => {
  const waiting: string[] = [];
  const { member, thread } = startMember(nothing as never, {
    async admit({ ip }, client) {
      waiting.push(ip);
      await once(client, 'close');
      waiting.splice(waiting.indexOf(ip), 1);
      return 'noPlaceInTime' as const;
    },
  });
  const guard = createRemoteGuard(thread, () => false);
  const [first, second] = [new EventEmitter(), new EventEmitter()];
  const entrance = guard.admit({ ip: '192.0.2.1', client: '192.0.2.1' }, first);
  void guard.admit({ ip: '192.0.2.2', client: '192.0.2.2' }, second);
  await expect.poll(() => waiting).toEqual(['192.0.2.1', '192.0.2.2']);
  first.emit('close');
  expect([await entrance, waiting]).toEqual(['noPlaceInTime', ['192.0.2.2']]);
  member.release();
  await expect.poll(() => waiting).toEqual([]);
});

test('an attempt whose question for a place fails is forgotten', async () => {
  const signals: AbortSignal[] = [];
  const places = {
    async enter({ signal }: Parameters<PacedPlaces['enter']>[0]) {
      signals.push(signal);
      if (signals.length === 1) throw new Error('no place');
      return new Promise<never>(nothing);
    },
  } as unknown as PacedPlaces;
  const { member, thread } = startMember(() => places);
  const entrant = { key: 'mx', lookUp: 1, destination: 'dest.test', message: 'a', sender: '' };
  await expect(thread.call('enter', [1, entrant])).rejects.toThrow('no place');
  void thread.call('enter', [2, entrant]);
  await expect.poll(() => signals.length).toBe(2);
  member.release();
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
});

test('the slots of a thread come back when it is gone, because its connections are open until then', async () => {
  const given: unknown[] = [];
  const slots = {
    take: async (hosts: string) => (hosts === 'full' ? 'kept' : { hosts }),
    give: (slot: unknown) => void given.push(slot),
  };
  const { member, thread, exit } = startMember(() => ({ slots }) as unknown as PacedPlaces);
  expect(await thread.call('takeSlot', [1, 'up', false])).toBe('taken');
  expect(await thread.call('takeSlot', [2, 'full', true])).toBe('kept');
  expect(await thread.call('takeSlot', [3, 'other', false])).toBe('taken');
  thread.tell('giveSlot', [3]);
  await expect.poll(() => given).toEqual([{ hosts: 'other' }]);
  member.release();
  expect(given).toHaveLength(1);
  exit();
  expect(given).toEqual([{ hosts: 'other' }, { hosts: 'up' }]);
});

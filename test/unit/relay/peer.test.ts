/** Calls between threads: what crosses, and what happens to calls when the other side ends. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { ThreadPeer, Transferred } from '../../../src/relay/threads/peer.ts';
import { refusal } from '../../../src/smtp/replies.ts';
import { Refusal } from '../../../src/smtp/reply.ts';

type Services = { [name: string]: (...args: any[]) => any };

function pair(services?: Services) {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  const lost: unknown[] = [];
  const caller = new ThreadPeer<Services>(port1, (error) => lost.push(error));
  const other = new ThreadPeer<Services>(port2, (error) => lost.push(error));
  if (services !== undefined) other.serve(services);
  return { caller, other, lost };
}

test('calls are answered, in any order, and tells are obeyed in theirs', async () => {
  const told: number[] = [];
  const { caller } = pair({
    double: (n: number) => 2 * n,
    later: (n: number) => new Promise((resolve) => setTimeout(resolve, 20, n)),
    tell: (n: number) => told.push(n),
  });
  for (const n of [1, 2, 3]) caller.tell('tell', [n]);
  expect(await Promise.all([caller.call('later', [7]), caller.call('double', [2])])).toEqual([7, 4]);
  expect(told).toEqual([1, 2, 3]);
});

test('a refusal is a refusal on the other side, and an error keeps its code', async () => {
  const { caller } = pair({
    refuse: () => {
      throw refusal('tooManySessions');
    },
    fail: async () => {
      throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
    },
  });
  const refused = await caller.call('refuse', []).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Refusal);
  expect((refused as Refusal).reply).toMatchObject({ code: 421 });
  await expect(caller.call('fail', [])).rejects.toMatchObject({ message: 'no room', code: 'ENOSPC' });
});

test('what cannot cross fails alone', async () => {
  const { caller, lost } = pair({ echo: (value: unknown) => value, strange: () => () => {} });
  caller.tell('echo', [() => {}]);
  const [good, bad, answer] = await Promise.allSettled([
    caller.call('echo', [1]),
    caller.call('echo', [() => {}]),
    caller.call('strange', []),
  ]);
  expect([good.status, bad.status, answer.status]).toEqual(['fulfilled', 'rejected', 'rejected']);
  expect(lost).toHaveLength(1);
});

test('memory that is transferred leaves its sender, there and back', async () => {
  const { caller } = pair({ back: (bytes: Uint8Array<ArrayBuffer>) => new Transferred(bytes, [bytes.buffer]) });
  const bytes = new Uint8Array([1, 2, 3]);
  const back = await caller.call('back', [bytes], [bytes.buffer]);
  expect(bytes.byteLength).toBe(0);
  expect([...back]).toEqual([1, 2, 3]);
});

test('when the other side has ended, calls reject and tells are dropped', async () => {
  const { caller } = pair({ never: () => new Promise(() => {}) });
  const waiting = caller.call('never', []);
  caller.end(new Error('The thread has ended'));
  caller.tell('never', []);
  await expect(waiting).rejects.toThrow('ended');
  await expect(caller.call('never', [])).rejects.toThrow('ended');
});

test('what comes before the other side is ready waits for it', async () => {
  const { caller, other } = pair();
  const answer = caller.call('double', [2]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  other.serve({ double: (n: number) => 2 * n });
  expect(await answer).toBe(4);
});

test('what nobody waits for goes with the next message, or some milliseconds later, and keeps its place', async () => {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  const told: unknown[] = [];
  const other = new ThreadPeer<Services>(port2, () => {});
  other.serve({ tell: (n: number) => void told.push(n) });
  let sent = 0;
  const postMessage = (...given: [unknown]) => {
    sent++;
    port1.postMessage(...given);
  };
  const counted = { on: port1.on.bind(port1), postMessage };
  const peer = new ThreadPeer<Services>(counted as unknown as MessagePort, () => {});
  for (const n of [1, 2]) peer.tellLater('tell', [n]);
  await new Promise(setImmediate);
  expect(sent).toBe(0);
  peer.tell('tell', [3]);
  peer.tellLater('tell', [4]);
  await expect.poll(() => told).toEqual([1, 2, 3, 4]);
  expect(sent).toBe(1);
  peer.tellLater('tell', [5]);
  await expect.poll(() => told.length).toBe(5);
  for (let n = 0; n < 256; n++) peer.tellLater('tell', [n]);
  expect(sent).toBe(3);
});

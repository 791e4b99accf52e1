/** A thread of sessions that stands still. */
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { until } from '../support/program.ts';
import { openClient, startTestRelay, USER } from '../support/relay.ts';

const workers = vi.hoisted(() => [] as Worker[]);
vi.mock('node:worker_threads', async (original) => {
  const module = await original<typeof import('node:worker_threads')>();
  const preload = new URL('../support/busy-thread.ts', import.meta.url).href;
  return {
    ...module,
    Worker: class extends module.Worker {
      constructor(...[url, options]: ConstructorParameters<typeof Worker>) {
        const isOurs = options?.name?.startsWith('sessions') === true;
        super(url, isOurs ? { ...options, execArgv: [...(options.execArgv ?? []), `--import=${preload}`] } : options);
        if (isOurs) workers.push(this);
      }
    },
  };
});
vi.mock('../../src/relay/threads/silence.ts', () => ({ TICK: 100, QUIET: 3, TOLD: 5, REPLACED: 100 }));

const TEXT = `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;

test('a thread that answers nothing is told of, gets no new clients, and is replaced: its mail arrives, and the others go on', async () => {
  const relay = await startTestRelay({ yaml: 'threads: 2' });
  onTestFinished(relay.close);
  const clients = [
    await openClient(relay.ports.submissions, { tls: true }),
    await openClient(relay.ports.submissions, { tls: true }),
  ];
  for (const client of clients) expect(await client.login()).toMatch(/^235/);
  const numbers: number[] = [];
  relay.mx.script({
    MAIL({ session }) {
      numbers.push(session);
      if (numbers.length === 1) workers[0]!.postMessage('be busy'); // it has the first client, and so the first attempt
      return numbers.length === 1 ? 'silent' : undefined;
    },
  });
  expect(await clients[0]!.message({ text: TEXT })).toMatch(/^250/);
  expect(await relay.logged('threadSilent')).toMatchObject({ level: 'warn', thread: 1, seconds: 0.5 });
  const late = await openClient(relay.ports.submissions, { tls: true });
  expect(await late.login()).toMatch(/^235/);
  expect(await late.message({ text: TEXT })).toMatch(/^250/);
  expect(await clients[1]!.message({ text: TEXT })).toMatch(/^250/);
  await relay.mx.received(2);
  expect(relay.log.some(({ event }) => event === 'threadEnded')).toBe(false);
  const error = { message: 'The thread answered nothing for 10 s' };
  expect(await relay.logged('threadEnded')).toMatchObject({ thread: 1, error });
  await relay.mx.received(3);
  await until('the next thread', () => workers.length === 3);
  const page = async () => (await fetch(`http://127.0.0.1:${relay.ports.admin}/metrics`)).text();
  await until('its work', async () => /^smarthost_session_threads 2$/m.test(await page()));
  expect(await page()).toMatch(/^smarthost_thread_ends_total 1$/m);
  expect(await page()).toMatch(/^smarthost_thread_sessions{thread="2"} 2$/m);
  for (const client of [...clients, late]) client.close();
});

/** What people at the console cost the mail beside them: searches; an overview and a live list; as many streams and stalled connections as there may be. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../../support/sample.ts';
import { readsOf } from './reads.ts';
import { MIB, note, type Rig } from './rig.ts';
import { measureTurns } from './turns.ts';

const SEARCHES = 5;
const POLL = 5000;
/** Of the whole console. */
const STREAMS = 32;
/** What one caller may have. */
const STREAMS_OF_ONE = 8;
const STALLED = 200;

/** Each kind of list and search in its turn. */
export async function measureSearches(messages: number): Promise<void> {
  const times: number[] = [];
  let log = 0;
  const begin = async (rig: Rig) => {
    const paths = Object.values(readsOf(messages, rig.middle));
    const asked: Promise<unknown>[] = [];
    const timer = setInterval(() => {
      asked.push(rig.ask(paths[asked.length % paths.length]!).then((time) => times.push(time)));
      log = Math.max(log, rig.walSize());
    }, 1000 / SEARCHES);
    return async () => {
      clearInterval(timer);
      await Promise.all(asked);
    };
  };
  await measureTurns({ messages, what: `${SEARCHES} searches a second`, begin });
  note('these searches, p95', quantile(times, 0.95), 'ms');
  note('log of the database beside them, most', log / MIB, 'MiB');
}

/** One person who looks. */
export async function measureLookers(messages: number): Promise<void> {
  await measureTurns({ messages, what: 'an overview and a live list', begin: watch });
}

/** Follows mail, and asks for the overview as an open page does. @returns ends it. */
export async function watch(rig: Rig): Promise<() => Promise<void>> {
  const { status, close } = await openStream(rig);
  if (status !== 200) throw new Error(`live: ${status}`);
  const end = new AbortController();
  const asking = (async () => {
    while (!end.signal.aborted) {
      await rig.ask('/status');
      await sleep(POLL, undefined, { signal: end.signal }).catch(() => {});
    }
  })();
  return async () => {
    end.abort();
    close();
    await asking;
  };
}

/** Stalled connections say nothing, and come again when they are closed. */
export async function measureCrowd(messages: number): Promise<void> {
  const refused: { readonly status: number; readonly time: number }[] = [];
  const begin = async (rig: Rig) => {
    const streams = await Promise.all(Array.from({ length: STREAMS }, (_, i) => openStream(rig, Math.floor(i / STREAMS_OF_ONE))));
    if (streams.some(({ status }) => status !== 200)) throw new Error('not every stream was opened');
    const stalled: Socket[] = [];
    const again = setInterval(() => {
      for (let i = 0; i < STALLED; i++)
        if (stalled[i]?.destroyed !== false) stalled[i] = connect(rig.port, '127.0.0.1').on('error', () => {});
    }, 200);
    await sleep(1000);
    refused.push(await openStream(rig));
    return () => {
      clearInterval(again);
      for (const socket of stalled) socket.destroy();
      for (const { close } of streams) close();
    };
  };
  await measureTurns({ messages, what: `${STREAMS} streams and ${STALLED} stalled connections`, begin });
  note('answers 503 to one stream more', refused.filter(({ status }) => status === 503).length, `of ${refused.length}`);
  note('the slowest of these answers', Math.max(...refused.map(({ time }) => time)), 'ms');
}

async function openStream(rig: Rig, by?: number) {
  const began = performance.now();
  const asked = rig.open('/api/v1/messages/live', by);
  const status = await new Promise<number>((resolve, reject) => {
    asked.once('response', (response) => {
      response.resume().on('error', () => {});
      resolve(response.statusCode ?? 0);
    });
    asked.once('error', reject).end();
  });
  return { status, time: performance.now() - began, close: () => asked.destroy() };
}

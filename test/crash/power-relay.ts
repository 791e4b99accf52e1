/** Starts the real relay on what a power cut left, and waits for each message that was answered 250: RFC 5321 §6.1. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { startDns } from '../support/dns.ts';
import { startMx } from '../support/mx.ts';
import { until } from '../support/program.ts';
import { prepareRelay } from '../support/relay-process.ts';
import { createModel, type Files, RESTS } from './power-model.ts';
import { dueAfter, type Recording, writeFiles } from './power-run.ts';

export type RelayFigures = { readonly starts: number; readonly arrived: number; readonly wrong: readonly string[] };

/** @param count of cuts, spread over the recording, each with one of the things that may be left */
export async function startAfterCuts(recording: Recording, count: number, random: () => number): Promise<RelayFigures> {
  const { events } = recording;
  const filesAfterCut = createModel(recording.base, events);
  const cuts = Array.from({ length: count }, (_, i) => ({
    event: events[Math.floor(((i + random()) * events.length) / count)]!,
    rest: RESTS[i % RESTS.length]!,
  }));
  let arrived = 0;
  const wrong: string[] = [];
  const worker = async () => {
    for (let cut = cuts.shift(); cut !== undefined; cut = cuts.shift()) {
      const { end, at } = cut.event;
      const due = dueAfter(recording, at);
      const missing = await arrivals(recording, filesAfterCut(end + 1, cut.rest, random), due);
      arrived += due.length - missing.length;
      wrong.push(...missing.map((what) => `cut behind line ${end}, ${cut.rest}: ${what}`));
    }
  };
  await Promise.all([worker(), worker()]);
  return { starts: count, arrived, wrong };
}

/** @returns what is wrong after a start on these files */
async function arrivals(recording: Recording, files: Files, due: ReturnType<typeof dueAfter>): Promise<string[]> {
  const mx = await startMx();
  const dns = await startDns({ 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: [mx.address] } });
  const relay = await prepareRelay({ dns: dns.server, deliveryPort: mx.port });
  try {
    const data = join(relay.folder, 'data');
    writeFiles(data, recording.folder, files);
    for (const closed of [data, join(data, 'spool')]) chmodSync(closed, 0o700);
    await relay.start();
    const whole = (body: string) => mx.messages.some((message) => message.data.toString('latin1').endsWith(`\r\n\r\n${body}`));
    const absent = () => due.filter(({ body }) => !whole(body));
    await until('the messages', () => absent().length === 0, { deadline: 60_000 }).catch(() => {}); // told below
    const damaged = relay.events('damaged').map(({ reason }) => `set aside: ${reason}`);
    return [...absent().map(({ token }) => `${token} does not arrive`), ...damaged];
  } catch (error) {
    return [String(error)];
  } finally {
    await relay.close();
    await Promise.all([mx.close(), dns.close()]);
  }
}

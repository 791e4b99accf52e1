/** Starts the real relay on what a power cut left, and waits for each message that was answered 250: RFC 5321 §6.1. */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startDns } from '../support/dns.ts';
import { startMx } from '../support/mx.ts';
import { temporaryFolder, until } from '../support/program.ts';
import { prepareRelay } from '../support/relay-process.ts';
import { createModel, type Files, RESTS } from './power-model.ts';
import { dueAfter, isReportTo, type Recording, writeFiles } from './power-run.ts';

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
      const { missing, arrivals } = await startOn(recording, filesAfterCut(end + 1, cut.rest, random), { due, at });
      arrived += arrivals;
      wrong.push(...missing.map((what) => `cut behind line ${end}, ${cut.rest}: ${what}`));
    }
  };
  await Promise.all([worker(), worker()]);
  return { starts: count, arrived, wrong };
}

type Due = { readonly due: ReturnType<typeof dueAfter>; readonly at: number };

/** @returns what is wrong after a start on these files, and how many of the messages that are due have arrived */
async function startOn(recording: Recording, files: Files, { due, at }: Due): Promise<{ missing: string[]; arrivals: number }> {
  const { world, reportedAt } = recording;
  const mx = await startMx(world.mx);
  const dns = await startDns(world.zone(mx.address));
  const relay = await prepareRelay({ dns: dns.server, deliveryPort: mx.port, settings: world.settings });
  try {
    const data = join(relay.folder, 'data');
    writeFiles(data, recording.folder, files);
    for (const closed of [data, join(data, 'spool')]) chmodSync(closed, 0o700);
    const wasOpen = world.reportTo !== undefined && wasReportOpen(recording, files, world.reportTo);
    await relay.start();
    const whole = (body: string) => mx.messages.some((message) => message.data.toString('latin1').endsWith(`\r\n\r\n${body}`));
    const absent = () => due.filter(({ body }) => !whole(body));
    const reports = () => (world.reportTo === undefined ? 0 : mx.messages.filter(isReportTo(world.reportTo)).length);
    // Once, and a second time only if the record of its end was not synced.
    const before = reportedAt !== undefined && reportedAt <= at ? 1 : 0;
    const owed = wasOpen ? 1 : 0;
    await until('the messages', () => absent().length === 0 && reports() >= owed, { deadline: 150_000 }).catch(() => {}); // told below
    if (wasOpen) await until('its end', () => !isReportOpen(data, world.reportTo!), { deadline: 60_000 }).catch(() => {}); // told below
    const damaged = relay.events('damaged').map(({ reason }) => `set aside: ${reason}`);
    const areReportsRight = reports() === owed && before + reports() >= (world.reportTo === undefined ? 0 : 1);
    const missing = [
      ...absent().map(({ token }) => `${token} does not arrive`),
      ...damaged,
      ...(areReportsRight ? [] : [`the report arrives ${before} times before and ${reports()} times after it`]),
    ];
    return { missing, arrivals: due.length - absent().length };
  } catch (error) {
    return { missing: [String(error)], arrivals: 0 };
  } finally {
    await relay.close();
    await Promise.all([mx.close(), dns.close()]);
  }
}

/** Asked on a copy, because whoever opens a database changes its files. */
function wasReportOpen({ folder }: Recording, files: Files, domain: string): boolean {
  const copy = temporaryFolder('cut');
  try {
    writeFiles(copy.path, folder, files);
    return isReportOpen(copy.path, domain);
  } finally {
    copy.remove();
  }
}

/** It is still asked for, or its mail has not ended. */
function isReportOpen(data: string, domain: string): boolean {
  const database = new DatabaseSync(join(data, 'smarthost.db'));
  try {
    const asked = database.prepare("SELECT 1 FROM small_values WHERE name LIKE 'tlsReports.ask.%'").get();
    const mail = database.prepare('SELECT 1 FROM tls_reports JOIN open ON id = queue_id WHERE domain = ?').get(domain);
    const row = database.prepare('SELECT 1 FROM tls_reports WHERE domain = ?').get(domain);
    return mail !== undefined || (row === undefined && asked !== undefined);
  } finally {
    database.close();
  }
}

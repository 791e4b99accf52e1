/** Records what a relay writes while it takes and delivers mail, and looks for each message in what a power cut would have left. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { isIntactContent } from '../../src/store/sqlite/rows.ts';
import { startDns } from '../support/dns.ts';
import { startMx } from '../support/mx.ts';
import type { ReceivedMessage } from '../support/mx-server.ts';
import { temporaryFolder, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { submit } from '../support/smtp-send.ts';
import { createModel, type Files, RESTS } from './power-model.ts';
import { PLAIN, type PowerWorld } from './power-world.ts';
import { type FileEvent, readWriteLog, TRACE } from './write-log.ts';

const SENDER = 'app@sender.test';
const PASSWORD = 'green meadow 27';
const DAY = 86_400_000;
const CHECKOUT = new URL('../..', import.meta.url).pathname;

/** Milliseconds since 1970. `gone`: the destination took it. */
type Acknowledged = { readonly token: string; readonly body: string; readonly at: number; gone?: number };
export type Recording = {
  readonly world: PowerWorld;
  /** When the destination took the report about TLS. */
  readonly reportedAt: number | undefined;
  readonly folder: string;
  readonly base: Files;
  readonly events: readonly FileEvent[];
  readonly acknowledged: readonly Acknowledged[];
};
export type PowerFigures = {
  readonly events: number;
  readonly syncs: number;
  readonly cuts: number;
  readonly lost: readonly string[];
};

type RecordOptions = { readonly world?: PowerWorld; readonly program?: string };

/** @param program another smarthost.ts @param messages small and large, to a destination that takes them and one that never does */
export async function record(messages: number, { world = PLAIN, program }: RecordOptions = {}): Promise<Recording> {
  const script = {
    RCPT: ({ address }: { readonly address: string }) => (address.startsWith('later') ? '451 4.2.0 Later, please' : undefined),
  };
  const mx = await startMx({ ...world.mx, script });
  const dns = await startDns(world.zone(mx.address));
  const { settings, recipients } = world;
  const options = { dns: dns.server, deliveryPort: mx.port, settings, ...(program === undefined ? {} : { program }) };
  const relay = await prepareRelay(options);
  const log = temporaryFolder('writes');
  try {
    await relay.addUser(SENDER, PASSWORD, '--sender', '@sender.test');
    await relay.start();
    await relay.stop();
    const folder = join(relay.folder, 'data');
    if (world.reportTo !== undefined) await owe(relay, folder, world.reportTo);
    const base = readFiles(folder);
    const file = join(log.path, 'log');
    await relay.start(['strace', '-f', ...TRACE, '-o', file]);
    const acknowledged: Acknowledged[] = [];
    const account = { address: relay.address, port: relay.ports.submissions, user: SENDER, password: PASSWORD, from: SENDER };
    for (let i = 0; i < messages; i++) {
      const token = `power-${i}-`;
      const to = recipients[i % recipients.length]!;
      const body = `${token} ${'x'.repeat(60)}\r\n`.repeat(i % 4 < 2 ? 10 : 4200);
      await submit({ ...account, to: [to], message: `From: <${SENDER}>\r\nTo: <${to}>\r\nSubject: ${token}\r\n\r\n${body}` });
      acknowledged.push({ token, body, at: Date.now() + 1 });
    }
    const odd = Math.floor(messages / 2);
    const expected = odd + (world.reportTo === undefined ? 0 : 1);
    await until('the deliveries', () => relay.events('relayed').length >= expected, { context: relay.output });
    const stopped = Date.now();
    await relay.stop('SIGTERM');
    for (const { data, receivedAt } of mx.messages) {
      const one = acknowledged.find(({ token }) => data.includes(`Subject: ${token}\r\n`));
      if (one !== undefined) one.gone ??= receivedAt;
    }
    const events = readWriteLog(readFileSync(file, 'latin1'), folder).filter(({ at }) => at <= stopped);
    const reportedAt = world.reportTo && mx.messages.find(isReportTo(world.reportTo))?.receivedAt;
    return { world, reportedAt: reportedAt || undefined, folder, base, events, acknowledged };
  } finally {
    await relay.close();
    await Promise.all([mx.close(), dns.close()]);
    log.remove();
  }
}

/** Sessions of the day before, and an operator who asks for the report about them: it is written at the next start. */
async function owe(relay: RelayProcess, folder: string, domain: string): Promise<void> {
  const day = Math.floor(Date.now() / DAY) - 1;
  const database = new DatabaseSync(join(folder, 'smarthost.db'));
  database.exec("INSERT INTO tls_policies_seen VALUES ('none', '', '')");
  database.prepare("INSERT INTO tls_results VALUES (?, ?, 'none', 'no-policy-found', ?, 1, 1)").run(day, domain, domain);
  database.close();
  await relay.command(['tls', 'reports', 'send', new Date(day * DAY).toISOString().slice(0, 10), domain]);
}

export const isReportTo =
  (domain: string) =>
  ({ data }: ReceivedMessage): boolean =>
    data.includes(`TLS-Report-Domain: ${domain}\r\n`);

/** Cuts the power behind calls of the recording, evenly spread, each with all that may be left. @param limit the most cuts */
export function cutEverywhere(recording: Recording, limit: number, random: () => number): PowerFigures {
  const { base, events } = recording;
  const step = Math.max(1, (events.length * RESTS.length) / limit);
  const filesAfterCut = createModel(base, events);
  const lost: string[] = [];
  let cuts = 0;
  for (let i = 0; i < events.length; i += step) {
    const { end, at } = events[Math.floor(i)]!;
    for (const rest of RESTS) {
      const files = filesAfterCut(end + 1, rest, random);
      const due = dueAfter(recording, at);
      cuts++;
      lost.push(...missing(recording, files, { due, at }).map((what) => `cut behind line ${end}, ${rest}: ${what}`));
    }
  }
  return { events: events.length, syncs: events.filter(({ kind }) => kind === 'sync').length, cuts, lost };
}

/** What a store must hold that lost its power at `at`: answered 250 before, and not delivered. */
export const dueAfter = ({ acknowledged }: Recording, at: number): readonly Acknowledged[] =>
  acknowledged.filter((one) => one.at <= at && (one.gone === undefined || one.gone > at));

type Due = { readonly due: readonly Acknowledged[]; readonly at: number };

/** What of these messages, and of the report, is not whole in a store that starts from these files. */
function missing({ folder, world, reportedAt }: Recording, files: Files, { due, at }: Due): readonly string[] {
  const copy = temporaryFolder('cut');
  try {
    writeFiles(copy.path, folder, files);
    const found = contentsOf(copy.path);
    const isWhole = ({ token, body }: Acknowledged) =>
      found.some((text) => text.includes(`Subject: ${token}\r\n`) && text.endsWith(body));
    const report = world.reportTo && reportFault(copy.path, world.reportTo, reportedAt !== undefined && reportedAt <= at);
    return [...due.filter((one) => !isWhole(one)).map(({ token }) => `${token} is lost`), ...(report ? [report] : [])];
  } catch (error) {
    return [`the store cannot be read: ${error}`];
  } finally {
    copy.remove();
  }
}

/** A report has its row and its mail, or neither, and then it is still asked for. @param isSent its mail may have ended */
function reportFault(folder: string, domain: string, isSent: boolean): string | undefined {
  const database = new DatabaseSync(join(folder, 'smarthost.db'));
  try {
    const rows = database.prepare('SELECT state, queue_id AS id FROM tls_reports WHERE domain = ?').all(domain);
    const mails = database.prepare("SELECT message FROM recipients WHERE address = 'tls@dest.test'").all();
    const asked = database.prepare("SELECT count(*) AS n FROM small_values WHERE name LIKE 'tlsReports.ask.%'").get()!['n'];
    if (rows.length > 1 || mails.length !== rows.length) return `${rows.length} rows and ${mails.length} mails of one report`;
    const [row] = rows;
    if (row === undefined) return asked === 0 ? 'the report is not there, and not asked for' : undefined;
    if (row['id'] !== mails[0]!['message']) return 'the row of the report names another mail';
    const isOpen = database.prepare('SELECT 1 FROM open WHERE id = ?').get(row['id']!) !== undefined;
    return isOpen || isSent ? undefined : 'the mail of the report has ended before it was sent';
  } finally {
    database.close();
  }
}

/** Of each open message, the beginning that its checksums vouch for. @throws Error for a damaged store */
function contentsOf(folder: string): readonly string[] {
  const database = new DatabaseSync(join(folder, 'smarthost.db'));
  try {
    database.exec('PRAGMA synchronous = OFF');
    const check = database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
    if (check !== 'ok') throw new Error(String(check));
    const rows = database.prepare('SELECT o.*, c.bytes FROM open o JOIN contents c ON c.key = o.content').all();
    return rows.flatMap((row) => {
      const bytes = row['bytes'] as Uint8Array;
      if (!isIntactContent(String(row['id']), bytes, Number(row['verify']))) return [];
      if (row['spool'] === null) return [Buffer.from(bytes).toString('latin1')];
      const spool = join(folder, 'spool', String(row['spool']));
      if (statSync(spool, { throwIfNoEntry: false })?.size !== row['spool_size']) return [];
      const body = readFileSync(spool); // the text; the header is in the row, with what we put in front
      return crc32(body) === row['spool_verify'] ? [Buffer.concat([bytes, body]).toString('latin1')] : [];
    });
  } finally {
    database.close();
  }
}

/** Puts the files of one folder into another. */
export function writeFiles(to: string, from: string, files: Files): void {
  mkdirSync(join(to, 'spool'), { recursive: true });
  for (const [path, data] of files) {
    const file = join(to, path.slice(from.length));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, data, { mode: 0o600 });
  }
}

function readFiles(folder: string): Files {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
  const files = names.filter((path) => statSync(path).isFile() && !path.endsWith('-shm'));
  return new Map(files.map((path) => [path, readFileSync(path)]));
}

/** A copy of the relay with one file changed, to see that a test notices. @returns its smarthost.ts */
export function changedProgram(file: string, change: (source: string) => string): { readonly program: string; remove(): void } {
  const copy = temporaryFolder('changed');
  cpSync(join(CHECKOUT, 'src'), join(copy.path, 'src'), { recursive: true });
  cpSync(join(CHECKOUT, 'package.json'), join(copy.path, 'package.json'));
  symlinkSync(join(CHECKOUT, 'node_modules'), join(copy.path, 'node_modules'));
  const path = join(copy.path, 'src', file);
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  if (after === before) throw new Error(`nothing to change in ${file}`);
  writeFileSync(path, after);
  return { program: join(copy.path, 'src/smarthost.ts'), remove: () => rmSync(copy.path, { recursive: true, force: true }) };
}

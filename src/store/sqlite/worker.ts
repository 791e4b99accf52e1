/** The thread of the store. It takes requests, commits changes in groups, and answers after the commit. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type Database, isCorrupt, openDatabase, resultCode, SQLITE_BUSY, SQLITE_FULL } from './database.ts';
import { DueDestinations } from './due.ts';
import { Feed } from './feed.ts';
import { commitGroup, type GroupResult, rejectAll, runRead } from './group-commit.ts';
import { operationNamed } from './operations.ts';
import { SignsOfLife } from './owners.ts';
import { Ports } from './ports.ts';
import { describe, type FromWorker, type Request, type ToWorker, type WorkerOptions } from './protocol.ts';

/** The largest transaction, in requests and in bytes of content. */
const GROUP_REQUESTS = 256;
const GROUP_BYTES = 8 * 1024 * 1024;
const READING_TIME = 5;
const WATCH_INTERVAL = 1000;

const port = parentPort as MessagePort;
const ports = new Ports(port, ([, name, argument], result) => operationNamed(name).transfer?.(result, argument) ?? []);
const { path, spoolDir, busyTimeout } = workerData as WorkerOptions;
const writes: Request[] = [];
const reads: Request[] = [];
const services = { due: new DueDestinations(), signs: new SignsOfLife(), feed: new Feed(), spoolDir };
let database: Database | undefined;
let version: unknown;
let foreign = false;
let closing = false;
let started = false;
let scheduled = false;

/** Opens the database, also again after a failure. If it fails, the waiting requests are rejected. */
function open(): Database {
  if (database === undefined) {
    database = openDatabase(path, busyTimeout);
    if (!started) services.feed.start(database);
    started = true;
    version = dataVersion(database);
    services.due.forget();
    services.signs.forget();
  }
  return database;
}

const dataVersion = (db: Database) => db.get<{ data_version: number }>('PRAGMA data_version')?.data_version;

/** After a failed sync, the system may treat pages as clean that never reached the disk. Only a new connection writes them again. */
function drop(): void {
  try {
    database?.close();
  } catch {
    // The connection is of no more use. The next one reads the log from its beginning.
  }
  database = undefined;
}

function receive(from: MessagePort, message: ToWorker): void {
  if (message === 'close') closing = true;
  else if (message === 'watch') setInterval(lookForChanges, WATCH_INTERVAL).unref();
  else if ('port' in message) ports.add(message.port, listen);
  else
    for (const request of ports.take(from, message)) (operationNamed(request[1]).kind === 'write' ? writes : reads).push(request);
}

function listen(from: MessagePort): void {
  from.on('message', (message: ToWorker) => {
    receive(from, message);
    schedule();
  });
}

function work(): void {
  scheduled = false;
  for (const from of ports.all)
    for (let more = receiveMessageOnPort(from); more !== undefined; more = receiveMessageOnPort(from))
      receive(from, more.message);
  if (writes.length > 0) run(takeGroup(), (db, group) => commitGroup(db, services, group));
  readForAWhile();
  if (writes.length + reads.length > 0) schedule();
  else if (closing) close();
}

/** Reads and writes alternate: at least one read follows each group, and writes wait a few milliseconds for reads. */
function readForAWhile(): void {
  const end = performance.now() + READING_TIME;
  for (let request = reads.shift(); request !== undefined; request = performance.now() < end ? reads.shift() : undefined)
    run([request], (db, [one]) => runRead(db, services, one as Request));
}

/** The thread reads its port between two transactions, so that new requests join the next one. */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(work);
}

function takeGroup(): Request[] {
  let bytes = 0;
  let count = 0;
  while (count < writes.length && count < GROUP_REQUESTS && bytes < GROUP_BYTES) bytes += contentLength(writes[count++]);
  return writes.splice(0, count);
}

function contentLength(request: Request | undefined): number {
  const message = (request?.[2] as { message?: { bytes?: Uint8Array } } | undefined)?.message;
  return message?.bytes?.byteLength ?? 0;
}

function run(requests: Request[], action: (db: Database, requests: Request[]) => GroupResult): void {
  let outcome: GroupResult;
  try {
    const db = open();
    checkVersion(db);
    outcome = action(db, requests);
  } catch (error) {
    outcome = { ...rejectAll(requests, describe(error)), error };
  }
  if (outcome.error !== undefined && needsNewConnection(outcome.error)) drop();
  ports.answer(requests, outcome);
}

/** False if the connection is sound: the disk is full, another process is slow, or a page is damaged. */
function needsNewConnection(error: unknown): boolean {
  const code = resultCode(error);
  return code !== SQLITE_BUSY && code !== SQLITE_FULL && !isCorrupt(error);
}

/** `data_version` of SQLite changes with the commits of other connections. */
function checkVersion(db: Database): void {
  const now = dataVersion(db);
  if (now === version) return;
  version = now;
  foreign = true;
  services.due.forget();
}

function lookForChanges(): void {
  if (closing) return; // a connection that is opened after the last request would leave its files behind
  try {
    checkVersion(open());
  } catch {
    return; // the next request gets the error
  }
  if (!foreign) return;
  foreign = false;
  const changes = services.feed.read(open());
  if (changes.length > 0) ports.tell(changes);
}

function close(): void {
  drop();
  port.postMessage('closed' satisfies FromWorker);
  ports.close();
}

try {
  open();
  listen(port);
  port.postMessage('opened' satisfies FromWorker);
} catch (error) {
  port.postMessage({ refused: describe(error) } satisfies FromWorker);
  port.close();
}

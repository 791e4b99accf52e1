/**
 * The thread of a store on PostgreSQL. It has the ports of the store in files, and a connection for each job: one writes mail in groups,
 * one writes all else, one reads, one gives signs of life and hears of changes, and one writes large bodies.
 */
import { hostname } from 'node:os';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { MINUTE, SECOND } from '../../system/clock.ts';
import { Effects } from '../sqlite/effects.ts';
import { ANY_CHANGE } from '../sqlite/feed.ts';
import { SignsOfLife } from '../sqlite/owners.ts';
import { Ports } from '../sqlite/ports.ts';
import type { Announcement, Failure, FromWorker, Request, ToWorker } from '../sqlite/protocol.ts';
import type { DatabaseSize } from '../store.ts';
import { LaxDatabase } from './acceptance.ts';
import { sendNote } from './audit-rows.ts';
import { type ChunkRequest, isChunkRequest, runChunk } from './chunks.ts';
import { CONDITION_TICK, Condition } from './condition.ts';
import { databaseFailure, isOfOneRequest } from './database-failure.ts';
import {
  ConnectionLost,
  type DatabaseHost,
  type DatabaseSession,
  type DatabaseSessionOptions,
  type ServerOptions,
} from './database-session.ts';
import { DatabaseTransaction, mustLeave, PATIENCE, Writer, WriterTaken } from './database-transaction.ts';
import { DueChanges, DueMemory } from './due-memory.ts';
import { Link } from './link.ts';
import { runMail } from './mail-group.ts';
import { keepNode, leaveNode, livingOthers, MAIL, type Node, REST, readClock, SignTimes, takeNode } from './nodes.ts';
import { sendSigns } from './owner-rows.ts';
import { Past } from './past.ts';
import type { PostgresContext } from './postgres-context.ts';
import { postgresOperation } from './postgres-operations.ts';
import { migrateDatabase } from './postgres-schema.ts';
import { memoryOf, RequestAnswers } from './request-answers.ts';
import { Revisions, writeChanges } from './revisions.ts';
import { lockLease } from './value-rows.ts';

export type PostgresWorkerOptions = {
  readonly server: ServerOptions;
  /** Of this relay. */
  readonly name: string;
  /** Bytes of the database above which it counts as full. */
  readonly maxSize: number;
  /** Of this relay: what it knows of the database's past. Absent: this is no relay. */
  readonly pastFile?: string | undefined;
};

/** The largest transaction, in requests and in bytes of content. */
const GROUP_REQUESTS = 256;
const GROUP_BYTES = 8 * 1024 * 1024;
const LOOK = SECOND;
const MEASURE = MINUTE;
const SIZE = `
  SELECT pg_database_size(current_database()) AS bytes, coalesce((
    SELECT time_ms() / 1000.0 - extract(epoch FROM min(xact_start)) FROM pg_stat_activity
    WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()), 0)::float8 AS "oldestTransaction"`;
/** Enough for one look at each server. */
const LEAST_PATIENCE = SECOND;
const START_PATIENCE = 10 * SECOND;

const port = parentPort as MessagePort;
const { server, name: relayName, maxSize, pastFile } = workerData as PostgresWorkerOptions;
const ports = new Ports(port, ([, name, argument], result) => memoryOf(name, result, argument));
const answers = new RequestAnswers(ports);
/** A connection that has found the primary tells the others. */
const onFound = (primary: DatabaseHost) => {
  for (const one of Object.values(links)) one.follow(primary);
};
const link = (job: string, { setting, ...plans }: { readonly setting?: string } & Pick<DatabaseSessionOptions, 'plans'> = {}) =>
  new Link({
    ...{ server, name: `smarthost/${hostname()}/${job}`, onFound, ...plans },
    async greet(session) {
      if (setting !== undefined) await session.ask(setting);
      if (isOpen) await past.look(session); // before all requests; at the start, the tables come first
    },
  });
const links: Readonly<Record<'mail' | 'rest' | 'read' | 'life' | 'chunks', Link>> = {
  mail: link('mail', { plans: 'kept' }),
  rest: link('rest'),
  read: link('read'),
  // A sign of life waits for no standby: a failover may forget the last ones.
  life: link('life', { setting: 'SET synchronous_commit = local' }),
  chunks: link('bodies', { setting: 'SET synchronous_commit = off' }),
};
const due = new DueMemory();
const signs = new SignsOfLife();
const revisions = new Revisions();
const past = new Past({
  file: pastFile,
  onWentBack(wentBack) {
    forget();
    port.postMessage({ wentBack } satisfies FromWorker);
  },
  onRestored: () => port.postMessage({ isRestored: true } satisfies FromWorker),
  onForgetful: (error) => answers.rejectAll([], error), // a trouble, though of no request
});
const condition = new Condition((now) => port.postMessage({ condition: now } satisfies FromWorker));
const mail: Request[] = [];
/** When each of them came, by `performance.now()`. */
const mailSince: number[] = [];
const rest: Request[] = [];
let node: Node;
let isOpen = false;
/** The names of the other relays that live. */
let others: readonly string[] = [];
/** Of the settings. Only a relay has one. */
let digest: string | undefined;
let writers: { readonly mail: Writer; readonly rest: Writer };
let renewing: Promise<void> | undefined;
/** The session of the feed. Another one means that changes were missed. */
let heard: DatabaseSession | undefined;
const signTimes = new SignTimes();
let measuredAt = Number.NEGATIVE_INFINITY;
let watched = false;
let closing = false;
let scheduled = false;
/** Requests that are being worked on: mail and all else one after the other, reads and chunks at the same time. */
const busy = { mail: false, rest: false, others: 0, life: false };

function receive(from: MessagePort, message: ToWorker | Announcement): void {
  if (message === 'close') closing = true;
  else if (message === 'watch') watched = true;
  else if ('digest' in message) {
    digest = message.digest;
    signTimes.announce();
    void live(); // until then this is no relay for the others
  } else if ('port' in message) ports.add(message.port, listen);
  else for (const request of ports.take(from, message)) admit(request);
}

function admit(request: Request): void {
  const name: string = request[1];
  const operation = postgresOperation(name);
  const isMail = name === 'accept' || name === 'settle';
  if (isMail && request[4] !== undefined) answers.rejectAll([request], new TypeError('A claim, and no lease, guards mail'));
  else if (isMail) {
    mail.push(request);
    mailSince.push(performance.now());
  } else if (name === 'beat')
    void answerAlone(request, links.life); // no long work of this process may delay a sign of life
  else if (operation?.kind === 'write') rest.push(request);
  else void answerAlone(request, isChunkRequest(name) ? links.chunks : links.read);
}

function listen(from: MessagePort): void {
  from.on('message', (message: ToWorker) => {
    receive(from, message);
    schedule();
  });
}

/** All that the ports have at this moment joins the next group. */
function schedule(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    for (const from of ports.all)
      for (let more = receiveMessageOnPort(from); more !== undefined; more = receiveMessageOnPort(from))
        receive(from, more.message);
    void workOnMail();
    void workOnRest();
    endIfDone();
  });
}

async function workOnMail(): Promise<void> {
  if (busy.mail) return;
  busy.mail = true;
  while (mail.length > 0) {
    // What has waited behind a group that got no answer waits no longer than that group did.
    const waited = performance.now() - mailSince[0]!;
    await commitMail(takeGroup(), Math.max(PATIENCE - waited, LEAST_PATIENCE));
  }
  busy.mail = false;
  endIfDone();
}

async function workOnRest(): Promise<void> {
  if (busy.rest) return;
  busy.rest = true;
  for (let request = rest.shift(); request !== undefined; request = rest.shift()) await commitRest(request);
  busy.rest = false;
  endIfDone();
}

function takeGroup(): Request[] {
  let bytes = 0;
  let count = 0;
  while (count < mail.length && count < GROUP_REQUESTS && bytes < GROUP_BYTES) bytes += contentLength(mail[count++]);
  mailSince.splice(0, count);
  return mail.splice(0, count);
}

function contentLength(request: Request | undefined): number {
  return (request?.[2] as { message?: { bytes?: Uint8Array } } | undefined)?.message?.bytes?.byteLength ?? 0;
}

/** An error of one request must not fail the others, so that each of them then has a transaction of its own. */
async function commitMail(group: readonly Request[], patience: number): Promise<void> {
  const begun = performance.now();
  try {
    const services = { signs, durability: server.durability, machine: relayName };
    const { result, effects } = await write(
      'mail',
      async (tx, effects, changes) => {
        const outcomes = await runMail(tx, effects, { ...services, due: changes }, group);
        return { outcomes, changes: writeChanges(tx, effects.changes, node.incarnation) };
      },
      patience,
    );
    const results: unknown[] = [];
    const failures: [number, Failure][] = [];
    let trouble: Failure | null = null;
    for (const [id, outcome] of await result.outcomes()) {
      if ('error' in outcome) failures.push([id, databaseFailure(outcome.error)]);
      else results.push(id, outcome.result);
      if ('error' in outcome && outcome.error instanceof LaxDatabase) trouble = databaseFailure(outcome.error);
    }
    answers.answer(group, { results, failures, effects, changes: result.changes, begun, trouble });
  } catch (error) {
    forget();
    if (group.length > 1 && isOfOneRequest(error)) for (const request of group) await commitMail([request], patience);
    else answers.rejectAll(group, error);
  }
}

async function commitRest(request: Request): Promise<void> {
  const begun = performance.now();
  const [id, name, argument, note, lease] = request;
  try {
    const { result, effects } = await write('rest', async (tx, effects, changes) => {
      if (lease !== undefined) await lockLease(tx, lease);
      const result = await postgresOperation(name)!.run(contextOf(tx, effects, changes), argument as never);
      if (note !== undefined) sendNote({ tx, effects }, note, result);
      return { result, changes: writeChanges(tx, effects.changes, node.incarnation) };
    });
    answers.answer([request], { results: [id, result.result], failures: [], effects, changes: result.changes, begun });
  } catch (error) {
    forget();
    answers.rejectAll([request], error);
  }
}

/** Reads and chunks change nothing that must be waited for. They run again where the connection is lost. */
async function answerAlone(request: Request, from: Link): Promise<void> {
  const [id, name, argument] = request;
  busy.others++;
  try {
    const result = await onceMore(from, async (session) => {
      if (isChunkRequest(name)) return runChunk(session, [name, argument] as unknown as ChunkRequest);
      const operation = postgresOperation(name);
      if (operation === undefined) throw new Error(`This store has no operation ${name}`);
      return operation.run(contextOf(new DatabaseTransaction(session), new Effects(), new DueChanges()), argument as never);
    });
    answers.answer([request], { results: [id, result], failures: [], effects: new Effects(), changes: [], begun: null });
  } catch (error) {
    answers.rejectAll([request], error);
  } finally {
    busy.others--;
    endIfDone();
  }
}

async function onceMore<T>(from: Link, ask: (session: DatabaseSession) => Promise<T>): Promise<T> {
  // A client who logs in hears soon that it must come again.
  const until = performance.now() + (condition.isUnreachable ? LEAST_PATIENCE : PATIENCE);
  for (;;) {
    const session = await from.session(until);
    try {
      return await ask(session);
    } catch (error) {
      if (performance.now() >= until || !(error instanceof ConnectionLost || mustLeave(error))) throw error;
      session.destroy('it is not the primary any more');
    }
  }
}

type Work<T> = (tx: DatabaseTransaction, effects: Effects, changes: DueChanges) => Promise<T>;

async function write<T>(which: 'mail' | 'rest', work: Work<T>, patience = PATIENCE) {
  let changes = new DueChanges();
  const run = (tx: DatabaseTransaction, effects: Effects) => work(tx, effects, (changes = new DueChanges()));
  const done = await writers[which].transaction(run, patience).catch(async (error: unknown) => {
    if (!(error instanceof WriterTaken)) throw error;
    await renew();
    return writers[which].transaction(run, patience);
  });
  due.changed(changes);
  return done;
}

const contextOf = (tx: DatabaseTransaction, effects: Effects, changes: DueChanges): PostgresContext => ({
  ...{
    tx,
    effects,
    due: changes,
    dueMemory: due,
    node: node.id,
    ...{ incarnation: node.incarnation, machine: relayName, others },
  },
  sign: (lease) => sendSigns(tx, signs, [lease]),
});

function forget(): void {
  signs.forget();
  due.forget();
}

/** Each second: what others have changed. Each five seconds: a sign of life of this process. */
async function live(): Promise<void> {
  if (busy.life || closing) return;
  busy.life = true;
  try {
    const session = await links.life.session(performance.now() + LOOK);
    if (signTimes.isDue(performance.now())) {
      const given = signTimes.begin();
      await tellClock(session);
      if (digest !== undefined) await past.note(session);
      if (!(await keepNode(session, node, digest))) await renew();
      await lookAtOthers(session);
      await measure(session);
      given(performance.now());
    }
    const changes = session === heard ? await revisions.read(session, node.incarnation) : ANY_CHANGE;
    if (session !== heard) await revisions.read(session, node.incarnation);
    heard = session;
    condition.answered();
    if (changes.some((change) => change.startsWith('queue:'))) due.forget();
    if (watched && changes.length > 0) ports.tell(changes);
  } catch {
    // The next second tries again. Requests get the error of their own connections.
    busy.life = false;
    return;
  }
  busy.life = false;
  if (signTimes.isUntold) void live();
}

/** Once a minute: before the disk is full PostgreSQL must get no more mail, because it stops then. */
async function measure(session: DatabaseSession): Promise<void> {
  if (performance.now() - measuredAt < MEASURE) return;
  const { rows } = await session.ask<DatabaseSize>(SIZE);
  condition.measured(rows[0]!.bytes > maxSize);
  port.postMessage({ database: rows[0]! } satisfies FromWorker);
  measuredAt = performance.now();
}

/** The retries of a relay that has died are anyone's. */
async function lookAtOthers(session: DatabaseSession): Promise<void> {
  const relays = await livingOthers(session, node);
  port.postMessage({ relays } satisfies FromWorker);
  const now = [...new Set(relays.map(({ name }) => name))].filter((name) => name !== relayName);
  const hasDied = others.some((other) => !now.includes(other));
  others = now;
  if (!hasDied) return;
  due.forget();
  if (watched) ports.tell(['queue:*']);
}

async function tellClock(session: DatabaseSession): Promise<void> {
  const clock = await readClock(session);
  if (clock !== undefined) ports.tellClock(clock);
}

/** Another process has the number of this one, because this one was silent for too long. */
function renew(): Promise<void> {
  renewing ??= (async () => {
    // The data may have changed under its connections, by a restore too: a new session is looked at before it works.
    const before = await links.life.session(performance.now() + PATIENCE);
    await past.refuseOther(before);
    before.destroy('the number of this process is taken');
    const session = await links.life.session(performance.now() + PATIENCE);
    node = await takeNode(session, relayName, digest);
    writers.mail.renew(node.rows[MAIL]);
    writers.rest.renew(node.rows[REST]);
  })().finally(() => {
    renewing = undefined;
  });
  return renewing;
}

function endIfDone(): void {
  if (!closing || busy.mail || busy.rest || busy.others > 0 || mail.length + rest.length > 0) return;
  void end();
}

let ending = false;
async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  clearInterval(life);
  clearInterval(ticking);
  const session = heard?.isLost === false ? heard : undefined;
  if (session !== undefined) await leaveNode(session, node).catch(() => {});
  await Promise.all(Object.values(links).map((one) => one.close()));
  port.postMessage('closed' satisfies FromWorker);
  ports.close();
}

let life: NodeJS.Timeout | undefined;
let ticking: NodeJS.Timeout | undefined;
try {
  const until = performance.now() + START_PATIENCE;
  const session = await links.life.session(until);
  await past.refuseEmpty(session);
  await migrateDatabase(session);
  // A relay that could not have all of its connections would take no mail. A command needs one or two.
  if (pastFile !== undefined) await Promise.all(Object.values(links).map((one) => one.session(until)));
  await past.look(session);
  node = await takeNode(session, relayName);
  writers = { mail: new Writer(links.mail, node.rows[MAIL]), rest: new Writer(links.rest, node.rows[REST]) };
  await revisions.read(session, node.incarnation);
  await tellClock(session);
  await lookAtOthers(session);
  await measure(session);
  heard = session;
  signTimes.begin()(performance.now());
  life = setInterval(() => void live(), LOOK);
  ticking = setInterval(() => condition.tick(), CONDITION_TICK);
  isOpen = true;
  listen(port);
  port.postMessage('opened' satisfies FromWorker);
} catch (error) {
  await Promise.all(Object.values(links).map((one) => one.close()));
  port.postMessage({ refused: databaseFailure(error) } satisfies FromWorker);
  port.close();
}

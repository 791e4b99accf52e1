/** A MessageStore that sends requests to the thread of the store. Large work is cut into steps, so that mail never waits for a command. */
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  AcceptRequest,
  AcceptResult,
  Content,
  DueReport,
  MessageStore,
  OnStep,
  RecipientState,
  Settled,
  Spool,
  SpoolWriter,
} from '../message-store.ts';
import type { ListQuery, Selection, SelectionPreview, StoredMessage, Touched } from '../message-view.ts';
import { browsePage } from './browse-client.ts';
import type { ContentRow } from './claim.ts';
import type { Grant } from './credential-rows.ts';
import type { Argument } from './operations.ts';
import type { Action, NewRoute, Step, StepSelection } from './queue-commands.ts';
import { AFTER_ALL } from './reading.ts';
import type { StoreCaller } from './requests.ts';
import type { SpoolRow } from './rows.ts';
import { encodeChange, encodeMessage } from './rows.ts';
import { stateNumber } from './states.ts';
import { keyOf } from './untold.ts';

const IDS_PER_STEP = 100;
const ROUTES_PER_STEP = 1000;
const WITHDRAWN_PER_STEP = 10;
const AS_ASKED: Settled = { unchanged: [], lost: [], reportDue: false };
const OPEN_STATES: readonly RecipientState[] = ['queued', 'active', 'delayed', 'held', 'uncertain'];

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Keeps large bodies: in files, or in the database. */
export type BodyStore = { create(): Promise<SpoolWriter>; read(row: SpoolRow): Spool };

export function messageStore(client: StoreCaller, spool: BodyStore): MessageStore {
  const content = ({ bytes, spool: row }: ContentRow): Content =>
    row === null ? { kind: 'inline', bytes } : { kind: 'spooled', prefix: bytes, spool: spool.read(row) };
  const act = (action: Action) => (selection: Selection, now: number, onStep?: OnStep) =>
    inSteps<Touched>(selection, (step) => client.call('command', { ...step, action, now }), onStep);
  return {
    createSpool: () => spool.create(),
    accept: (request) => accept(client, request),
    due: (now, limit) => client.call('due', { now, limit }),
    async claim(request) {
      const rows = await client.call('claim', request);
      const { lease } = request;
      return rows.map((row) => ({ lease, message: row.message, recipients: row.recipients, content: content(row.content) }));
    },
    async settle({ messageId: id, lease, at, changes, untold = [], shaping, suppression }) {
      const change: Writable<Argument<'settle'>> = { id, lease, at, changes: changes.map(encodeChange), untold };
      if (shaping !== undefined) change.shaping = shaping;
      if (suppression !== undefined) change.suppression = suppression;
      return (await client.callWithCompany('settle', change)) ?? AS_ASKED;
    },
    async dueReports(request) {
      const { due, nextAt } = await client.call('dueReports', request);
      const whole = due.map(
        (one): DueReport =>
          one.kind === 'summary' ? one : { ...one, content: one.content === undefined ? undefined : content(one.content) },
      );
      return { due: whole, nextAt };
    },
    told: ({ sender, untold, at, report }) =>
      client.call('told', { sender, at, keys: untold.map(keyOf), report: report === undefined ? null : encodeMessage(report) }),
    postponeReport: (untold, until) => client.call('postponeReport', { keys: untold.map(keyOf), until }),
    async withdraw(messages, now) {
      const named = messages.map(({ id, token }) => ({ id, token }));
      for (const part of parts(named, WITHDRAWN_PER_STEP)) await client.call('withdraw', { messages: part, now });
    },
    beat: (owner) => client.callWithCompany('beat', owner),
    takeBack: (request) => takeBack(client, request),
    giveBack: (lease, now) => total(walk((after) => client.call('giveBack', { lease, after, now }))),
    thaw: (latest, now) => total(walk((after) => client.call('thaw', { latest, after, now }))),
    list: (query) => list(client, query),
    get: (id, part) => client.call('get', { id, part }),
    find: (text, limit) => find(client, text, limit),
    browse: (query) => browsePage(query, (step) => client.call('browse', step)),
    preview: (selection) => preview(client, selection),
    async content(id) {
      const row = await client.call('content', id);
      return row === undefined ? undefined : content(row);
    },
    retry: act('retry'),
    hold: act('hold'),
    release: act('release'),
    remove: act('remove'),
    reroute: (selection, now, destinationOf, onStep) => reroute(client, { selection, now, destinationOf, onStep }),
    takeNotices: (limit) => client.call('takeNotices', limit),
    takeRetried: (limit) => client.call('takeRetried', limit),
    counts: () => client.call('counts', undefined),
    summary: (limit) => client.call('summary', limit),
    queueGroups: (query) => client.call('queueGroups', query),
    heldByProvider: () => client.call('heldByProvider', undefined),
    releaseHeld: (request) => client.call('releaseHeld', request),
    overLimit: (now) => client.call('overLimit', now),
    releaseOverLimit: (request) => client.call('releaseOverLimit', request),
    limitUse: (user, limits, now) => client.call('limitUse', { user, list: limits, now }),
    knownRecipients: (user, addresses) => client.call('knownRecipients', { user, addresses }),
    forgetRecipients: (now, after) => client.call('forgetRecipients', { now, after }),
    signatureInUse: (name) => signatureInUse(client, name),
    trimTrace: (before, maxSize) => trimTrace(client, before, maxSize),
  };
}

/** The bytes are transferred to the thread and back, so that delivery continues from memory without a copy. */
async function accept(client: StoreCaller, { message, claim, limits, grant }: AcceptRequest): Promise<AcceptResult> {
  const encoded = encodeMessage(message);
  const inline = encoded.spool === null;
  // A slice is copied first: a transfer would take the whole buffer away from its other users.
  const whole = !inline || encoded.bytes.byteLength === encoded.bytes.buffer.byteLength;
  const bytes = whole ? encoded.bytes : encoded.bytes.slice();
  const argument = {
    message: whole ? encoded : { ...encoded, bytes },
    claim: claim ?? null,
    limits: limits ?? null,
    grant: grantOf(grant),
  };
  const reply = await client.call('accept', argument, { transfer: inline ? bytes.buffer : undefined });
  if (reply.exceeded !== null && !reply.held) return { accepted: false, exceeded: reply.exceeded, use: reply.use };
  const content: Content = reply.bytes === null ? message.content : { kind: 'inline', bytes: reply.bytes };
  if (reply.denied !== null) return { accepted: false, denied: reply.denied, content };
  if (reply.idTaken) return { accepted: false, idTaken: true, content };
  const accepted = { accepted: true, held: reply.held, content, use: reply.use } as const;
  return reply.exceeded === null ? accepted : { ...accepted, exceeded: reply.exceeded };
}

/** Walks through the queue only if an owner is dead. */
async function takeBack(client: StoreCaller, { owner, silence, now }: Parameters<MessageStore['takeBack']>[0]): Promise<number> {
  const dead = await client.call('findDead', { owner, silence });
  if (dead.length === 0) return 0;
  const taken = await total(walk((after) => client.call('takeBack', { after, now })));
  await client.call('forgetDead', dead);
  return taken;
}

/** A credential has more fields than the transaction needs. */
function grantOf(grant: AcceptRequest['grant']): Grant | null {
  if (grant === undefined) return null;
  const { name, generation, revision } = grant;
  return { name, generation, revision };
}

/** Asks for step after step until there is none. */
async function walk<T>(ask: (after: string) => Promise<Step<T>>, enough = Number.POSITIVE_INFINITY): Promise<T[]> {
  const items: T[] = [];
  for (let after: string | null = ''; after !== null && items.length < enough; ) {
    const step: Step<T> = await ask(after);
    for (const item of step.items) items.push(item);
    after = step.after;
  }
  return items;
}

async function total(counts: Promise<readonly number[]>): Promise<number> {
  return (await counts).reduce((sum, count) => sum + count, 0);
}

/** Leaves the database to others between two steps, for as long as the last one took: `serve` may be accepting beside a command. */
async function inSteps<T>(
  selection: Selection,
  ask: (step: StepSelection) => Promise<Step<T>>,
  onStep: OnStep = () => {},
): Promise<T[]> {
  const { ids, all, ...given } = selection;
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  // What only says up to where chooses nothing yet.
  const choosing = Object.keys(filter).some((key) => key !== 'upTo');
  if (ids === undefined && !choosing && all !== true) return [];
  const paced = async (step: StepSelection) => {
    const begun = performance.now();
    const result = await ask(step);
    onStep(result.items.length);
    if (result.after !== null) await sleep(performance.now() - begun);
    return result;
  };
  if (ids === undefined) return walk((after) => paced({ after, ...filter }));
  const items: T[] = [];
  for (const part of parts(ids, IDS_PER_STEP)) {
    let rest: readonly string[] = part;
    while (rest.length > 0) {
      const step = await paced({ ids: rest, after: '', ...filter });
      for (const item of step.items) items.push(item);
      rest = step.after === null ? [] : rest.slice(rest.indexOf(step.after) + 1);
    }
  }
  return items;
}

async function preview(client: StoreCaller, selection: Selection): Promise<SelectionPreview> {
  const upTo = selection.upTo ?? (await client.call('newestOpen', undefined));
  const found = await inSteps({ ...selection, upTo }, (step) => client.call('preview', step));
  let recipients = 0;
  let oldestAcceptedAt = Number.POSITIVE_INFINITY;
  for (const one of found) {
    recipients += one.recipients;
    oldestAcceptedAt = Math.min(oldestAcceptedAt, one.oldestAcceptedAt);
  }
  return { recipients, messages: found.length, oldestAcceptedAt: found.length === 0 ? null : oldestAcceptedAt, upTo };
}

function* parts<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < list.length; i += size) yield list.slice(i, i + size);
}

type Reroute = {
  readonly selection: Selection;
  readonly now: number;
  readonly destinationOf: Parameters<MessageStore['reroute']>[2];
  readonly onStep: OnStep | undefined;
};
async function reroute(client: StoreCaller, { selection, now, destinationOf, onStep }: Reroute): Promise<readonly Touched[]> {
  const rerouted = async (step: StepSelection) => {
    const { items, after } = await client.call('waiting', step);
    const routes: NewRoute[] = items.flatMap(({ message, recipients }) =>
      recipients.flatMap(({ n, address, destination: current }) => {
        const destination = destinationOf(message, address, current);
        return destination === undefined ? [] : [{ id: message.id, n, destination }];
      }),
    );
    const touched: Touched[] = [];
    for (const part of parts(routes, ROUTES_PER_STEP)) touched.push(...(await client.call('reroute', { routes: part, now })));
    return { items: touched, after };
  };
  return inSteps<Touched>(selection, rerouted, onStep);
}

function list(client: StoreCaller, query: ListQuery): Promise<readonly StoredMessage[]> {
  const limit = Math.min(query.limit ?? 100, 1000);
  const states = (query.states ?? OPEN_STATES).map(stateNumber);
  let after = query.after ?? '';
  let left = limit;
  return walk(async () => {
    const step = await client.call('list', {
      states,
      domain: query.domain ?? null,
      user: query.user ?? null,
      after,
      limit: left,
    });
    after = step.after ?? '';
    left -= step.items.length;
    return step;
  }, limit);
}

async function find(client: StoreCaller, text: string, limit: number): Promise<readonly StoredMessage[]> {
  const named = await client.call('get', { id: text });
  if (named !== undefined) return [named];
  let left = limit;
  return walk(async (after) => {
    const step = await client.call('find', { text, before: after === '' ? AFTER_ALL : after, limit: left });
    left -= step.items.length;
    return step;
  }, limit);
}

async function signatureInUse(client: StoreCaller, name: string): Promise<boolean> {
  for (let after: string | null = ''; after !== null; ) {
    const step: { found: boolean; after: string | null } = await client.call('signatureInUse', { name, after });
    if (step.found) return true;
    after = step.after;
  }
  return false;
}

async function trimTrace(client: StoreCaller, before: number, maxSize: number): Promise<number> {
  let removed = 0;
  for (let after: string | null = ''; after !== null; ) {
    const step: { removed: number; after: string | null } = await client.call('trim', { before, maxSize, after });
    removed += step.removed;
    after = step.after;
  }
  while (await client.call('giveBackPages', undefined));
  return removed;
}

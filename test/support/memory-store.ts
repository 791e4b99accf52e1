/** A MessageStore that keeps everything in memory and counts its calls. */
import type { LimitUse } from '../../src/smtp/limit.ts';
import { timeOfQueueId } from '../../src/smtp/queue-id.ts';
import {
  type AcceptRequest,
  type AcceptResult,
  type AttemptRecord,
  type Change,
  type Claim,
  type ClaimLease,
  type Content,
  type Credential,
  type Denial,
  ENDED_STATES,
  type MessageFacts,
  type MessageStore,
  type NewMessage,
  type Notice,
  type RecipientState,
  type Selection,
  type Settled,
  type Settlement,
  type StoredMessage,
  type StoredRecipient,
  type SuppressionNews,
  type Touched,
  type UntoldRecipient,
} from '../../src/store/store.ts';
import { MemoryLimits, userKey } from './memory-limits.ts';
import { heldMail, MemoryShaping } from './memory-shaping.ts';
import { createMemorySpool } from './memory-spool.ts';
import { MemorySuppression } from './memory-suppression.ts';
import { MemoryUntold } from './memory-untold.ts';

type KeptRecipient = { -readonly [Key in keyof StoredRecipient]: StoredRecipient[Key] } & {
  trace: AttemptRecord[];
  lease: ClaimLease | null;
};
type Kept = {
  facts: MessageFacts;
  token: number | undefined;
  content: Content;
  /** The user over whose limit it is held. */
  overLimit?: string | undefined;
  recipients: KeptRecipient[];
};

const ownerOf = (lease: string) => lease.split('#')[0] ?? '';
const monotonic = () => performance.now();
const WAITING: readonly RecipientState[] = ['queued', 'delayed', 'uncertain'];
const OPEN: readonly RecipientState[] = [...WAITING, 'held', 'active'];
type Method = 'accept' | 'due' | 'claim' | 'settle' | 'dueReports' | 'told' | 'takeBack' | 'thaw' | 'list' | 'retry';

export type MemoryStore = MessageStore & {
  readonly calls: Record<Method, number>;
  readonly settlements: readonly Settlement[];
  readonly toldReports: readonly NewMessage[];
  /** What no report has told yet. */
  readonly untold: readonly UntoldRecipient[];
  /** How many recipients each accept claimed. */
  readonly claimedAtOnce: readonly number[];
  /** The next calls of a method reject with this, until it returns undefined. */
  failWith(method: Method, error: () => Error | undefined): void;
  /** All owners so far are dead, as where an embedded store is opened by another process. */
  bury(): void;
  /** As if this time had passed since each sign of life. */
  pass(ms: number): void;
  /** Answers of accept are `held`. */
  hold(selection: Selection, now: number): Promise<readonly Touched[]>;
  holdNext: boolean;
};

/** What several clients of the same data share. */
export type MemoryMessages = {
  readonly messages: Map<string, Kept>;
  /** Owners that live, and their last sign of it. */
  readonly signs: Map<string, number>;
  readonly untold: MemoryUntold;
  readonly limits: MemoryLimits;
  readonly credentials: Map<string, Credential>;
  readonly notices: Notice[];
  readonly retried: Set<string>;
  readonly shaping: MemoryShaping;
  readonly suppression: MemorySuppression;
};

export function newMemoryMessages(): MemoryMessages {
  const notices: Notice[] = [];
  const messages = new Map<string, Kept>();
  const rest = {
    signs: new Map(),
    credentials: new Map(),
    notices,
    retried: new Set<string>(),
    shaping: new MemoryShaping(),
    suppression: new MemorySuppression(),
  };
  return { messages, untold: new MemoryUntold(messages), limits: new MemoryLimits(), ...rest };
}

/** Tells a change to all clients of the data. */
export type Tell = (...changes: readonly Change[]) => void;

export function createMemoryStore(shared = newMemoryMessages(), tell: Tell = () => {}): MemoryStore {
  const { messages, signs, limits: windows } = shared;
  const calls: Record<Method, number> = {
    ...{ accept: 0, due: 0, claim: 0, settle: 0, dueReports: 0, told: 0, takeBack: 0, thaw: 0, list: 0, retry: 0 },
  };
  const faults = new Map<Method, () => Error | undefined>();
  const settlements: Settlement[] = [];
  const claimedAtOnce: number[] = [];
  const toldReports: NewMessage[] = [];
  async function call(method: Method): Promise<void> {
    calls[method]++;
    await new Promise(setImmediate);
    const error = faults.get(method)?.();
    if (error !== undefined) throw error;
  }

  function insert(message: NewMessage, { claim, held, lastReply = null }: Insertion): boolean {
    const { recipients, content, token, ...facts } = message;
    if (messages.has(facts.id)) return false;
    const stored = recipients.map((recipient, n) => {
      const active = !held && claim?.indexes.includes(n) === true;
      const state: RecipientState = held ? 'held' : active ? 'active' : 'queued';
      const nextAttemptAt = held || active ? null : facts.acceptedAt;
      const rest = { n, state, nextAttemptAt, attempts: 0, lastReply, delayReported: false, trace: [] };
      return { ...recipient, ...rest, lease: active ? claim!.lease : null };
    });
    messages.set(facts.id, { facts, token, content: copy(content), recipients: stored });
    return true;
  }

  const dueOf = (kept: Kept, now: number) =>
    kept.recipients.filter((r) => WAITING.includes(r.state) && (r.nextAttemptAt ?? 0) <= now);

  function apply({ messageId, lease, at, changes, untold: owed = [], shaping = [], suppression = [] }: Settlement): Settled {
    const kept = messages.get(messageId);
    const unchanged: number[] = [];
    const lost: number[] = [];
    const told: SuppressionNews[] = [];
    for (const row of shaping) shared.shaping.put(row);
    for (const { n, attempt, excused, heldBy, ...change } of changes) {
      const recipient = kept?.recipients[n];
      const news = owed.find((one) => one.n === n);
      const isTold = news?.action === 'delayed' && recipient?.delayReported === true;
      const isStored =
        attempt !== undefined && recipient?.trace.some((one) => one.at === attempt.at && one.outcome === attempt.outcome);
      if (isStored && recipient?.state === change.state) continue; // the answer to the same settlement was lost
      const held = recipient?.lease === lease && (lease !== null || !ENDED_STATES.includes(recipient?.state ?? 'removed'));
      const leaves = change.state === 'relayed' && !ENDED_STATES.includes(recipient?.state ?? 'removed');
      if (recipient === undefined || (!held && !leaves)) {
        unchanged.push(n);
        if (recipient !== undefined && [...WAITING, 'active'].includes(recipient.state)) lost.push(n);
        if (attempt !== undefined && !isStored && recipient !== undefined) {
          recipient.attempts++;
          recipient.trace.push(attempt);
        }
        continue;
      }
      Object.assign(recipient, { nextAttemptAt: WAITING.includes(change.state) ? at : null, ...change, lease: null });
      delete recipient.heldBy;
      if (heldBy !== undefined) recipient.heldBy = heldBy;
      if (news !== undefined && !isTold) shared.untold.owe(messageId, news);
      const noted = suppression.find((one) => one.n === n);
      const heard = noted === undefined ? undefined : shared.suppression.note(noted);
      if (heard !== undefined) told.push(heard);
      if (attempt === undefined) continue;
      recipient.attempts++;
      if (excused) recipient.excused = (recipient.excused ?? 0) + 1;
      recipient.trace.push(attempt);
    }
    const reportDue = shared.untold.endCollecting(messageId, at);
    return { unchanged, lost, reportDue, ...(told.length > 0 && { suppression: told }) };
  }

  /** Recipients that have not ended. */
  function* selected({ ids, all, upTo, ...filter }: Selection): Generator<readonly [Kept, KeptRecipient]> {
    const { domain, destination, user, states = OPEN, acceptedBefore = Number.POSITIVE_INFINITY } = filter;
    if (ids === undefined && all !== true && Object.values(filter).every((value) => value === undefined)) return;
    for (const kept of messages.values()) {
      const { facts, recipients } = kept;
      if (ids !== undefined && !ids.includes(facts.id)) continue;
      if (upTo !== undefined && facts.id > upTo) continue;
      if (facts.acceptedAt >= acceptedBefore || (user !== undefined && userKey(facts.user ?? '') !== userKey(user))) continue;
      for (const recipient of recipients) {
        if (!OPEN.includes(recipient.state) || !states.includes(recipient.state)) continue;
        if (domain !== undefined && !isAt(recipient, domain)) continue;
        if (destination === undefined || recipient.destination === destination) yield [kept, recipient];
      }
    }
  }

  /** As the limits say; later mail of a user waits behind mail that is held over a limit. */
  function judge({ acceptedAt, recipients }: NewMessage, { user, list, over, maxHeld = 0 }: Limits): Judged {
    const addresses = recipients.map(({ address }) => address);
    const waiting = over === 'hold' ? heldOver(user).length : 0;
    if (waiting === 0) {
      const { exceeded, use } = windows.count(user, list, acceptedAt, addresses);
      return { exceeded, held: exceeded !== undefined && over === 'hold' && maxHeld > 0, use };
    }
    const use = windows.use(user, list, acceptedAt);
    const share = ({ used, limit }: LimitUse) => used / Math.max(limit.count, 1);
    const nearest = use.toSorted((a, b) => share(b) - share(a))[0];
    return waiting < maxHeld ? { exceeded: undefined, held: true, use } : { exceeded: nearest, held: false, use };
  }

  function heldOver(user: string): readonly Kept[] {
    return [...messages.values()].filter(
      ({ overLimit, recipients }) => overLimit === userKey(user) && recipients.some(({ state }) => state === 'held'),
    );
  }

  /** What a command does: told as the store of release tells it. */
  function command(
    selection: Selection,
    action: 'retried' | Notice['event'],
    from: readonly RecipientState[],
    changeOf: (recipient: KeptRecipient) => Partial<StoredRecipient>,
  ): Touched[] {
    const touched: Touched[] = [];
    const changes: Change[] = [];
    for (const [kept, recipient] of selected(selection)) {
      const { id } = kept.facts;
      // After a command by an operator, the limits decide no more about the message.
      if (recipient.state === 'held' && action !== 'retried') delete kept.overLimit;
      if (!from.includes(recipient.state)) continue;
      Object.assign(recipient, changeOf(recipient), { lease: null });
      delete recipient.heldBy;
      touched.push({ id, recipient: recipient.address, state: recipient.state });
      if (WAITING.includes(recipient.state)) changes.push(`queue:${recipient.destination}`);
      if (action === 'retried') shared.retried.add(recipient.destination);
      else shared.notices.push({ event: action, id, recipient: recipient.address });
    }
    if (action !== 'retried' && touched.length > 0) changes.push('notices');
    tell(...changes);
    return touched;
  }

  function denied({ name, generation, revision }: NonNullable<AcceptRequest['grant']>, now: number): Denial | undefined {
    const credential = shared.credentials.get(name.toLowerCase());
    if (credential === undefined || credential.generation !== generation || credential.disabled) return 'ended';
    if (credential.expiresAt !== null && credential.expiresAt <= now) return 'ended';
    return credential.revision === revision ? undefined : 'changed';
  }

  const store: MemoryStore = {
    calls,
    settlements,
    toldReports,
    get untold() {
      return shared.untold.all();
    },
    claimedAtOnce,
    holdNext: false,
    bury: () => signs.clear(),
    pass(ms) {
      for (const [name, at] of signs) signs.set(name, at - ms);
    },
    failWith: (method, error) => void faults.set(method, error),
    createSpool: createMemorySpool,
    async accept({ message, claim, limits, grant }: AcceptRequest): Promise<AcceptResult> {
      await call('accept');
      const { content, acceptedAt, recipients } = message;
      const denial = grant && denied(grant, acceptedAt);
      if (denial !== undefined) return { accepted: false, denied: denial, content };
      if (messages.has(message.id)) return { accepted: false, idTaken: true, content };
      const { exceeded, held, use } = limits === undefined ? UNLIMITED : judge(message, limits);
      if (exceeded !== undefined && !held) return { accepted: false, exceeded, use };
      claimedAtOnce.push(claim?.indexes.length ?? 0);
      if (claim !== undefined) signs.set(ownerOf(claim.lease), monotonic());
      insert(message, { claim, held: held || store.holdNext, lastReply: held ? reasonOf(exceeded) : null });
      if (held) messages.get(message.id)!.overLimit = userKey(limits!.user);
      if (claim === undefined) tell(...recipients.map(({ destination }): Change => `queue:${destination}`));
      const which = exceeded === undefined ? {} : { exceeded };
      return { accepted: true, held: held || store.holdNext, content: copy(content), use, ...which };
    },
    async due(now, limit) {
      await call('due');
      const first = new Map<string, number>();
      for (const { recipients } of messages.values()) {
        for (const { state, destination, nextAttemptAt } of recipients) {
          const at = nextAttemptAt ?? 0;
          if (WAITING.includes(state)) first.set(destination, Math.min(first.get(destination) ?? at, at));
        }
      }
      const all = [...first].map(([destination, nextAttemptAt]) => ({ destination, nextAttemptAt }));
      all.sort((a, b) => a.nextAttemptAt - b.nextAttemptAt);
      const due = all.filter(({ nextAttemptAt }) => nextAttemptAt <= now);
      return { due: due.slice(0, limit), nextAt: all[due.length]?.nextAttemptAt ?? null };
    },
    async claim({ destination, now, limit, lease }): Promise<readonly Claim[]> {
      await call('claim');
      signs.set(ownerOf(lease), monotonic());
      const claims: Claim[] = [];
      for (const kept of messages.values()) {
        if (claims.length === limit) break;
        const mine = dueOf(kept, now).filter((recipient) => recipient.destination === destination);
        if (mine.length === 0) continue;
        for (const recipient of mine.slice(0, 50)) Object.assign(recipient, { state: 'active', lease });
        const recipients = mine.slice(0, 50).map(({ trace: _, lease: __, ...recipient }) => ({ ...recipient }));
        claims.push({ lease, message: kept.facts, recipients, content: copy(kept.content) });
      }
      return claims;
    },
    async settle(settlement) {
      await call('settle');
      settlements.push(settlement);
      return apply(settlement);
    },
    async dueReports(request) {
      await call('dueReports');
      return shared.untold.due(request);
    },
    async told({ sender, untold, at, report }) {
      await call('told');
      if (report !== undefined && messages.has(report.id)) throw Object.assign(new Error('taken'), { code: 'EEXIST' });
      if (!shared.untold.told(sender, untold, { at, report: report !== undefined })) return false;
      if (report !== undefined) insert(report, { claim: undefined, held: false });
      if (report !== undefined) toldReports.push(report);
      return true;
    },
    postponeReport: async (untold, until) => shared.untold.postpone(untold, until),
    async beat(owner) {
      const known = signs.has(owner);
      signs.set(owner, monotonic());
      return known;
    },
    async takeBack({ owner, silence, now }) {
      await call('takeBack');
      signs.set(owner, monotonic());
      for (const [name, at] of signs) if (name !== owner && monotonic() - at >= silence) signs.delete(name);
      let count = 0;
      for (const { recipients } of messages.values()) {
        for (const recipient of recipients) {
          if (recipient.state !== 'active' || signs.has(ownerOf(recipient.lease ?? ''))) continue;
          Object.assign(recipient, { ...backInQueue(recipient), nextAttemptAt: now, lease: null });
          count++;
        }
      }
      return count;
    },
    async giveBack(lease, now) {
      const held = [...messages.values()].flatMap(({ recipients }) => recipients).filter((one) => one.lease === lease);
      for (const one of held) Object.assign(one, { ...backInQueue(one), nextAttemptAt: now, lease: null });
      return held.length;
    },
    async withdraw(named) {
      for (const { id, token } of named)
        if (messages.get(id)?.token === token) command({ ids: [id] }, 'removed', OPEN, () => ENDED);
    },
    async thaw(latest, now) {
      await call('thaw');
      const frozen = [...messages.values()]
        .flatMap(({ recipients }) => recipients)
        .filter(({ state, nextAttemptAt }) => WAITING.includes(state) && (nextAttemptAt ?? 0) > latest);
      for (const recipient of frozen) recipient.nextAttemptAt = now;
      return frozen.length;
    },
    async list({ states, domain, user, after = '', limit = 100 }) {
      await call('list');
      const wanted = (state: RecipientState) => (states === undefined ? !ENDED_STATES.includes(state) : states.includes(state));
      const page: StoredMessage[] = [];
      for (const kept of messages.values()) {
        if (page.length === limit) break;
        const isMeant = kept.recipients.some((one) => wanted(one.state) && (domain === undefined || isAt(one, domain)));
        const isOfUser = user === undefined || userKey(kept.facts.user ?? '') === userKey(user);
        if (kept.facts.id > after && isMeant && isOfUser) page.push(view(kept));
      }
      return page;
    },
    async get(id, { from, limit } = { from: 0, limit: Number.POSITIVE_INFINITY }) {
      const kept = messages.get(id);
      if (kept === undefined) return undefined;
      const { recipients, ...message } = view(kept);
      return { ...message, recipients: recipients.slice(from, from + limit) };
    },
    async find(text, limit) {
      const isMeant = ({ facts, recipients }: Kept) =>
        [facts.id, facts.messageId, facts.messageId.slice(1, -1)].includes(text) ||
        [facts.reversePath, ...recipients.map(({ address }) => address)].some((one) => userKey(one) === userKey(text));
      return [...messages.values()].filter(isMeant).reverse().slice(0, limit).map(view);
    },
    async browse({
      user,
      users,
      ids,
      except = [],
      about,
      messageId,
      sender,
      subject,
      recipient,
      destination,
      states,
      since = 0,
      until = Number.MAX_SAFE_INTEGER,
      before,
      after = '',
      limit,
    }) {
      const has = (text: string | undefined, part: string | undefined) =>
        part === undefined || text?.toLowerCase().includes(part.toLowerCase()) === true;
      const fits = (one: KeptRecipient) =>
        (states === undefined || states.includes(one.state)) &&
        has(one.address, recipient) &&
        (destination === undefined || one.destination === destination);
      const found = [...messages.values()]
        .filter(({ facts }) => (before === undefined || facts.id < before) && facts.id > after)
        .filter(
          ({ facts }) =>
            (ids?.includes(facts.id) ?? true) && !except.includes(facts.id) && (about === undefined || facts.about === about),
        )
        .filter(({ facts }) => messageId === undefined || [messageId, `<${messageId}>`].includes(facts.messageId))
        .filter(({ facts }) => users?.some((one) => userKey(one) === userKey(facts.user ?? '')) ?? true)
        .filter(({ facts }) => facts.acceptedAt >= since && facts.acceptedAt < until)
        .filter(({ facts }) => user === undefined || userKey(facts.user ?? '') === userKey(user))
        .filter(({ facts }) => has(facts.reversePath, sender) && has(facts.origin?.subject, subject))
        .filter(({ recipients }) => recipients.some(fits))
        .toSorted((a, b) => (a.facts.id < b.facts.id ? 1 : -1));
      const items = found.slice(0, limit).map((kept) => ({
        ...kept.facts,
        recipients: view({ ...kept, recipients: kept.recipients.filter(fits).slice(0, 20) }).recipients.map(
          ({ trace: _, ...rest }) => rest,
        ),
        states: Object.fromEntries(
          [...Map.groupBy(kept.recipients, ({ state }) => state)].map(([state, of]) => [state, of.length]),
        ),
      }));
      const next = items.length === limit ? items.at(-1)!.id : null;
      return { items, next, searchedBackTo: next === null ? null : timeOfQueueId(next) };
    },
    async preview(selection) {
      const newest = [...messages.values()].filter(isOpen).map(({ facts }) => facts.id);
      const upTo = selection.upTo ?? newest.sort().at(-1) ?? '';
      const found = [...selected({ ...selection, upTo })];
      const chosen = new Set(found.map(([kept]) => kept));
      const oldest = Math.min(...[...chosen].map(({ facts }) => facts.acceptedAt));
      return { recipients: found.length, messages: chosen.size, oldestAcceptedAt: chosen.size === 0 ? null : oldest, upTo };
    },
    async content(id) {
      const kept = messages.get(id);
      if (kept === undefined || !(isOpen(kept) || shared.untold.keeps(id, { whole: false }))) return undefined;
      return copy(kept.content);
    },
    async retry(selection, now) {
      await call('retry');
      return command(selection, 'retried', WAITING, () => ({ nextAttemptAt: now }));
    },
    hold: async (selection) => command(selection, 'held', WAITING, () => ({ state: 'held', nextAttemptAt: null })),
    release: async (selection, now) =>
      command(selection, 'released', ['held'], (recipient) => ({ ...backInQueue(recipient), nextAttemptAt: now })),
    remove: async (selection) => command(selection, 'removed', OPEN, () => ENDED),
    async reroute(selection, now, destinationOf) {
      const touched: Touched[] = [];
      for (const [{ facts }, recipient] of selected(selection)) {
        const { address, destination, state } = recipient;
        const next = state === 'active' ? undefined : destinationOf(facts, address, destination);
        if (next === undefined) continue;
        Object.assign(recipient, { destination: next, nextAttemptAt: state === 'held' ? null : now });
        touched.push({ id: facts.id, recipient: address, state });
        tell(`queue:${next}`);
      }
      return touched;
    },
    async counts() {
      const open = [...messages.values()].filter(isOpen);
      const states: Partial<Record<RecipientState, number>> = {};
      for (const { state } of open.flatMap(({ recipients }) => recipients))
        if (OPEN.includes(state)) states[state] = (states[state] ?? 0) + 1;
      return { states, oldestAcceptedAt: open.length === 0 ? null : Math.min(...open.map(({ facts }) => facts.acceptedAt)) };
    },
    async summary(limit) {
      const sums = new Map<string, { recipients: number; oldestAcceptedAt: number; nextAttemptAt: number | null }>();
      for (const { facts, recipients } of messages.values()) {
        for (const { state, destination, nextAttemptAt: next } of recipients) {
          if (![...WAITING, 'active'].includes(state)) continue;
          const sum = sums.get(destination) ?? { recipients: 0, oldestAcceptedAt: facts.acceptedAt, nextAttemptAt: null };
          const oldestAcceptedAt = Math.min(sum.oldestAcceptedAt, facts.acceptedAt);
          const nextAttemptAt = next === null ? sum.nextAttemptAt : Math.min(next, sum.nextAttemptAt ?? next);
          sums.set(destination, { recipients: sum.recipients + 1, oldestAcceptedAt, nextAttemptAt });
        }
      }
      const byName = (a: string, b: string) => (a < b ? -1 : 1);
      return [...sums]
        .map(([destination, sum]) => ({ destination, ...sum }))
        .sort((a, b) => b.recipients - a.recipients || byName(a.destination, b.destination))
        .slice(0, limit);
    },
    async queueGroups({ by, users, limit }) {
      const open = [...messages.values()]
        .filter(({ facts }) => users?.some((one) => userKey(one) === userKey(facts.user ?? '')) ?? true)
        .flatMap(({ facts, recipients }) => recipients.map((one) => ({ facts, ...one })))
        .filter(({ state }) => !ENDED_STATES.includes(state));
      return [...Map.groupBy(open, ({ facts, destination }) => (by === 'user' ? (facts.user ?? '') : destination))]
        .map(([name, of]) => {
          const oldest = of.reduce((a, b) => (b.facts.id < a.facts.id ? b : a)).facts;
          const waits = of.flatMap(({ nextAttemptAt }) => nextAttemptAt ?? []);
          return {
            name,
            recipients: of.length,
            messages: new Set(of.map(({ facts }) => facts.id)).size,
            states: Object.fromEntries([...Map.groupBy(of, ({ state }) => state)].map(([state, all]) => [state, all.length])),
            oldestAcceptedAt: oldest.acceptedAt,
            nextAttemptAt: waits.length === 0 ? null : Math.min(...waits),
            lastReply: of.find(({ facts, lastReply }) => facts.id === oldest.id && lastReply !== null)?.lastReply ?? null,
          };
        })
        .sort((a, b) => b.recipients - a.recipients || (a.name < b.name ? -1 : 1))
        .slice(0, limit);
    },
    heldByProvider: async () => heldMail(messages.values()),
    async releaseHeld({ provider, limit, probe, now, after, avoid = [] }) {
      const held = [...messages.values()]
        .flatMap((kept) => kept.recipients.map((recipient) => [kept, recipient] as const))
        .filter(([{ facts }, { heldBy, state }]) => heldBy === provider && WAITING.includes(state) && facts.id > (after ?? ''))
        .filter(([{ facts }]) => !probe || !avoid.includes(facts.user ?? ''))
        .toSorted(([a, x], [b, y]) => (probe ? probeOrder(a, x) - probeOrder(b, y) : 0));
      const next = held.map(([{ facts }]) => facts.id).sort()[0];
      const released = after === undefined ? held.slice(0, limit) : held.filter(([{ facts }]) => facts.id === next);
      for (const [, recipient] of released) {
        recipient.nextAttemptAt = now;
        delete recipient.heldBy;
        tell(`queue:${recipient.destination}`);
      }
      return [...new Set(released.map(([{ facts }]) => facts.id))];
    },
    async overLimit(now) {
      const held = [...messages.values()].filter(({ overLimit }) => overLimit !== undefined);
      const expired = held
        .filter(({ facts }) => facts.expiresAt <= now)
        .map((kept) => ({
          ...{ id: kept.facts.id, reversePath: kept.facts.reversePath },
          recipients: view(kept)
            .recipients.filter(({ state }) => state === 'held')
            .map(({ trace: _, ...recipient }) => recipient),
        }));
      return { users: [...new Set(held.map(({ overLimit }) => overLimit!))], expired };
    },
    async releaseOverLimit({ user, list, now }) {
      const released: Touched[] = [];
      for (const kept of list === null ? [] : heldOver(user)) {
        const held = kept.recipients.filter(({ state }) => state === 'held');
        const counted = windows.count(
          user,
          list!,
          now,
          held.map(({ address }) => address),
        );
        const { exceeded, amounts } = counted;
        if (exceeded !== undefined && amounts[exceeded.limit.kind] > exceeded.limit.count) continue;
        if (exceeded !== undefined) break;
        delete kept.overLimit;
        for (const recipient of held) {
          Object.assign(recipient, { state: 'queued', nextAttemptAt: now });
          released.push({ id: kept.facts.id, recipient: recipient.address, state: 'queued' });
        }
      }
      return { released, more: false };
    },
    limitUse: async (user, list, now) => windows.use(user, list, now),
    knownRecipients: async (user, addresses) => addresses.filter((address) => windows.knows(user, address)),
    forgetRecipients: async (now) => windows.forgetOld(now),
    signatureInUse: async (name) => [...messages.values()].some((kept) => isOpen(kept) && kept.facts.signatures.includes(name)),
    async trimTrace(before, maxSize) {
      const ended = [...messages.values()].filter(
        (kept) => !isOpen(kept) && !shared.untold.keeps(kept.facts.id, { whole: true }),
      );
      const spared = Math.floor(maxSize / TRACE_BYTES);
      const old = ended.filter(({ facts }, i) => facts.acceptedAt < before || i < ended.length - spared);
      for (const { facts } of old) messages.delete(facts.id);
      return old.length;
    },
    takeNotices: async (limit) => shared.notices.splice(0, limit),
    async takeRetried(limit) {
      const taken = [...shared.retried].slice(0, limit);
      for (const destination of taken) shared.retried.delete(destination);
      return taken;
    },
  };
  return store;
}

type Insertion = { claim: AcceptRequest['claim']; held: boolean; lastReply?: string | null };
type Limits = NonNullable<AcceptRequest['limits']>;
type Judged = { exceeded: LimitUse | undefined; held: boolean; use: readonly LimitUse[] };
const UNLIMITED: Judged = { exceeded: undefined, held: false, use: [] };
const ENDED = { state: 'removed', nextAttemptAt: null } as const;
/** What an ended message takes of the trace. */
const TRACE_BYTES = 1000;

const isAt = ({ address }: { readonly address: string }, domain: string) =>
  address.slice(address.lastIndexOf('@') + 1).toLowerCase() === domain.toLowerCase();

function reasonOf(exceeded: LimitUse | undefined): string {
  if (exceeded === undefined) return '450 4.7.1 Held behind mail that is over a limit';
  const { kind, count, per } = exceeded.limit;
  return `450 4.7.1 Held over the limit of ${count} ${kind} per ${per}`;
}

const isOpen = ({ recipients }: Kept) => recipients.some(({ state }) => OPEN.includes(state));
const backInQueue = ({ attempts }: { attempts: number }): { state: RecipientState } => ({
  state: attempts > 0 ? 'delayed' : 'queued',
});

function copy(content: Content): Content {
  return content.kind === 'inline' ? { kind: 'inline', bytes: content.bytes.slice() } : content;
}

function view({ facts, recipients }: Kept): StoredMessage {
  return { ...facts, recipients: recipients.map(({ lease: _, ...recipient }) => ({ ...recipient })) };
}

/** Small mail with one recipient first, then what was tried least. */
function probeOrder(
  { facts, recipients }: { facts: { size: number }; recipients: readonly unknown[] },
  { attempts }: { attempts: number },
) {
  return (recipients.length === 1 && facts.size <= 100 * 1024 ? 0 : 1000) + attempts;
}

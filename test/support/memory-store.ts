/** A MessageStore that keeps everything in memory and counts its calls. */
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
  type DueReport,
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
  type Touched,
  type UntoldRecipient,
} from '../../src/store/store.ts';
import { MemoryLimits } from './memory-limits.ts';

type Kept = {
  facts: MessageFacts;
  content: Content;
  recipients: (Omit<StoredRecipient, 'attempts' | 'excused' | 'nextAttemptAt'> & {
    attempts: number;
    excused?: number;
    nextAttemptAt: number | null;
    trace: AttemptRecord[];
    lease: ClaimLease | null;
  })[];
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
  untold: (UntoldRecipient & { dueAt?: number })[];
  readonly limits: MemoryLimits;
  readonly credentials: Map<string, Credential>;
  readonly notices: Notice[];
  readonly retried: Set<string>;
};

export function newMemoryMessages(): MemoryMessages {
  const notices: Notice[] = [];
  const maps = { messages: new Map(), signs: new Map(), credentials: new Map() };
  return { ...maps, untold: [], limits: new MemoryLimits(), notices, retried: new Set() };
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
  const absent = (): never => {
    throw new Error('not in the fake');
  };

  async function call(method: Method): Promise<void> {
    calls[method]++;
    await new Promise(setImmediate);
    const error = faults.get(method)?.();
    if (error !== undefined) throw error;
  }

  function insert(message: NewMessage, { claim, held }: { claim: AcceptRequest['claim']; held: boolean }): boolean {
    const { recipients, content, token: _, ...facts } = message;
    if (messages.has(facts.id)) return false;
    const stored = recipients.map((recipient, n) => {
      const active = !held && claim?.indexes.includes(n) === true;
      const state: RecipientState = held ? 'held' : active ? 'active' : 'queued';
      const nextAttemptAt = held || active ? null : facts.acceptedAt;
      const rest = { n, state, nextAttemptAt, attempts: 0, lastReply: null, delayReported: false, trace: [] };
      return { ...recipient, ...rest, lease: active ? claim!.lease : null };
    });
    messages.set(facts.id, { facts, content: copy(content), recipients: stored });
    return true;
  }

  const dueOf = (kept: Kept, now: number) =>
    kept.recipients.filter((r) => WAITING.includes(r.state) && (r.nextAttemptAt ?? 0) <= now);

  function apply({ messageId, lease, changes, untold: owed = [] }: Settlement): Settled {
    const kept = messages.get(messageId);
    const unchanged: number[] = [];
    const lost: number[] = [];
    for (const { n, attempt, excused, ...change } of changes) {
      const recipient = kept?.recipients[n];
      const held = recipient?.lease === lease && (lease !== null || !ENDED_STATES.includes(recipient?.state ?? 'removed'));
      const leaves = change.state === 'relayed' && !ENDED_STATES.includes(recipient?.state ?? 'removed');
      if (recipient === undefined || (!held && !leaves)) {
        unchanged.push(n);
        if (recipient !== undefined && [...WAITING, 'active'].includes(recipient.state)) lost.push(n);
        if (attempt !== undefined) recipient?.trace.push(attempt);
        continue;
      }
      Object.assign(recipient, { nextAttemptAt: null, ...change, lease: null });
      if (attempt === undefined) continue;
      recipient.attempts++;
      if (excused) recipient.excused = (recipient.excused ?? 0) + 1;
      recipient.trace.push(attempt);
    }
    for (const one of owed) {
      const recipient = kept?.recipients[one.n];
      if (recipient === undefined || unchanged.includes(one.n)) continue;
      const { lease: _, trace: __, ...stored } = recipient;
      shared.untold.push({ ...one, message: messageId, recipient: stored, joined: false });
    }
    return { unchanged, lost, reportDue: owed.length > 0 };
  }

  /** What a command does: told as the store of release tells it. */
  function command(
    { ids, domain }: Selection,
    action: 'retried' | Notice['event'],
    from: readonly RecipientState[],
    change: Partial<StoredRecipient>,
  ): Touched[] {
    const touched: Touched[] = [];
    const changes: Change[] = [];
    for (const { facts, recipients } of messages.values()) {
      if (ids !== undefined && !ids.includes(facts.id)) continue;
      for (const recipient of recipients) {
        if (!from.includes(recipient.state)) continue;
        if (domain !== undefined && !recipient.address.endsWith(`@${domain}`)) continue;
        Object.assign(recipient, change, { lease: null });
        touched.push({ id: facts.id, recipient: recipient.address, state: recipient.state });
        if (WAITING.includes(recipient.state)) changes.push(`queue:${recipient.destination}`);
        if (action === 'retried') shared.retried.add(recipient.destination);
        else shared.notices.push({ event: action, id: facts.id, recipient: recipient.address });
      }
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
      return shared.untold;
    },
    claimedAtOnce,
    holdNext: false,
    bury: () => signs.clear(),
    pass(ms) {
      for (const [name, at] of signs) signs.set(name, at - ms);
    },
    failWith: (method, error) => void faults.set(method, error),
    createSpool: absent,
    async accept({ message, claim, limits, grant }: AcceptRequest): Promise<AcceptResult> {
      await call('accept');
      const { content, acceptedAt, recipients } = message;
      const denial = grant && denied(grant, acceptedAt);
      if (denial !== undefined) return { accepted: false, denied: denial, content };
      if (messages.has(message.id)) return { accepted: false, idTaken: true, content };
      const addresses = recipients.map(({ address }) => address);
      const { exceeded, use } =
        limits === undefined ? { use: [] } : windows.count(limits.user, limits.list, acceptedAt, addresses);
      if (exceeded !== undefined && limits?.over === 'hold') return absent();
      if (exceeded !== undefined) return { accepted: false, exceeded, use };
      claimedAtOnce.push(claim?.indexes.length ?? 0);
      const held = store.holdNext;
      if (claim !== undefined) signs.set(ownerOf(claim.lease), monotonic());
      insert(message, { claim, held });
      if (claim === undefined) tell(...recipients.map(({ destination }): Change => `queue:${destination}`));
      return { accepted: true, held, content: copy(content), use };
    },
    async due(now, limit) {
      await call('due');
      const first = new Map<string, number>();
      let nextAt: number | null = null;
      for (const { recipients } of messages.values()) {
        for (const { state, destination, nextAttemptAt } of recipients) {
          if (!WAITING.includes(state)) continue;
          const at = nextAttemptAt ?? 0;
          if (at > now) nextAt = Math.min(nextAt ?? at, at);
          else first.set(destination, Math.min(first.get(destination) ?? at, at));
        }
      }
      const due = [...first].map(([destination, nextAttemptAt]) => ({ destination, nextAttemptAt }));
      return { due: due.sort((a, b) => a.nextAttemptAt - b.nextAttemptAt).slice(0, limit), nextAt };
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
    async dueReports({ now }) {
      await call('dueReports');
      const ready = shared.untold.filter(({ dueAt = 0 }) => dueAt <= now);
      const due = [...new Set(ready.map(({ message }) => message))].map((id): DueReport => {
        const { facts, content } = messages.get(id)!;
        return { kind: 'report', message: facts, content: copy(content), untold: ready.filter(({ message }) => message === id) };
      });
      const times = shared.untold.map(({ dueAt = 0 }) => dueAt);
      return { due, nextAt: times.length === 0 ? null : Math.min(...times) };
    },
    async told({ untold: told, report }) {
      await call('told');
      const left = shared.untold.filter((one) => !told.some(({ message, n }) => one.message === message && one.n === n));
      if (left.length === shared.untold.length) return false;
      shared.untold = left;
      if (report !== undefined) insert(report, { claim: undefined, held: false });
      if (report !== undefined) toldReports.push(report);
      return true;
    },
    async postponeReport(which, until) {
      shared.untold = shared.untold.map((one) =>
        which.some(({ message, n }) => one.message === message && one.n === n) ? { ...one, dueAt: until } : one,
      );
    },
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
    withdraw: async (messages) => {
      for (const { id } of messages) command({ ids: [id] }, 'removed', OPEN, { state: 'removed', nextAttemptAt: null });
    },
    async thaw(latest, now) {
      await call('thaw');
      const frozen = [...messages.values()]
        .flatMap(({ recipients }) => recipients)
        .filter(({ state, nextAttemptAt }) => WAITING.includes(state) && (nextAttemptAt ?? 0) > latest);
      for (const recipient of frozen) recipient.nextAttemptAt = now;
      return frozen.length;
    },
    async list({ states, after = '', limit = 100 }) {
      await call('list');
      const wanted = (state: RecipientState) => (states === undefined ? !ENDED_STATES.includes(state) : states.includes(state));
      const page: StoredMessage[] = [];
      for (const kept of messages.values()) {
        if (page.length === limit) break;
        if (kept.facts.id > after && kept.recipients.some(({ state }) => wanted(state))) page.push(view(kept));
      }
      return page;
    },
    async get(id) {
      const kept = messages.get(id);
      return kept === undefined ? undefined : view(kept);
    },
    async find(text, limit) {
      const isMeant = ({ facts, recipients }: Kept) =>
        [facts.id, facts.messageId, facts.messageId.slice(1, -1), facts.reversePath].includes(text) ||
        recipients.some(({ address }) => address === text);
      return [...messages.values()].filter(isMeant).reverse().slice(0, limit).map(view);
    },
    content: async (id) => messages.get(id)?.content,
    async retry(selection, now) {
      await call('retry');
      return command(selection, 'retried', WAITING, { nextAttemptAt: now });
    },
    hold: async (selection) => command(selection, 'held', WAITING, { state: 'held', nextAttemptAt: null }),
    release: async (selection, now) => command(selection, 'released', ['held'], { state: 'queued', nextAttemptAt: now }),
    remove: async (selection) => command(selection, 'removed', OPEN, { state: 'removed', nextAttemptAt: null }),
    reroute: absent,
    async counts() {
      const open = [...messages.values()].filter(isOpen);
      const states: Partial<Record<RecipientState, number>> = {};
      for (const { state } of open.flatMap(({ recipients }) => recipients))
        if (OPEN.includes(state)) states[state] = (states[state] ?? 0) + 1;
      return { states, oldestAcceptedAt: open.length === 0 ? null : Math.min(...open.map(({ facts }) => facts.acceptedAt)) };
    },
    summary: absent,
    overLimit: async () => ({ users: [], expired: [] }),
    releaseOverLimit: absent,
    limitUse: async (user, list, now) => windows.use(user, list, now),
    knownRecipients: async (user, addresses) => addresses.filter((address) => windows.knows(user, address)),
    forgetRecipients: absent,
    signatureInUse: async (name) => [...messages.values()].some((kept) => isOpen(kept) && kept.facts.signatures.includes(name)),
    async trimTrace(before) {
      const isOld = (kept: Kept) => !isOpen(kept) && kept.facts.acceptedAt < before;
      const old = [...messages.values()].filter(
        (kept) => isOld(kept) && !shared.untold.some(({ message }) => message === kept.facts.id),
      );
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

const isOpen = ({ recipients }: Kept) => recipients.some(({ state }) => OPEN.includes(state));
const backInQueue = ({ attempts }: { attempts: number }) => ({ state: attempts > 0 ? 'delayed' : 'queued' });

function copy(content: Content): Content {
  return content.kind === 'inline' ? { kind: 'inline', bytes: content.bytes.slice() } : content;
}

function view({ facts, recipients }: Kept): StoredMessage {
  return { ...facts, recipients: recipients.map(({ lease: _, ...recipient }) => ({ ...recipient })) };
}

/** Limits on messages and recipients in a window. The store decides and counts when it accepts. This file refuses what is certain before. */
import type { Limit, LimitUse } from '../smtp/limit.ts';
import { refusal as refused } from '../smtp/replies.ts';
import type { Refusal } from '../smtp/reply.ts';
import type { Credential, MessageStore } from '../store/store.ts';
import { createCache } from '../system/cache.ts';
import { type Clock, DAY, HOUR, MINUTE, SECOND, systemClock } from '../system/clock.ts';

export type QuotaDefaults = {
  readonly list: readonly Limit[];
  readonly over: 'refuse' | 'hold';
  /** How many messages of a user may be held, where `over` is `hold`. */
  readonly maxHeld?: number;
};

type QuotaOptions = {
  readonly messages: Pick<MessageStore, 'limitUse' | 'knownRecipients'>;
  readonly defaults: QuotaDefaults;
  readonly now?: Clock;
  /**
   * Called once in a window when a limit is used to 80 %, and once when it is used up or refuses a message. Called once more after a
   * restart.
   */
  readonly notify?: (user: QuotaUser, use: LimitUse, percent: 80 | 100) => void;
};

/** The user whose use is counted. A namesake that is added later begins anew. */
export type QuotaUser = Pick<Credential, 'name' | 'createdAt'>;

export type Quota = {
  /** The limits that the accepting transaction judges and counts. Undefined: there are none. */
  limitsOf(credential: Credential): ({ user: string } & QuotaDefaults) | undefined;
  /** @throws Refusal 450 4.7.1 (or rejects with it) where another message is certain to be over a limit. */
  atMail(credential: Credential): Promise<void> | undefined;
  /** The same for one more recipient of a transaction that has others `already`. */
  atRecipient(credential: Credential, address: string, already: Already): Promise<void> | undefined;
  refusal(exceeded: LimitUse): Refusal;
  /** Remembers what the store has counted, so that it need not be asked. @param exceeded the limit that refused the message. */
  noteUse(user: QuotaUser, use: readonly LimitUse[], exceeded?: LimitUse): void;
  /** Another process has changed the store: it is asked again. */
  forget(): void;
  reload(defaults: QuotaDefaults): void;
};

/** The recipients of one transaction so far: the same object from its first RCPT to its last. */
type Already = ReadonlyMap<string, unknown>;

/** Users whose use is remembered. The store is asked again about another one. */
const REMEMBERED = 10_000;

export function createQuota({ messages, defaults, now = systemClock, notify = () => {} }: QuotaOptions): Quota {
  const known = createCache<string, readonly LimitUse[]>(REMEMBERED);
  const notified = createCache<string, { readonly resetsAt: number; readonly percent: 80 | 100 }>(REMEMBERED);
  const newness = new WeakMap<Already, Map<string, boolean>>();
  let current = defaults;

  /** Runs `judge` with the use of the user, at once where it is remembered. */
  function withUse(credential: Credential, judge: (use: readonly LimitUse[]) => Promise<void> | undefined) {
    const limits = limitsOf(credential);
    if (limits === undefined || limits.over === 'hold') return undefined;
    const { user, list } = limits;
    const key = keyOf(credential);
    const use = matched(list, known.get(key) ?? []);
    if (use !== undefined) return judge(use);
    return messages.limitUse(user, list, now()).then((loaded) => {
      known.set(key, loaded);
      return judge(loaded);
    });
  }

  function limitsOf(credential: Credential) {
    const list = limitsFor(credential, current.list);
    return list.length === 0 ? undefined : { ...current, user: credential.name, list };
  }

  function refusal(exceeded: LimitUse): Refusal {
    const { limit, resetsAt } = exceeded;
    const { count, kind, per } = limit;
    return refused('overLimit', { count, kind: WORDS[kind], per, wait: duration(resetsAt - now()) });
  }

  function refuse(user: QuotaUser, exceeded: LimitUse): Refusal {
    announce(user, exceeded, 100);
    return refusal(exceeded);
  }

  /** Some of the recipients may be known. The store is asked once about each address of a transaction. */
  async function judgeNew(user: QuotaUser, limit: LimitUse, already: Already, address: string): Promise<void> {
    const asked = newness.get(already) ?? new Map<string, boolean>();
    newness.set(already, asked);
    const unasked = [...already.keys(), address].filter((one) => !asked.has(one));
    if (unasked.length > 0) {
      const found = new Set(await messages.knownRecipients(user.name, unasked));
      for (const one of unasked) asked.set(one, !found.has(one));
    }
    if (asked.get(address) !== true) return;
    let others = 0;
    for (const one of already.keys()) if (asked.get(one) === true) others++;
    if (isOver(limit, others + 1, now())) throw refuse(user, limit);
  }

  function announce(user: QuotaUser, use: LimitUse, percent = percentOf(use)): void {
    if (percent === undefined) return;
    const key = `${use.limit.kind}/${use.limit.per} ${keyOf(user)}`;
    const last = notified.get(key);
    if (last !== undefined && last.resetsAt === use.resetsAt && last.percent >= percent) return;
    notified.set(key, { resetsAt: use.resetsAt, percent });
    notify(user, use, percent);
  }

  return {
    limitsOf,
    refusal,
    atMail: (credential) =>
      withUse(credential, (use) => {
        const over = use.find((one) => one.limit.kind === 'messages' && isOver(one, 1, now()));
        if (over !== undefined) throw refuse(credential, over);
        return undefined;
      }),
    atRecipient: (credential, address, already) =>
      withUse(credential, (use) => {
        const over = use.find((one) => one.limit.kind === 'recipients' && isOver(one, already.size + 1, now()));
        if (over !== undefined) throw refuse(credential, over);
        const scarce = use.find((one) => one.limit.kind === 'newRecipients' && isOver(one, already.size + 1, now()));
        return scarce === undefined ? undefined : judgeNew(credential, scarce, already, address);
      }),
    noteUse(user, use, exceeded) {
      if (exceeded !== undefined) announce(user, exceeded, 100);
      if (use.length === 0) return;
      known.set(keyOf(user), use);
      for (const one of use) announce(user, one);
    },
    forget: () => known.clear(),
    reload(next) {
      current = next;
    },
  };
}

/** The credential's own limits, or the defaults. A mail server has none by default. */
export const limitsFor = ({ limits, mailServer }: Credential, defaults: readonly Limit[]) =>
  limits ?? (mailServer ? [] : defaults);

const keyOf = ({ name, createdAt }: QuotaUser) => `${createdAt} ${name}`;

/** True for the same kind in the same window. The count may have been changed. */
function isSame(a: Limit, b: Limit): boolean {
  return a.kind === b.kind && a.per === b.per;
}

/** Today's limits with the use that is remembered. Undefined: the use of one is not known. */
function matched(list: readonly Limit[], use: readonly LimitUse[]): readonly LimitUse[] | undefined {
  const found: LimitUse[] = [];
  for (const limit of list) {
    const one = use.find((known) => isSame(known.limit, limit));
    if (one === undefined) return undefined;
    found.push(one.limit.count === limit.count ? one : { ...one, limit });
  }
  return found;
}

const LENGTH = { minute: MINUTE, hour: HOUR, day: DAY } as const;

/** True where `more` cannot fit into the running window. A window that ends too far ahead is over: the clock was set back. */
function isOver({ limit, used, resetsAt }: LimitUse, more: number, now: number): boolean {
  const runs = now < resetsAt && resetsAt <= now + LENGTH[limit.per];
  return (runs ? used : 0) + more > limit.count;
}

function percentOf({ limit, used }: LimitUse): 80 | 100 | undefined {
  if (used >= limit.count) return 100;
  return used >= limit.count * 0.8 ? 80 : undefined;
}

const WORDS = { messages: 'messages', recipients: 'recipients', newRecipients: 'first-time recipients' } as const;

function duration(ms: number): string {
  if (ms >= 2 * HOUR) return `${Math.ceil(ms / HOUR)} h`;
  if (ms >= 2 * MINUTE) return `${Math.ceil(ms / MINUTE)} min`;
  return `${Math.max(1, Math.ceil(ms / SECOND))} s`;
}

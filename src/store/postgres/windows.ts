/** The windows of a user's limits: one row for each user, which is locked while it is judged. */
import type { Limit, LimitUse } from '../../smtp/limit.ts';
import { DAY, HOUR, MINUTE } from '../../system/clock.ts';
import { userKey } from '../sqlite/limits.ts';
import { KINDS, UNITS } from '../sqlite/states.ts';
import type { DatabaseTransaction } from './database-transaction.ts';

const LENGTH = { minute: MINUTE, hour: HOUR, day: DAY } as const;
/** The clock of the database may be set back by so much, or be that of a new primary. */
const SKEW = MINUTE;
const RENEW_DAYS = 7;
export const dayNumber = (time: number) => Math.floor(time / DAY);

type Amounts = Readonly<Record<Limit['kind'], number>>;
type Judgement = { readonly exceeded: LimitUse | null; readonly use: readonly LimitUse[]; readonly amounts: Amounts };

/** The use and the known recipients of one user, as the locked row says, and as the messages of this transaction change it. */
class UserUse {
  /** Start and use of each kind and unit. */
  readonly windows: number[];
  /** The day of the last message to each address that was asked for. */
  readonly usedOn: Map<string, number>;
  readonly written = new Map<string, number>();
  isChanged = false;

  constructor(windows: readonly number[], usedOn: Map<string, number>) {
    this.windows = [...windows];
    this.usedOn = usedOn;
  }

  /** Counts the whole message. If it is over a limit, counts nothing. */
  judge(list: readonly Limit[], now: number, addresses: readonly string[]): Judgement {
    const today = dayNumber(now);
    const keys = new Set(addresses.map(addressKey));
    const unknown = [...keys].filter((key) => !this.usedOn.has(key));
    const amounts = { messages: 1, recipients: addresses.length, newRecipients: unknown.length };
    const before = this.use(list, now);
    const exceeded = before.find(({ limit, used }) => used + amounts[limit.kind] > limit.count) ?? null;
    if (exceeded !== null) return { exceeded, use: before, amounts };
    const counted = new Set<number>();
    for (const { kind, per } of list) {
      const place = placeOf(kind, per);
      if (amounts[kind] === 0 || counted.has(place)) continue; // limits with the same kind and unit share a window
      counted.add(place);
      const { startedAt, used } = this.#window({ kind, per }, now);
      this.windows[place] = startedAt;
      this.windows[place + 1] = used + amounts[kind];
      this.isChanged = true;
    }
    for (const key of keys) {
      const usedOn = this.usedOn.get(key);
      if (usedOn !== undefined && usedOn + RENEW_DAYS > today && usedOn <= today) continue;
      this.usedOn.set(key, today);
      this.written.set(key, today);
    }
    return { exceeded, use: this.use(list, now), amounts };
  }

  use(list: readonly Limit[], now: number): readonly LimitUse[] {
    return list.map((limit) => {
      const { startedAt, used } = this.#window(limit, now);
      return { limit, used, resetsAt: startedAt + LENGTH[limit.per] };
    });
  }

  /** A window that begins far in the future counts as ended, so that a clock that was set back does not stop a user. */
  #window({ kind, per }: Pick<Limit, 'kind' | 'per'>, now: number): { startedAt: number; used: number } {
    const place = placeOf(kind, per);
    const [startedAt, used] = [this.windows[place] ?? 0, this.windows[place + 1] ?? 0];
    if (used === 0 || now >= startedAt + LENGTH[per] || now < startedAt - SKEW) return { startedAt: now, used: 0 };
    return { startedAt, used };
  }
}

const placeOf = (kind: Limit['kind'], per: Limit['per']) => 2 * (KINDS.indexOf(kind) * UNITS.length + UNITS.indexOf(per));
const NONE = new Array(2 * KINDS.length * UNITS.length).fill(0) as number[];
const addressKey = (address: string) => address.toLowerCase();

type Asked = { readonly user: string; readonly addresses: readonly string[] };
type Known = { user_key: string; address: string; used_on: number };
const KNOWN = `
  SELECT k.user_key, k.address, k.used_on FROM unnest($1::text[], $2::text[]) AS a (user_key, address)
  JOIN known_recipients k ON k.user_key = a.user_key AND k.address = a.address`;

/** Those that count in one transaction, with their rows locked until it ends. */
export class LockedUse {
  readonly #users = new Map<string, UserUse>();

  /** @returns reads what was sent; `flush` must come before. */
  static send(tx: DatabaseTransaction, asked: readonly Asked[]): () => Promise<LockedUse> {
    const pairs = distinctPairs(asked);
    const users = [...new Set(asked.map(({ user }) => userKey(user)))].sort();
    // A row that is not there could not be locked. Rows are locked in the order of their keys, so that nobody waits in a circle.
    void tx.send(
      'INSERT INTO usage SELECT u, $2::bigint[] FROM unnest($1::text[]) AS n (u) ORDER BY u ON CONFLICT DO NOTHING',
      users,
      NONE,
    );
    const sql = 'SELECT user_key, windows FROM usage WHERE user_key = ANY($1::text[]) ORDER BY user_key FOR UPDATE';
    const rows = tx.send<{ user_key: string; windows: number[] }>(sql, users);
    const known = tx.send<Known>(KNOWN, ...columnsOf(pairs));
    return async () => {
      const locked = new LockedUse();
      const usedOn = new Map(users.map((user) => [user, new Map<string, number>()]));
      for (const { user_key, address, used_on } of await known) usedOn.get(user_key)?.set(address, used_on);
      const windows = new Map((await rows).map((row) => [row.user_key, row.windows]));
      for (const user of users) locked.#users.set(user, new UserUse(windows.get(user) ?? NONE, usedOn.get(user)!));
      return locked;
    };
  }

  of(user: string): UserUse {
    return this.#users.get(userKey(user))!;
  }

  /** Sends what was counted. */
  write(tx: DatabaseTransaction): void {
    const changed = [...this.#users].filter(([, use]) => use.isChanged);
    for (const [user, { windows }] of changed) void tx.send('UPDATE usage SET windows = $2 WHERE user_key = $1', user, windows);
    const written = [...this.#users].flatMap(([user, use]) =>
      [...use.written].map(([address, day]) => [user, address, day] as const),
    );
    if (written.length === 0) return;
    written.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]));
    void tx.send(
      `INSERT INTO known_recipients SELECT * FROM unnest($1::text[], $2::text[], $3::int[])
       ON CONFLICT (user_key, address) DO UPDATE SET used_on = excluded.used_on`,
      ...[0, 1, 2].map((i) => written.map((row) => row[i])),
    );
  }
}

export const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const columnsOf = (pairs: readonly (readonly [string, string])[]) => [
  pairs.map(([user]) => user),
  pairs.map(([, address]) => address),
];

function distinctPairs(asked: readonly Asked[]): readonly (readonly [string, string])[] {
  const pairs = new Map<string, readonly [string, string]>();
  for (const { user, addresses } of asked)
    for (const address of addresses) {
      const pair = [userKey(user), addressKey(address)] as const;
      pairs.set(pair.join('\0'), pair);
    }
  return [...pairs.values()];
}

/** The use, without a lock. */
export async function readUse(tx: DatabaseTransaction, { user, list }: { user: string; list: readonly Limit[] }) {
  const sql = 'SELECT time_ms() AS now, (SELECT windows FROM usage WHERE user_key = $1) AS windows';
  const row = await tx.get<{ now: number; windows: number[] | null }>(sql, userKey(user));
  return new UserUse(row?.windows ?? NONE, new Map()).use(list, row!.now);
}

export async function knownAmong(tx: DatabaseTransaction, { user, addresses }: Asked): Promise<readonly string[]> {
  const rows = await tx.all<Known>(KNOWN, ...columnsOf(distinctPairs([{ user, addresses }])));
  const known = new Set(rows.map(({ address }) => address));
  return addresses.filter((address) => known.has(addressKey(address)));
}

/** Limits of a user. They are checked and counted inside the transaction that accepts: behaviour rule 7. */
import type { Limit, LimitUse } from '../../smtp/limit.ts';
import { lowerAscii } from '../../smtp/text.ts';
import { DAY, HOUR, MINUTE } from '../../system/clock.ts';
import type { KnownRecipient } from '../message-view.ts';
import type { Context } from './context.ts';
import type { Database } from './database.ts';
import type { Value } from './rows.ts';
import { KINDS, UNITS } from './states.ts';

const LENGTH = { minute: MINUTE, hour: HOUR, day: DAY } as const;

export type LimitsArgument = {
  readonly user: string;
  readonly list: readonly Limit[];
  readonly over: 'refuse' | 'hold';
  readonly maxHeld?: number;
};
type Amounts = Readonly<Record<Limit['kind'], number>>;
type Judgement = { readonly exceeded: LimitUse | null; readonly use: readonly LimitUse[]; readonly amounts: Amounts };
type Window = { readonly startedAt: number; readonly used: number };

/** Counts the whole message. If it is over a limit, counts nothing. */
export function judgeAndCount(
  db: Database,
  limits: Pick<LimitsArgument, 'user' | 'list'>,
  now: number,
  addresses: readonly string[],
): Judgement {
  const user = userKey(limits.user);
  const today = dayOf(now);
  const { unknown, renewed } = sortRecipients(db, user, { addresses, today });
  const amounts = { messages: 1, recipients: addresses.length, newRecipients: unknown.length };
  const before = useOf(db, user, limits.list, now);
  const exceeded = before.find(({ limit, used }) => used + amounts[limit.kind] > limit.count) ?? null;
  if (exceeded !== null) return { exceeded, use: before, amounts };
  for (const limit of distinct(limits.list))
    if (amounts[limit.kind] > 0) count(db, user, { limit, now, by: amounts[limit.kind] });
  for (const address of unknown) db.run('INSERT INTO known_recipients VALUES (?, ?, ?)', user, address, today);
  for (const address of renewed)
    db.run('UPDATE known_recipients SET used_on = ? WHERE user = ? AND address = ?', today, user, address);
  return { exceeded, use: useOf(db, user, limits.list, now), amounts };
}

/** User names are compared without ASCII case. */
export const userKey = lowerAscii;
const addressKey = (address: string) => address.toLowerCase();

type Sent = { readonly addresses: readonly string[]; readonly today: number };
type Sorted = { readonly unknown: readonly string[]; readonly renewed: readonly string[] };

/** Finds new recipients, and known recipients whose day must be written again. The day is written once a week, so that most messages write nothing. */
function sortRecipients(db: Database, user: string, { addresses, today }: Sent): Sorted {
  const unknown = new Set<string>();
  const renewed = new Set<string>();
  for (const address of addresses) {
    const key = addressKey(address);
    const usedOn = usedOnOf(db, user, key);
    if (usedOn === undefined) unknown.add(key);
    else if (usedOn + RENEW_DAYS <= today || usedOn > today) renewed.add(key);
  }
  return { unknown: [...unknown], renewed: [...renewed] };
}

function usedOnOf(db: Database, user: string, address: string): number | undefined {
  const sql = 'SELECT used_on FROM known_recipients WHERE user = ? AND address = ?';
  return db.get<{ used_on: number }>(sql, user, address)?.used_on;
}

const dayOf = (time: number) => Math.floor(time / DAY);
const RENEW_DAYS = 7;
/** More than a year, so that a yearly message is not to new recipients. */
const KEEP_DAYS = 400;
const STEP_RECIPIENTS = 2000;

/** Reads some recipients behind `after`, and forgets those that their user has not written to for KEEP_DAYS. */
export function forgetRecipients(
  { db }: Context,
  { now, after }: { now: number; after: KnownRecipient | null },
): { readonly forgotten: number; readonly after: KnownRecipient | null } {
  const from = after ?? { user: '', address: '' };
  const rows = db.all<KnownRecipient & { used_on: number }>(
    'SELECT user, address, used_on FROM known_recipients WHERE (user, address) > (?, ?) ORDER BY user, address LIMIT ?',
    from.user,
    from.address,
    STEP_RECIPIENTS,
  );
  const oldest = dayOf(now) - KEEP_DAYS - RENEW_DAYS;
  const old = rows.filter(({ used_on }) => used_on < oldest);
  for (const { user, address } of old) db.run('DELETE FROM known_recipients WHERE user = ? AND address = ?', user, address);
  const last = rows.length < STEP_RECIPIENTS ? undefined : rows.at(-1);
  return { forgotten: old.length, after: last === undefined ? null : { user: last.user, address: last.address } };
}

/** Limits with the same kind and unit share a window, which is counted once. */
function distinct(list: readonly Limit[]): readonly Limit[] {
  return list.filter((a, i) => list.findIndex((b) => a.kind === b.kind && a.per === b.per) === i);
}

/** @param name in any spelling. */
export function useOf(db: Database, name: string, list: readonly Limit[], now: number): readonly LimitUse[] {
  const user = userKey(name);
  return list.map((limit) => {
    const { startedAt, used } = windowOf(db, user, limit, now);
    return { limit, used, resetsAt: startedAt + LENGTH[limit.per] };
  });
}

/** A window that begins in the future counts as ended, so that a clock that was set back does not stop a user. */
function windowOf(db: Database, user: string, { kind, per }: Limit, now: number): Window {
  const row = db.get<{ started_at: number; used: number }>(
    'SELECT started_at, used FROM usage WHERE user = ? AND kind = ? AND per = ?',
    user,
    KINDS.indexOf(kind),
    UNITS.indexOf(per),
  );
  if (row === undefined || now >= row.started_at + LENGTH[per] || now < row.started_at) return { startedAt: now, used: 0 };
  return { startedAt: row.started_at, used: row.used };
}

function count(db: Database, user: string, { limit, now, by }: { limit: Limit; now: number; by: number }): void {
  const { startedAt, used } = windowOf(db, user, limit, now);
  db.run(
    'INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?)',
    user,
    KINDS.indexOf(limit.kind),
    UNITS.indexOf(limit.per),
    startedAt,
    used + by,
  );
}

export function limitUse({ db }: Context, a: { user: string; list: readonly Limit[]; now: number }): readonly LimitUse[] {
  return useOf(db, userKey(a.user), a.list, a.now);
}

export function knownRecipients({ db }: Context, a: { user: string; addresses: readonly string[] }): readonly string[] {
  const user = userKey(a.user);
  return a.addresses.filter((address) => usedOnOf(db, user, addressKey(address)) !== undefined);
}

/** Every fourth value is an address, see EncodedMessage. */
export function addressesOf(recipients: readonly Value[]): readonly string[] {
  const addresses: string[] = [];
  for (let i = 0; i < recipients.length; i += 4) addresses.push(recipients[i] as string);
  return addresses;
}

/**
 * The connections that relays have to upstreams whose accounts have a limit: one row for each process and upstream, in `slots`. The lease of
 * a row is the sign of life of its process in `nodes`. So what a dead relay had is free after 30 s, and nothing has to be renewed here.
 */
import type { SlotAnswer, SlotAsk, SlotStore } from '../slot-store.ts';
import type { Requests } from '../sqlite/requests.ts';
import { ownRequest, type PostgresContext } from './postgres-context.ts';

/** A relay that waits asks each second. One that has not asked for so long, in milliseconds, has no turn. */
const ASKS = 5000;

type Wanter = { held: number; waiting: number; readonly since: number };
type Row = Wanter & { readonly isOwn: boolean };

const ALIVE = `EXISTS (SELECT 1 FROM nodes n WHERE n.incarnation = s.incarnation AND n.seen_at > clock_timestamp() - interval '30 s')`;
const PUT = `
  INSERT INTO slots (upstream, incarnation, held, waiting, since, asked_at) VALUES ($1, $2, $3, $4, $5, time_ms())
  ON CONFLICT (upstream, incarnation) DO UPDATE SET held = excluded.held, waiting = excluded.waiting, since = excluded.since,
    asked_at = excluded.asked_at`;

/** Each free one goes to whom has the fewest, of these to whom has waited longest. @returns what is for `own`. */
export function turnsOf(free: number, own: Wanter, others: readonly Wanter[]): number {
  const mine = { ...own };
  const all = [mine, ...others.map((other) => ({ ...other }))];
  const before = (a: Wanter, b: Wanter) => a.held - b.held || a.since - b.since;
  for (let left = free; left > 0; left--) {
    const [next] = all.filter(({ waiting }) => waiting > 0).sort(before);
    if (next === undefined) break;
    next.held++;
    next.waiting--;
  }
  return mine.held - own.held;
}

export async function askSlots({ tx, incarnation }: PostgresContext, ask: SlotAsk): Promise<SlotAnswer> {
  const { upstream, most, held, waiting } = ask;
  // A row that is not there yet cannot be locked.
  await tx.run('SELECT pg_advisory_xact_lock(hashtext($1))', `slots ${upstream}`);
  await tx.run(`DELETE FROM slots s WHERE upstream = $1 AND NOT ${ALIVE}`, upstream);
  const rows = await tx.all<Row>(
    `SELECT held, CASE WHEN asked_at > time_ms() - ${ASKS} THEN waiting ELSE 0 END AS waiting, since, incarnation = $2 AS "isOwn"
     FROM slots WHERE upstream = $1`,
    ...[upstream, incarnation],
  );
  const { now, isAlive } = (await tx.get<{ now: number; isAlive: boolean }>(
    `SELECT time_ms() AS now, ${ALIVE} AS "isAlive" FROM (SELECT $1::text AS incarnation) s`,
    incarnation,
  ))!;
  const before = rows.find(({ isOwn }) => isOwn);
  const others = rows.filter(({ isOwn }) => !isOwn);
  const since = before !== undefined && before.waiting > 0 ? before.since : now;
  const free = most - held - others.reduce((sum, other) => sum + other.held, 0);
  // Others count the rows of the living only.
  const granted = isAlive ? turnsOf(free, { held, waiting, since }, others) : 0;
  if (held + waiting === 0) await tx.run('DELETE FROM slots WHERE upstream = $1 AND incarnation = $2', upstream, incarnation);
  else await tx.run(PUT, upstream, incarnation, held + granted, waiting - granted, granted > 0 ? now : since);
  return { granted, othersWait: others.some((other) => other.waiting > 0) };
}

export function slotStore(client: Pick<Requests, 'call'>): SlotStore {
  return { ask: ownRequest<SlotAsk, SlotAnswer>(client, 'askSlots') };
}

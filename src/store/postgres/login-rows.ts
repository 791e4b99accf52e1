/** Credentials and failed logins in their rows. */
import { randomBytes } from 'node:crypto';
import type { Limit } from '../../smtp/limit.ts';
import { DAY, MINUTE } from '../../system/clock.ts';
import type { Credential, FailureCount } from '../credential-store.ts';
import { isAsSeen } from '../sqlite/credential-rows.ts';
import { userKey } from '../sqlite/limits.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import { columns } from './parameters.ts';
import type { OperationTable } from './postgres-context.ts';
import { compare } from './windows.ts';

type Row = {
  name: string;
  hash: string;
  senders: string;
  mail_server: boolean;
  limits: string | null;
  disabled: boolean;
  expires_at: number | null;
  rewrite: string | null;
  created_at: number;
  generation: string;
  revision: number;
};
const COLUMNS = 'name, hash, senders, mail_server, limits, disabled, expires_at, rewrite, created_at, generation, revision';

function decode(row: Row): Credential {
  return {
    name: row.name,
    hash: row.hash,
    senders: JSON.parse(row.senders) as string[],
    mailServer: row.mail_server,
    limits: row.limits === null ? null : (JSON.parse(row.limits) as Limit[]),
    disabled: row.disabled,
    expiresAt: row.expires_at,
    rewrite: row.rewrite,
    createdAt: row.created_at,
    generation: row.generation,
    revision: row.revision,
  };
}

async function read(tx: DatabaseTransaction, name: string, lock = ''): Promise<Credential | undefined> {
  const row = await tx.get<Row>(`SELECT ${COLUMNS} FROM credentials WHERE key = $1 ${lock}`, userKey(name));
  return row === undefined ? undefined : decode(row);
}

/** @returns false if the name exists, and `update` is not given. */
async function put(tx: DatabaseTransaction, c: Credential, update: boolean): Promise<boolean> {
  const set = COLUMNS.split(', ')
    .map((name) => `${name} = excluded.${name}`)
    .join(', ');
  const changed = await tx.run(
    `INSERT INTO credentials (key, ${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     ON CONFLICT (key) ${update ? `DO UPDATE SET ${set}` : 'DO NOTHING'}`,
    ...[
      userKey(c.name),
      c.name,
      c.hash,
      JSON.stringify(c.senders),
      c.mailServer,
      c.limits === null ? null : JSON.stringify(c.limits),
    ],
    ...[c.disabled, c.expiresAt, c.rewrite, c.createdAt, c.generation, c.revision],
  );
  return changed > 0;
}

const newGeneration = () => randomBytes(9).toString('hex');

const FAILURE_COLUMNS = `key, CASE WHEN minute_ends_at > time_ms() THEN in_minute ELSE 0 END AS in_minute, minute_ends_at, in_day, day_ends_at`;

/** One failure more than all processes have counted before, or the first of a new window. */
function inWindow(count: string, endsAt: string, length: number): string {
  const runs = `f.${endsAt} > time_ms() AND f.${endsAt} <= time_ms() + ${length}`;
  return `${count} = CASE WHEN ${runs} THEN greatest(f.${count} + 1, excluded.${count}) ELSE excluded.${count} END,
    ${endsAt} = CASE WHEN ${runs} THEN f.${endsAt} ELSE excluded.${endsAt} END`;
}

const decodeFailures = (row: FailureRow): FailureCount => ({
  ...{ key: row.key, inMinute: row.in_minute, minuteEndsAt: row.minute_ends_at },
  ...{ inDay: row.in_day, dayEndsAt: row.day_ends_at },
});

type FailureRow = { key: string; in_minute: number; minute_ends_at: number; in_day: number; day_ends_at: number };

export const loginOperations: OperationTable<
  | 'getCredential'
  | 'listCredentials'
  | 'addCredential'
  | 'updateCredential'
  | 'renewHash'
  | 'removeCredential'
  | 'putFailures'
  | 'failures'
  | 'forgetFailures'
> = {
  getCredential: { kind: 'read', run: ({ tx }, name) => read(tx, name) },
  listCredentials: {
    kind: 'read',
    run: async ({ tx }) => (await tx.all<Row>(`SELECT ${COLUMNS} FROM credentials ORDER BY key`)).map(decode),
  },
  addCredential: {
    kind: 'write',
    async run({ tx, effects }, credential) {
      if (!(await put(tx, { ...credential, generation: newGeneration(), revision: 0 }, false))) return false;
      effects.changed('credentials');
      return true;
    },
  },
  updateCredential: {
    kind: 'write',
    async run({ tx, effects }, { name, change, seen }) {
      const old = await read(tx, name, 'FOR UPDATE');
      if (old === undefined || !isAsSeen(old, seen)) return false;
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      const { name: known, createdAt, revision } = old;
      const generation = change.hash === undefined || change.hash === old.hash ? old.generation : newGeneration();
      effects.changed('credentials', 'limits');
      return put(tx, { ...old, ...given, name: known, createdAt, generation, revision: revision + 1 }, true);
    },
  },
  /** The password and its generation are not changed, so that sessions stay open. */
  renewHash: {
    kind: 'write',
    run: async ({ tx }, { name, from, to }) =>
      (await tx.run('UPDATE credentials SET hash = $1 WHERE key = $2 AND hash = $3', to, userKey(name), from)) > 0,
  },
  /** Removes the counts and known recipients of the user too, so that a later user of the same name begins with none. */
  removeCredential: {
    kind: 'write',
    async run({ tx, effects }, { name, seen }) {
      const old = await read(tx, name, 'FOR UPDATE');
      if (old !== undefined && !isAsSeen(old, seen)) return false;
      const key = userKey(name);
      effects.changed('credentials', 'limits');
      const removed = await tx.run('DELETE FROM credentials WHERE key = $1', key);
      await tx.run('DELETE FROM usage WHERE user_key = $1', key);
      await tx.run('DELETE FROM known_recipients WHERE user_key = $1', key);
      return removed > 0;
    },
  },
  putFailures: {
    kind: 'write',
    async run({ tx }, { counts }) {
      await tx.run(
        'DELETE FROM failures WHERE key IN (SELECT key FROM failures WHERE day_ends_at <= time_ms() ORDER BY key LIMIT 100 FOR UPDATE SKIP LOCKED)',
      );
      const last = new Map(counts.map((count) => [count.key, count])); // the same row cannot be written twice in a statement
      const rows = [...last.values()].toSorted((a, b) => compare(a.key, b.key));
      if (rows.length === 0) return [];
      const sums = await tx.all<FailureRow>(
        `INSERT INTO failures AS f SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::bigint[])
         ON CONFLICT (key) DO UPDATE SET ${inWindow('in_minute', 'minute_ends_at', MINUTE)}, ${inWindow('in_day', 'day_ends_at', DAY)}
         RETURNING ${FAILURE_COLUMNS}`,
        ...columns(
          rows.map((one) => [one.key, one.inMinute, one.minuteEndsAt, one.inDay, one.dayEndsAt]),
          5,
        ),
      );
      return sums.map(decodeFailures);
    },
  },
  failures: {
    kind: 'read',
    async run({ tx }) {
      const sql = `SELECT ${FAILURE_COLUMNS} FROM failures WHERE day_ends_at > time_ms() AND day_ends_at <= time_ms() + ${DAY} ORDER BY key`;
      return (await tx.all<FailureRow>(sql)).map(decodeFailures);
    },
  },
  forgetFailures: {
    kind: 'write',
    async run({ tx }, key) {
      await tx.run('DELETE FROM failures WHERE key = $1', key);
    },
  },
};

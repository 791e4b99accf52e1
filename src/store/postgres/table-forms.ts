/**
 * The tables of a store in files and of one on PostgreSQL, row by row in one form, for everything that carries a whole store from one to
 * the other. The form is that of the store in files: its columns in their order, with numbers in place of booleans.
 */
import { crc32 } from 'node:zlib';
import { StoreError } from '../opening.ts';
import type { Database } from '../sqlite/database.ts';
import { KINDS, UNITS } from '../sqlite/states.ts';
import type { DatabaseSession } from './database-session.ts';

type Cell = string | number | null;
export type FormRow = readonly Cell[];
export type TableForm = {
  readonly name: string;
  /** Its columns, in files and on PostgreSQL. */
  readonly columns: readonly { readonly here: string; readonly there: string; readonly isBoolean: boolean }[];
  /** Kept by machine, because a host judges the address that it sees. */
  readonly isOfMachine: boolean;
};

/** The columns of each table on PostgreSQL, with their types. */
type TablesThere = ReadonlyMap<string, ReadonlyMap<string, string>>;

export async function tablesThere(session: DatabaseSession): Promise<TablesThere> {
  const sql = `SELECT table_name AS table, column_name AS column, data_type AS type FROM information_schema.columns
    WHERE table_schema = 'smarthost'`;
  const tables = new Map<string, Map<string, string>>();
  for (const { table, column, type } of (await session.ask<{ table: string; column: string; type: string }>(sql)).rows)
    tables.set(table, (tables.get(table) ?? new Map()).set(column, type));
  return tables;
}

/** Rows of one run of a process, counts that are made again, and contents, which are carried with `open`. */
const LEFT = new Set(['counters', 'changes', 'owners', 'contents', 'backup_spool', 'backup_facts', 'sqlite_sequence']);
/** `instance.node` is the node of a store in files. A lease belongs to a run that is over. */
const OWN_VALUES = `name NOT LIKE 'lease.%' AND name NOT IN ('instance.node', 'moved.to')`;
/** The key of a content in files has no meaning elsewhere. */
const OWN_COLUMNS = new Set(['open.content']);
/** `user` is a word of the language of PostgreSQL. */
const endings = ['', '_name', '_key'] as const;

/** The tables that are carried, `open` last, so that a message is there before it is queued. @throws StoreError if one has no place there. */
export function tableForms(db: Database, there: TablesThere): readonly TableForm[] {
  const names = db.all<{ name: string }>(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name = 'open', name`);
  return names.filter(({ name }) => !LEFT.has(name)).map(({ name }) => formOf(db, name, there.get(name) ?? new Map()));
}

function formOf(db: Database, name: string, there: ReadonlyMap<string, string>): TableForm {
  const columns = db.all<{ name: string }>(`SELECT name FROM pragma_table_info('${name}') ORDER BY cid`);
  return {
    name,
    isOfMachine: there.has('machine'),
    columns: columns
      .filter((column) => !OWN_COLUMNS.has(`${name}.${column.name}`))
      .map(({ name: here }) => {
        const found = endings.map((end) => here + end).find((one) => there.has(one)) ?? (name === 'usage' ? here : undefined);
        if (found === undefined) throw new StoreError(`The database has no place for ${name}.${here}`);
        return { here, there: found, isBoolean: there.get(found) === 'boolean' };
      }),
  };
}

/** Counts rows, and adds up their checksums, so that their order does not matter. */
export class RowSum {
  count = 0;
  sum = 0;

  add(row: readonly unknown[]): void {
    this.count++;
    this.sum = (this.sum + crc32(JSON.stringify(row))) % 2 ** 48;
  }

  equals(other: RowSum): boolean {
    return this.count === other.count && this.sum === other.sum;
  }
}

const quoted = (name: string) => `"${name}"`;

export function* rowsHere(db: Database, { name, columns }: TableForm): Generator<FormRow> {
  const only = name === 'small_values' ? ` WHERE ${OWN_VALUES}` : '';
  const rows = db.iterate<Record<string, Cell>>(
    `SELECT ${columns.map(({ here }) => quoted(here)).join(', ')} FROM ${name}${only}`,
  );
  for (const row of rows) yield Object.values(row);
}

export function insertHere(db: Database, { name, columns }: TableForm, rows: readonly FormRow[]): void {
  const sql = `INSERT INTO ${name} (${columns.map(({ here }) => quoted(here)).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`;
  for (const row of rows) db.run(sql, ...row);
}

/** Rows in steps, from one snapshot. The transaction is the caller's. */
export async function* rowsThere(session: DatabaseSession, form: TableForm, machine: string): AsyncGenerator<readonly FormRow[]> {
  const { name, columns, isOfMachine } = form;
  if (name === 'usage') {
    for await (const rows of fetched<{ user_key: string; windows: number[] }>(
      session,
      name,
      'SELECT user_key, windows FROM usage',
    ))
      yield rows.flatMap((row) => windowRows(row.user_key, row.windows));
    return;
  }
  const only = name === 'small_values' ? ` WHERE ${OWN_VALUES}` : isOfMachine ? ' WHERE machine = $1' : '';
  const sql = `SELECT ${columns.map(({ there }) => quoted(there)).join(', ')} FROM ${name}${only} ORDER BY 1`;
  const given = isOfMachine ? [machine] : [];
  for await (const rows of fetched<Record<string, Cell | boolean>>(session, name, sql, given))
    yield rows.map((row) => Object.values(row).map((cell) => (typeof cell === 'boolean' ? Number(cell) : cell)));
}

let cursors = 0;
/** @param most rows of one step. */
export async function* fetched<T>(
  session: DatabaseSession,
  name: string,
  sql: string,
  given: readonly unknown[] = [],
  most = 1000,
): AsyncGenerator<readonly T[]> {
  const cursor = `${name}_${++cursors}`;
  await session.ask(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${sql}`, given);
  for (;;) {
    const { rows } = await session.ask<T>(`FETCH ${most} FROM ${cursor}`);
    if (rows.length === 0) break;
    yield rows;
  }
  await session.ask(`CLOSE ${cursor}`);
}

export async function insertThere(
  session: DatabaseSession,
  form: TableForm,
  rows: readonly FormRow[],
  machine: string,
): Promise<void> {
  const { name, columns, isOfMachine } = form;
  if (rows.length === 0) return;
  const objects =
    name === 'usage'
      ? windowsOf(rows)
      : rows.map((row) => ({
          ...(isOfMachine ? { machine } : {}),
          ...Object.fromEntries(
            columns.map(({ there, isBoolean }, i) => [there, isBoolean && row[i] !== null ? row[i] !== 0 : row[i]]),
          ),
        }));
  const names = Object.keys(objects[0]!).map(quoted).join(', ');
  // The numbers of some rows are given by the table, but here they must stay as they are.
  await session.ask(
    `INSERT INTO ${name} (${names}) OVERRIDING SYSTEM VALUE
     SELECT ${names} FROM json_populate_recordset(NULL::${name}, $1::json)`,
    [JSON.stringify(objects)],
  );
}

/** In files each window of a user has its row: user, kind, unit, start, use. */
function windowRows(user: string, windows: readonly number[]): FormRow[] {
  return KINDS.flatMap((_, kind) =>
    UNITS.flatMap((_, per) => {
      const at = 2 * (kind * UNITS.length + per);
      const [startedAt, used] = [windows[at] ?? 0, windows[at + 1] ?? 0];
      return startedAt === 0 && used === 0 ? [] : [[user, kind, per, startedAt, used]];
    }),
  );
}

/** The rows of one user stand together, because they are in the order of their key. */
function windowsOf(rows: readonly FormRow[]): readonly { readonly user_key: Cell; readonly windows: number[] }[] {
  const users = new Map<Cell, number[]>();
  for (const [user = null, kind, per, startedAt, used] of rows) {
    const windows = users.get(user) ?? new Array<number>(2 * KINDS.length * UNITS.length).fill(0);
    users.set(user, windows);
    const at = 2 * (Number(kind) * UNITS.length + Number(per));
    windows[at] = Number(startedAt);
    windows[at + 1] = Number(used);
  }
  return [...users].map(([user_key, windows]) => ({ user_key, windows }));
}

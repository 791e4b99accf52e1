/**
 * Carries a whole store from files into a database, and back. All rows and bodies are read again from where they were written, and their
 * counts and checksums compared with what was read first.
 */
import { closeSync, createReadStream, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { SPOOL_DIR, syncDirectory } from '../embedded/data-dir.ts';
import type { MoveProgress } from '../move.ts';
import { StoreError } from '../opening.ts';
import type { Database } from '../sqlite/database.ts';
import { BYTES } from '../sqlite/effects.ts';
import { isSpoolName } from '../sqlite/spool.ts';
import { ENDED } from '../sqlite/states.ts';
import { CHUNK } from './chunks.ts';
import type { DatabaseSession } from './database-session.ts';
import {
  type FormRow,
  fetched,
  insertHere,
  insertThere,
  RowSum,
  rowsHere,
  rowsThere,
  type TableForm,
  tableForms,
  tablesThere,
} from './table-forms.ts';

type Told = (progress: MoveProgress) => void;
export type Carrying = {
  readonly dataDir: string;
  /** Whose back-off is carried: a host judges the address of a relay. */
  readonly machine: string;
  readonly told: Told;
};

const STEP_ROWS = 1000;
const STEP_BYTES = 4 * 1024 * 1024;
/** The row of `writers` that has the counts of what was carried. No process has this number. */
const NO_NODE = -1;
const BODIES = 'bodies';
const LARGE_BODIES = 'large bodies';

type Sums = Map<string, RowSum>;
function sumOf(sums: Sums, name: string): RowSum {
  const found = sums.get(name) ?? new RowSum();
  sums.set(name, found);
  return found;
}

/** @throws StoreError that names what differs. */
function compare(read: Sums, written: Sums): void {
  for (const [name, before] of read) {
    const after = written.get(name) ?? new RowSum();
    if (!before.equals(after))
      throw new StoreError(
        before.count === after.count
          ? `The copy of ${name} differs from what was read: nothing is changed`
          : `The copy has ${after.count} of ${before.count} rows of ${name}: nothing is changed`,
      );
  }
}

const totalOf = (sums: Sums) => Object.fromEntries([...sums].map(([name, { count }]) => [name, count]));

/** Fills empty tables. The transaction is the caller's. @returns the number of rows by table. @throws StoreError if the copy differs. */
export async function copyIn(
  db: Database,
  session: DatabaseSession,
  { dataDir, machine, told }: Carrying,
): Promise<Record<string, number>> {
  const read: Sums = new Map();
  const forms = tableForms(db, await tablesThere(session));
  for (const form of forms) {
    const sum = sumOf(read, form.name);
    for (const rows of inSteps(rowsHere(db, form), form.name === 'usage')) {
      await insertThere(session, form, rows, machine);
      for (const row of rows) sum.add(row);
      told({ table: form.name, rows: sum.count });
    }
  }
  await bodiesIn(db, session, sumOf(read, BODIES), told);
  await largeBodiesIn(db, dataDir, session, sumOf(read, LARGE_BODIES), told);
  await session.ask(COUNT_THERE);
  const numbered = await session.ask<{ table: string; column: string }>(NUMBERED);
  for (const { table, column } of numbered.rows)
    await session.ask(
      `SELECT setval(pg_get_serial_sequence('${table}', '${column}'), (SELECT coalesce(max(${column}), 0) + 1 FROM ${table}), false)`,
    );
  const written: Sums = new Map();
  await readThere(session, forms, { sums: written, told, machine });
  compare(read, written);
  return totalOf(read);
}

function* inSteps(rows: Iterable<FormRow>, byFirst: boolean): Generator<FormRow[]> {
  let step: FormRow[] = [];
  for (const row of rows) {
    if (step.length >= STEP_ROWS && !(byFirst && step.at(-1)![0] === row[0])) {
      yield step;
      step = [];
    }
    step.push(row);
  }
  if (step.length > 0) yield step;
}

type Body = { id: string; bytes: Uint8Array };
const INSERT_BODIES = `
  INSERT INTO contents SELECT id, substring($2::bytea FROM start FOR length)
  FROM unnest($1::text[], $3::int[], $4::int[]) AS c (id, start, length)`;

async function bodiesIn(db: Database, session: DatabaseSession, sum: RowSum, told: Told): Promise<void> {
  let step: Body[] = [];
  let size = 0;
  const flush = async () => {
    if (step.length === 0) return;
    let start = 1;
    const starts = step.map(({ bytes }) => (start += bytes.byteLength) - bytes.byteLength);
    const lengths = step.map(({ bytes }) => bytes.byteLength);
    const ids = step.map(({ id }) => id);
    await session.ask(INSERT_BODIES, [ids, Buffer.concat(step.map(({ bytes }) => bytes)), starts, lengths]);
    told({ table: BODIES, rows: sum.count });
    step = [];
    size = 0;
  };
  for (const body of db.iterate<Body>('SELECT o.id, c.bytes FROM open o JOIN contents c ON c.key = o.content')) {
    sum.add([body.id, crc32(body.bytes)]);
    step.push(body);
    size += body.bytes.byteLength;
    if (step.length >= STEP_ROWS || size >= STEP_BYTES) await flush();
  }
  await flush();
}

const SPOOLED = 'SELECT DISTINCT spool FROM open WHERE spool IS NOT NULL ORDER BY spool';

/** A body that is missing or cut short stays so: its message is set aside when it is claimed, as it would be here. */
async function largeBodiesIn(db: Database, dataDir: string, session: DatabaseSession, sum: RowSum, told: Told): Promise<void> {
  for (const { spool } of db.all<{ spool: string }>(SPOOLED)) {
    let check = 0;
    let seq = 0;
    for await (const piece of piecesOf(join(dataDir, SPOOL_DIR), spool)) {
      check = crc32(piece, check);
      await session.ask('INSERT INTO chunks (spool, seq, bytes) VALUES ($1, $2, $3)', [spool, seq++, piece]);
    }
    if (seq > 0) sum.add([spool, check]);
    told({ table: LARGE_BODIES, rows: sum.count });
  }
}

/** The columns that the database numbers itself. */
const NUMBERED = `
  SELECT table_name AS table, column_name AS column FROM information_schema.columns WHERE table_schema = 'smarthost' AND is_identity = 'YES'`;
const COUNT_THERE = `
  INSERT INTO writers (node, kind, mark, s0, s1, s2, s3, s4)
  SELECT ${NO_NODE}, 0, 0, ${[0, 1, 2, 3, 4].map((state) => `count(*) FILTER (WHERE r.state = ${state})`).join(', ')}
  FROM open o JOIN recipients r ON r.message = o.id`;

type Reading = {
  readonly sums: Sums;
  readonly told: Told;
  readonly machine: string;
  /** Where the rows go. Absent: they are only counted. */
  readonly into?: {
    readonly rows: (form: TableForm, rows: readonly FormRow[]) => void;
    readonly body: (body: Body) => void;
    readonly spoolDir: string;
  };
};

async function readThere(
  session: DatabaseSession,
  forms: readonly TableForm[],
  { sums, told, machine, into }: Reading,
): Promise<void> {
  for (const form of forms) {
    const sum = sumOf(sums, form.name);
    for await (const rows of rowsThere(session, form, machine)) {
      into?.rows(form, rows);
      for (const row of rows) sum.add(row);
      told({ table: form.name, rows: sum.count });
    }
  }
  const bodies = sumOf(sums, BODIES);
  const sql = 'SELECT c.message AS id, c.bytes FROM contents c JOIN open o ON o.id = c.message ORDER BY c.message';
  for await (const step of fetched<Body>(session, 'contents', sql, [], 100)) {
    for (const body of step) {
      into?.body(body);
      bodies.add([body.id, crc32(body.bytes)]);
    }
    told({ table: BODIES, rows: bodies.count });
  }
  const large = sumOf(sums, LARGE_BODIES);
  for (const { spool } of (await session.ask<{ spool: string }>(SPOOLED)).rows) {
    const check = await readChunksOf(session, spool, into?.spoolDir);
    if (check !== undefined) large.add([spool, check]);
    told({ table: LARGE_BODIES, rows: large.count });
  }
}

/** @returns the checksum of the body, undefined if there is nothing of it. */
async function readChunksOf(session: DatabaseSession, spool: string, spoolDir: string | undefined): Promise<number | undefined> {
  if (!isSpoolName(spool)) return undefined;
  const file = spoolDir === undefined ? undefined : openSync(join(spoolDir, spool), 'w', 0o600);
  let check = 0;
  try {
    for (let seq = 0; ; seq++) {
      const sql = 'SELECT bytes FROM chunks WHERE spool = $1 AND seq = $2';
      const bytes = (await session.ask<{ bytes: Uint8Array }>(sql, [spool, seq])).rows[0]?.bytes;
      if (bytes === undefined) return seq === 0 ? undefined : check;
      check = crc32(bytes, check);
      for (let done = 0; file !== undefined && done < bytes.byteLength; ) done += writeSync(file, bytes, done);
    }
  } finally {
    if (file !== undefined) {
      fdatasyncSync(file);
      closeSync(file);
    }
  }
}

/** Fills a new store in files from one snapshot, whose transaction is open in the session. @returns the number of rows by table. */
export async function copyOut(
  session: DatabaseSession,
  db: Database,
  { dataDir, machine, told }: Carrying,
): Promise<Record<string, number>> {
  const spoolDir = join(dataDir, SPOOL_DIR);
  const forms = tableForms(db, await tablesThere(session));
  const read: Sums = new Map();
  const keys = new Map<string, number>();
  db.exec('BEGIN');
  const body = ({ id, bytes }: Body) => {
    keys.set(id, keys.size + 1);
    db.run('INSERT INTO contents VALUES (?, ?)', keys.size, bytes);
  };
  const rows = (form: TableForm, step: readonly FormRow[]) => {
    if (form.name === 'open') insertOpen(db, form, step);
    else insertHere(db, form, step);
  };
  await readThere(session, forms, { sums: read, told, machine, into: { rows, body, spoolDir } });
  for (const [id, key] of keys) db.run('UPDATE open SET content = ? WHERE id = ?', key, id);
  db.exec(`
    INSERT INTO counters SELECT 's' || r.state, count(*) FROM open o CROSS JOIN recipients r ON r.message = o.id
      WHERE r.state < ${ENDED} GROUP BY r.state;
    INSERT INTO counters SELECT '${BYTES}', coalesce(sum(length), 0) FROM open;
    COMMIT`);
  syncDirectory(spoolDir);
  compare(read, await readHere(db, spoolDir, forms));
  return totalOf(read);
}

/** The key of the content is set when the content is there. Until then it is one that no content has. */
function insertOpen(db: Database, form: TableForm, rows: readonly FormRow[]): void {
  const names = form.columns.map(({ here }) => here).join(', ');
  const sql = `INSERT INTO open (content, ${names}) VALUES (0, ${form.columns.map(() => '?').join(', ')})`;
  for (const row of rows) db.run(sql, ...row);
}

async function readHere(db: Database, spoolDir: string, forms: readonly TableForm[]): Promise<Sums> {
  const sums: Sums = new Map();
  for (const form of forms) for (const row of rowsHere(db, form)) sumOf(sums, form.name).add(row);
  for (const { id, bytes } of db.iterate<Body>('SELECT o.id, c.bytes FROM open o JOIN contents c ON c.key = o.content'))
    sumOf(sums, BODIES).add([id, crc32(bytes)]);
  for (const { spool } of db.all<{ spool: string }>(SPOOLED)) {
    const check = await checkOfFile(spoolDir, spool);
    if (check !== undefined) sumOf(sums, LARGE_BODIES).add([spool, check]);
  }
  return sums;
}

/** @returns undefined if there is nothing of it. */
async function checkOfFile(spoolDir: string, spool: string): Promise<number | undefined> {
  let check: number | undefined;
  for await (const piece of piecesOf(spoolDir, spool)) check = crc32(piece, check);
  return check;
}

async function* piecesOf(spoolDir: string, spool: string): AsyncGenerator<Buffer> {
  if (!isSpoolName(spool)) return;
  try {
    yield* createReadStream(join(spoolDir, spool), { highWaterMark: CHUNK });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Claims due recipients: one claim for each message, with at most 50 recipients. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { MINUTE } from '../../system/clock.ts';
import type { MessageFacts, StoredRecipient } from '../message-store.ts';
import type { Context } from './context.ts';
import { DamagedEntry, setAside } from './damage.ts';
import { isCorrupt, SQLITE_CORRUPT_INDEX, type SqliteError } from './database.ts';
import { claiming } from './owners.ts';
import {
  decodeFacts,
  decodeRecipient,
  isIntact,
  isIntactContent,
  isIntactRecipient,
  type MessageRow,
  RECIPIENT_COLUMNS,
  type RecipientRow,
  type SpoolRow,
} from './rows.ts';
import { isSpoolName } from './spool.ts';
import { ACTIVE } from './states.ts';

const MAX_RECIPIENTS = 50;
/** How long a destination is left alone, if its rows are damaged and cannot be set aside. */
const UNREADABLE_FOR = 10 * MINUTE;

type ClaimArgument = {
  readonly destination: string;
  readonly now: number;
  readonly limit: number;
  readonly lease: string;
};
export type ContentRow = { readonly bytes: Uint8Array<ArrayBuffer>; readonly spool: SpoolRow | null };
type ClaimRow = {
  readonly message: MessageFacts;
  readonly recipients: readonly StoredRecipient[];
  readonly content: ContentRow;
};

export function claim(context: Context, argument: ClaimArgument): readonly ClaimRow[] {
  if (context.due.isLeftAlone(argument.destination, argument.now)) return [];
  context.due.touch(argument.destination);
  const claims: ClaimRow[] = [];
  claiming(context, argument.lease);
  for (const [id, numbers] of dueMessages(context, argument)) {
    try {
      const content = readContent(context, id);
      if (content === undefined) throw new DamagedEntry('its content is not in the database');
      claims.push({
        message: readFacts(context, id),
        recipients: handOut(context, { id, numbers, lease: argument.lease }),
        content,
      });
    } catch (error) {
      handleDamage(context, { error, id, ...argument });
    }
  }
  return claims;
}

/** In the order of their times. Recipients of a message that were delayed together come together. */
function dueMessages({ db }: Context, { destination, now, limit }: ClaimArgument): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const rows = db.iterate<{ message: string; n: number }>(
    `SELECT message, n FROM recipients INDEXED BY recipients_due
     WHERE destination = ? AND next_attempt IS NOT NULL AND next_attempt <= ? ORDER BY next_attempt, message, n`,
    destination,
    now,
  );
  for (const { message, n } of rows) {
    const numbers = found.get(message);
    if (numbers !== undefined) {
      if (numbers.length < MAX_RECIPIENTS) numbers.push(n);
    } else if (found.size < limit) found.set(message, [n]);
    else break;
  }
  return found;
}

function readFacts({ db }: Context, id: string): MessageFacts {
  const row = db.get<MessageRow>('SELECT * FROM messages WHERE id = ?', id);
  if (row === undefined || row.id !== id) throw new DamagedEntry('its row is missing');
  if (!isIntact(row)) throw new DamagedEntry('its envelope does not match its checksum');
  return decodeFacts(row);
}

/** @returns undefined if the message has ended and has no content any more. @throws DamagedEntry */
export function readContent({ db, spoolDir }: Context, id: string): ContentRow | undefined {
  const row = db.get<OpenRow>(
    `SELECT o.id, o.length, o.verify, o.spool, o.spool_size, o.spool_verify, c.bytes
     FROM open o LEFT JOIN contents c ON c.key = o.content WHERE o.id = ?`,
    id,
  );
  if (row === undefined) return undefined;
  // Where a key is damaged, rows are out of order, and SQLite answers a question for one key with the row of another.
  if (row.id !== id) throw new DamagedEntry('its content is not in the database');
  const { bytes } = row;
  if (bytes === null) throw new DamagedEntry('its content is not in the database');
  if (bytes.byteLength !== row.length || !isIntactContent(id, bytes, row.verify))
    throw new DamagedEntry('its content does not match its checksum');
  if (row.spool === null) return { bytes, spool: null };
  const spool = { name: row.spool, size: row.spool_size ?? 0, verify: row.spool_verify };
  checkSpool(spoolDir, spool);
  return { bytes, spool };
}

type OpenRow = {
  id: string;
  length: number;
  verify: number;
  spool: string | null;
  spool_size: number | null;
  spool_verify: number | null;
  bytes: Uint8Array<ArrayBuffer> | null;
};

/** @throws DamagedEntry if the name is not a spool name, or the file is missing or has another size. A reader checks the bytes. */
export function checkSpool(spoolDir: string, { name, size }: { name: string; size: number }): void {
  // The row may come from a hostile backup.
  if (!isSpoolName(name)) throw new DamagedEntry('its body has a name that no body has');
  const stats = statSync(join(spoolDir, name), { throwIfNoEntry: false });
  if (stats === undefined) throw new DamagedEntry(`its body spool/${name} is missing`);
  if (stats.size !== size) throw new DamagedEntry(`its body spool/${name} has ${stats.size} bytes instead of ${size}`);
}

function handOut(
  { db, effects }: Context,
  { id, numbers, lease }: { id: string; numbers: number[]; lease: string },
): StoredRecipient[] {
  const rows = numbers.map((n) =>
    db.get<RecipientRow>(`SELECT ${RECIPIENT_COLUMNS} FROM recipients WHERE message = ? AND n = ?`, id, n),
  );
  return rows.map((row, i) => {
    if (row === undefined || row.message !== id || row.n !== numbers[i] || !isIntactRecipient(row))
      throw new DamagedEntry('a recipient does not match its checksum');
    db.run(
      'UPDATE recipients SET state = ?, next_attempt = NULL, owner = ? WHERE message = ? AND n = ?',
      ACTIVE,
      lease,
      id,
      row.n,
    );
    effects.move(row.state, ACTIVE);
    return decodeRecipient({ ...row, state: ACTIVE, next_attempt: null });
  });
}

/** Sets the whole message aside if its claim fails. If this cannot be written, the destination is left alone for some time. */
function handleDamage(context: Context, { error, id, ...argument }: ClaimArgument & { error: unknown; id: string }): void {
  const reason = reasonOf(error);
  if (reason === undefined) throw error;
  try {
    setAside(context, { id, reason });
  } catch (second) {
    if (!isCorrupt(second) || (second as SqliteError).errcode === SQLITE_CORRUPT_INDEX) throw second;
    context.due.leaveAlone(argument.destination, argument.now + UNREADABLE_FOR);
    context.effects.damaged.push({ id, reason: `${reason}; ${argument.destination} rests because it cannot be set aside` });
  }
}

/** undefined: not damage of this message. The group commit repairs an index that differs from its table. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof DamagedEntry) return error.message;
  if (isCorrupt(error) && (error as SqliteError).errcode !== SQLITE_CORRUPT_INDEX)
    return `SQLite says: ${(error as Error).message}`;
  return undefined;
}

/** Many messages that were relayed or refused, written into the tables directly: what a relay keeps in its trace after weeks. */

import { queueIdAt } from '../../src/smtp/queue-id.ts';
import type { Database } from '../../src/store/sqlite/database.ts';
import { DAY } from '../../src/system/clock.ts';

const AT_ONCE = 10_000;
/** In `recipients.state` and `attempts.outcome`. */
const [RELAYED, FAILED] = [5, 6];
/** One of so many failed. */
const ONE_FAILED = 200;

/**
 * One message each tenth of a second until `now`, one recipient each. Columns that the form of the tables does not have yet stay away.
 * @returns the id of the message in the middle.
 */
export function fillWithEnded(db: Database, count: number, now: number): string {
  const there = new Set(db.all<{ name: string }>('PRAGMA table_info(messages)').map(({ name }) => name));
  const origin = there.has('client_ip') ? { client_ip: '192.0.2.1', client_tls: 'TLSv1.3', mechanism: 'PLAIN' } : {};
  let middle = '';
  for (let from = 0; from < count; from += AT_ONCE) {
    db.exec('BEGIN');
    for (let i = from; i < Math.min(from + AT_ONCE, count); i++) {
      const acceptedAt = now - (count - i) * 100;
      const id = `${queueIdAt(acceptedAt)}${String(i % 10_000).padStart(4, '0')}`;
      if (i === count >> 1) middle = id;
      const facts = {
        user: i % 7 === 0 ? 'exchange' : 'shop',
        reverse_path: `s${i % 50}@corp.test`,
        message_id: `<${i}@corp.test>`,
      };
      const times = { accepted_at: acceptedAt, expires_at: acceptedAt + 5 * DAY };
      const subject = there.has('subject') ? { subject: `Invoice ${i}` } : {};
      insert(db, 'messages', { id, ...facts, size: 4096, ...times, flags: 0, signatures: '', verify: 0, ...origin, ...subject });
      const [state, code, status] = i % ONE_FAILED === 0 ? [FAILED, 550, '5.1.1'] : [RELAYED, 250, '2.0.0'];
      const [destination, reply] = [`d${i % 300}.test`, `${code} ${status} Said by the host`];
      const recipient = { message: id, n: 0, address: `u${i}@${destination}`, destination, verify: 0, attempts: 1 };
      insert(db, 'recipients', { ...recipient, state, last_reply: reply });
      const attempt = { message: id, n: 0, attempt: 1, at: acceptedAt, mx: `mx.${destination}`, ip: '192.0.2.9', tls: 'TLSv1.3' };
      insert(db, 'attempts', { ...attempt, outcome: state, code, status, reply, seconds: 0.1 });
    }
    db.exec('COMMIT');
  }
  return middle;
}

function insert(db: Database, table: string, row: Readonly<Record<string, string | number>>): void {
  const names = Object.keys(row);
  db.run(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`, ...Object.values(row));
}

/** Sets a damaged message aside: it is held with the reason, so that other mail continues and an operator sees it. */
import type { Context } from './context.ts';
import { ACTIVE, ENDED, HELD, REMOVED } from './states.ts';

/** Thrown when a message that is read is damaged. */
export class DamagedEntry extends Error {
  override readonly name = 'DamagedEntry';
}

/** Ended recipients are not changed. `release` tries again, `remove` gives up. */
export function setAside({ db, effects, due }: Context, { id, reason }: { id: string; reason: string }): void {
  const rows = db.all<{ n: number; state: number; destination: string }>(
    'SELECT n, state, destination FROM recipients WHERE message = ? AND (state < ? OR state > ?)',
    id,
    ENDED,
    REMOVED,
  );
  for (const { n, state, destination } of rows) {
    db.run(
      'UPDATE recipients SET state = ?, next_attempt = NULL, owner = NULL, last_reply = ? WHERE message = ? AND n = ?',
      HELD,
      `Set aside as damaged: ${reason}`,
      id,
      n,
    );
    effects.move(state, HELD);
    if (state < ACTIVE) due.touch(destination);
  }
  // Walks through the queue use `open`. Without a row there, no operator would see the message again.
  db.run('INSERT OR IGNORE INTO open (id, content, length, verify) VALUES (?, 0, 0, 0)', id);
  effects.damaged.push({ id, reason });
}

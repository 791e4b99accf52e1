/** Logs who has changed what while the relay runs: here, by a command, or by another relay on the same data. */
import type { EventLog } from '../events/events.ts';
import type { Store } from '../store/store.ts';

const AT_ONCE = 500;

/** @returns ends when what is being read was logged. */
export async function startChangeLog(
  { audit, onChange }: Pick<Store, 'audit' | 'onChange'>,
  log: EventLog,
): Promise<() => Promise<void>> {
  // Earlier changes are in the store: who wants to know them asks `smarthost changes`.
  let last = (await audit.changes({ limit: 1 }))[0]?.seq ?? 0;
  let telling = Promise.resolve();
  let closed = false;

  async function tell(): Promise<void> {
    for (let more = true; more && !closed; ) {
      const found = await audit.changes({ after: last, limit: AT_ONCE });
      for (const { seq, actor, way, address, action, target, recipients } of found.toReversed()) {
        last = Math.max(last, seq);
        const client = { ...(address === null ? {} : { ip: address }), ...(recipients === null ? {} : { recipients }) };
        log.emit('changed', { actor, way, action, target, ...client });
      }
      more = found.length === AT_ONCE;
    }
  }

  onChange((changes) => {
    if (changes.has('audit')) telling = telling.then(tell).catch((error: unknown) => log.emit('changesNotRead', { error }));
  });
  return () => {
    closed = true;
    return telling;
  };
}

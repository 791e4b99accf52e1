/** Who has changed what: one row for each action, written in the transaction of the change. Rows are kept for a year. */
import type { StoredChange } from '../store/store.ts';
import { noteOf, type Parts } from './parts.ts';
import { iso } from './shapes.ts';

/** `changes`. `before` and `after` are as the subject shows itself, without secrets. `recipients`: changed by an action on queued mail. */
export type KnownChange = ReturnType<typeof changeShape>;

type ChangeFilter = {
  readonly actor?: string | undefined;
  /** `user.add`, or `user` for all about users. */
  readonly action?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly since?: number | undefined;
  /** `seq` of the last one that was read. */
  readonly before?: number | undefined;
  readonly limit: number;
};

export type ChangeControl = {
  /** Writes a row about a reload of the configuration, which changes nothing in the store. @param restartNeeded as the reload says it. */
  noteReload(restartNeeded: readonly string[]): Promise<void>;
  /** The newest first. */
  list(filter: ChangeFilter): Promise<readonly KnownChange[]>;
};

export function createChangeControl({ store: { audit }, now, by }: Parts<unknown>): ChangeControl {
  return {
    noteReload: (restartNeeded) =>
      audit.add(
        noteOf({ action: 'configuration.reload', target: 'all', after: { restartNeeded }, gives: { restartNeeded } }, by, now()),
      ),
    async list({ actor, action, since, before, limit }) {
      const found = await audit.changes({
        limit,
        ...(actor === undefined ? {} : { actor }),
        ...(action === undefined ? {} : { action }),
        ...(since === undefined ? {} : { since }),
        ...(before === undefined ? {} : { before }),
      });
      return found.map(changeShape);
    },
  };
}

function changeShape({ seq, at, actor, way, address, action, target, before, after, recipients }: StoredChange) {
  return { seq, at: iso(at), actor, way, address, action, target, before, after, recipients };
}

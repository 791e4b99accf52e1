/** Who has changed what: one row for each action, written in the transaction of the change. Rows are kept for a year. */
import type { StoreData, StoredChange } from '../store/store.ts';
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
  /** The newest first. */
  list(filter: ChangeFilter): Promise<readonly KnownChange[]>;
};

export function createChangeControl({ audit }: Pick<StoreData, 'audit'>): ChangeControl {
  return {
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

/** Messages as they come and change, above those that were loaded. */
import { useState } from 'preact/hooks';
import type { ListedMessage } from '../../../control/control.ts';
import { type StreamState, useStream } from '../stream.ts';

type Query = Readonly<Record<string, string | undefined>>;
type Frame = { readonly items: readonly ListedMessage[]; readonly more: number | null };
type Fresh = Frame & { readonly key: string };

type LiveRows = {
  readonly state: StreamState;
  /** The newest first, each once, as it was told last. */
  merge(loaded: readonly ListedMessage[]): readonly ListedMessage[];
  /** So many were told that no row shows. null: an unknown number. */
  readonly more: number | null;
};

/** So many rows are kept, whatever comes: a browser draws no more in time. */
const MOST = 200;

/** @param ask loads the list again. @param on false: nothing is followed. */
export function useLiveRows(on: boolean, query: Query, ask: () => unknown): LiveRows {
  const key = JSON.stringify(query);
  const nothing: Fresh = { key, items: [], more: 0 };
  const [told, tell] = useState<Fresh>(nothing);
  const hear = (_: string, data: unknown) => {
    const frame = data as Frame;
    tell((before) => {
      const { items, more } = before.key === key ? before : nothing;
      return {
        key,
        items: newestOf([...frame.items, ...items]).slice(0, MOST),
        more: more === null || frame.more === null ? null : more + frame.more,
      };
    });
  };
  // What was loaded after a gap is newer than what was told before it.
  const again = () => {
    tell(nothing);
    return ask();
  };
  const state = useStream(on ? '/messages/live' : null, query, { types: ['messages'], hear, ask: again });
  const fresh = on && told.key === key ? told : nothing;
  return { state, merge: (loaded) => newestOf([...fresh.items, ...loaded]), more: fresh.more };
}

/** Of two rows of one message the first one counts. Ids grow with time. */
export function newestOf<T extends { readonly id: string }>(rows: readonly T[]): readonly T[] {
  const seen = new Map<string, T>();
  for (const row of rows) if (!seen.has(row.id)) seen.set(row.id, row);
  return [...seen.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

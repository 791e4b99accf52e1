/** The pairs that are served now. Changes happen one after the other, and each is reported to the log and the listeners. */
import type { EventLog } from '../events/events.ts';
import type { Pair } from './pair.ts';

/** The pairs in the form that a TLS listener takes. OpenSSL picks the one that fits the client. */
export type TlsPairs = { readonly key: string[]; readonly cert: string[] };

type Served = {
  pairs(): readonly Pair[];
  current(): TlsPairs;
  /** Loads pairs and serves them. @returns true if they differ from the old ones. @throws what `load` throws; the old pairs stay */
  change(load: () => Promise<readonly Pair[]>): Promise<boolean>;
  onChange(listener: (pairs: TlsPairs) => void): void;
};

export function createServed(log: EventLog): Served {
  const listeners: ((pairs: TlsPairs) => void)[] = [];
  let pairs: readonly Pair[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  const current = (): TlsPairs => ({ key: pairs.map(({ key }) => key), cert: pairs.map(({ certificate }) => certificate) });

  function serve(next: readonly Pair[]): boolean {
    const fresh = next.filter((pair) => pairs.every((old) => old.certificate !== pair.certificate || old.key !== pair.key));
    const first = pairs.length === 0;
    const changed = fresh.length > 0 || next.length !== pairs.length;
    pairs = next;
    if (first || !changed) return changed;
    for (const { keyType, notAfter } of fresh)
      log.certificate({ action: 'loaded', keyType, notAfter: new Date(notAfter).toISOString() });
    for (const listener of listeners) listener(current());
    return true;
  }
  return {
    pairs: () => pairs,
    current,
    change(load) {
      // in order, so that a slow change does not undo a later one
      const done = turn.then(async () => serve(await load()));
      turn = done.catch(() => undefined);
      return done;
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

/** Who is to be told when a signal aborts: one listener a signal, however many attempts run under it. */

export type Aborts = {
  /** Calls `listener` when the signal aborts. @returns ends that. */
  on(signal: AbortSignal, listener: () => void): () => void;
};

export function createAborts(): Aborts {
  const known = new WeakMap<AbortSignal, Set<() => void>>();
  return {
    on(signal, listener) {
      let listeners = known.get(signal);
      if (listeners === undefined) {
        const fresh = new Set<() => void>();
        listeners = fresh;
        known.set(signal, fresh);
        signal.addEventListener('abort', () => {
          for (const told of [...fresh]) told();
        });
      }
      const list = listeners.add(listener);
      return () => {
        list.delete(listener);
      };
    },
  };
}

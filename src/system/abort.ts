/** Listeners of an AbortSignal under which thousands of conversations may run: its own list is searched for each one that is added. */

const listenersOf = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `listener` when the signal aborts. @returns ends that. */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const listeners = listenersOf.get(signal) ?? listenTo(signal);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const listeners = new Set<() => void>();
  listenersOf.set(signal, listeners);
  signal.addEventListener('abort', () => {
    for (const listener of [...listeners]) listener();
  });
  return listeners;
}

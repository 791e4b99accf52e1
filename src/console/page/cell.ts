/** A value that is shared between parts of the page, and told to those who show it. */
import { useEffect, useState } from 'preact/hooks';

export type SharedCell<T> = {
  get(): T;
  set(value: T): void;
  /** Returns what ends it. */
  watch(told: () => void): () => void;
};

export function cell<T>(first: T): SharedCell<T> {
  let value = first;
  const watchers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const told of [...watchers]) told();
    },
    watch(told) {
      watchers.add(told);
      return () => void watchers.delete(told);
    },
  };
}

/** Draws the component again whenever the value changes. */
export function useCell<T>(of: SharedCell<T>): T {
  const [value, show] = useState(of.get());
  useEffect(() => {
    const told = () => show(() => of.get());
    told();
    return of.watch(told);
  }, [of]);
  return value;
}

/** A bounded map whose entries may expire. Only this file imports lru-cache. */
import { LRUCache } from 'lru-cache';

export type Cache<K extends {}, V extends {}> = Pick<LRUCache<K, V>, 'get' | 'set' | 'has' | 'delete' | 'clear' | 'entries'> & {
  readonly size: number;
};

/**
 * Bounds are given to lru-cache as sizes. For a number of entries it would take the memory of all of them at once: 8 MB, and 40 ms, for
 * the caches of a relay at its start.
 * @param max most entries; the least recently used is removed first. @param ttl lifetime of an entry in milliseconds; default: no limit.
 */
export function createCache<K extends {}, V extends {}>(max: number, ttl?: number): Cache<K, V> {
  const bound = { maxSize: max, sizeCalculation: () => 1 };
  // By default lru-cache keeps the time for 1 ms, with a timer. In a busy process the timer costs more than reading the clock.
  return new LRUCache<K, V>(ttl === undefined ? bound : { ...bound, ttl, ttlResolution: 0 });
}

/** @param bytes all entries together, as `bytesOf` says when one is set; one that is larger alone is not kept. */
export function createSizedCache<K extends {}, V extends {}>(
  max: number,
  bytes: number,
  bytesOf: (value: V) => number,
): Cache<K, V> {
  const least = Math.ceil(bytes / max); // so that no more than `max` entries have room
  return new LRUCache<K, V>({ maxSize: bytes, sizeCalculation: (value) => Math.max(bytesOf(value), least) });
}

/** A bounded map whose entries may expire. Only this file imports lru-cache. */
import { LRUCache } from 'lru-cache';

export type Cache<K extends {}, V extends {}> = Pick<LRUCache<K, V>, 'get' | 'set' | 'has' | 'delete' | 'clear'> & {
  readonly size: number;
};

/** @param max most entries; the least recently used is removed first. @param ttl lifetime of an entry in milliseconds; default: no limit. */
export function createCache<K extends {}, V extends {}>(max: number, ttl?: number): Cache<K, V> {
  // By default lru-cache keeps the time for 1 ms, with a timer. In a busy process the timer costs more than reading the clock.
  return new LRUCache<K, V>(ttl === undefined ? { max } : { max, ttl, ttlResolution: 0 });
}

/** @param bytes all entries together, as `bytesOf` says when one is set; one that is larger alone is not kept. */
export function createSizedCache<K extends {}, V extends {}>(
  max: number,
  bytes: number,
  bytesOf: (value: V) => number,
): Cache<K, V> {
  return new LRUCache<K, V>({ max, maxSize: bytes, sizeCalculation: bytesOf });
}

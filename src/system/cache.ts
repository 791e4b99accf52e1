/** The one place that imports lru-cache: a bounded map whose entries may expire. */
import { LRUCache } from 'lru-cache';

export type Cache<K extends {}, V extends {}> = Pick<LRUCache<K, V>, 'get' | 'set' | 'has' | 'delete' | 'clear'> & {
  readonly size: number;
};

/** @param max entries kept, the least recently used leaves first. @param ttl milliseconds an entry lives; absent: for ever. */
export function createCache<K extends {}, V extends {}>(max: number, ttl?: number): Cache<K, V> {
  return new LRUCache<K, V>(ttl === undefined ? { max } : { max, ttl });
}

/** How much may be under way: bytes of bodies in memory, and attempts promised to a destination but not yet begun. */

/** One destination may take this part of what is free, so the more is in use the less any one may add to it. */
const SHARE = 8;
/** What a message costs besides its body. */
export const OVERHEAD = 2048;

type Promises = ReturnType<typeof createPromises>;
export type Room = ReturnType<typeof createRoom>;

/** @param room how many more attempts a destination takes; it does not know of those that wait for the store's answer. */
export function createPromises(room: (destination: string) => number) {
  const promised = new Map<string, number>();
  return {
    /** How many more attempts may be promised now. */
    attempts: (destination: string): number => room(destination) - (promised.get(destination) ?? 0),
    /** A negative count gives back. */
    promise: (destination: string, count: number): void => add(promised, destination, count),
  };
}

/** @param total bytes of bodies at most. */
export function createRoom(total: number, promises: Promises) {
  const bytes = new Map<string, number>();
  let free = total;
  return {
    ...promises,
    /** A destination with nothing in memory may always have one message, so that hanging ones never lock out another. */
    fits(destination: string, size: number): boolean {
      const used = bytes.get(destination) ?? 0;
      return size <= free && (used === 0 || used + size <= free / SHARE);
    },
    take(destination: string, size: number): void {
      free -= size;
      add(bytes, destination, size);
    },
    give(destination: string, size: number): void {
      free += size;
      add(bytes, destination, -size);
    },
    free: () => free,
  };
}

function add(map: Map<string, number>, key: string, amount: number): void {
  const sum = (map.get(key) ?? 0) + amount;
  if (sum > 0) map.set(key, sum);
  else map.delete(key);
}

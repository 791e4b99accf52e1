/** Collects the garbage of a thread that lives for days and makes little at a time. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * The limit from which V8 collects old objects is that of the main thread, where it is set for the bytes of messages. A thread with few
 * objects of its own would keep its garbage for days.
 * @param growth collected are old objects that have grown by so many bytes since the last time.
 * @returns looks how much there is.
 */
export function createCollector(growth: number, { used = oldBytes, collect = collectGarbage } = {}): () => void {
  let left = used();
  return () => {
    if (used() - left < growth) return;
    collect();
    left = used();
  };
}

const oldBytes = () =>
  getHeapSpaceStatistics().reduce(
    (sum, { space_name, space_used_size }) => (/^(?:old|large_object)_space$/.test(space_name) ? sum + space_used_size : sum),
    0,
  );

/** All of it, of this thread. What calls it is found in new contexts only while the flag is set. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collect();
}

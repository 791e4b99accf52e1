/** How many threads sessions have. */
import { availableParallelism } from 'node:os';

/** The first Node that hands a connection over to another thread. */
const NODE = [24, 21] as const;

/**
 * `auto` leaves one core to the main thread, the store and the password hashes.
 * @throws Error with one sentence if this Node cannot do it.
 */
export function threadsOf(
  { threads }: { readonly threads: number | 'auto' },
  { cores = availableParallelism(), node = process.versions.node } = {},
): number {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const isNew = major > NODE[0] || (major === NODE[0] && minor >= NODE[1]);
  if (threads === 'auto') return isNew ? Math.max(1, cores - 1) : 1;
  if (threads === 1 || isNew) return threads;
  throw new Error(`threads: more than one needs Node ${NODE.join('.')} or newer; this is ${node}. Set it to 1 or to auto`);
}

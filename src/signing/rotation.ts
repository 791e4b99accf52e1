/** The life of a key: pending until its record is seen, active until a newer one is, retiring until no queued message needs it. */
import type { Dns } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { type DkimKey, type DkimKeyState, holdLease, type Led, type MessageStore, type OperationStore } from '../store/store.ts';
import { type Clock, MINUTE } from '../system/clock.ts';
import { checkPublished } from './record.ts';

type RotationOptions = {
  readonly operation: Pick<OperationStore, 'takeLease' | 'underLease'>;
  /** The name of this run of the process. Of relays that share the data one looks at a time. */
  readonly owner: string;
  readonly now: Clock;
  readonly messages: Pick<MessageStore, 'signatureInUse'>;
  readonly dns: Pick<Dns, 'txt'>;
  readonly log: EventLog;
  /** Milliseconds between two looks; default 1 min. */
  readonly interval?: number;
  /** Called after a change, so that the signer asks the store again. */
  readonly changed?: () => void;
};

/** Looks at once, then every `interval`. A failure is logged and tried again. */
export function startRotation(options: RotationOptions): { close(): Promise<void> } {
  const stop = new AbortController();
  let wake = () => {};
  stop.signal.addEventListener('abort', () => wake());
  const running = run();

  async function run(): Promise<void> {
    let retiring: ReadonlySet<string> = new Set();
    while (!stop.signal.aborted) {
      try {
        const lease = await holdLease({ ...options, name: 'rotation' });
        try {
          if (lease !== undefined) retiring = await rotateOnce({ ...options, operation: lease.operation }, retiring);
        } finally {
          await lease?.release();
        }
      } catch (error) {
        options.log.emit('dkimRotation', { error });
      }
      if (stop.signal.aborted) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, options.interval ?? MINUTE);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}

type Look = Omit<RotationOptions, 'operation'> & {
  readonly operation: Led<Pick<OperationStore, 'dkimKeys' | 'setDkimKeyState' | 'removeDkimKey'>>;
};

/**
 * One look at all keys. Every step may be repeated, so a crash between two of them is healed by the next look.
 * @param before keys that were retiring at the last look: only those are removed, because a message that was signed a moment
 *   ago may not be stored yet.
 * @returns the keys that are retiring now.
 */
async function rotateOnce(options: Look, before: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const { operation, messages, dns } = options;
  for (const key of await operation.dkimKeys())
    if (key.state === 'pending' && (await checkPublished(key, dns)) === 'published') await change(options, key, 'active');
  const keys = await operation.dkimKeys(); // the DNS took its time
  const retiring = new Set<string>();
  for (const key of keys) {
    const retires = key.state === 'retiring' || (isReplaced(key, keys) && (await change(options, key, 'retiring')));
    if (!retires) continue;
    const name = `${key.selector}._domainkey.${key.domain}`;
    const own = `${name} ${key.createdAt}`; // a namesake that retires later is looked at twice too
    if (before.has(own) && !(await messages.signatureInUse(name))) await remove(options, { ...key, state: 'retiring' });
    else retiring.add(own);
  }
  return retiring;
}

/** True for an active key when a newer one of the same kind is active too. */
function isReplaced(key: DkimKey, keys: readonly DkimKey[]): boolean {
  return (
    key.state === 'active' &&
    keys.some(
      (other) =>
        other.state === 'active' &&
        other.domain === key.domain &&
        other.algorithm === key.algorithm &&
        (other.createdAt > key.createdAt || (other.createdAt === key.createdAt && other.selector > key.selector)),
    )
  );
}

/** @returns false where a command has changed, removed or replaced the key since it was read: it stays as the command left it. */
async function change({ operation, log, changed }: Look, key: DkimKey, state: DkimKeyState): Promise<boolean> {
  if (!(await operation.setDkimKeyState(key, state))) return false;
  changed?.();
  log.emit('dkimKey', { action: state, domain: key.domain, selector: key.selector, algorithm: key.algorithm });
  return true;
}

async function remove({ operation, log, changed }: Look, key: DkimKey): Promise<void> {
  if (!(await operation.removeDkimKey(key))) return;
  changed?.();
  log.emit('dkimKey', { action: 'removed', domain: key.domain, selector: key.selector, algorithm: key.algorithm });
}

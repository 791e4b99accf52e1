/** Checks at the start, once an hour and on demand whether the resolver validates DNSSEC. RFC 7672 §2.1. */
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { HOUR, SECOND } from '../system/clock.ts';

type DnssecWatch = {
  /** False if an answer about the root was not validated. */
  validates(): boolean;
  /** Checks now, unless it did so just before. False also if there is no answer. Never rejects. */
  validatesNow(): Promise<boolean>;
  /** Checks now. Never rejects. */
  look(): Promise<void>;
  close(): void;
};

type WatchOptions = {
  readonly dns: Pick<DnsClient, 'validates'>;
  readonly log: EventLog;
  /** False if nothing needs validation. Then the resolver is not checked. */
  readonly wanted: () => boolean;
};

/** Milliseconds that a check on demand is good for. */
const RECENT = 5 * SECOND;

/** Starts the first check, and does not wait for its result. */
export function startDnssecWatch({ dns, log, wanted }: WatchOptions): DnssecWatch {
  let validates = true;
  /** Monotonic. */
  let seenAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    const found = await dns.validates();
    if (found === true) seenAt = performance.now();
    // A missing answer changes nothing, because an attacker could suppress it.
    if (found === undefined || found === validates) return;
    validates = found;
    log.emit(found ? 'dnssecBack' : 'dnssecLost', {});
  }

  async function look(): Promise<void> {
    if (wanted()) await ask();
  }

  const isSeen = () => performance.now() - seenAt < RECENT;
  async function validatesNow(): Promise<boolean> {
    if (isSeen()) return true;
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    await asking;
    return isSeen();
  }

  void look();
  const timer = setInterval(() => void look(), HOUR).unref();
  return { validates: () => validates, validatesNow, look, close: () => clearInterval(timer) };
}

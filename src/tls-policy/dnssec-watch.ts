/** Whether the resolver validates: asked at the start and once an hour, since what it said of one name tells nothing of the next. RFC 7672 §2.1 */
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { HOUR } from '../system/clock.ts';

type DnssecWatch = {
  /** False: an answer about the root came without the resolver's word for it. */
  validates(): boolean;
  /** Asks now. Never rejects. */
  look(): Promise<void>;
  close(): void;
};

type WatchOptions = {
  readonly dns: Pick<DnsClient, 'validates'>;
  readonly log: EventLog;
  /** False: nobody would use it, so nobody is asked. */
  readonly wanted: () => boolean;
};

/** Asks at once, and waits for no answer. */
export function startDnssecWatch({ dns, log, wanted }: WatchOptions): DnssecWatch {
  let validates = true;

  async function look(): Promise<void> {
    const found = wanted() ? await dns.validates() : undefined;
    // Without an answer nothing has changed: an attacker who keeps it back must win nothing.
    if (found === undefined || found === validates) return;
    validates = found;
    log.emit(found ? 'dnssecBack' : 'dnssecLost', {});
  }

  void look();
  const timer = setInterval(() => void look(), HOUR).unref();
  return { validates: () => validates, look, close: () => clearInterval(timer) };
}

/** Checks at the start and once an hour whether the resolver validates DNSSEC. RFC 7672 §2.1. */
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { HOUR } from '../system/clock.ts';

type DnssecWatch = {
  /** False if an answer about the root was not validated. */
  validates(): boolean;
  /** Checks now. Never rejects. */
  look(): Promise<void>;
  close(): void;
};

type WatchOptions = {
  readonly dns: Pick<DnsClient, 'validates'>;
  readonly log: EventLog;
  /** False if nothing uses DANE. Then the resolver is not checked. */
  readonly wanted: () => boolean;
};

/** Starts the first check, and does not wait for its result. */
export function startDnssecWatch({ dns, log, wanted }: WatchOptions): DnssecWatch {
  let validates = true;

  async function look(): Promise<void> {
    const found = wanted() ? await dns.validates() : undefined;
    // A missing answer changes nothing, because an attacker could suppress it.
    if (found === undefined || found === validates) return;
    validates = found;
    log.emit(found ? 'dnssecBack' : 'dnssecLost', {});
  }

  void look();
  const timer = setInterval(() => void look(), HOUR).unref();
  return { validates: () => validates, look, close: () => clearInterval(timer) };
}

/** Checks outbound port 25 once during the start. If it is blocked, all direct mail waits, and the log should say why. RFC 5321 §5.1 */
import type { Config } from '../config/config.ts';
import { catchAll } from '../delivery/delivery.ts';
import type { Dns } from '../dns/dns.ts';
import { checkOutbound, gatherOutbound, probeSmtp, type SmtpProbe } from '../doctor/doctor.ts';
import type { EventLog } from '../events/events.ts';
import { publicAddresses } from '../net/addresses.ts';
import { SECOND } from '../system/clock.ts';

export type OutboundLook = {
  /** `unknown`: it is not looked at, or there is no answer yet. */
  found(): 'open' | 'closed' | 'unknown';
  close(): void;
};

type OutboundParts = {
  readonly config: Pick<Config, 'hostname' | 'delivery' | 'routes' | 'doctor'>;
  readonly dns: Dns;
  readonly log: EventLog;
  readonly probe?: SmtpProbe | undefined;
};

/** Milliseconds for one connection. */
const TIMEOUT = 6 * SECOND;

/**
 * The start does not wait for it. There is no check if a route takes all mail, or if `doctor.destinations` is empty. A failed look-up is
 * not reported, because the network of a starting machine may come up later.
 */
export function startOutboundLook({ config, dns, log, probe = probeSmtp }: OutboundParts): OutboundLook {
  const { hostname, delivery, routes, doctor } = config;
  const { destinations } = doctor;
  const ending = new AbortController();
  if (catchAll(routes) !== undefined || destinations.length === 0) return { found: () => 'unknown', close: () => {} };
  let found: ReturnType<OutboundLook['found']> = 'unknown';

  async function look(): Promise<void> {
    const smtp: SmtpProbe = (target) => probe({ ...target, signal: ending.signal });
    const { port, ip, source } = delivery;
    const gathered = await gatherOutbound({ dns, smtp, destinations, hostname, port, source, timeout: TIMEOUT });
    if (ending.signal.aborted) return;
    const hasIpv6 = publicAddresses().some((address) => address.includes(':'));
    const findings = checkOutbound({ ...gathered, port, ip, destinations, hasIpv6, upstream: undefined });
    for (const { result, subject, found, advice } of findings)
      if (result === 'error') log.emit('outbound25', { family: subject, found, advice });
    if (findings.some(({ result }) => result === 'error')) found = 'closed';
    else if (gathered.attempts.some(({ answer }) => answer.greeting !== undefined)) found = 'open';
  }
  look().catch((error: unknown) => log.emit('outboundNotLookedAt', { error }));
  return { found: () => found, close: () => ending.abort() };
}

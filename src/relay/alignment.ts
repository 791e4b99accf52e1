/** What is known of our users' senders, kept for the whole relay, and what the operator is told of those that receivers will not believe. */
import { randomBytes } from 'node:crypto';
import { describeMisalignment, type Misaligned, type SenderVerdicts, startSenderVerdicts } from '../alignment/alignment.ts';
import type { Config } from '../config/config.ts';
import { createDns, type DnsClient } from '../dns/dns.ts';
import { ownAddresses } from '../doctor/doctor.ts';
import type { EventLog } from '../events/events.ts';
import { isPublicAddress, publicAddresses } from '../net/addresses.ts';
import { createNetworks } from '../net/networks.ts';
import { alignmentNotice, type OperatorNotice } from '../report/report.ts';
import type { Store } from '../store/store.ts';
import { DAY } from '../system/clock.ts';

type SendersParts = {
  readonly store: Pick<Store, 'alignment' | 'operation' | 'now'>;
  readonly dns: DnsClient;
  /** Returns the current configuration. */
  readonly config: () => Config;
  readonly log: EventLog;
};

export function startSenders({ store, dns, config, log }: SendersParts): Promise<SenderVerdicts> {
  const { hostname, alignment } = config();
  return startSenderVerdicts({
    ...{ store: store.alignment, hostname, log, now: store.now },
    dns: alignment.resolvers.length === 0 ? dns : createDns({ servers: alignment.resolvers }),
    keys: () => store.operation.dkimKeys(),
    async addresses() {
      const { hostname, delivery } = config();
      const [a, aaaa] = await Promise.all([dns.a(hostname), dns.aaaa(hostname)]);
      const { addresses } = ownAddresses({ ...delivery, machine: publicAddresses(), seenAs: [], a, aaaa });
      const allowed = createNetworks(delivery.allowPrivate);
      return addresses.filter((address) => isPublicAddress(address) || allowed.has(address));
    },
  });
}

type NoticeParts = Pick<SendersParts, 'store' | 'log'> & {
  readonly config: () => Pick<Config, 'hostname' | 'operator'>;
  readonly send: (operator: string, notice: OperatorNotice) => Promise<void>;
};

/** Notices about senders in a day. A mail server that forwards mail of strangers must not fill the operator's mailbox. */
const MOST_IN_DAY = 20;
/** Domains that the log names in a day. Whoever sends with random domains must fill neither the log nor the leases. */
const MOST_LOGGED = 500;

/**
 * Tells of a domain whose mail fails: with a line in the log, and with mail if an operator is set. Each once for a domain and UTC day, also
 * after a restart: a lease that lasts as long as the day marks it as done.
 */
export function createMisalignedNotices({ store, log, config, send }: NoticeParts): (problem: Misaligned) => void {
  const told = { day: 0, logged: 0, sent: 0 };
  async function tell(problem: Misaligned): Promise<void> {
    const { domain, envelope, verdict, user, detail } = problem;
    const now = store.now();
    const day = Math.floor(now / DAY);
    if (told.day !== day) Object.assign(told, { day, logged: 0, sent: 0 });
    if (told.logged >= MOST_LOGGED) return;
    const ours = randomBytes(8).toString('hex');
    if (!(await store.operation.takeLease(`notice.alignment.${domain}`, ours, (day + 1) * DAY, now))) return;
    log.emit('misaligned', { domain, envelope, verdict, user, reason: describeMisalignment(problem, detail) });
    told.logged++;
    const { hostname, operator } = config();
    if (operator === undefined || ++told.sent > MOST_IN_DAY) return;
    await send(operator, alignmentNotice(hostname, problem));
  }
  return (problem) => {
    tell(problem).catch((error: unknown) => log.emit('noticeFailed', { user: problem.user, error }));
  };
}

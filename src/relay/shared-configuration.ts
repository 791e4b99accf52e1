/**
 * Relays that share a database must have the same settings, apart from those of their machines: limits, routes and schedules would depend on
 * the relay that a client happens to reach. Each one puts digests of its settings into its row, and compares.
 */
import { createHash } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { EventLog } from '../events/events.ts';
import type { QueueOptions } from '../queue/queue.ts';
import type { Claim, OpenedStore } from '../store/store.ts';
import { type Clock, MINUTE, SECOND } from '../system/clock.ts';

const LOOK = 5 * SECOND;

/** Of each part that must be equal, without what belongs to a machine and without passwords. */
function configurationDigest(config: Config): string {
  const { limits, routes, destinations, signing, queue, reports, trace } = config;
  const { minFree: _, ...schedule } = queue;
  const { from: _from, tlsFrom: _tlsFrom, ...reporting } = reports;
  const parts = {
    ...{ limits, destinations, signing, trace, queue: schedule, reports: reporting },
    routes: routes.map(({ login: _login, ...route }) => route),
  };
  return Object.entries(parts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, part]) => `${name}:${createHash('sha256').update(JSON.stringify(part)).digest('hex').slice(0, 16)}`)
    .join(' ');
}

/** The names of the parts that differ. */
function differing(ours: string, theirs: string): readonly string[] {
  const known = new Set(theirs.split(' '));
  return ours.split(' ').flatMap((part) => (known.has(part) ? [] : part.slice(0, part.indexOf(':'))));
}

type Options = {
  readonly store: Pick<OpenedStore, 'announce' | 'relays' | 'relaysNow'>;
  readonly log: EventLog;
  readonly config: () => Config;
};

/** Tells each difference when it begins. Only the routes decide about waiting mail. */
export function compareConfigurations({ store, log, config }: Options) {
  let told = '';
  let ours = '';
  let closed = false;
  const others = (relays = store.relays()) =>
    relays.flatMap(({ name, digest }) => {
      const settings = differing(ours, digest);
      return settings.length === 0 ? [] : [{ name, settings }];
    });
  function look(): void {
    const found = others();
    const now = JSON.stringify(found);
    if (now !== told) for (const { name, settings } of found) log.emit('configurationDiffers', { relay: name, settings });
    told = now;
  }
  function announce(): void {
    ours = configurationDigest(config());
    store.announce(ours);
    look();
  }
  announce();
  const timer = setInterval(look, LOOK).unref();
  return {
    /** After a reload. */
    announce,
    /** The living relays that have other settings. */
    count: () => others().length,
    /** Asks the database: a relay may have followed its configuration since the last look. */
    routesDiffer: async () => others(await store.relaysNow()).some(({ settings }) => settings.includes('routes')),
    /** Resolves when all living relays have the same routes, and at the end. */
    async untilRoutesAgree(): Promise<void> {
      while (!closed && others().some(({ settings }) => settings.includes('routes')))
        await new Promise((resolve) => setTimeout(resolve, SECOND).unref());
    },
    isClosed: () => closed,
    close(): void {
      closed = true;
      clearInterval(timer);
    },
  };
}

type Deliver = QueueOptions['deliver'];
type Guarded = {
  readonly deliver: Deliver;
  readonly destinationOf: (message: Claim['message'], address: string) => string;
  /** Rejects where nobody can say. */
  readonly routesDiffer: () => Promise<boolean>;
  readonly log: EventLog;
  readonly now: Clock;
};

/** While routes differ, mail for a route that this relay does not have goes back, due in a minute: another relay knows the way. */
export function leaveUnknownRoutes({ deliver, destinationOf, routesDiffer, log, now }: Guarded): Deliver {
  return async (claim, signal) => {
    const { message, recipients } = claim;
    if (recipients.every(({ address, destination }) => destinationOf(message, address) === destination))
      return deliver(claim, signal);
    // Ours may be the newer routes, which waiting mail has yet to follow.
    if (!(await routesDiffer().catch(() => true))) return deliver(claim, signal);
    log.emit('routeUnknown', { queueId: message.id, destination: recipients[0]!.destination });
    const reply = { code: 451, status: '4.3.5', text: 'Another relay has the route for this mail' };
    return recipients.map(() => ({ kind: 'returned', reply, notBefore: now() + MINUTE, seconds: 0 }));
  };
}

/** What a relay checks and makes in its store at the start, and removes while it runs. */

import { createHash } from 'node:crypto';
import { type Config, checkReports } from '../config/config.ts';
import type { Control } from '../control/control.ts';
import { type Delivery, exceptionsOf, type TlsException } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import { limitsFor, type QuotaDefaults } from '../policy/policy.ts';
import type { Limit } from '../smtp/limit.ts';
import type { Route } from '../smtp/route.ts';
import { type ActivityStore, holdLease, type KnownRecipient, type Led, type Store, type StoreData } from '../store/store.ts';
import { DAY, MINUTE, SECOND } from '../system/clock.ts';
import { fileSystemRisk } from '../system/file-system.ts';
import { inEnglish } from '../system/phrase.ts';

/** The relay cannot protect mail on a file system that loses synced data, so it only warns. */
export async function warnOfFileSystem(dataDir: string, log: EventLog): Promise<void> {
  const risk = await fileSystemRisk(dataDir);
  if (risk !== undefined) log.emit('fileSystem', { dataDir, reason: `The data lie on ${risk}` });
}

/** The domain of the host name signs our reports from the first start on. `smarthost domain records` prints its record. */
export async function ensureOwnKey({ domains }: Pick<Control, 'domains'>, hostname: string, log: EventLog): Promise<void> {
  const { made } = await domains.ensure([hostname]);
  for (const domain of made) log.emit('dkimKeyCreated', { domain });
}

/** Makes the same check of the keys as `config check`, at the start and at a reload. */
export async function warnOfReports({ operation }: Pick<StoreData, 'operation'>, config: Config, log: EventLog): Promise<void> {
  const keys = await operation.dkimKeys();
  const domains = keys.filter(({ state }) => state === 'active').map(({ domain }) => domain);
  const reason = checkReports(config, domains);
  if (reason !== undefined) log.emit('reportsNotSigned', { from: config.reports.from, reason: `reports.from ${reason}` });
}

/**
 * Applies the current routes to waiting mail. Mail with a new destination is due at once. It also notices routes that changed while the
 * relay was stopped: the store keeps a digest of the last routes, without passwords. Of relays that share the data one does it.
 * @returns the number of recipients with a new destination. undefined: another relay is at it.
 */
async function followRoutes(
  { operation, underLease, now }: FollowParts['store'],
  owner: string,
  routes: readonly Route[],
  destinationOf: Delivery['destinationOf'],
): Promise<number | undefined> {
  const known = JSON.stringify(routes.map(({ login: _, ...route }) => route));
  const digest = createHash('sha256').update(known).digest('hex');
  const isFollowed = async () => (await operation.value('routes.digest')) === digest;
  if (await isFollowed()) return 0;
  const lease = { name: 'routes', owner };
  const held = await holdLease({ ...lease, operation, now });
  if (held === undefined) return undefined;
  try {
    if (await isFollowed()) return 0;
    const moved = await underLease(lease).messages.reroute({ all: true }, now(), (message, address, current) => {
      const destination = destinationOf(message, address);
      return destination === current ? undefined : destination;
    });
    await held.operation.setValue('routes.digest', digest);
    return moved.length;
  } finally {
    await held.release();
  }
}

type FollowParts = {
  /** Returns the current configuration. */
  readonly config: () => Pick<Config, 'routes'>;
  readonly store: Pick<Store, 'operation' | 'underLease' | 'now'>;
  /** The name of this run of the process. */
  readonly owner: string;
  readonly log: EventLog;
  readonly delivery: Pick<Delivery, 'destinationOf'>;
  readonly queue: { wake(): void };
  /** Relays that share the data. */
  readonly shared: { untilRoutesAgree(): Promise<void>; isClosed(): boolean };
};

/** `follow` applies the current routes to waiting mail; runs follow one after the other. `followed` resolves after the last one. */
export function createFollow({ config, store, owner, log, delivery, queue, shared }: FollowParts) {
  let following = Promise.resolve();
  async function followed(): Promise<number> {
    for (;;) {
      await shared.untilRoutesAgree();
      const moved = await followRoutes(store, owner, config().routes, delivery.destinationOf);
      if (moved !== undefined || shared.isClosed()) return moved ?? 0;
      await new Promise((resolve) => setTimeout(resolve, SECOND).unref());
    }
  }
  return {
    follow(): void {
      following = following
        .then(followed)
        .then((recipients) => {
          if (recipients === 0) return;
          log.emit('rerouted', { recipients });
          queue.wake();
        })
        .catch((error: unknown) => log.emit('routesNotFollowed', { error }));
    },
    followed: () => following,
  };
}

const TRIM_EVERY = 5 * MINUTE;
const CHANGES_KEPT = 365 * DAY;

const TLS_RESULTS_KEPT_DAYS = 31;
type TrimSettings = {
  readonly trace: { readonly keep: number; readonly maxSize: number };
  /** When sessions end. */
  readonly console: { readonly idle: number; readonly lifetime: number };
};
type TrimParts = {
  readonly log: EventLog;
  readonly trimActivity: (activity: Led<ActivityStore>) => Promise<void>;
  /** The name of this run of the process. */
  readonly owner: string;
};

/**
 * Removes old traces, and known recipients that get no mail any more. It works in small steps, so that disk and commits are not slowed down.
 * Of relays that share the data, one does it: the one with the lease.
 */
export function startTrimming(
  { operation, underLease, now }: Pick<StoreData, 'operation' | 'underLease'> & Pick<Store, 'now'>,
  settings: () => TrimSettings,
  { log, trimActivity, owner }: TrimParts,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  let walked: KnownRecipient | null = null;
  const timer = setInterval(() => {
    running = trim().catch((error: unknown) => log.emit('traceNotTrimmed', { error }));
  }, TRIM_EVERY).unref();
  const lease = { name: 'trim', owner };
  const { messages, activity, suppression, feedback, tlsResults, console, audit } = underLease(lease);
  async function trim(): Promise<void> {
    if (!(await operation.takeLease(lease.name, owner, now() + 2 * TRIM_EVERY, now()))) return;
    const { keep, maxSize } = settings().trace;
    const { idle, lifetime } = settings().console;
    await messages.trimTrace(now() - keep, maxSize);
    const step = await messages.forgetRecipients(now(), walked);
    walked = step.after;
    await trimActivity(activity);
    await suppression.trim(now());
    await feedback.trim(Math.floor((now() - keep) / DAY));
    await console.trim(now(), { createdBefore: now() - lifetime, seenBefore: now() - idle });
    while (await audit.trim(now() - CHANGES_KEPT));
    while (await tlsResults.trimTlsResults(Math.floor(now() / DAY) - TLS_RESULTS_KEPT_DAYS));
  }
  return () => {
    clearInterval(timer);
    return running;
  };
}

/** What weakens TLS at this time. */
export function exceptionsNow({ destinations, delivery }: Config, now = Date.now()): readonly TlsException[] {
  return exceptionsOf(destinations, delivery.tls, now).filter(({ isOver }) => !isOver);
}

/** Logs each exception at the start and each day, so that nobody forgets one. */
export function startExceptions(config: () => Config, log: EventLog): { tell(): void; close(): void } {
  const tell = () => {
    for (const { subject, what, until } of exceptionsNow(config()))
      log.emit('tlsException', {
        subject,
        what: inEnglish(what),
        until: until === undefined ? undefined : new Date(until).toISOString(),
      });
  };
  tell();
  const timer = setInterval(tell, DAY).unref();
  return { tell, close: () => clearInterval(timer) };
}

const NOTICES_AT_ONCE = 500;

/** Logs the changes that commands made in the queue, also while the relay did not run. */
export async function logNotices({ messages }: Pick<StoreData, 'messages'>, log: EventLog): Promise<void> {
  for (;;) {
    const notices = await messages.takeNotices(NOTICES_AT_ONCE);
    for (const { event, id, recipient } of notices) log.emit(event, { queueId: id, recipient });
    if (notices.length < NOTICES_AT_ONCE) return;
  }
}

/** Serves `smarthost queue retry`: the hosts of those destinations get one attempt now, even if they rest. */
export async function liftRests({ messages }: Pick<StoreData, 'messages'>, { tryNow }: Pick<Delivery, 'tryNow'>): Promise<void> {
  for (;;) {
    const destinations = await messages.takeRetried(NOTICES_AT_ONCE);
    for (const destination of destinations) tryNow(destination);
    if (destinations.length < NOTICES_AT_ONCE) return;
  }
}

/** The limits of a user with held mail. Undefined if the login is removed, disabled or expired; then its mail stays held. */
export async function limitsNow(
  { credentials, now }: Pick<Store, 'credentials' | 'now'>,
  defaults: QuotaDefaults,
  user: string,
): Promise<readonly Limit[] | undefined> {
  const credential = await credentials.get(user);
  if (credential === undefined || credential.disabled) return undefined;
  if (credential.expiresAt !== null && credential.expiresAt <= now()) return undefined;
  return limitsFor(credential, defaults.list);
}

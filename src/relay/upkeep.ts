/** What a relay makes sure of in its store when it starts, and clears away while it runs. */

import { createHash, createHmac, randomBytes } from 'node:crypto';
import { type Config, checkReports } from '../config/config.ts';
import type { Control } from '../control/control.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { EventLog } from '../events/events.ts';
import { limitsFor, type QuotaDefaults } from '../policy/policy.ts';
import type { Limit } from '../smtp/limit.ts';
import type { Route } from '../smtp/route.ts';
import type { KnownRecipient, StoreData } from '../store/store.ts';
import { MINUTE } from '../system/clock.ts';
import { fileSystemRisk } from '../system/file-system.ts';

/** A lying sync cannot be survived, only named. */
export async function warnOfFileSystem(dataDir: string, log: EventLog): Promise<void> {
  const risk = await fileSystemRisk(dataDir);
  if (risk !== undefined) log.emit('fileSystem', { dataDir, reason: `The data lie on ${risk}` });
}

/** The host name's own domain signs our reports from the first start on; its record is printed by `smarthost domain records`. */
export async function ensureOwnKey({ domains }: Pick<Control, 'domains'>, hostname: string, log: EventLog): Promise<void> {
  const { made } = await domains.ensure([hostname]);
  for (const domain of made) log.emit('dkimKeyCreated', { domain });
}

/** What `config check` says about the keys, for a relay that starts or reads its configuration again. */
export async function warnOfReports({ operation }: Pick<StoreData, 'operation'>, config: Config, log: EventLog): Promise<void> {
  const keys = await operation.dkimKeys();
  const domains = keys.filter(({ state }) => state === 'active').map(({ domain }) => domain);
  const reason = checkReports(config, domains);
  if (reason !== undefined) log.emit('reportsNotSigned', { from: config.reports.from, reason: `reports.from ${reason}` });
}

/**
 * What stands in Received instead of a login name: tells our operator which credential it was, and nobody else.
 * `smarthost trace` has the name itself.
 */
export async function createUserToken({ operation }: Pick<StoreData, 'operation'>): Promise<(name: string) => string> {
  const drawn = randomBytes(32).toString('hex');
  const secret = (await operation.value('instance.secret')) ?? (await operation.keepValue('instance.secret', drawn));
  const key = Buffer.from(secret, 'hex');
  const known = new Map<string, string>();
  return (name) => {
    let token = known.get(name);
    if (token === undefined) {
      token = createHmac('sha256', key).update(name).digest('hex').slice(0, 12);
      known.set(name, token);
    }
    return token;
  };
}

/**
 * Mail that waits takes the way that the routes say now, at once where that is another one. Routes of an earlier start count:
 * what they were is remembered by a digest, which no password goes into.
 * @returns how many recipients go another way.
 */
export async function followRoutes(
  { messages, operation }: Pick<StoreData, 'messages' | 'operation'>,
  routes: readonly Route[],
  destinationOf: Delivery['destinationOf'],
): Promise<number> {
  const known = JSON.stringify(routes.map(({ login: _, ...route }) => route));
  const digest = createHash('sha256').update(known).digest('hex');
  if ((await operation.value('routes.digest')) === digest) return 0;
  const moved = await messages.reroute({ all: true }, Date.now(), (message, address, current) => {
    const destination = destinationOf(message, address);
    return destination === current ? undefined : destination;
  });
  await operation.setValue('routes.digest', digest);
  return moved.length;
}

/** Forgets old traces, and recipients that nobody writes to any more, in small steps, so that neither the disk nor a commit notices. */
export function startTrimming(
  { messages }: Pick<StoreData, 'messages'>,
  settings: () => { readonly keep: number; readonly maxSize: number },
  log: EventLog,
): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  let walked: KnownRecipient | null = null;
  const timer = setInterval(() => {
    running = trim().catch((error: unknown) => log.emit('traceNotTrimmed', { error }));
  }, 5 * MINUTE).unref();
  async function trim(): Promise<void> {
    const { keep, maxSize } = settings();
    await messages.trimTrace(Date.now() - keep, maxSize);
    const step = await messages.forgetRecipients(Date.now(), walked);
    walked = step.after;
  }
  return () => {
    clearInterval(timer);
    return running;
  };
}

const NOTICES_AT_ONCE = 500;

/** Commands change the queue beside the relay, or while it does not run: its log has the line all the same. */
export async function logNotices({ messages }: Pick<StoreData, 'messages'>, log: EventLog): Promise<void> {
  for (;;) {
    const notices = await messages.takeNotices(NOTICES_AT_ONCE);
    for (const { event, id, recipient } of notices) log.emit(event, { queueId: id, recipient });
    if (notices.length < NOTICES_AT_ONCE) return;
  }
}

/** `smarthost queue retry` asks for an attempt now: the hosts of those destinations get one although they rest. */
export async function liftRests({ messages }: Pick<StoreData, 'messages'>, { tryNow }: Pick<Delivery, 'tryNow'>): Promise<void> {
  for (;;) {
    const destinations = await messages.takeRetried(NOTICES_AT_ONCE);
    for (const destination of destinations) tryNow(destination);
    if (destinations.length < NOTICES_AT_ONCE) return;
  }
}

/** What holds for a user whose mail is held over a limit; undefined: the login is gone, disabled or expired, and its mail stays. */
export async function limitsNow(
  { credentials }: Pick<StoreData, 'credentials'>,
  defaults: QuotaDefaults,
  user: string,
): Promise<readonly Limit[] | undefined> {
  const credential = await credentials.get(user);
  if (credential === undefined || credential.disabled) return undefined;
  if (credential.expiresAt !== null && credential.expiresAt <= Date.now()) return undefined;
  return limitsFor(credential, defaults.list);
}

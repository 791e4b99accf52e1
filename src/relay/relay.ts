/** The only file that knows every part: builds them, connects them, starts, reloads and drains them. */
import { randomBytes } from 'node:crypto';
import { hostname as machineName } from 'node:os';
import { startAdmin } from '../admin/admin.ts';
import { startCertificates } from '../certificates/certificates.ts';
import type { Config, LoadOptions } from '../config/config.ts';
import { type Actor, type Control, createControl, type Reloaded } from '../control/control.ts';
import { createCredentials } from '../credentials/credentials.ts';
import { startDelivery } from '../delivery/delivery.ts';
import { createDns } from '../dns/dns.ts';
import type { SmtpProbe } from '../doctor/doctor.ts';
import { createEventLog, type EventLog, type RelayEvent } from '../events/events.ts';
import { createMetrics, type Metrics } from '../metrics/metrics.ts';
import { portProblems } from '../net/open-port.ts';
import { createAlignmentCheck, createQuota } from '../policy/policy.ts';
import { createPreparation } from '../preparation/preparation.ts';
import { createSuspects, startQueue } from '../queue/queue.ts';
import {
  ASKED_FOR,
  createReporter,
  createSummarizer,
  type OperatorNotice,
  type ReporterOptions,
  sendNotice,
} from '../report/report.ts';
import { createSigner, startRotation } from '../signing/signing.ts';
import { filesOf, openStore } from '../store/store.ts';
import { startSubmission, type TlsFiles } from '../submission/submission.ts';
import { SECOND, systemClock } from '../system/clock.ts';
import { createLog, type Log } from '../system/log.ts';
import { prepareTrust } from '../system/trust.ts';
import { VERSION } from '../system/version.ts';
import { createTlsResults, startDnssecWatch, startStsPolicies } from '../tls-policy/tls-policy.ts';
import { type Activity, createActivity } from './activity.ts';
import { createMisalignedNotices, startSenders } from './alignment.ts';

import { createBlockNews, followProviders } from './block-notices.ts';
import { startChangeLog } from './change-log.ts';
import { type ClientWatch, createClientWatch } from './client-watch.ts';
import { openConsole } from './console.ts';
import { type ConsoleBooks, createConsoleBooks } from './console-books.ts';
import { createCommitCheck, createUsableCheck, reasonsAgainst, snapshot, storeEvents, whyUnusable } from './health.ts';
import { createLimitNotices } from './limit-notices.ts';
import { followLogins, startLoginWatch, watchedCredentials, watchedQueue } from './login-watch.ts';
import { adminNames, certificateOptions, needsValidation, portsOf, quotaDefaults, stsSettings } from './options.ts';
import { startOutboundLook } from './outbound-look.ts';
import { reloadRelay } from './reload.ts';
import { deliveryOptions, preparationOptions, submissionOptions } from './session-options.ts';
import { type LateParts, startSessionThreads } from './session-threads.ts';
import { compareConfigurations, leaveUnknownRoutes } from './shared-configuration.ts';
import { startTlsReports } from './tls-reports.ts';
import {
  createFollow,
  ensureOwnKey,
  exceptionsNow,
  liftRests,
  limitsNow,
  logNotices,
  startExceptions,
  startTrimming,
  warnOfFileSystem,
  warnOfReports,
} from './upkeep.ts';
import { createUserToken } from './user-token.ts';

export { startFirstRunConsole } from './first-run.ts';

type RelayOptions = {
  readonly config: Config;
  /** Reads the configuration again. Its problems come back as sentences. */
  readonly reload: () => Promise<{ readonly config: Config } | { readonly problems: readonly string[] }>;
  /** Where the configuration was read from. */
  readonly source: LoadOptions;
  /** Receives whole log lines instead of stdout. */
  readonly write?: (lines: string) => void;
  /** Replaces the connection to a mail server in the check of port 25. */
  readonly probe?: SmtpProbe;
};

export type Relay = {
  readonly listening: readonly Listening[];
  /** The actions of an operator, from inside the process. They reject when the relay is closed. */
  readonly control: Control;
  /** For SIGHUP: applies all settings that can change while the relay runs. No session is dropped. It never rejects. */
  reload(): Promise<Reloaded>;
  /** Finishes its mail or gives it back, within about 30 s. It may be called more than once. */
  close(reason: string): Promise<void>;
};

type Listening = { readonly name: string; readonly address: string; readonly port: number };

/** How long a stop waits for clients and destinations. The whole stop must end within 30 s, because service managers wait no longer. */
const DRAIN = 28 * SECOND;

/** @throws Error with one sentence if the relay cannot work: a port is taken, the store is in use, files are not valid. */
export async function startRelay({ config, reload, source, write, probe }: RelayOptions): Promise<Relay> {
  const books = createConsoleBooks(config.listen.console.length > 0);
  const log = createLog({ ...config.log, ...books.logging, ...(write === undefined ? {} : { write }) });
  const metrics = createMetrics(VERSION);
  const activity = createActivity();
  const clients = createClientWatch();
  const observe = (event: RelayEvent) => {
    clients.observe(event);
    metrics.observe(event);
    activity.observe(event);
    books.observe(event);
  };
  const events = createEventLog(log, observe);
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const crashed = (error: unknown) => {
    events.emit('crashed', { error }); // the runtime then ends the process, which is right: a restart loses nothing
    log.flush();
  };
  process.on('uncaughtExceptionMonitor', crashed);
  closers.push(() => process.off('uncaughtExceptionMonitor', crashed));
  try {
    const heard = { observe, activity, clients, books };
    return await build({ current: { config }, read: reload, source, probe, log, events, ...heard, metrics, closers });
  } catch (error) {
    await closeAll(closers, events);
    log.flush();
    throw error;
  }
}

/**
 * Closes all parts in reverse order. If one fails, the others still close and store what they hold. When the time of a stop is over, none
 * is waited for longer than a second: mail is safe by then, and what is not written now, without its database, would not be written later.
 */
async function closeAll(closers: Parts['closers'], events: EventLog): Promise<void> {
  const until = performance.now() + DRAIN;
  for (const close of closers.reverse()) {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.max(until - performance.now(), SECOND));
    });
    try {
      await Promise.race([close(), over]);
    } catch (error) {
      events.emit('notClosed', { error });
    } finally {
      clearTimeout(timer);
    }
  }
}

type Parts = {
  /** The current configuration. A reload replaces it. */
  readonly current: { config: Config };
  readonly read: RelayOptions['reload'];
  readonly source: RelayOptions['source'];
  readonly probe: RelayOptions['probe'];
  readonly log: Log;
  readonly events: EventLog;
  /** Hears each event, also those of other threads. */
  readonly observe: (event: RelayEvent) => void;
  readonly activity: Activity;
  readonly clients: ClientWatch;
  readonly books: ConsoleBooks;
  readonly metrics: Metrics;
  /** In the order of the start. They run in reverse order. */
  readonly closers: (() => Promise<unknown> | unknown)[];
};

async function build(parts: Parts): Promise<Relay> {
  const ground = await openGround(parts);
  const way = await startWay(parts, ground);
  const { current, events: log } = parts;
  const { follow, followed } = createFollow({ config: () => current.config, ...ground, log, ...way });
  parts.closers.push(followed, way.shared.close);
  follow();
  const door = await openDoor(parts, ground, way);
  const admin = await openAdmin(parts, ground, way, door);
  const steered = steering(parts, () => reloadRelay(parts, { ...ground, ...way, ...door, follow }));
  const outbound = startOutboundLook({ config: parts.current.config, dns: ground.dns, log: parts.events, probe: parts.probe });
  parts.closers.push(outbound.close);
  const console = await openConsole({ ...parts, ...ground, ...way, ...door, outbound, reload: steered.reload });
  parts.closers.push(() => console.close());
  const listening = [door.submission, ground.certificates, admin, console].flatMap((part) => part.listening);
  parts.events.emit('started', { version: VERSION, pid: process.pid, listen: listening });
  return { listening, control: ground.control, ...steered };
}

/** Starts the base of all other parts: the lock, the store, the certificates, the DNS. */
async function openGround({ current, events, activity, metrics, closers }: Parts) {
  const { config } = current;
  const files = filesOf(config);
  const lock = await files?.lock();
  closers.push(() => lock?.release());
  const taken = await portProblems(portsOf(config));
  if (taken.length > 0) throw new AggregateError(taken, taken.map(({ message }) => message).join('\n'));
  const told = { onCommit: metrics.observeCommit, ...storeEvents(events) };
  const opening = files?.open({ ...told, sweep: true }) ?? openStore(config, told);
  prepareTrust(config.delivery.ca); // while the thread of the store starts
  const store = await opening;
  closers.push(() => store.close());
  closers.push(activity.keep(store, events));
  const disk = await files?.watchDisk();
  closers.push(() => disk?.close());
  const owner = `${machineName()}/${process.pid}/${randomBytes(6).toString('hex')}`;
  const certificates = await startCertificates({
    ...certificateOptions(config),
    ...{ owner, operation: store.operation, log: events, now: store.now },
  });
  closers.push(() => certificates.close());
  if (files !== undefined) await warnOfFileSystem(files.dataDir, events);
  const dns = createDns({ ...config.dns, onAnswer: metrics.observeQuestion });
  const controlAs = (by: Actor) =>
    createControl({ store: store.forPeople, settings: () => current.config, dns, now: store.now, by });
  const control = controlAs({ name: 'smarthost', way: 'relay' });
  await ensureOwnKey(control, config.hostname, events);
  await warnOfReports(store, config, events);
  return { owner, store, disk, certificates, dns, control, controlAs };
}
export type Ground = Awaited<ReturnType<typeof openGround>>;

/** Starts the parts that handle a message after acceptance: preparation, queue, delivery, reports. */
async function startWay(parts: Parts, ground: Ground) {
  const { current, events, activity, closers } = parts;
  const { store, dns, owner } = ground;
  const { config } = current;
  const { messages, operation, now } = store;
  const results = createTlsResults({
    ...{ store: store.tlsResults, dns, log: events, now },
    wanted: () => current.config.reports.tls !== 'off',
  });
  closers.push(() => results.close());
  const sts = startStsPolicies({ ...stsSettings(config), store: store.tlsPolicies, dns, log: events, now });
  closers.push(() => sts.close());
  const dnssec = startDnssecWatch({ dns, log: events, wanted: () => needsValidation(current.config) });
  closers.push(dnssec.close);
  const senders = await startSenders({ store, dns, config: () => current.config, log: events });
  closers.push(() => senders.close());
  const late: LateParts = {};
  const { validates, validatesNow } = dnssec;
  const threads = await startSessionThreads({ ...parts, ...ground, sts, results, senders, validates, validatesNow, late });
  closers.push(() => threads?.close());
  const watch = await startLoginWatch({ store, log: events, config: () => current.config });
  const { behaviour } = watch;
  closers.push(() => behaviour.close());
  const blocks = createBlockNews(events, { store, dns, hostname: config.hostname }, behaviour.blocked);
  const shared = compareConfigurations({ store, log: events, config: () => current.config });
  const ways = { hostname: config.hostname, dns, log: events, operation, sts, results, validates, validatesNow };
  const told = { held: messages, slots: store.slots, ...blocks.told, now };
  const delivery = await startDelivery({ ...deliveryOptions(config), ...ways, ...told }, threads?.courier);
  closers.push(() => delivery.close());
  const signer = createSigner({ operation, noKey: config.signing.noKey, warn: events.emit });
  const preparation = createPreparation({
    ...preparationOptions(config),
    hostname: config.hostname,
    createSpool: messages.createSpool,
    signer,
    warn: events.emit,
  });
  const reporting: ReporterOptions = {
    hostname: config.hostname,
    from: config.reports.from,
    preparation,
    reportLifetime: config.queue.reportLifetime,
    destinationOf: delivery.destinationOf,
    ...{ signs: delivery.signs, log: events, now },
  };
  const suspects = await createSuspects(store.suppression);
  const plainQueue = await startQueue({
    store: messages,
    log: events,
    owner,
    deliver: leaveUnknownRoutes({
      deliver: (claim, signal) => behaviour.deliver(delivery.deliver, claim, signal),
      ...{ destinationOf: delivery.destinationOf, routesDiffer: shared.routesDiffer, log: events, now },
    }),
    room: delivery.room,
    onRoom: delivery.onRoom,
    blockedUntil: delivery.blockedUntil,
    shaping: delivery.takeShaping,
    suspects,
    report: createReporter(reporting),
    summarize: createSummarizer(reporting),
    reportsPerHour: () => current.config.reports.perHour,
    limitsOf: (user) => limitsNow(store, quotaDefaults(current.config), user),
    ...{ schedule: config.queue, now, wall: systemClock, restored: store.restored },
  });
  const queue = watchedQueue(plainQueue, behaviour);
  closers.push(() => queue.close(DRAIN)); // for a failed start; a stop closes the queue earlier
  const reports = startTlsReports({
    ...{ store, dns, preparation, delivery, results },
    log: events,
    config: () => current.config,
    wake: queue.wake,
  });
  closers.push(() => reports.close());
  const rotation = startRotation({ operation, messages, dns, owner, now, log: events, changed: () => signer.forget() });
  closers.push(() => rotation.close());
  closers.push(startTrimming(store, () => current.config, { log: events, trimActivity: activity.trim, owner }));
  closers.push(await startChangeLog(store, events));
  const exceptions = startExceptions(() => current.config, events);
  closers.push(exceptions.close);
  late.queue = queue;
  const shown = { delivery, shared, blocks, watch, exceptions, dnssec, sts, senders, reports };
  return { ...shown, signer, preparation, suspects, queue, threads, late };
}
export type RelayWay = Awaited<ReturnType<typeof startWay>>;

/** Starts what clients need: credentials, limits, the ports of submission. */
async function openDoor(parts: Parts, ground: Ground, way: RelayWay) {
  const { current, events, closers } = parts;
  const { config } = current;
  const { store, disk, certificates } = ground;
  const { delivery, preparation, queue, senders, threads, late } = way;
  const { destinationOf, signs } = delivery;
  const { behaviour } = way.watch;
  const logins = createCredentials({ store: store.credentials, cacheFor: config.auth.cache, now: store.now });
  const credentials = watchedCredentials(logins, behaviour);
  const notices = {
    ...{ hostname: config.hostname, from: config.reports.from, lifetime: config.queue.reportLifetime, log: events },
    now: store.now,
  };
  const send = (operator: string, notice: OperatorNotice, id?: string) =>
    sendNotice(notice, { ...notices, id, operator, preparation, queue, destinationOf, signs });
  const notify = createLimitNotices({ store, log: events, config: () => current.config, send });
  late.notifyLimit = notify;
  const tell = createMisalignedNotices({ store, log: events, config: () => current.config, send });
  late.tellMisaligned = tell;
  const { hostname, alignment: settings } = config;
  const alignment = createAlignmentCheck({ settings, hostname, verdicts: senders, tell, now: store.now });
  followLogins(way.watch, { store, log: events, config: () => current.config, send });
  followProviders(way.blocks, { store, delivery, log: events, config: () => current.config, send });
  const quota = createQuota({ messages: store.messages, defaults: quotaDefaults(config), notify, now: store.now });
  await followChanges(parts, ground, { ...way, credentials, quota });
  const options = {
    ...submissionOptions(config),
    hostname: config.hostname,
    operator: config.operator,
    tls: certificates.current(),
    credentials,
    failures: store.credentials,
    alignment,
    quota,
    preparation,
    queue,
    destinationOf,
    signs,
    log: events,
    ...{ now: store.now, userToken: await createUserToken(store) },
    storeUsable: createUsableCheck(() => whyUnusable({ disk, store, minFree: current.config.queue.minFree, queue })),
  };
  const submission = await startSubmission(options, threads?.hand);
  late.guard = submission.guard;
  // Both close in parallel, within one deadline. Mail that clients submit meanwhile is stored and waits for the next start.
  closers.push(() => Promise.all([submission.close(DRAIN / 2), threads?.drain(DRAIN / 2), queue.close(DRAIN)]));
  const setTls = (pairs: TlsFiles) => {
    submission.setTls(pairs);
    threads?.setTls(pairs);
  };
  certificates.onChange(setTls);
  setTls(certificates.current()); // certificates may have changed while the ports were opened
  return { alignment, credentials, quota, submission };
}
export type Door = Awaited<ReturnType<typeof openDoor>>;

/** Applies changes of the store at once, from commands or from inside: the affected caches are dropped. */
async function followChanges(
  { events }: Parts,
  { store, certificates }: Ground,
  parts: RelayWay & Pick<Door, 'credentials' | 'quota'>,
) {
  const { delivery, sts, signer, suspects, queue, reports, credentials, quota } = parts;
  const tellNotices = () => logNotices(store, events).catch((error: unknown) => events.emit('noticesNotRead', { error }));
  await tellNotices();
  const tryRetried = () => liftRests(store, delivery).catch((error: unknown) => events.emit('retriesNotRead', { error }));
  void tryRetried();
  store.onChange((changes) => {
    if (changes.has('notices')) void tellNotices();
    if (changes.has('credentials')) credentials.forget();
    if (changes.has('credentials') || changes.has('limits')) quota.forget();
    if (changes.has('keys')) signer.forget();
    if (changes.has('suppression')) void suspects.reload().catch(() => {}); // a note too many does no harm, one too few is made up later
    if (changes.has('policies')) sts.forget();
    if (changes.has('certificates') || changes.has('value:certificate.request')) certificates.look();
    if ([...changes].some((change) => change.startsWith(`value:${ASKED_FOR}`))) void reports.look();
    const isDue = [...changes].some((change) => change.startsWith('queue:'));
    if (isDue) void tryRetried().then(queue.wake); // before the queue looks for mail, which would still find the rest
  });
}

async function openAdmin(
  { current, metrics, closers }: Parts,
  { store, disk, certificates, control }: Ground,
  { delivery, watch, dnssec, sts, senders, shared, threads }: RelayWay,
  { submission }: Door,
) {
  const commit = createCommitCheck(store);
  const look = () =>
    snapshot({
      ...{ store, certificates, sessions: threads?.sessions() ?? submission.sessions(), threads: threads?.working() ?? 1 },
      sessionsByThread: threads?.sessionsByThread() ?? [],
      ...{ resting: delivery.resting(), blocked: delivery.blocks(), shaping: delivery.shaping() },
      ...{ stopped: watch.behaviour.stops().length, validates: dnssec.validates(), policies: sts.counts() },
      exceptions: exceptionsNow(current.config).length,
      ...{ senders: senders.counts(), otherConfigurations: shared.count() },
    });
  const admin = await startAdmin({
    listen: current.config.listen.admin,
    names: adminNames(current.config),
    release: { linked: control.behaviour.linked, release: control.behaviour.releaseByLink },
    metrics: async () => ({ contentType: metrics.contentType, body: await metrics.render(await look()) }),
    unready: () => reasonsAgainst({ commit, disk, certificates, minFree: current.config.queue.minFree }),
    warnings: certificates.warnings,
    tls: { policies: () => control.tlsPolicies.list(false), failures: control.tlsReports.failures },
  });
  closers.push(() => admin.close());
  return admin;
}

/** Both functions may be called at any time, and more than once. */
function steering({ log, events, closers }: Parts, again: () => Promise<Reloaded>): Pick<Relay, 'close' | 'reload'> {
  let closing: Promise<void> | undefined;
  /** Reloads run one after the other, so that the last signal decides. */
  let reloading: Promise<unknown> = Promise.resolve();
  return {
    close(reason) {
      closing ??= (async () => {
        await closeAll(closers, events);
        events.emit('stopped', { reason });
        log.flush();
      })();
      return closing;
    },
    reload() {
      const done = reloading.then(again).catch((error: Error): Reloaded => {
        events.emit('reloadFailed', { error });
        return { result: 'failed', error: error.message };
      });
      reloading = done;
      return done;
    },
  };
}

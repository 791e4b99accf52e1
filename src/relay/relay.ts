/** The only file that knows every part: builds them, connects them, starts, reloads and drains them. */
import { randomBytes } from 'node:crypto';
import { hostname as machineName } from 'node:os';
import { startAdmin } from '../admin/admin.ts';
import { startCertificates } from '../certificates/certificates.ts';
import type { Config } from '../config/config.ts';
import { createCredentials } from '../credentials/credentials.ts';
import { startDelivery } from '../delivery/delivery.ts';
import { createDns } from '../dns/dns.ts';
import type { SmtpProbe } from '../doctor/doctor.ts';
import { createEventLog, type EventLog } from '../events/events.ts';
import { createMetrics, type Metrics } from '../metrics/metrics.ts';
import { createQuota } from '../policy/policy.ts';
import { createPreparation } from '../preparation/preparation.ts';
import { startQueue } from '../queue/queue.ts';
import { createReporter, createSummarizer, type Notice, type ReporterOptions, sendNotice } from '../report/report.ts';
import { createSigner, startRotation } from '../signing/signing.ts';
import { lockInstance, openStore } from '../store/store.ts';
import { startSubmission } from '../submission/submission.ts';
import { SECOND } from '../system/clock.ts';
import { startDiskWatch } from '../system/disk-watch.ts';
import { createLog, type Log } from '../system/log.ts';
import { portProblems } from '../system/ports.ts';
import { VERSION } from '../system/version.ts';
import { diskRefusal, reasonsAgainst, snapshot } from './health.ts';
import { createLimitNotices } from './limit-notices.ts';
import {
  certificateOptions,
  deliveryOptions,
  keepFixed,
  portsOf,
  preparationOptions,
  quotaDefaults,
  submissionOptions,
} from './options.ts';
import { startOutboundLook } from './outbound-look.ts';
import {
  ensureOwnKey,
  followRoutes,
  liftRests,
  logNotices,
  startTrimming,
  tokenOf,
  warnOfFileSystem,
  warnOfReports,
} from './upkeep.ts';

export type RelayOptions = {
  readonly config: Config;
  /** Reads the configuration again; what is wrong with it comes back as sentences. */
  readonly reload: () => Promise<{ readonly config: Config } | { readonly problems: readonly string[] }>;
  /** Takes whole log lines instead of stdout. */
  readonly write?: (lines: string) => void;
  /** Looks at a mail server in place of a connection. */
  readonly probe?: SmtpProbe;
};

export type Relay = {
  readonly listening: readonly Listening[];
  /** SIGHUP: what can change does so, no session is dropped. */
  reload(): Promise<void>;
  /** Finishes or hands back what it holds, at most some 30 s; may be called again. */
  close(reason: string): Promise<void>;
};

type Listening = { readonly name: string; readonly address: string; readonly port: number };

/** What a stop waits for clients and destinations, so that all of it is over within 30 s: service managers wait no longer. */
const DRAIN = 28 * SECOND;

/** @throws Error with one sentence where the relay cannot work: port taken, store in use, files that do not fit. */
export async function startRelay({ config, reload, write, probe }: RelayOptions): Promise<Relay> {
  const log = createLog({ ...config.log, ...(write === undefined ? {} : { write }) });
  const metrics = createMetrics(VERSION);
  const events = createEventLog(log, metrics.observe);
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const crashed = (error: unknown) => {
    events.emit('crashed', { error }); // what the runtime does then, ending the process, is right: a restart loses nothing
    log.flush();
  };
  process.on('uncaughtExceptionMonitor', crashed);
  closers.push(() => process.off('uncaughtExceptionMonitor', crashed));
  try {
    return await build({ config, reload, probe, log, events, metrics, closers });
  } catch (error) {
    await closeAll(closers, events);
    log.flush();
    throw error;
  }
}

/** In reverse, and all of them: what fails to close must not keep what comes after it from storing what it holds. */
async function closeAll(closers: Parts['closers'], events: EventLog): Promise<void> {
  for (const close of closers.reverse()) {
    try {
      await close();
    } catch (error) {
      events.emit('notClosed', { error });
    }
  }
}

type Parts = Pick<RelayOptions, 'config' | 'reload'> & {
  readonly probe: RelayOptions['probe'];
  readonly log: Log;
  readonly events: EventLog;
  readonly metrics: Metrics;
  /** In the order of starting; run in reverse. */
  readonly closers: (() => Promise<unknown> | unknown)[];
};

async function build({ config: first, reload: read, probe, log, events, metrics, closers }: Parts): Promise<Relay> {
  let config = first;
  const lock = await lockInstance(config.dataDir);
  closers.push(() => lock.release());
  const taken = await portProblems(portsOf(config));
  if (taken.length > 0) throw new Error(taken.join('\n'));
  const store = await openStore({
    dataDir: config.dataDir,
    sweep: true,
    onCommit: metrics.observeCommit,
    onDamaged: ({ id: queueId, reason }) => events.emit('damaged', { queueId, reason }),
    onTrouble: (error) => events.emit('storeTrouble', { error }),
  });
  closers.push(() => store.close());
  const { messages, operation } = store;
  const disk = await startDiskWatch(config.dataDir);
  closers.push(() => disk.close());
  const certificates = await startCertificates({
    ...certificateOptions(config),
    owner: machineName(), // one serve per data directory: what an earlier process here held is free to us
    operation,
    log: events,
  });
  closers.push(() => certificates.close());
  await warnOfFileSystem(config.dataDir, events);
  await ensureOwnKey(store, config.hostname, events);
  await warnOfReports(store, config, events);

  const dns = createDns(config.dns);
  const delivery = await startDelivery({ ...deliveryOptions(config), hostname: config.hostname, dns, log: events, operation });
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
    signs: delivery.signs,
    log: events,
  };
  const queue = await startQueue({
    store: messages,
    log: events,
    owner: `${machineName()}/${process.pid}/${randomBytes(6).toString('hex')}`,
    deliver: delivery.deliver,
    room: delivery.room,
    onRoom: delivery.onRoom,
    blockedUntil: delivery.blockedUntil,
    report: createReporter(reporting),
    summarize: createSummarizer(reporting),
    reportsPerHour: () => config.reports.perHour,
    schedule: config.queue,
  });
  closers.push(() => queue.close(DRAIN)); // for a start that fails; a stop does it earlier
  const rotation = startRotation({ operation, messages, dns, log: events, changed: () => signer.forget() });
  closers.push(() => rotation.close());
  const stopTrimming = startTrimming(store, () => config.trace, events);
  closers.push(stopTrimming);

  let following = Promise.resolve();
  const follow = () => {
    following = following
      .then(() => followRoutes(store, config.routes, delivery.destinationOf))
      .then((recipients) => {
        if (recipients === 0) return;
        events.emit('rerouted', { recipients });
        queue.wake();
      })
      .catch((error: unknown) => events.emit('routesNotFollowed', { error }));
  };
  closers.push(() => following);
  follow();

  const credentials = createCredentials({ store: store.credentials, cacheFor: config.auth.cache });
  const notices = { hostname: config.hostname, from: config.reports.from, lifetime: config.queue.reportLifetime, log: events };
  const { destinationOf, signs } = delivery;
  const send = (operator: string, notice: Notice) =>
    sendNotice(notice, { ...notices, operator, preparation, queue, destinationOf, signs });
  const quota = createQuota({
    messages,
    defaults: quotaDefaults(config),
    notify: createLimitNotices({ store, log: events, config: () => config, send }),
  });
  const tellNotices = () => logNotices(store, events).catch((error: unknown) => events.emit('noticesNotRead', { error }));
  await tellNotices();
  const tryRetried = () => liftRests(store, delivery).catch((error: unknown) => events.emit('retriesNotRead', { error }));
  void tryRetried();
  store.onForeignChange(() => {
    void tellNotices();
    credentials.forget();
    quota.forget();
    signer.forget();
    certificates.look();
    void tryRetried().then(queue.wake); // before the mail is looked for: it would meet the rest
  });

  const submission = await startSubmission({
    ...submissionOptions(config),
    hostname: config.hostname,
    operator: config.operator,
    tls: certificates.current(),
    credentials,
    failures: store.credentials,
    quota,
    preparation,
    queue,
    destinationOf: delivery.destinationOf,
    signs: delivery.signs,
    log: events,
    userToken: await tokenOf(store),
    storeUsable: () => diskRefusal(disk, config.queue.minFree),
  });
  // Both at once, within one time: what clients hand over meanwhile is stored, and left to the next start.
  closers.push(() => Promise.all([submission.close(DRAIN / 2), queue.close(DRAIN)]));
  certificates.onChange(submission.setTls);
  submission.setTls(certificates.current()); // what came while the ports were being opened

  const unready = () => reasonsAgainst({ store, disk, certificates, minFree: config.queue.minFree });
  const admin = await startAdmin({
    listen: config.listen.admin,
    metrics: async () => ({
      contentType: metrics.contentType,
      body: await metrics.render(
        await snapshot({ store, certificates, sessions: submission.sessions(), resting: delivery.resting() }),
      ),
    }),
    unready,
    warnings: certificates.warnings,
  });
  closers.push(() => admin.close());

  const listening = [...submission.listening, ...certificates.listening, ...admin.listening];
  const outbound = startOutboundLook({ config, dns, log: events, probe });
  closers.push(outbound.close);
  events.emit('started', { version: VERSION, pid: process.pid, listen: listening });

  let closing: Promise<void> | undefined;
  /** One after the other, so that the last signal decides. */
  let reloading: Promise<void> = Promise.resolve();
  return {
    listening,
    close(reason) {
      closing ??= (async () => {
        await closeAll(closers, events);
        events.emit('stopped', { reason });
        log.flush();
      })();
      return closing;
    },
    reload() {
      reloading = reloading.then(reload).catch((error: unknown) => events.emit('reloadFailed', { error }));
      return reloading;
    },
  };

  async function reload(): Promise<void> {
    const result = await read();
    if ('problems' in result) {
      events.emit('reloadRefused', { problems: result.problems });
      return;
    }
    const next = keepFixed(config, result.config, events);
    // All that can fail comes first, and changes nothing where it does.
    const followDelivery = delivery.prepareReload(deliveryOptions(next));
    await certificates.reload(certificateOptions(next));
    config = next;
    log.setLevel(config.log.level);
    followDelivery();
    signer.reload({ noKey: config.signing.noKey });
    signer.forget();
    preparation.reload(preparationOptions(config));
    queue.reload(config.queue);
    quota.reload(quotaDefaults(config));
    credentials.forget();
    submission.reload(submissionOptions(config));
    follow();
    queue.wake();
    await warnOfReports(store, config, events).catch((error: unknown) =>
      events.emit('storeFailed', { operation: 'dkimKeys', error }),
    );
    events.emit('reloaded', {});
  }
}

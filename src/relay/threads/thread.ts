/** A thread of sessions: their conversation, preparation and signing, and the attempts at destinations. It asks the main thread for the rest. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../../config/config.ts';
import { createCredentials } from '../../credentials/credentials.ts';
import { type Courier, createCourier, destinationOf, signs } from '../../delivery/delivery.ts';
import { createDns } from '../../dns/dns.ts';
import { createEventLog, type EventLog } from '../../events/events.ts';
import { createAlignmentCheck, type QuotaDefaults } from '../../policy/policy.ts';
import { createPreparation } from '../../preparation/preparation.ts';
import { createSigner } from '../../signing/signing.ts';
import { joinQueueIds } from '../../smtp/queue-id.ts';
import { joinStore } from '../../store/store.ts';
import { createSessions } from '../../submission/submission.ts';
import { createLog } from '../../system/log.ts';
import { createUsableCheck } from '../health.ts';
import { deliveryOptions, preparationOptions, submissionOptions } from '../session-options.ts';
import { createUserToken } from '../user-token.ts';
import { ThreadPeer } from './peer.ts';
import type { MachineState, MainServices, ThreadData, ThreadServices } from './protocol.ts';
import {
  createAdder,
  createPlaces,
  createRemoteGuard,
  createRemotePolicies,
  createRemoteVerdicts,
  placeAt,
  receivedClaim,
} from './remote.ts';
import { createSharedQuota } from './shared-quota.ts';

const data = workerData as ThreadData;
const port = parentPort!;
let state: MachineState = data.state;
let config: Config = data.config;

const main = new ThreadPeer<MainServices>(port, (error) => events.emit('threadTrouble', { thread: data.thread, error }));
const log = createLog({ ...config.log, format: 'json', write: (lines) => main.tellLater('log', [lines]) });
const events: EventLog = createEventLog(log, (event) => {
  if (data.counted.has(event.event)) main.tellLater('observe', [event]);
});

process.on('uncaughtExceptionMonitor', () => {
  log.flush();
  main.flush();
});
joinQueueIds({ ...data.queueIds, part: data.thread, parts: data.threads });
const store = joinStore(config, data.store);
const dns = createDns(config.dns);
const policies = createRemotePolicies(main);
const courier = createOwnCourier();
const quota = createSharedQuota(
  {
    ...{ messages: store.messages, defaults: data.limits, now: store.now },
    notify: ({ name, createdAt }, use, percent) => main.tell('notifyLimit', [{ name, createdAt }, use, percent]),
  },
  (...use) => main.tellLater('noteUse', use),
);
const signer = createSigner({ operation: store.operation, noKey: config.signing.noKey, warn: events.emit });
const preparation = createPreparation({
  ...preparationOptions(config),
  hostname: config.hostname,
  createSpool: store.messages.createSpool,
  signer,
  warn: events.emit,
});
const credentials = createCredentials({ store: store.credentials, cacheFor: 0, now: store.now }); // the main thread verifies passwords
const alignment = createAlignmentCheck({
  ...{ settings: config.alignment, hostname: config.hostname, verdicts: createRemoteVerdicts(main) },
  tell: (problem) => main.tell('tellMisaligned', [problem]),
  now: store.now,
});
const adder = createAdder(main);
const sessions = createSessions(
  {
    ...submissionOptions(config),
    hostname: config.hostname,
    operator: config.operator,
    tls: data.tls,
    credentials,
    failures: store.credentials,
    alignment,
    quota,
    preparation,
    queue: adder,
    destinationOf: (message, address) => destinationOf(config.routes, message, address),
    signs: (message, address) => signs(config.routes, message, address),
    log: events,
    now: store.now,
    userToken: await createUserToken(store),
    storeUsable: createUsableCheck(() => state.unusable),
  },
  createRemoteGuard(main, () => state.crowded),
);
const attempts = new Map<number, AbortController>();

store.onChange((changes) => {
  if (changes.has('credentials')) credentials.forget();
  if (changes.has('credentials') || changes.has('limits')) quota.forget();
  if (changes.has('keys')) signer.forget();
});

main.serve({
  ping: () => main.tell('pong', []),
  state(next) {
    state = next;
  },
  take(socket, listener, caller) {
    if (caller === undefined) return sessions.take(socket, listener, undefined);
    const { place, ...client } = caller;
    sessions.take(socket, listener, place === undefined ? client : { ...client, place: placeAt(main, place) });
  },
  async deliver(number, sent) {
    const ending = new AbortController();
    attempts.set(number, ending);
    try {
      const claim = await receivedClaim(sent, store.messages);
      return await courier.deliver(claim, ending.signal);
    } finally {
      attempts.delete(number);
    }
  },
  abort: (number, reason) => attempts.get(number)?.abort(reason),
  discard: (number) => adder.discard(number),
  trim: (count) => courier.trim(count),
  drop: (hosts) => courier.drop(hosts),
  noteUse: (...use) => quota.noteOthers(...use),
  store: (next) => store.renew(next),
  setTls: (tls) => sessions.setTls(tls),
  reload,
  drain: (deadline) => sessions.close(deadline),
  async close() {
    await Promise.all([courier.close(), sessions.close(0)]);
    log.flush();
    setImmediate(() => {
      main.flush();
      store.close();
      port.close();
    });
  },
} satisfies ThreadServices);
main.tell('ready', []);

/** @throws where files of the new configuration cannot be read */
function reload(next: Config, limits: QuotaDefaults): void {
  const follow = courier.prepareReload(courierOptions(next));
  config = next;
  log.setLevel(next.log.level);
  follow();
  signer.reload({ noKey: next.signing.noKey });
  signer.forget();
  preparation.reload(preparationOptions(next));
  alignment.reload(next.alignment);
  quota.reload(limits);
  credentials.forget();
  sessions.reload(submissionOptions(next));
}

function createOwnCourier(): Courier {
  const places = createPlaces(main);
  return createCourier(courierOptions(config), places, (...change) => main.tellLater('idle', change));
}

function courierOptions(next: Config): Parameters<typeof createCourier>[0] {
  return {
    ...deliveryOptions(next),
    ...{ hostname: next.hostname, dns, log: events, validates: () => state.validates, now: store.now },
    validatesNow: () => main.call('validatesNow', []),
    sts: policies,
    results: { count: (result) => main.tellLater('countSession', [result]) },
  };
}

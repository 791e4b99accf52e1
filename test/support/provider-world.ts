/** A queue with its store, a delivery with providers, and fake providers that follow a script; the clock is the test's. */
import { onTestFinished } from 'vitest';
import type { BlockNews, DeliveryOptions, FallbackNews } from '../../src/delivery/delivery.ts';
import { createEventLog } from '../../src/events/events.ts';
import { createSuspects, startQueue } from '../../src/queue/queue.ts';
import type { Reportable } from '../../src/queue/telling.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { NewMessage, Store } from '../../src/store/store.ts';
import { createLog } from '../../src/system/log.ts';
import { startTestDelivery } from './delivery.ts';
import { startDns } from './dns.ts';
import type { Zone } from './dns-server.ts';
import { startMx } from './mx.ts';
import type { MxScript, MxServer } from './mx-server.ts';
import { message, recipient, SCHEDULE } from './queue-rig.ts';
import { dataDir } from './store-rig.ts';

export type ProviderWorld = Awaited<ReturnType<typeof startProviderWorld>>;

/**
 * Domains `t0.test` … at Microsoft 365, `g.test` at Google, `y.test` at Yahoo, `s.test` at SFR, `l.test` at Outlook,
 * `d.test` at T-Online, `o.test` elsewhere. `f.test` names hosts of Google first, which
 * do not exist, and then the one elsewhere. @param scriptElsewhere of that one. @param more for the delivery.
 */
export async function startProviderWorld(script: MxScript, scriptElsewhere: MxScript = {}, more: Partial<DeliveryOptions> = {}) {
  const clock = { now: 1_800_000_000_000 };
  const mx = await startMx({ address: '127.0.4.1', script });
  const elsewhere = await startMx({ address: '127.0.4.2', port: mx.port, hostname: 'mx.o.test', script: scriptElsewhere });
  const dns = await startDns(zoneOf(mx, elsewhere));
  const path = dataDir();
  let parts = await open(path);

  async function open(path: string, options: Partial<DeliveryOptions> = {}) {
    const store: Store = await storeFiles(path).open({ sweep: true });
    const news: BlockNews[] = [];
    const fallbackNews: FallbackNews[] = [];
    const reports: Reportable[] = [];
    const now = () => clock.now;
    const { operation, messages } = store;
    const delivery = await startTestDelivery(dns, {
      port: mx.port,
      now,
      operation,
      held: messages,
      onBlock: (one) => news.push(one),
      onFallback: (one) => fallbackNews.push(one),
      ...more,
      ...options,
    });
    const queue = startQueue({
      ...{ store: messages, log: createEventLog(createLog({ level: 'silent', format: 'json' })), owner: `me/${clock.now}`, now },
      ...{ deliver: delivery.deliver, room: delivery.room, onRoom: delivery.onRoom, blockedUntil: delivery.blockedUntil },
      shaping: delivery.takeShaping,
      suspects: await createSuspects(store.suppression),
      report: async (_, changes) => {
        reports.push(...changes);
        return [];
      },
      ...{ summarize: async () => message([recipient('a@b.test')]), reportsPerHour: () => 1000, schedule: SCHEDULE },
      random: () => 0.5,
    });
    store.onChange((changes) => [...changes].some((one) => one.startsWith('queue:')) && queue.wake());
    await messages.takeBack({ owner: 'start', silence: 0, now: clock.now });
    queue.wake();
    return { store, news, fallbackNews, reports, delivery, queue };
  }

  async function shut(): Promise<void> {
    await parts.queue.close(1000);
    await parts.delivery.close();
    await parts.store.close();
  }

  onTestFinished(async () => {
    await shut();
    await Promise.all([dns.close(), mx.close(), elsewhere.close()]);
  });

  const world = {
    ...{ clock, mx, elsewhere, dns, path },
    get store() {
      return parts.store;
    },
    get news() {
      return parts.news;
    },
    get fallbackNews() {
      return parts.fallbackNews;
    },
    get reports() {
      return parts.reports;
    },
    get delivery() {
      return parts.delivery;
    },
    /** A message that is accepted now. @param to addresses with blanks between them. */
    async send(to: string, rest: Partial<NewMessage> = {}): Promise<string> {
      const added = await parts.queue.add({
        message: message(
          to.split(' ').map((address) => recipient(address)),
          { acceptedAt: clock.now, id: newId(clock.now), ...rest },
        ),
      });
      if (!added.accepted) throw new Error('refused');
      return added.id;
    },
    /** Lets time pass. The queue looks at once, as it does each half minute. */
    async pass(ms: number): Promise<void> {
      clock.now += ms;
      parts.queue.wake();
      await new Promise((resolve) => setTimeout(resolve, 1200));
      parts.queue.wake();
    },
    held: async () => (await parts.store.messages.heldByProvider()).map(({ provider, recipients }) => [provider, recipients]),
    state: async (provider: string) => (await parts.store.operation.shaping()).find((row) => row.provider === provider),
    /** Another process on the same data. */
    async restart(options: Partial<DeliveryOptions> = {}): Promise<void> {
      await shut();
      parts = await open(path, options);
    },
  };
  return world;
}

let ids = 0;
/** In the order of the calls. */
function newId(now: number): string {
  return `${now.toString(36)}${(ids++).toString(36).padStart(4, '0')}`.padStart(13, '0').slice(-13);
}

function zoneOf(mx: MxServer, elsewhere: MxServer): Record<string, Zone[string]> {
  const zone: Record<string, Zone[string]> = {
    ...{ 'g.test': { MX: ['10 aspmx.l.google.com'] }, 'aspmx.l.google.com': { A: [mx.address] } },
    ...{ 'y.test': { MX: ['10 mta5.am0.yahoodns.net'] }, 'mta5.am0.yahoodns.net': { A: [mx.address] } },
    ...{ 's.test': { MX: ['10 smtp-in.sfr.fr'] }, 'smtp-in.sfr.fr': { A: [mx.address] } },
    ...{ 'l.test': { MX: ['10 l-test.olc.protection.outlook.com'] }, 'l-test.olc.protection.outlook.com': { A: [mx.address] } },
    ...{ 'd.test': { MX: ['10 mx00.t-online.de'] }, 'mx00.t-online.de': { A: [mx.address] } },
    ...{ 'f.test': { MX: ['10 none.google.com', '20 mx.o.test'] }, 'none.google.com': {} },
    ...{ 'o.test': { MX: ['10 mx.o.test'] }, 'mx.o.test': { A: [elsewhere.address] } },
  };
  for (let i = 0; i < 5; i++) {
    zone[`t${i}.test`] = { MX: [`10 t${i}-test.mail.protection.outlook.com`] };
    zone[`t${i}-test.mail.protection.outlook.com`] = { A: [mx.address] };
  }
  return zone;
}

/** The counting of TLS sessions and the reports about them, on a real store, with a clock that the test sets. It sends no mail. */
import { onTestFinished } from 'vitest';
import { createDns } from '../../src/dns/dns.ts';
import { createEventLog } from '../../src/events/events.ts';
import { createPreparation } from '../../src/preparation/preparation.ts';
import { startTlsReportRun, type TlsReportOptions } from '../../src/report/report.ts';
import { createDkimKeys, createSigner } from '../../src/signing/signing.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Content, Store } from '../../src/store/store.ts';
import { DAY, HOUR } from '../../src/system/clock.ts';
import { createLog } from '../../src/system/log.ts';
import { createTrust } from '../../src/system/trust.ts';
import {
  type AppliedPolicy,
  createTlsResults,
  type SessionResult,
  type TlsResults,
  type TlsResultType,
} from '../../src/tls-policy/tls-policy.ts';
import { startDns } from './dns.ts';
import type { Zone } from './dns-server.ts';
import { dataDir } from './store-rig.ts';

export const HOSTNAME = 'relay.test';
/** Noon of the day that is reported about. */
export const NOON = Date.UTC(2026, 10, 27, 12);
export const THE_DAY = Math.floor(NOON / DAY);

export const noPolicy = (domain: string): AppliedPolicy => ({ type: 'no-policy-found', domain, strings: [], mxHosts: [] });
const EXPIRED: TlsResultType = 'certificate-expired';

type RigOptions = {
  readonly zone?: Zone;
  readonly dataDir?: string;
  /** False: no DKIM key. */
  readonly signed?: boolean;
  /** As `signing.noKey`. */
  readonly noKey?: 'send' | 'refuse';
  readonly run?: Partial<TlsReportOptions>;
};

export type TlsReportRig = Awaited<ReturnType<typeof startTlsReportRig>>;

export async function startTlsReportRig({ zone = {}, signed = true, noKey = 'send', run: more, ...options }: RigOptions = {}) {
  const store = await storeFiles(options.dataDir ?? dataDir()).open();
  if (signed && (await store.operation.dkimKeys(HOSTNAME)).length === 0)
    await store.operation.addDkimKeys(await createDkimKeys({ domain: HOSTNAME, now: NOON, state: 'active' }));
  const server = await startDns(zone);
  const time = { now: NOON };
  const events: { event: string; fields: Record<string, any> }[] = [];
  const log = createEventLog(createLog({ level: 'debug', format: 'json', write: () => {} }), (one) => events.push(one as never));
  const now = () => time.now;
  const dns = createDns({ servers: [server.server], now });
  const preparation = createPreparation({
    ...{ hostname: HOSTNAME, maxMessageSize: 50e6, maxHeaderSize: 256e3, bareNewlines: 'normalize' },
    createSpool: store.messages.createSpool,
    signer: createSigner({ operation: store.operation, noKey, warn: log.emit }),
  });
  const results: TlsResults = createTlsResults({ store: store.tlsResults, dns, log, wanted: () => true, now });
  const run = startTlsReportRun({
    ...{ hostname: HOSTNAME, from: `postmaster@${HOSTNAME}`, preparation, dns, log, now },
    destinationOf: (_, address) => address.slice(address.lastIndexOf('@') + 1),
    mode: () => 'all',
    store: store.tlsResults,
    operation: store.operation,
    https: { refuses: () => undefined, verify: () => true, trust: createTrust(undefined) },
    flush: results.flush,
    wake: () => {},
    ...more,
  });
  await run.look(); // the one that it begins with sees the time before the test sets it
  let closed = false;
  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    await run.close();
    await results.close();
    await Promise.all([store.close(), server.close()]);
  }
  onTestFinished(close);
  return {
    ...{ store, server, time, events, log, results, run, close },
    /** Sessions of one domain on the day of `time`. */
    async sessions(domain: string, { ok = 1, failed = 0, policies = [noPolicy(domain)], ...rest }: SessionCounts = {}) {
      for (let i = 0; i < ok; i++) results.count({ domain, policies });
      for (let i = 0; i < failed; i++)
        results.count({ domain, policies, failure: { type: EXPIRED, reason: 'expired' }, ...rest });
      await results.flush();
    },
    /** All that is due in the `hours` after the end of `day`, one look a minute. */
    async runReports({ day = THE_DAY, hours = 5, step = 60_000 }: { day?: number; hours?: number; step?: number } = {}) {
      const end = (day + 1) * DAY + hours * HOUR;
      for (time.now = (day + 1) * DAY; time.now <= end; time.now += step) await run.look();
    },
    told: (action: string) => events.filter(({ event, fields }) => event === 'tlsReport' && fields.action === action),
    mails: () => mailsIn(store),
  };
}

type SessionCounts = Partial<SessionResult> & { readonly ok?: number; readonly failed?: number };

/** Every message in the queue, and its bytes. */
async function mailsIn({ messages }: Store) {
  const waiting = await messages.list({});
  return Promise.all(waiting.map(async (message) => ({ message, bytes: await bytesOf((await messages.content(message.id))!) })));
}

async function bytesOf(content: Content): Promise<Buffer> {
  if (content.kind === 'inline') return Buffer.from(content.bytes);
  const parts: Uint8Array[] = [content.prefix];
  for await (const part of content.spool.read()) parts.push(part);
  return Buffer.concat(parts);
}

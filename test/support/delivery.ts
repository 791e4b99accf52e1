/** A delivery for one test, with claims as the queue hands them out. */

import { type Delivery, type DeliveryOptions, startDelivery } from '../../src/delivery/delivery.ts';
import { createDns } from '../../src/dns/dns.ts';
import { createEventLog } from '../../src/events/events.ts';
import type { Outcome } from '../../src/smtp/outcome.ts';
import type { Claim, Content, MessageFacts, StoredRecipient } from '../../src/store/message-store.ts';
import type { Pace } from '../../src/store/operation-store.ts';
import { SECOND } from '../../src/system/clock.ts';
import { createLog, type LogFields } from '../../src/system/log.ts';
import type { DnsServer } from './dns-server.ts';
import type { MxServer } from './mx-server.ts';

export type TestDelivery = Delivery & {
  /** Delivers one message to these addresses, which must share a destination. */
  send(recipients: string | readonly string[], message?: TestMessage): Promise<readonly Outcome[]>;
  readonly events: readonly { readonly event: string; readonly fields: LogFields }[];
  readonly paces: ReadonlyMap<string, Pace>;
};

export type TestMessage = Partial<MessageFacts> & {
  readonly text?: string;
  readonly content?: Content;
  readonly recipient?: Partial<StoredRecipient>;
  readonly signal?: AbortSignal;
};

export const TIMEOUTS: DeliveryOptions['timeouts'] = {
  connect: 2 * SECOND,
  greeting: 2 * SECOND,
  command: 2 * SECOND,
  data: 2 * SECOND,
  block: 2 * SECOND,
  dot: 2 * SECOND,
};

/** Back-off is kept in `paces`. */
export async function startTestDelivery(
  dns: DnsServer,
  options: Partial<DeliveryOptions> = {},
  kept: readonly Pace[] = [],
): Promise<TestDelivery> {
  const events: { event: string; fields: LogFields }[] = [];
  const paces = new Map<string, Pace>(kept.map((pace) => [pace.key, pace]));
  const log = createEventLog(createLog({ level: 'silent', format: 'json' }), ({ event, fields }) =>
    events.push({ event, fields }),
  );
  const delivery = await startDelivery({
    hostname: 'relay.example.net',
    dns: createDns({ servers: [dns.server], timeout: 2 * SECOND }), // so that a busy machine decides no test
    log,
    operation: {
      paces: async () => [...paces.values()],
      putPace: async (pace) => void paces.set(pace.key, pace),
      removePace: async (key) => void paces.delete(key),
    },
    routes: [],
    port: 25,
    ip: 'v4-only',
    source: [],
    allowPrivate: ['127.0.0.0/8'],
    tls: 'opportunistic',
    eightBit: 'send',
    concurrency: 20,
    maxSessions: 500,
    timeouts: TIMEOUTS,
    ...options,
  });
  return {
    ...delivery,
    events,
    paces,
    send(recipients, message = {}) {
      const claim = claimOf(delivery, recipients, message);
      return delivery.deliver(claim, message.signal ?? new AbortController().signal);
    },
  };
}

export function inline(text: string | Buffer): Content {
  return { kind: 'inline', bytes: new Uint8Array(Buffer.from(text)) };
}

export function claimOf(
  delivery: Pick<Delivery, 'destinationOf'>,
  to: string | readonly string[],
  message: TestMessage = {},
): Claim {
  const { text = 'Subject: test\r\n\r\nHello\r\n', content = inline(text), recipient, signal: _, ...facts } = message;
  const full: MessageFacts = {
    id: '0123456789abc',
    user: 'alice',
    reversePath: 'alice@sender.test',
    messageId: '<1@sender.test>',
    size: 100,
    acceptedAt: 0,
    expiresAt: 0,
    body: '7BIT',
    needsSmtpUtf8: false,
    signatures: [],
    ...facts,
  };
  const recipients = (typeof to === 'string' ? [to] : to).map((address, n): StoredRecipient => {
    const destination = delivery.destinationOf(full, address);
    return {
      address,
      destination,
      n,
      state: 'active',
      attempts: 0,
      nextAttemptAt: null,
      lastReply: null,
      delayReported: false,
      ...recipient,
    };
  });
  return { lease: 'test#1', message: full, recipients, content };
}

/** The zone of a domain whose only MX is this server; `options.port` of the delivery must be the server's. */
export function zoneFor(domain: string, mx: MxServer): Parameters<typeof import('./dns.ts').startDns>[0] {
  return { [domain]: { MX: [`10 mx.${domain}`] }, [`mx.${domain}`]: { A: [mx.address] } };
}

/**
 * Fills a store with recipients that were tried once and wait for their next attempt: what a relay has after a day on which
 * many destinations did not answer.
 *
 *     node test/bench/fill.ts DATADIR [recipients] [domains]     w0.test, w1.test, …; ten a message, due in the coming hours
 *     node test/bench/fill.ts DATADIR RECIPIENTS DOMAINS due     d000.test, d001.test, …; one a message, all due now
 *
 * In place of DATADIR: where a database is, as `cluster.ts` writes it.
 */
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { ServerOptions } from '../../src/store/postgres/database-session.ts';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import type { NewMessage, Store } from '../../src/store/store.ts';

const [place = '', recipients = '500000', domains = '5000', when = 'later'] = process.argv.slice(2);
const HOUR = 3_600_000;
const isDue = when === 'due';
const PER_MESSAGE = isDue ? 1 : 10;
const AT_ONCE = 50;
const BODY_LENGTH = 4096;
const REPLY = '451 4.3.0 try again later';

let next = 0;
const wanted = Number(recipients);
const store = place.startsWith('{')
  ? await openPostgres({ server: JSON.parse(place) as ServerOptions })
  : await storeFiles(place).open();
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (next < wanted) await wait(store, message(Date.now()));
  }),
);
await store.close();

function message(now: number): NewMessage {
  const id = newQueueId(now);
  const list = Array.from({ length: Math.min(PER_MESSAGE, wanted - next) }, () => {
    const domain = (next * 7919) % Number(domains);
    const destination = isDue ? `d${String(domain).padStart(3, '0')}.test` : `w${domain}.test`;
    return { address: `user${next++}@${destination}`, destination };
  });
  return {
    id,
    user: 'app@sender.test',
    reversePath: 'app@sender.test',
    messageId: `<${id}@sender.test>`,
    size: BODY_LENGTH,
    acceptedAt: now - HOUR,
    expiresAt: now + 100 * HOUR,
    body: '8BITMIME',
    needsSmtpUtf8: false,
    signatures: [],
    recipients: list,
    content: { kind: 'inline', bytes: new Uint8Array(BODY_LENGTH).fill(120) },
  };
}

async function wait({ messages }: Store, one: NewMessage): Promise<void> {
  const indexes = one.recipients.map((_, n) => n);
  const at = one.acceptedAt;
  await messages.accept({ message: one, claim: { indexes, lease: 'fill#1' } });
  const attempt = {
    at,
    mx: null,
    ip: null,
    tls: null,
    outcome: 'delayed',
    code: 451,
    status: '4.3.0',
    reply: REPLY,
    seconds: 1,
  } as const;
  const changes = indexes.map((n) => {
    const nextAttemptAt = isDue ? Date.now() : Date.now() + Math.round(HOUR * (1 + 3 * Math.random()));
    return { n, state: 'delayed', nextAttemptAt, lastReply: REPLY, attempt } as const;
  });
  await messages.settle({ messageId: one.id, lease: 'fill#1', at, changes });
}

/** A whole relay under attack: raw clients, the accepted mail, and checks that it still works. */
import { expect } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Store } from '../../src/store/store.ts';
import { codeOf, RawClient } from './raw-client.ts';
import { PASSWORD, startTestRelay, type TestRelay, type TestRelayOptions, USER } from './relay.ts';

export { codeOf, RawClient } from './raw-client.ts';
export { PASSWORD, USER } from './relay.ts';

export const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64');
export const plain = (user: string, password: string) => `AUTH PLAIN ${base64(`\0${user}\0${password}`)}`;
export const RIGHT = plain(USER, PASSWORD);
export const TEXT = `From: ${USER}\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;

/** For relays whose tests are not about guessing: many of their tests fail to log in from one address. */
export const UNCOUNTED = 'auth: { allow: [127.0.0.0/8], failureDelay: 0.01s }';

export type Attacked = Awaited<ReturnType<typeof startAttacked>>;

export async function startAttacked(options: TestRelayOptions = {}) {
  const relay = await startTestRelay(options);
  const clients: RawClient[] = [];
  let closing: Promise<void> | undefined;
  /** Connected on either port without TLS; nothing was read yet. */
  const raw = (listener: 'submissions' | 'submission', from?: string) => {
    const client = RawClient.clear(relay.ports[listener], from);
    clients.push(client);
    return client;
  };
  /** Greeted, over 465. */
  const tls = async (from?: string) => {
    const client = raw('submissions', from);
    await client.upgrade();
    await client.reply();
    return client;
  };
  /** Greeted on 587 without TLS. */
  const clear = async (from?: string) => {
    const client = raw('submission', from);
    await client.reply();
    return client;
  };
  /** Over 465, EHLO and AUTH done. */
  const loggedIn = async (from?: string) => {
    const client = await tls(from);
    await client.ask('EHLO client.test');
    const reply = await client.ask(RIGHT);
    if (!reply.startsWith('235')) throw new Error(reply);
    return client;
  };
  const accepted = () => relay.log.filter(({ event }) => event === 'accepted');
  return {
    ...relay,
    raw,
    tls,
    clear,
    loggedIn,
    accepted,
    events: (name: string) => relay.log.filter(({ event }) => event === name),
    /** Runs `run`, and fails if a message was accepted meanwhile. */
    async lettingNothingIn<T>(run: () => Promise<T>): Promise<T> {
      await quiet();
      const since = new Date().toISOString(); // lines of a thread may come late
      const result = await run();
      await quiet();
      expect(accepted().filter(({ time }) => time >= since)).toEqual([]);
      return result;
    },
    /** Sends a good message and waits for its delivery. @returns its queue id */
    async stillWorks(from?: string): Promise<string> {
      const client = await loggedIn(from);
      const id = await send(client, { text: TEXT });
      await client.ask('QUIT');
      await relay.logged('relayed', (line) => line['queueId'] === id);
      return id;
    },
    /** Looks into the store beside the relay. */
    async withStore<T>(use: (store: Store) => Promise<T>): Promise<T> {
      const store = await storeFiles(relay.dataDir).open();
      try {
        return await use(store);
      } finally {
        await store.close();
      }
    },
    /** Closes all clients, because open sessions count against limits, and a stop waits for open transactions. */
    hangUp(): void {
      for (const client of clients.splice(0)) client.close();
    },
    /** May be called again. */
    close(): Promise<void> {
      for (const client of clients) client.close();
      closing ??= relay.close();
      return closing;
    },
    /** Every recipient of every accepted message ends in exactly one way, and nothing stays in the queue. */
    async nothingIsLost(): Promise<void> {
      const due = accepted().flatMap((line) => line['recipients'].map((to: string) => `${line['queueId']} ${to}`) as string[]);
      const deadline = Date.now() + 90_000;
      while (ends(relay).length < due.length && Date.now() < deadline) await quiet();
      expect(ends(relay)).toEqual(due.sort());
    },
  };
}

const ENDS = ['relayed', 'failed', 'expired', 'removed'];

/** The ends of the messages that clients submitted; reports have no `accepted` line. */
function ends({ log }: Pick<TestRelay, 'log'>): string[] {
  const own = new Set(log.filter(({ event }) => event === 'accepted').map((line) => line['queueId']));
  const ended = log.filter((line) => ENDS.includes(line.event) && own.has(line['queueId']));
  return ended.map((line) => `${line['queueId']} ${line['recipient']}`).sort();
}

/** Log lines of one turn are written in the next, those of a thread some milliseconds later. */
export const quiet = () => new Promise((resolve) => setTimeout(resolve, 30));

export type Message = { readonly from?: string; readonly to?: readonly string[]; readonly text: string | Buffer };

/** Sends one message until a command is refused. @returns the last reply. @param text with CRLF at its end and stuffed dots. */
export async function submit(client: RawClient, { from = USER, to = ['anna@dest.test'], text }: Message): Promise<string> {
  for (const line of [`MAIL FROM:<${from}>`, ...to.map((address) => `RCPT TO:<${address}>`), 'DATA']) {
    const reply = await client.ask(line);
    if (!/^[23]/.test(reply)) return reply;
  }
  client.send(text);
  return client.ask('.');
}

/** A message that is accepted. @returns its queue id */
export async function send(client: RawClient, message: Message): Promise<string> {
  const reply = await submit(client, message);
  const id = /^250 2\.0\.0 Ok: queued as (\S+)$/.exec(reply)?.[1];
  if (id === undefined) throw new Error(reply);
  return id;
}

/** Code and status of the last reply of `submit`. */
export async function verdict(client: RawClient, message: Message): Promise<string> {
  return codeOf(await submit(client, message));
}

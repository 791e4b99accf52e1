/**
 * A client that hands in messages of 4 KiB at an even rate, each on a new connection with TLS and AUTH, in a process of its own. A message is
 * late from the moment when it was due, not from the one when its connection began. Prints the times as JSON when it ends.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { RawClient } from '../../support/raw-client.ts';

export type SteadyOrder = {
  readonly port: number;
  readonly password: string;
  readonly rate: number;
  readonly seconds: number;
  /** Messages of one connection. */
  readonly perConnection?: number;
};

export type SteadyResult = {
  /** Milliseconds until 250. */
  readonly times: readonly number[];
  /** When their 250 came, ms since 1970. */
  readonly acceptedAt: readonly { readonly subject: string; readonly at: number }[];
  /** Connections that had another reply. */
  readonly failed: number;
};

const LINE = `${'0123456789'.repeat(7)}\r\n`;
const BODY = LINE.repeat(56);

const SELF = new URL(import.meta.url).pathname;
if (process.argv[1] === SELF) console.log(JSON.stringify(await load(JSON.parse(process.argv[2]!) as SteadyOrder)));

/** In a process of its own. */
export async function steadyLoad(order: SteadyOrder): Promise<SteadyResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [SELF, JSON.stringify(order)], { maxBuffer: 64 * 2 ** 20 });
  return JSON.parse(stdout) as SteadyResult;
}

async function load({ port, password, rate, seconds, perConnection = 1 }: SteadyOrder): Promise<SteadyResult> {
  const times: number[] = [];
  const acceptedAt: { subject: string; at: number }[] = [];
  const run = Math.random().toString(36).slice(2, 8);
  const work: Promise<void>[] = [];
  let failed = 0;
  const began = performance.now();
  for (let i = 0; i < (rate * seconds) / perConnection; i++) {
    const due = began + (i * perConnection * 1000) / rate;
    const wait = due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const mail = Array.from({ length: perConnection }, (_, n) => ({
      subject: `Steady ${run}.${i * perConnection + n}`,
      to: `bob@t${(i * perConnection + n) % 100}.test`,
    }));
    const accepted = (subject: string) => {
      const now = performance.now();
      times.push(now - due);
      acceptedAt.push({ subject, at: performance.timeOrigin + now });
    };
    const sent = hand(port, { user: `user${i % 20}@sender.test`, password, mail, accepted }).catch(() => {
      failed++;
    });
    work.push(sent);
  }
  await Promise.all(work);
  return { times, acceptedAt, failed };
}

/** When the client sent it, ms since 1970. */
export const sentAt = (data: Buffer): number => Number(/^X-Sent: (\S+)/m.exec(data.toString('latin1'))?.[1]);

type Connection = {
  readonly user: string;
  readonly password: string;
  readonly mail: readonly { readonly subject: string; readonly to: string }[];
  readonly accepted: (subject: string) => void;
};

async function hand(port: number, { user, password, mail, accepted }: Connection): Promise<void> {
  const client = await RawClient.tls(port);
  try {
    await must(client.reply());
    await must(client.ask('EHLO client.sender.test'));
    await must(client.ask(`AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`));
    for (const { subject, to } of mail) {
      await must(client.ask(`MAIL FROM:<${user}>`));
      await must(client.ask(`RCPT TO:<${to}>`));
      await must(client.ask('DATA'), '354');
      const sent = performance.timeOrigin + performance.now();
      await must(client.ask(`From: ${user}\r\nTo: bob@dest.test\r\nSubject: ${subject}\r\nX-Sent: ${sent}\r\n\r\n${BODY}.`));
      accepted(subject);
    }
  } finally {
    client.close();
  }
}

async function must(reply: Promise<string>, code = '2'): Promise<void> {
  const text = await reply;
  if (!text.startsWith(code)) throw new Error(text);
}

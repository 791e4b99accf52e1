/** Submission alone: real listeners on free ports, with all other parts in memory. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Verification } from '../../src/credentials/credentials.ts';
import { createEventLog } from '../../src/events/events.ts';
import type { Preparation, PreparationRequest, Prepared } from '../../src/preparation/preparation.ts';
import { Refusal } from '../../src/smtp/reply.ts';
import type { Credential, FailureCount, NewMessage } from '../../src/store/store.ts';
import {
  type SubmissionLimits,
  type SubmissionOptions,
  startSubmission,
  type TlsFiles,
} from '../../src/submission/submission.ts';
import { RawClient } from './raw-client.ts';
import { makeCertificate } from './test-certificate.ts';

export const USER = 'anna@sender.test';
export const PASSWORD = 'pa ss:wörd';
export const PLAIN = Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64');

export const CREDENTIAL: Credential = {
  name: USER,
  hash: '',
  senders: ['@sender.test'],
  mailServer: false,
  limits: [],
  disabled: false,
  expiresAt: null,
  rewrite: null,
  createdAt: 0,
  generation: 'first',
  revision: 0,
};

export const LIMITS: SubmissionLimits = {
  maxMessageSize: 50 * 1024 * 1024,
  maxRecipients: 1000,
  maxSessions: 1000,
  maxSessionsPerAddress: 100,
  handshakesPerAddress: 1000,
  idleTimeout: 300_000,
  commandTimeout: 300_000,
  authTimeout: 300_000,
  minDataRate: 500,
  checkFrom: true,
  requireTls: 'offer',
  proxyTrust: [],
};

/** A message as it reached the queue. */
export type Queued = { readonly message: NewMessage; readonly text: string; readonly request: PreparationRequest };
export type LogLine = Readonly<Record<string, any>> & { readonly event: string };

export type RigOptions = Partial<Omit<SubmissionOptions, 'limits' | 'auth'>> & {
  readonly limits?: Partial<SubmissionLimits>;
  readonly auth?: Partial<SubmissionOptions['auth']>;
  readonly credential?: Partial<Credential>;
  /** Runs before a message is prepared; may throw what preparation would. */
  readonly onFinish?: (text: string) => void | Promise<void>;
};

export type Rig = Awaited<ReturnType<typeof startRig>>;

let certificates: Promise<TlsFiles> | undefined;

/** An ECDSA and an RSA pair, made once a process. */
export function testCertificates(): Promise<TlsFiles> {
  certificates ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smarthost-tls-'));
    const pairs = await Promise.all([makeCertificate(folder, 'relay.test', 'ec'), makeCertificate(folder, 'relay.test', 'rsa')]);
    const read = (pick: 'key' | 'certificate') => Promise.all(pairs.map((pair) => readFile(pair[pick], 'utf8')));
    const files = { key: await read('key'), cert: await read('certificate') };
    await rm(folder, { recursive: true });
    return files;
  })();
  return certificates;
}

export async function startRig({ limits, auth, credential, onFinish, ...options }: RigOptions = {}) {
  const queued: Queued[] = [];
  const aborted: string[] = [];
  const log: LogLine[] = [];
  const preparations = new Map<string, { text: () => string; request: PreparationRequest }>();
  const account = { ...CREDENTIAL, ...credential };
  const write = (event: string, fields?: object) => log.push({ event, ...fields });
  const nothing = () => {};
  const submission = await startSubmission({
    hostname: 'relay.example.net',
    listeners: [
      { name: 'submissions', address: '127.0.0.1', port: 0 },
      { name: 'submission', address: '127.0.0.1', port: 0 },
    ],
    tls: await testCertificates(),
    limits: { ...LIMITS, ...limits },
    auth: { allow: [], failuresPerMinute: 1000, failuresPerDay: 1000, failureDelay: 0, ...auth },
    credentials: fakeCredentials(account),
    failures: fakeFailures(),
    quota: {
      limitsOf: () => undefined,
      atMail: () => undefined,
      atRecipient: () => undefined,
      noteUse: nothing,
      refusal: () => new Refusal(450, '4.7.1', 'Limit'),
    },
    preparation: {
      start(request) {
        const { preparation, text } = collect({ request, aborted, onFinish });
        preparations.set(request.queueId, { text, request });
        return preparation;
      },
    },
    queue: {
      async add({ message }) {
        const { text, request } = preparations.get(message.id)!;
        queued.push({ message, text: text(), request });
        return { accepted: true, id: message.id, held: false, use: [] };
      },
    },
    destinationOf: (_message, address) => address.slice(address.lastIndexOf('@') + 1),
    signs: () => true,
    log: createEventLog({ debug: write, info: write, warn: write, error: write, setLevel: nothing, flush: nothing }),
    lifetime: 1000,
    userToken: (name) => `token-${name.length}`,
    storeUsable: () => undefined,
    ...options,
  });
  const port = (name: 'submissions' | 'submission') => submission.listening.find((one) => one.name === name)!.port;
  return {
    submission,
    queued,
    aborted,
    log,
    port,
    events: (event: string) => log.filter((line) => line.event === event),
    /** Greeted, over TLS on 465. */
    async tls() {
      const client = await RawClient.tls(port('submissions'));
      await client.reply();
      return client;
    },
    /** Greeted, in clear on 587. */
    async clear(localAddress?: string) {
      const client = RawClient.clear(port('submission'), localAddress);
      await client.reply();
      return client;
    },
    /** EHLO and AUTH PLAIN done. */
    async loggedIn(listener: 'submissions' | 'submission' = 'submissions') {
      const client = listener === 'submissions' ? await RawClient.tls(port(listener)) : RawClient.clear(port(listener));
      await client.reply();
      if (listener === 'submission') {
        await client.ask('EHLO client.test');
        await client.startTls();
      }
      await client.ask('EHLO client.test');
      await client.ask(`AUTH PLAIN ${PLAIN}`);
      return client;
    },
    close: () => submission.close(0),
  };
}

type Collecting = { readonly request: PreparationRequest; readonly aborted: string[]; readonly onFinish: RigOptions['onFinish'] };

/** Keeps the text as it was handed over; the size limit and the author are judged by what stands in the text. */
function collect({ request, aborted, onFinish }: Collecting): { preparation: Preparation; text: () => string } {
  const chunks: Buffer[] = [];
  const text = () => Buffer.concat(chunks).toString('latin1');
  const preparation: Preparation = {
    write(chunk) {
      chunks.push(chunk);
      return undefined;
    },
    async finish(): Promise<Prepared> {
      await onFinish?.(text());
      const from = /^From: .*?<?([^\s<>]+@[^\s<>]+)>?\r$/m.exec(text())?.[1];
      if (from !== undefined) request.check?.({ from: [from], nullSender: request.envelope.reversePath === '' });
      const bytes = new Uint8Array(Buffer.concat(chunks));
      return {
        content: { kind: 'inline', bytes },
        size: bytes.length,
        messageId: '<id@test>',
        signatures: [],
        bareNewlines: false,
        needsSmtpUtf8: false,
        eightBit: false,
        tlsOptional: false,
        fromDomains: [],
        broughtBy: [],
        automatic: false,
      };
    },
    async abort() {
      aborted.push(request.queueId);
    },
  };
  return { preparation, text };
}

function fakeCredentials(account: Credential): SubmissionOptions['credentials'] {
  return {
    async verify(name, password): Promise<Verification> {
      if (name !== account.name || password !== PASSWORD) return { result: 'wrong' };
      return account.disabled ? { result: 'disabled' } : { result: 'ok', credential: account };
    },
    current: () => account,
    renewed: async () => account,
  };
}

/** Keeps them for ever. */
export function fakeFailures(): SubmissionOptions['failures'] & { readonly counts: Map<string, FailureCount> } {
  const counts = new Map<string, FailureCount>();
  return {
    counts,
    async putFailures(list) {
      for (const count of list) counts.set(count.key, count);
      return list;
    },
    failures: async () => [...counts.values()],
  };
}

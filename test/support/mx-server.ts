/** A small destination MX for the tests: it takes mail, remembers every byte, and misbehaves on request. RFC 5321. */
import { createServer, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { MxSession } from './mx-session.ts';
import type { MxServerOptions, ReceivedMessage } from './mx-types.ts';

export type { MxAction, MxContext, MxScript, MxServerOptions, MxStage, ReceivedMessage } from './mx-types.ts';

export type MxServer = {
  readonly address: string;
  readonly port: number;
  /** Messages whose final dot was answered with 2yz, the oldest first. */
  readonly messages: readonly ReceivedMessage[];
  /** How many that were, also when the oldest are forgotten. */
  count(): number;
  /** Every command line as received, `3 MAIL FROM:<…>` with the number of its session; AUTH without its secrets. */
  readonly commands: readonly string[];
  /** Connections since the start, and those open now. */
  sessions(): number;
  open(): number;
  /** Resolves with all messages when there are `n`; rejects after `timeout` ms (90 s: a busy machine may take long). */
  received(n: number, timeout?: number): Promise<readonly ReceivedMessage[]>;
  /** Changes the replies to the next commands. */
  script(script: MxServerOptions['script']): void;
  /** Cuts every connection. */
  disconnect(): void;
  close(): Promise<void>;
};

export async function startMxServer(options: MxServerOptions): Promise<MxServer> {
  const { address = '127.0.0.1', keep = 100_000 } = options;
  const messages: ReceivedMessage[] = [];
  const commands: string[] = [];
  const sessions = new Set<MxSession>();
  const waiting = new Set<{ n: number; done: () => void }>();
  let script = options.script ?? {};
  let count = 0;
  let opened = 0;

  const context =
    options.tls && createSecureContext({ ...options.tls, ...(options.tls.minVersion && { minVersion: options.tls.minVersion }) });
  const server = createServer({ noDelay: true }, (socket: Socket) => {
    const session = new MxSession(socket, {
      number: ++opened,
      options,
      context,
      script: () => script,
      heard: (line) => commands.push(line),
      took(message) {
        count++;
        messages.push(message);
        if (messages.length > keep) messages.shift();
        options.onMessage?.(message);
        for (const waiter of waiting) if (count >= waiter.n) waiter.done();
      },
    });
    sessions.add(session);
    socket.once('close', () => sessions.delete(session));
    session.start();
  });
  await new Promise<void>((done, fail) => {
    server.once('error', fail);
    server.listen(options.port ?? 0, address, done);
  });

  const bound = server.address();
  return {
    address,
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    messages,
    commands,
    count: () => count,
    sessions: () => opened,
    open: () => sessions.size,
    received: (n, timeout = 90_000) =>
      new Promise((resolve, reject) => {
        if (count >= n) return resolve(messages);
        const timer = setTimeout(() => {
          waiting.delete(waiter);
          reject(new Error(`${count} of ${n} messages arrived at ${options.hostname} within ${timeout} ms`));
        }, timeout);
        const waiter = {
          n,
          done() {
            waiting.delete(waiter);
            clearTimeout(timer);
            resolve(messages);
          },
        };
        waiting.add(waiter);
      }),
    script: (next) => {
      script = next ?? {};
    },
    disconnect: () => {
      for (const session of sessions) session.destroy();
    },
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

/** The destination of the demo: an unchanged smtp-server, not the relay's own code. It waits 100 ms before each greeting, as many hosts do. */
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';

export type ReceivedMessage = {
  readonly recipients: readonly string[];
  /** The bytes between 354 and the final dot, with dots unstuffed. */
  readonly data: Buffer;
  /** `TLSv1.3`; absent without TLS. */
  readonly tls?: string;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
};

type DemoMxOptions = {
  readonly hostname: string;
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string };
  readonly onMessage: (message: ReceivedMessage) => void;
  /** Is asked about each recipient's domain. @returns a reply that refuses it, or undefined. */
  readonly refusal: (domain: string) => { readonly code: number; readonly text: string } | undefined;
};

type DemoMx = { readonly port: number; close(): Promise<void> };

/** Takes mail for every mailbox except nobody@, and except domains that it is told to refuse. */
export async function startMx({ hostname, tls, onMessage, refusal: refusalOf }: DemoMxOptions): Promise<DemoMx> {
  let taken = 0;
  const server = new SMTPServer({
    ...tls,
    name: hostname,
    logger: false,
    authOptional: true,
    disabledCommands: ['AUTH'],
    disableReverseLookup: true,
    onRcptTo({ address }, _session, done) {
      const nobody = { code: 550, text: '5.1.1 There is no mailbox of that name here' };
      const refusal = address.startsWith('nobody@') ? nobody : refusalOf(address.slice(address.indexOf('@') + 1));
      done(refusal === undefined ? null : Object.assign(new Error(), { responseCode: refusal.code, message: refusal.text }));
    },
    async onData(stream, { envelope, tlsOptions }, done) {
      const data = await buffer(stream);
      done(null, `2.0.0 Ok: taken as ${++taken}`);
      onMessage({
        recipients: envelope.rcptTo.map(({ address }) => address),
        data,
        ...(tlsOptions !== false && { tls: tlsOptions.version }),
        receivedAt: Date.now(),
      });
    },
  });
  server.on('error', () => {}); // an error of one connection must not end the demo
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const bound = listening.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    close: () => new Promise((done) => server.close(() => done())),
  };
}

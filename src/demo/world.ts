/** The internet of the demo: a DNS that knows every name below .test, and one destination that takes mail for all of them. */
import { Resolver } from 'node:dns/promises';
import { createSelfSigned } from '../certificates/certificates.ts';
import { startDnsServer } from './dns-server.ts';
import { type ReceivedMessage, startMxServer } from './mx-server.ts';

export type World = {
  /** `127.0.0.1:40053`, for the relay's configuration. */
  readonly dns: string;
  readonly mxPort: number;
  publish(records: readonly { readonly name: string; readonly value: string }[]): void;
  /** The first message that `wanted` accepts, whether it came already or comes within ten seconds. */
  message(wanted: (message: ReceivedMessage) => boolean): Promise<ReceivedMessage>;
  onMessage(listener: (message: ReceivedMessage) => void): void;
  /** For the verifier: asks the demo's DNS. */
  readonly resolver: Resolver;
  close(): Promise<void>;
};

const PATIENCE = 10_000;

export async function startWorld(): Promise<World> {
  const { certificate: cert, key } = await createSelfSigned('ecdsa', ['mx.alpha.test'], Date.now());
  const received: ReceivedMessage[] = [];
  const listeners = new Set<(message: ReceivedMessage) => void>();
  const mx = await startMxServer({
    hostname: 'mx.alpha.test',
    tls: { key, cert },
    keep: 1000,
    script: {
      RCPT: ({ address }) => (address.startsWith('nobody@') ? '550 5.1.1 There is no mailbox of that name here' : undefined),
    },
    onMessage(message) {
      received.push(message);
      for (const listener of listeners) listener(message);
    },
  });
  const here = { A: [mx.address] };
  const dns = await startDnsServer({
    zone: {
      'relay.test': here,
      '*.test': { ...here, MX: ['10 mx.alpha.test'] },
      'mx.alpha.test': here,
      'beta.test': { MX: ['10 mx.beta.test'] },
      'mx.beta.test': here,
    },
  });
  const resolver = new Resolver();
  resolver.setServers([dns.server]);
  return {
    dns: dns.server,
    mxPort: mx.port,
    resolver,
    publish(records) {
      for (const { name, value } of records) dns.set(name, { TXT: [value] });
    },
    onMessage: (listener) => void listeners.add(listener),
    message: (wanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the message did not arrive within 10 s')), PATIENCE);
        const look = (message: ReceivedMessage) => {
          if (!wanted(message)) return;
          clearTimeout(timer);
          listeners.delete(look);
          resolve(message);
        };
        listeners.add(look);
        for (const message of received) look(message);
      }),
    async close() {
      await Promise.all([mx.close(), dns.close()]);
    },
  };
}

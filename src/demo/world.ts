/** The small internet of the demo: a DNS with every name below .test, and one destination that takes mail for all of them. */
import { Resolver } from 'node:dns/promises';
import { createSelfSigned } from '../certificates/certificates.ts';
import { type Entry, startDns } from './dns.ts';
import { type ReceivedMessage, startMx } from './mx.ts';

export type World = {
  /** `127.0.0.1:40053`, for the relay's configuration. */
  readonly dns: string;
  readonly mxPort: number;
  publish(records: readonly { readonly name: string; readonly value: string }[]): void;
  /** The first message that `wanted` accepts. It may be there already, or arrive within ten seconds. */
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
  const mx = await startMx({
    hostname: 'mx.alpha.test',
    tls: { key, cert },
    onMessage(message) {
      received.push(message);
      for (const listener of listeners) listener(message);
    },
  });
  const here = { address: '127.0.0.1' };
  const names = new Map<string, Entry>([
    ['relay.test', here],
    ['*.test', { ...here, mx: 'mx.alpha.test' }],
    ['mx.alpha.test', here],
    ['beta.test', { mx: 'mx.beta.test' }],
    ['mx.beta.test', here],
  ]);
  const dns = await startDns(names);
  const resolver = new Resolver();
  resolver.setServers([dns.server]);
  return {
    dns: dns.server,
    mxPort: mx.port,
    resolver,
    publish(records) {
      for (const { name, value } of records) names.set(name.toLowerCase(), { text: value });
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

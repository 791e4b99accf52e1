/**
 * The small internet of the demo: a DNS with every name below .test, and one destination that takes mail for all of them. delta.test is
 * signed and names the key of its host (DANE), gamma.test has an enforced policy (MTA-STS). north.test and south.test are hosted at
 * Microsoft 365 by the names of their hosts, and that provider can refuse the address of the relay.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { createSelfSigned } from '../certificates/certificates.ts';
import { type Entry, startDns } from './dns.ts';
import { type ReceivedMessage, startMx } from './mx.ts';

export type World = {
  /** `127.0.0.1:40053`, for the relay's configuration. */
  readonly dns: string;
  readonly mxPort: number;
  /** PEM of the authority that the relay trusts: here the host's own certificate. */
  readonly authority: string;
  publish(records: readonly { readonly name: string; readonly value: string }[]): void;
  /** The first message that `wanted` accepts. It may be there already, or arrive within 40 seconds. */
  message(wanted: (message: ReceivedMessage) => boolean): Promise<ReceivedMessage>;
  onMessage(listener: (message: ReceivedMessage) => void): void;
  /** Whether the provider of north.test and south.test refuses the address of the relay. */
  block(refuses: boolean): void;
  /** For the verifier: asks the demo's DNS. */
  readonly resolver: Resolver;
  close(): Promise<void>;
};

/** The queue looks for what has become due each half minute. */
const PATIENCE = 40_000;
/** Domains at one provider. */
const HOSTED = ['north.test', 'south.test'];
const hostOf = (domain: string) => `${domain.replace('.', '-')}.mail.protection.outlook.com`;
/** What that provider says to an address that it refuses, and to none else. */
const BANNED =
  '5.7.606 Access denied, banned sending IP [127.0.0.1]. To request removal from this list please visit https://sender.office.com/ and follow the directions.';
/** All are one server. */
const HOSTS = ['mx.alpha.test', 'mx.beta.test', 'mx.gamma.test', 'mx.delta.test', ...HOSTED.map(hostOf)];

/**
 * What gamma.test publishes. A policy comes from port 443, which the demo does not open, so the relay gets this one as if it had fetched it
 * before.
 */
export const POLICY = {
  domain: 'gamma.test',
  id: 'demo1',
  mode: 'enforce',
  maxAge: 86_400,
  mx: ['mx.gamma.test'],
  text: 'version: STSv1\nmode: enforce\nmx: mx.gamma.test\nmax_age: 86400\n',
} as const;

export async function startWorld(): Promise<World> {
  const { certificate: cert, key } = await createSelfSigned('ecdsa', HOSTS, Date.now());
  const received: ReceivedMessage[] = [];
  const listeners = new Set<(message: ReceivedMessage) => void>();
  let blocks = false;
  const mx = await startMx({
    hostname: 'mx.alpha.test',
    tls: { key, cert },
    refusal: (domain) => (blocks && HOSTED.includes(domain) ? { code: 550, text: BANNED } : undefined),
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
    ['gamma.test', { mx: 'mx.gamma.test' }],
    ['mx.gamma.test', here],
    ['_mta-sts.gamma.test', { text: `v=STSv1; id=${POLICY.id}` }],
    // The relay asks for the root, to see whether the resolver validates at all.
    ['.', { secure: true }],
    ['delta.test', { mx: 'mx.delta.test', secure: true }],
    ['mx.delta.test', { ...here, secure: true }],
    [`_${mx.port}._tcp.mx.delta.test`, { tlsa: keyHashOf(cert), secure: true }],
    ...HOSTED.flatMap((domain) => [[domain, { mx: hostOf(domain) }] as const, [hostOf(domain), here] as const]),
  ]);
  const dns = await startDns(names);
  const resolver = new Resolver();
  resolver.setServers([dns.server]);
  return {
    dns: dns.server,
    mxPort: mx.port,
    authority: cert,
    resolver,
    publish(records) {
      for (const { name, value } of records) names.set(name.toLowerCase(), { text: value });
    },
    onMessage: (listener) => void listeners.add(listener),
    block: (refuses) => {
      blocks = refuses;
    },
    message: (wanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the message did not arrive within 40 s')), PATIENCE);
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

function keyHashOf(certificate: string): Buffer {
  const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest();
}

/** The certificates part of a relay on a real store, with its log and the served pairs. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { type AcmeSettings, type CertificateOptions, startCertificates } from '../../src/certificates/certificates.ts';
import { createEventLog } from '../../src/events/events.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Store } from '../../src/store/store.ts';
import { createLog } from '../../src/system/log.ts';
import type { Pebble } from './pebble.ts';
import { until } from './program.ts';

export type LogLine = Readonly<Record<string, any>> & { readonly event: string };

export type RigOptions = Partial<Omit<CertificateOptions, 'acme' | 'operation' | 'log'>> & {
  readonly acme?: Partial<AcmeSettings>;
  /** The data directory of an earlier rig. */
  readonly dataDir?: string;
};

export type CertificateRig = Awaited<ReturnType<typeof startCertificateRig>>;

const ACME: AcmeSettings = {
  directory: 'https://127.0.0.1:1/dir',
  email: undefined,
  acceptTerms: true,
  challenge: 'http-01',
  ca: undefined,
};

/** The options for certificates from a Pebble, directly or through a proxy. */
export function towards(
  pebble: Pebble,
  { directory, ca }: { directory: string; ca: string } = pebble,
): RigOptions & { acme: Partial<AcmeSettings> } {
  const address = '127.0.0.1';
  return {
    acme: { directory, ca },
    listen: { http: [{ address, port: pebble.httpPort }], alpn: [{ address, port: pebble.tlsPort }] },
  };
}

export async function startCertificateRig({ acme, dataDir: given, ...options }: RigOptions = {}) {
  const dataDir = given ?? (await mkdtemp(join(tmpdir(), 'smarthost-certificates-')));
  const store = await storeFiles(dataDir).open();
  const log: LogLine[] = [];
  const text: string[] = [];
  const mailLog = createEventLog(
    createLog({
      level: 'debug',
      format: 'json',
      write(lines) {
        text.push(lines);
        for (const line of lines.split('\n')) if (line !== '') log.push(JSON.parse(line));
      },
    }),
  );
  const certificates = await startCertificates({
    ...{ mode: 'acme', hostname: 'relay.test', names: [], files: [], owner: 'rig', listen: { http: [], alpn: [] } },
    ...options,
    acme: { ...ACME, ...acme },
    operation: store.operation,
    log: mailLog,
  }).catch(async (error: unknown) => {
    await store.close();
    if (given === undefined) await rm(dataDir, { recursive: true });
    throw error;
  });
  const server = createServer({ ...certificates.current() });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => socket.on('error', () => socket.destroy()).resume());
  certificates.onChange((pairs) => server.setSecureContext(pairs));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    certificates,
    store: store as Store,
    dataDir,
    log,
    /** Everything that was logged, as it was written. */
    text: () => text.join(''),
    /** A TLS listener that serves what is current. */
    port,
    /** Resolves with the first certificate event that fits. */
    logged: (action: string, fits: (line: LogLine) => boolean = () => true, deadline = 20_000) =>
      until(
        `certificate ${action}`,
        () => log.find((line) => line.event === 'certificate' && line['action'] === action && fits(line)),
        { deadline, context: () => text.join('') },
      ),
    /** Resolves when both served certificates are an authority's. */
    signed: (deadline = 30_000) =>
      until('certificates of an authority', () => certificates.problems(Date.now()).length === 0, {
        deadline,
        context: () => text.join(''),
      }),
    async stop() {
      await certificates.close();
      server.close();
      await store.close();
    },
    async close() {
      await this.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Connects as a client that only supports this type of key. */
export function shownTo(kind: 'ecdsa' | 'rsa', port: number): Promise<TLSSocket> {
  const sigalgs = kind === 'rsa' ? 'RSA-PSS+SHA256:RSA+SHA256' : 'ECDSA+SHA256';
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, sigalgs }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Pebble, the test authority of RFC 8555, on loopback, with a DNS of its own that leads every name to us. */
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { startDnsServer } from './dns-server.ts';
import { freePort, mustRun, startProgram, temporaryFolder, untilReady } from './program.ts';

export type PebbleOptions = {
  /** Where challenges are looked for; default: free ports that the test can listen on. */
  readonly httpPort?: number;
  readonly tlsPort?: number;
  /** Percent of good nonces that are refused. */
  readonly refusedNonces?: number;
};

export type Pebble = {
  readonly directory: string;
  /** PEM file that its own HTTPS certificate comes from: for `tls.acme.ca`. */
  readonly ca: string;
  readonly httpPort: number;
  readonly tlsPort: number;
  /** PEM of the root that issued certificates lead to. */
  root(): Promise<string>;
  output(): string;
  /** Names stop to lead to us, or do so again. */
  reachable(yes: boolean): void;
  /** Ends it and starts another one at the same place, that has forgotten everything. */
  restart(): Promise<void>;
  close(): Promise<void>;
};

const HERE = { A: ['127.0.0.1'] };

export async function startPebble({ refusedNonces = 50, ...ports }: PebbleOptions = {}): Promise<Pebble> {
  const folder = temporaryFolder('pebble');
  const [port, managementPort] = [await freePort(), await freePort()];
  const httpPort = ports.httpPort ?? (await freePort());
  const tlsPort = ports.tlsPort ?? (await freePort());
  const dns = await startDnsServer({ zone: { '*.test': HERE, '*.relay.test': HERE } });
  await makeCertificates(folder.path);
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: join(folder.path, 'server.crt'),
    privateKey: join(folder.path, 'server.key'),
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  };
  writeFileSync(join(folder.path, 'pebble.json'), JSON.stringify({ pebble: config }));
  const ca = join(folder.path, 'ca.crt');
  const directory = `https://127.0.0.1:${port}/dir`;
  const start = async () => {
    const program = startProgram({
      command: 'pebble',
      args: ['-config', join(folder.path, 'pebble.json'), '-strict', '-dnsserver', dns.server],
      env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: String(refusedNonces), PEBBLE_AUTHZREUSE: '0' },
    });
    await untilReady(program, 'pebble', () => get(directory, ca).catch(() => undefined));
    return program;
  };
  let program = await start();
  return {
    directory,
    ca,
    httpPort,
    tlsPort,
    root: () => get(`https://127.0.0.1:${managementPort}/roots/0`, ca),
    output: () => program.output(),
    reachable: (yes) => dns.set('*.test', yes ? HERE : { fault: 'servfail' }),
    async restart() {
      await program.close();
      program = await start();
    },
    async close() {
      await program.close();
      await dns.close();
      folder.remove();
    },
  };
}

/** An authority of its own for the API: those that come with Pebble have a key that everybody knows. */
async function makeCertificates(folder: string): Promise<void> {
  const at = (name: string) => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await mustRun('openssl', [
    ...'req -x509 -days 2 -subj /CN=pebble-api'.split(' '),
    ...key,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.crt'),
  ]);
  await mustRun('openssl', [
    ...'req -new -subj /CN=127.0.0.1'.split(' '),
    ...key,
    '-keyout',
    at('server.key'),
    '-out',
    at('server.csr'),
  ]);
  writeFileSync(at('server.ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const signing = ['-req', '-days', '2', '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'];
  await mustRun('openssl', ['x509', ...signing, '-in', at('server.csr'), '-out', at('server.crt'), '-extfile', at('server.ext')]);
}

function get(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca: readFileSync(ca) }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () =>
        response.statusCode === 200 ? resolve(text) : reject(new Error(`${url}: ${response.statusCode}`)),
      );
    });
    asked.once('error', reject);
    asked.end();
  });
}

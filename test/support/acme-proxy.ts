/** A proxy before Pebble with features that Pebble lacks: it fails for a while, suggests renewal times (RFC 9773), and signs for a chosen lifetime. */
import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import * as x509 from '@peculiar/x509';
import type { Pebble } from './pebble.ts';

export type Fault = {
  /** Requests whose method and path match. */
  readonly match: RegExp;
  readonly times: number;
  readonly status: number;
  readonly retryAfter?: string;
  readonly body?: string;
  /** True: the authority serves the request, and the answer is lost. */
  readonly afterwards?: true;
};

export type AcmeProxy = {
  readonly directory: string;
  readonly ca: string;
  /** Every request, `POST /order-plz`. */
  readonly requests: readonly string[];
  /** Payloads of the orders that Pebble took. */
  readonly orders: readonly Record<string, unknown>[];
  fail(fault: Fault): void;
  /** Sets the lifetime of later certificates, in milliseconds. */
  setLifetime(milliseconds: number): void;
  /** What is answered about a certificate's renewal, by its id; undefined: the directory has no such resource. */
  setRenewalInfo(answer: ((id: string) => { status: number; body: string; retryAfter?: string }) | undefined): void;
  /** Requests wait until the returned function is called. */
  hold(match: RegExp): { readonly reached: Promise<void>; release(): void };
  close(): Promise<void>;
};

const crypto = webcrypto as unknown as Parameters<typeof x509.SubjectKeyIdentifierExtension.create>[2] & typeof webcrypto;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RENEWAL_INFO = '/renewal-info';

export async function startAcmeProxy(pebble: Pebble): Promise<AcmeProxy> {
  const folder = dirname(pebble.ca);
  const upstream = new URL(pebble.directory);
  const requests: string[] = [];
  const orders: Record<string, unknown>[] = [];
  const faults: { fault: Fault; left: number }[] = [];
  const holds: { match: RegExp; reached: () => void; released: Promise<void> }[] = [];
  let lifetime: number | undefined;
  let renewalInfo: Parameters<AcmeProxy['setRenewalInfo']>[0];

  const server = createServer({ key: readFileSync(join(folder, 'server.key')), cert: readFileSync(join(folder, 'server.crt')) });
  server.on('request', (incoming, response) => void answer(incoming, response).catch(() => response.destroy()));

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = `${incoming.method} ${incoming.url}`;
    const body = await collect(incoming);
    requests.push(name);
    for (const held of holds.filter(({ match }) => match.test(name))) {
      held.reached();
      await held.released;
      if (incoming.socket.destroyed) return; // the client has gone, so the request is dropped
    }
    const found = faults.find(({ fault, left }) => left > 0 && fault.match.test(name));
    if (found !== undefined) found.left--;
    const fault = found?.fault;
    if (fault !== undefined && fault.afterwards === undefined) return refuse(response, fault);
    if (renewalInfo !== undefined && incoming.url?.startsWith(RENEWAL_INFO)) {
      const { status, body: text, retryAfter } = renewalInfo(incoming.url.slice(RENEWAL_INFO.length + 1));
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      });
      return void response.end(text);
    }
    const passed = await pass(incoming, body);
    if (name === 'POST /order-plz' && passed.status === 201) orders.push(payloadOf(body));
    if (fault !== undefined) return refuse(response, fault);
    const { 'content-length': _, 'transfer-encoding': __, ...headers } = passed.headers;
    response.writeHead(passed.status, headers);
    response.end(await change(name, passed.body, incoming.headers.host ?? ''));
  }

  async function change(name: string, body: Buffer, host: string): Promise<Buffer | string> {
    if (name.endsWith('/dir') && renewalInfo !== undefined)
      return JSON.stringify({ ...JSON.parse(body.toString()), renewalInfo: `https://${host}${RENEWAL_INFO}` });
    if (lifetime !== undefined && body.includes('BEGIN CERTIFICATE')) return reissue(body.toString(), lifetime);
    return body;
  }

  function pass(
    incoming: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }> {
    return new Promise((resolve, reject) => {
      // Pebble builds its addresses from the Host field, so that all of them lead here
      const options = { method: incoming.method, path: incoming.url, headers: incoming.headers, rejectUnauthorized: false };
      const outgoing = request({ host: upstream.hostname, port: upstream.port, agent: false, ...options }, (from) => {
        collect(from).then((whole) => resolve({ status: from.statusCode!, headers: from.headers, body: whole }), reject);
      });
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    directory: `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`,
    ca: pebble.ca,
    requests,
    orders,
    fail: (fault) => void faults.push({ fault, left: fault.times }),
    setLifetime(milliseconds) {
      lifetime = milliseconds;
    },
    setRenewalInfo(given) {
      renewalInfo = given;
    },
    hold(match) {
      const reached = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      const held = { match, reached: reached.resolve, released: released.promise };
      holds.push(held);
      return {
        reached: reached.promise,
        release() {
          holds.splice(holds.indexOf(held), 1);
          released.resolve();
        },
      };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(response: ServerResponse, { status, retryAfter, body }: Fault): void {
  if (status === 0) return void response.destroy();
  const headers = {
    'content-type': 'application/problem+json',
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
  };
  response.writeHead(status, headers);
  response.end(body ?? '');
}

function payloadOf(body: Buffer): Record<string, unknown> {
  const { payload } = JSON.parse(body.toString()) as { payload: string };
  return JSON.parse(Buffer.from(payload, 'base64url').toString());
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Signs the same key and names for another period, as another authority would. */
export async function reissue(chain: string, lifetime: number, age = 0): Promise<string> {
  const leaf = new NodeCertificate(chain);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const [notBefore, notAfter] = [new Date(Date.now() - age), new Date(Date.now() - age + lifetime)];
  const publicKey = new x509.PublicKey(leaf.publicKey.export({ type: 'spki', format: 'der' }));
  const names = [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)].map(([, value]) => ({
    type: 'dns' as const,
    value: value!,
  }));
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: `CN=${names[0]!.value}`,
      issuer: 'CN=Authority of a test',
      serialNumber: `87${Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex')}`,
      notBefore,
      notAfter,
      publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey, false, crypto),
      ],
    },
    crypto,
  );
  return `${certificate.toString('pem')}\n`;
}

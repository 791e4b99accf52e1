/**
 * Fetches a policy over HTTPS: RFC 8461 §3.3. One GET within a deadline, at the addresses that the DNS names and the guard lets pass. No
 * redirect, no cookie, no proxy, no cache, no compression.
 */
import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import type { SecureContext, TLSSocket } from 'node:tls';
import type { Dns } from '../dns/dns.ts';
import type { AddressGuard } from '../net/address-guard.ts';
import { SECOND } from '../system/clock.ts';
import { type Phrase, phrase } from '../system/phrase.ts';
import { VERSION } from '../system/version.ts';
import { type PolicyFile, parsePolicy, type StsProblem } from './mta-sts.ts';
import { bears } from './peer.ts';

export type PolicyFetchOptions = {
  readonly dns: Pick<Dns, 'a' | 'aaaa'>;
  readonly guard: AddressGuard;
  /** TLS 1.2 or newer, and the roots that are trusted. */
  readonly secureContext: SecureContext;
  readonly signal: AbortSignal;
  /** 443, RFC 8461 §3.3. */
  readonly port?: number;
  /** Milliseconds: for a connection with its handshake, and for everything. */
  readonly connectWithin?: number;
  readonly fetchWithin?: number;
};

export type FetchedPolicy = { readonly file: PolicyFile } | { readonly problem: StsProblem };

/** A policy has some hundred bytes. RFC 8461 §3.3 proposes this bound. */
const MAX_BODY = 64 * 1024;
/** A domain with more addresses than this is not served by the rest of them. */
const MAX_ADDRESSES = 8;

/** Never rejects. @param domain A-labels, lower case, without a final dot */
export async function fetchPolicy(domain: string, options: PolicyFetchOptions): Promise<FetchedPolicy> {
  const { fetchWithin = 60 * SECOND } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(fetchWithin)]);
  const host = `mta-sts.${domain}`;
  const addresses = await addressesOf(host, options);
  if ('problem' in addresses) return addresses;
  let problem: StsProblem | undefined;
  for (const address of addresses.found) {
    const answer = await get({ host, address, ...options, signal });
    if (!('problem' in answer)) return answer;
    // An address that cannot be reached says less about the host than a certificate that is wrong.
    if (problem?.type !== 'sts-webpki-invalid') problem = answer.problem;
    if (answer.isFinal || signal.aborted) break;
  }
  return { problem: problem ?? fetchError(phrase`${host} has no address`) };
}

type Found = { readonly found: readonly string[] } | { readonly problem: StsProblem };

async function addressesOf(host: string, { dns, guard }: PolicyFetchOptions): Promise<Found> {
  const [v6, v4] = await Promise.all([dns.aaaa(host), dns.a(host)]);
  const lists = [v6, v4].map((answer) => (answer.kind === 'found' ? answer.values : []));
  const all = interleaved(lists);
  const failed = [v6, v4].find((answer) => answer.kind === 'temporary');
  if (all.length === 0) {
    const why = failed === undefined ? phrase`${host} has no address` : phrase`the look-up of ${host} failed: ${failed.why}`;
    return { problem: fetchError(why) };
  }
  const found = all.filter((address) => guard(address) === undefined).slice(0, MAX_ADDRESSES);
  if (found.length > 0) return { found };
  return {
    problem: fetchError(phrase`${host} has only addresses that are not connected to: ${all[0]!} (delivery.allowPrivate)`),
  };
}

/** So that both families have their turn before time is up. */
function interleaved(lists: readonly (readonly string[])[]): readonly string[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

type Get = PolicyFetchOptions & { readonly host: string; readonly address: string };
/** `isFinal`: the host itself has said so, and its other addresses would say the same. */
type Answer = { readonly file: PolicyFile } | { readonly problem: StsProblem; readonly isFinal: boolean };

function get({ host, address, secureContext, signal, port = 443, connectWithin = 10 * SECOND }: Get): Promise<Answer> {
  return new Promise((resolve) => {
    const failed = (problem: StsProblem, isFinal = false) => resolve({ problem, isFinal });
    const options: RequestOptions & { readonly secureContext: SecureContext } = {
      host: address, // the name is not looked up again: it could lead elsewhere then
      port,
      path: '/.well-known/mta-sts.txt',
      agent: false,
      signal,
      secureContext,
      servername: host,
      rejectUnauthorized: true,
      checkServerIdentity: (_, { raw }) => (bears(new X509Certificate(raw), host, 'never') ? undefined : new Error(NOT_FOR_HOST)),
      headers: { host, accept: 'text/plain', 'accept-encoding': 'identity', 'user-agent': `smarthost/${VERSION}` },
    };
    const getting = request(options);
    const connecting = setTimeout(() => getting.destroy(new Error(TOO_LATE)), connectWithin);
    getting.once('socket', (socket) => socket.once('secureConnect', () => clearTimeout(connecting)));
    getting.on('error', (error: NodeJS.ErrnoException) => failed(connectionProblem({ host, address, error, getting, signal })));
    // Without a listener Node drops the connection, and nothing else is ever emitted.
    getting.once('upgrade', ({ statusCode }, socket) => {
      socket.destroy();
      failed(fetchError(phrase`${host} answers with status ${statusCode ?? 0}`), true);
    });
    getting.once('response', (response) => {
      void read(host, response, signal).then((answer) => {
        if ('problem' in answer) failed(answer.problem, true);
        else resolve(answer);
        getting.destroy();
      });
    });
    getting.once('close', () => clearTimeout(connecting));
    getting.end();
  });
}

const TOO_LATE = 'no connection in time';
const NOT_FOR_HOST = 'none of its DNS names is the host';

type Trouble = Pick<Get, 'host' | 'address' | 'signal'> & {
  readonly error: NodeJS.ErrnoException;
  readonly getting: ReturnType<typeof request>;
};

function connectionProblem({ host, address, signal, error, getting }: Trouble): StsProblem {
  // Node's own sentences advise programmers, so its codes are shown.
  const { authorizationError: fault } = (getting.socket ?? {}) as Partial<TLSSocket> & { authorizationError?: unknown };
  if (fault !== undefined && fault !== null) {
    const word = error.code ?? error.message;
    return { type: 'sts-webpki-invalid', why: phrase`the certificate of ${host} is not accepted: ${word}` };
  }
  if (signal.aborted) return aborted(host, signal);
  if (error.message === TOO_LATE) return fetchError(phrase`${host} [${address}] cannot be connected to in time`);
  return fetchError(phrase`${host} [${address}] cannot be reached: ${error.code ?? phrase`the connection failed`}`);
}

function aborted(host: string, signal: AbortSignal): StsProblem {
  const isLate = (signal.reason as Error | undefined)?.name === 'TimeoutError';
  return fetchError(isLate ? phrase`${host} does not answer in time` : phrase`the relay was stopped`);
}

async function read(host: string, response: IncomingMessage, signal: AbortSignal): Promise<FetchedPolicy> {
  const { statusCode, headers } = response;
  response.on('error', () => {}); // also where its body is not read to its end
  if (statusCode !== 200) return { problem: fetchError(phrase`${host} answers with status ${statusCode ?? 0}`) };
  const type = headers['content-type'];
  const encoding = headers['content-encoding'];
  // A type is only recommended to be there (RFC 8461 §3.2). The strict form of a policy tells it from a page for people.
  if (type !== undefined && !/^text\/plain *(?:;|$)/i.test(type.trim()))
    return invalid(host, phrase`it is ${word(type)}, not text/plain`);
  if (encoding !== undefined && encoding !== 'identity') return invalid(host, phrase`it is compressed (${word(encoding)})`);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if ((size += chunk.length) > MAX_BODY) return invalid(host, phrase`it is larger than ${MAX_BODY / 1024} KiB`);
    }
  } catch {
    return {
      problem: signal.aborted ? aborted(host, signal) : fetchError(phrase`${host} closed the connection within its answer`),
    };
  }
  const file = parsePolicy(Buffer.concat(chunks));
  return 'invalid' in file ? invalid(host, file.invalid) : { file };
}

const invalid = (host: string, why: Phrase): FetchedPolicy => ({
  problem: { type: 'sts-policy-invalid', why: phrase`the policy of ${host} is invalid: ${why}` },
});
const fetchError = (why: Phrase): StsProblem => ({ type: 'sts-policy-fetch-error', why });

/** The first word of a header that a stranger wrote. */
const word = (text: string) => /^[!-:<-~]{0,60}/.exec(text.trim())?.[0] ?? '';

/** One conversation with a certificate authority, by acme-client: its account, and requests that are repeated safely. RFC 8555. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, ClientOptions } from 'acme-client';
import { SECOND } from '../system/clock.ts';
import { AcmeError, isPassing, problemOf } from './acme-error.ts';
import type { Transport } from './transport.ts';

type Library = typeof import('acme-client');
/** Shared with the adapter below: what it needs for a request, and what it learns from the answer. */
type Exchange = { readonly transport: Transport; readonly nonceRefusals: Map<string, number>; retryAfter?: number | undefined };

/** Pauses before a request is repeated, in milliseconds. After the last one the whole order fails. */
const RETRIES: readonly number[] = [SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND];
/** A longer Retry-After ends the order; a shorter one is waited for. */
const PATIENCE = 20 * SECOND;

const exchanges = new AsyncLocalStorage<Exchange>();

export type AcmeSession = {
  readonly library: Library;
  readonly client: Client;
  /** Runs one request. After a temporary failure it is repeated with a new signature and nonce. @throws AcmeError */
  ask<T>(request: (client: Client) => Promise<T>): Promise<T>;
  /** Retry-After of the last answer, in milliseconds since the epoch: RFC 8555 §7.5.1. */
  retryAfter(): number | undefined;
};

export type SessionOptions = Pick<ClientOptions, 'directoryUrl' | 'accountKey' | 'accountUrl'> & {
  readonly transport: Transport;
  readonly signal: AbortSignal;
  readonly now: () => number;
};

export async function openAcmeSession({ transport, signal, now, ...account }: SessionOptions): Promise<AcmeSession> {
  const library = await loadLibrary();
  const client = new library.Client(account);
  let last: Exchange | undefined;
  const once = async <T>(request: (client: Client) => Promise<T>): Promise<T> => {
    last = { transport, nonceRefusals: new Map() };
    try {
      return await exchanges.run(last, () => request(client));
    } catch (error) {
      if (error instanceof AcmeError) throw error;
      throw new AcmeError(`the authority sent something unexpected (${(error as Error).message})`, { status: 200, cause: error });
    }
  };
  return {
    library,
    client,
    retryAfter: () => last?.retryAfter,
    async ask(request) {
      for (let tries = 0; ; tries++) {
        try {
          return await once(request);
        } catch (error) {
          const wait = isPassing(error) && !signal.aborted ? waitBefore(tries, error, now()) : undefined;
          if (wait === undefined) throw error;
          await pause(wait, undefined, { signal });
        }
      }
    },
  };
}

/** @returns milliseconds, or undefined if the order should end now and be tried again later. */
function waitBefore(tries: number, { type, retryAfter }: AcmeError, now: number): number | undefined {
  const own = RETRIES[tries];
  if (own === undefined) return undefined;
  if (type === 'badNonce') return 0;
  if (type === 'rateLimited' && retryAfter === undefined) return undefined; // another request would only use up more of the limit
  const asked = retryAfter === undefined ? 0 : retryAfter - now;
  return asked > PATIENCE ? undefined : Math.max(own, asked);
}

/** Loaded late: the library takes about 25 MB, and only an order needs it. */
async function loadLibrary(): Promise<Library> {
  const library = await import('acme-client');
  // The library's own retries send a used nonce again and lose the authority's error; ours are in `ask`.
  library.axios.defaults.adapter = adapt;
  return library;
}

/** Sends the requests of acme-client's axios by our transport, so that every failure is an AcmeError. */
const adapt = (async (config: { url?: string; method?: string; data?: unknown; headers: object }) => {
  const exchange = exchanges.getStore();
  if (exchange === undefined) throw new Error('a request outside of a session');
  const { url = '', method = 'get', data } = config;
  const headers: Record<string, string> = { 'content-type': 'application/jose+json' };
  const body = typeof data === 'string' ? data : undefined;
  const { status, headers: answered, body: text, retryAfter } = await exchange.transport.send({ method, url, headers, body });
  exchange.retryAfter = retryAfter;
  if (status >= 300 || status < 200) {
    const problem = problemOf(status, text, url, retryAfter);
    const refusals = (exchange.nonceRefusals.get(url) ?? 0) + 1;
    exchange.nonceRefusals.set(url, refusals);
    // up to five times, acme-client itself signs again with the nonce that came with the refusal
    if (problem.type !== 'badNonce' || refusals > 5) throw problem;
  }
  return { status, statusText: '', headers: answered, data: text, config };
}) as unknown as NonNullable<Library['axios']['defaults']['adapter']>;

/**
 * The console: pages for people and an API for scripts, on ports of their own. What it needs is loaded at the first request, so that a
 * relay whose console nobody opens pays for no more than the ports.
 */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { ClientEvent, Configuration, Control, Doctor, QueueResult, Works } from '../control/control.ts';
import type { ConsolePasswords } from '../credentials/credentials.ts';
import type { EventLog } from '../events/events.ts';
import { isLoopback } from '../net/addresses.ts';
import { type ListenAddress, type OpenPort, openPort } from '../net/open-port.ts';
import type { FirstRun } from '../setup/setup.ts';
import type { StoreData } from '../store/store.ts';
import { type Clock, MINUTE, SECOND } from '../system/clock.ts';
import { watchConnections } from './connections.ts';
import type { LiveFacts } from './live-facts.ts';
import type { ApiCaller } from './route.ts';

export type { Heard24h, LastHour, LiveCondition, LiveFacts } from './live-facts.ts';

/** Durations in milliseconds. */
export type ConsoleSettings = {
  /** The names by which it may be asked for, besides localhost and addresses. */
  readonly names: readonly string[];
  /** The origin that browsers see, where a proxy stands before it: `https://mail.example.net`. */
  readonly origin: string | undefined;
  /** Networks of proxies whose X-Forwarded-For counts. */
  readonly proxyTrust: readonly string[];
  readonly secondFactor: 'offered' | 'required';
  /** Administrators may fetch whole messages of the queue. */
  readonly content: boolean;
  /** A session ends after so long without a use. */
  readonly idle: number;
  /** A session ends after so long. */
  readonly lifetime: number;
};

/** Counts wrong logins, for all relays that share the store. */
type LoginGuard = {
  isBlocked(ip: string, name?: string): boolean;
  /** @returns milliseconds that the answer waits. Never rejects. */
  recordFailure(ip: string, name: string): Promise<number>;
};

/** The certificates of the relay, for ports outside loopback. */
type ConsoleTls = {
  current(): SecureContextOptions;
  onChange(listener: () => void): void;
};

/** What the relay gives. Functions return what is true now, because a reload can change it. */
export type ConsoleParts = {
  readonly listen: readonly ListenAddress[];
  readonly version: string;
  /** ms since 1970. */
  readonly startedAt: number;
  readonly hostname: () => string;
  /** What clients did since somebody began to ask, the oldest first. */
  readonly clientEvents: () => readonly ClientEvent[];
  /** The actions of an operator, noted as those of the caller. undefined: those that need no login. */
  readonly control: (by: ApiCaller | undefined) => Control;
  /** Present before there is a configuration: then only its questions are answered. */
  readonly firstRun?: FirstRun & { /** The answer to the last step has left. */ answered(): void };
  /** Who may come in, and the rows about changes. */
  readonly store: Pick<StoreData, 'console' | 'audit' | 'noted'>;
  readonly passwords: ConsolePasswords;
  readonly guard: LoginGuard;
  readonly doctor: Doctor;
  /** Work on the queue that is under way. */
  readonly works: Works<QueueResult>;
  readonly configuration: Configuration;
  readonly settings: () => ConsoleSettings;
  readonly tls: ConsoleTls;
  readonly log: EventLog;
  /** The clock of the store. */
  readonly now: Clock;
  readonly live: LiveFacts;
};

export type Console = {
  readonly listening: readonly OpenPort[];
  /** Ends all requests. */
  close(): Promise<void>;
};

/** A connection on which nothing moves for so long is closed, except while we work on its request. */
const STANDSTILL = 30 * SECOND;
const OPTIONS: ServerOptions = {
  headersTimeout: 10 * SECOND,
  requestTimeout: 5 * MINUTE,
  keepAliveTimeout: 30 * SECOND,
  connectionsCheckingInterval: SECOND,
  maxHeaderSize: 8192,
  requireHostHeader: false, // the answer would lack our header fields
};

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** @throws ClosedPort if a port cannot be opened. */
export async function startConsole(parts: ConsoleParts): Promise<Console> {
  const stopped = new AbortController();
  const answer = createAnswer(parts, stopped.signal);
  const servers: Server[] = [];
  const listening: OpenPort[] = [];
  for (const at of parts.listen) {
    const server = await createListener(at, parts, answer);
    servers.push(server);
    listening.push(await openPort(server, { name: 'console', ...at }));
  }
  if (listening.length > 0) prepareLater(stopped.signal);
  return {
    listening,
    async close() {
      stopped.abort();
      await Promise.all(
        servers.map((server) => {
          const closed = new Promise((resolve) => server.close(resolve));
          server.closeAllConnections();
          return closed;
        }),
      );
    },
  };
}

/** The first visitor of a new version does not wait for the files of the pages. Neither a start nor its success waits for them. */
function prepareLater(stopped: AbortSignal): void {
  const prepare = () => import('./page-child.ts').then(({ preparePages }) => preparePages(stopped)).catch(() => {});
  const timer = setTimeout(() => void prepare(), 2 * SECOND).unref();
  stopped.addEventListener('abort', () => clearTimeout(timer));
}

/** Outside loopback there is TLS, by whatever way the address was set. A new certificate is for new connections; no request ends. */
async function createListener({ address }: ListenAddress, { tls }: ConsoleParts, answer: Answer): Promise<Server> {
  if (isLoopback(address)) return watched(createServer(OPTIONS), answer);
  const { createServer: createTlsServer } = await import('node:https');
  const server = createTlsServer({ ...OPTIONS, ...tls.current(), handshakeTimeout: 10 * SECOND });
  tls.onChange(() => server.setSecureContext(tls.current()));
  return watched(server as Server, answer);
}

function watched(server: Server, answer: Answer): Server {
  const connections = watchConnections(server, STANDSTILL);
  const take = (request: IncomingMessage, response: ServerResponse) => {
    connections.begin(response);
    void answer(request, response);
  };
  for (const name of ['request', 'checkContinue', 'checkExpectation']) server.on(name, take);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => void refuse(error, socket));
  return server;
}

function createAnswer(parts: ConsoleParts, stopped: AbortSignal): Answer {
  let dispatch: Promise<Answer> | undefined;
  return async (request, response) => {
    dispatch ??= import('./dispatch.ts').then(({ createDispatch }) => createDispatch(parts, stopped));
    await (await dispatch)(request, response);
  };
}

/** What the parser of HTTP refuses gets an answer in the form of all others. A failed handshake gets none. */
async function refuse(error: NodeJS.ErrnoException, socket: Socket): Promise<void> {
  const isHttp = /^HPE_|^ERR_HTTP/.test(error.code ?? '');
  if (!isHttp || !socket.writable) return void socket.destroy();
  const { malformedAnswer } = await import('./malformed.ts');
  socket.end(malformedAnswer(error.code), () => socket.destroy());
}

/** The document of the API as a file. */
export async function renderApiDocument(): Promise<string> {
  const { openApiDocument } = await import('./openapi.ts');
  return `${JSON.stringify(openApiDocument(), null, 1)}\n`;
}

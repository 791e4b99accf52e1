/**
 * The console: pages for people and an API for scripts, on ports of their own. What it needs is loaded at the first request, so that a
 * relay whose console nobody opens pays for no more than the ports.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ClientEvent, Control } from '../control/control.ts';
import { type ListenAddress, type OpenPort, openPort } from '../net/open-port.ts';
import { MINUTE, SECOND } from '../system/clock.ts';
import type { ApiCaller } from './route.ts';

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
};

export type Console = {
  readonly listening: readonly OpenPort[];
  /** Ends all requests. */
  close(): Promise<void>;
};

const MOST_CONNECTIONS = 200;
const TIMEOUTS = {
  headersTimeout: 10 * SECOND,
  requestTimeout: 5 * MINUTE,
  keepAliveTimeout: 30 * SECOND,
  connectionsCheckingInterval: SECOND,
};

/** @throws ClosedPort if a port cannot be opened. */
export async function startConsole(parts: ConsoleParts): Promise<Console> {
  const stopped = new AbortController();
  const servers: Server[] = [];
  const listening: OpenPort[] = [];
  for (const at of parts.listen) {
    const server = createServer({ ...TIMEOUTS, maxHeaderSize: 8192 }, (request, response) =>
      answer(request, response, parts, stopped.signal),
    );
    server.maxConnections = MOST_CONNECTIONS;
    servers.push(server);
    listening.push(await openPort(server, { name: 'console', ...at }));
  }
  return {
    listening,
    async close() {
      stopped.abort();
      await Promise.all(
        servers.map((server) => {
          server.closeAllConnections();
          return new Promise((resolve) => server.close(resolve));
        }),
      );
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, parts: ConsoleParts, stopped: AbortSignal) {
  const { dispatch } = await import('./dispatch.ts');
  await dispatch(request, response, parts, stopped);
}

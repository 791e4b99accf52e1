/** A host that serves policies of MTA-STS over HTTPS on loopback, as it is told to. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

/** PEM. */
type Pair = { readonly cert: string; readonly key: string };
type Answer = string | ((request: IncomingMessage, response: ServerResponse) => void);

export type PolicyHost = {
  readonly address: string;
  readonly port: number;
  /** Host and path of each request. */
  readonly asked: readonly string[];
  /** Names that clients asked for in their handshake. */
  readonly named: readonly (string | undefined)[];
  /** What it answers from now on: the text of a policy, or anything else. */
  answer: Answer;
  present(certificate: Pair): void;
  close(): Promise<void>;
};

export async function startPolicyHost(
  certificate: Pair,
  { address = '127.0.0.1', port = 0, tls = {} }: { address?: string; port?: number; tls?: ServerOptions } = {},
): Promise<PolicyHost> {
  const asked: string[] = [];
  const named: (string | undefined)[] = [];
  const server = createServer({ ...certificate, ...tls }, (request, response) => {
    asked.push(`${request.headers.host}${request.url}`);
    if (typeof host.answer !== 'string') return host.answer(request, response);
    response.setHeader('content-type', 'text/plain');
    response.end(host.answer);
  });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => named.push(socket.servername || undefined));
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  const host: PolicyHost = {
    address,
    port: (server.address() as AddressInfo).port,
    asked,
    named,
    answer: '',
    present: (other) => server.setSecureContext({ ...other, ...tls }),
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
  return host;
}

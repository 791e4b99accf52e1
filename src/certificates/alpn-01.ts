/** Answers TLS-ALPN-01 challenges: RFC 8737. All other connections are closed before TLS starts, so they see no certificate. */
import { createServer, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { type ListenAddress, type OpenPort, openPort } from '../net/open-port.ts';
import { SECOND } from '../system/clock.ts';
import { startServerTls } from '../system/server-tls.ts';
import { type ChallengeAnswers, purposeOf } from './challenges.ts';
import { readClientHello } from './client-hello.ts';
import type { ChallengeListener } from './http-01.ts';

const PROTOCOL = 'acme-tls/1';

/** Milliseconds for the ClientHello and the handshake together. */
const DEADLINE = 10 * SECOND;

/** @throws Error where a listener cannot be opened. */
export async function startAlpn01(addresses: readonly ListenAddress[], answers: ChallengeAnswers): Promise<ChallengeListener> {
  /** One function per open connection, which ends it. */
  const open = new Set<() => void>();
  const servers: ReturnType<typeof createServer>[] = [];
  const close = async () => {
    for (const end of open) end();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  const listening: OpenPort[] = [];
  for (const at of addresses) {
    const server = createServer({ noDelay: true }, (socket) => {
      let topmost = socket; // once TLS has started, the TLS socket is destroyed, never the one below it
      const end = () => void topmost.destroy();
      open.add(end);
      const timer = setTimeout(end, DEADLINE).unref();
      socket.once('close', () => {
        clearTimeout(timer);
        open.delete(end);
      });
      socket.on('error', () => {}); // 'close' follows
      serve(socket, answers, (secure) => {
        topmost = secure;
      }).catch(end);
    });
    server.maxConnections = 200;
    servers.push(server);
    try {
      listening.push(await openPort(server, { name: 'alpn', ...at, purpose: purposeOf('tls-alpn-01') }));
    } catch (error) {
      servers.pop();
      await close();
      throw error;
    }
  }
  return { listening, close };
}

async function serve(socket: Socket, answers: ChallengeAnswers, begun: (secure: Socket) => void): Promise<void> {
  const bytes = await firstRecord(socket);
  const hello = bytes === undefined ? undefined : readClientHello(bytes);
  // RFC 8737 §3: the authority offers this one protocol and names the host
  if (hello === undefined || hello === 'more' || hello.protocols.length !== 1 || hello.protocols[0] !== PROTOCOL)
    return void socket.destroy();
  const answer = hello.serverName === undefined ? undefined : await answers.find(hello.serverName);
  if (answer === undefined || socket.destroyed) return void socket.destroy();
  const { key, certificate } = JSON.parse(answer) as { key: string; certificate: string };
  socket.unshift(bytes!);
  const secureContext = createSecureContext({ key, cert: certificate });
  const options = { secureContext, ALPNProtocols: [PROTOCOL] };
  // RFC 8737 §3: no data follow the handshake
  const secure = startServerTls(socket, options, { secured: (_, secured) => void secured.end() });
  if (secure === undefined) return;
  begun(secure);
  secure.resume();
}

/** @returns undefined if the bytes are no ClientHello, or the client closed the connection. */
async function firstRecord(socket: Socket): Promise<Buffer | undefined> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk]);
    if (readClientHello(held) !== 'more') return held;
  }
  return undefined;
}

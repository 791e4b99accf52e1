/** Answers HTTP-01 challenges and nothing else: RFC 8555 §8.3. It serves no file, sends no redirect and uses no name of the request. */
import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type ListenAddress, type OpenPort, openPort } from '../net/open-port.ts';
import { SECOND } from '../system/clock.ts';
import { type ChallengeAnswers, purposeOf } from './challenges.ts';

/** The token is base64url: RFC 8555 §8.3. The rest of the request is ignored. */
const CHALLENGE = /^\/\.well-known\/acme-challenge\/([A-Za-z0-9_-]{1,200})$/;

export type ChallengeListener = { readonly listening: readonly OpenPort[]; close(): Promise<void> };

/** @throws Error where a listener cannot be opened. */
export async function startHttp01(addresses: readonly ListenAddress[], answers: ChallengeAnswers): Promise<ChallengeListener> {
  const servers: ReturnType<typeof createServer>[] = [];
  const close = async () => {
    await Promise.all(
      servers.map((server) => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  };
  const listening: OpenPort[] = [];
  for (const at of addresses) {
    const server = createServer({ requestTimeout: 10 * SECOND, headersTimeout: 5 * SECOND, maxHeaderSize: 8192 });
    server.maxConnections = 200;
    server.on('request', async (request, response) => {
      request.resume();
      const body = await bodyFor(request, answers).catch(() => 503); // if the store fails, the authority asks again
      const status = typeof body === 'number' ? body : 200;
      const bytes = Buffer.from(typeof body === 'number' ? `${STATUS_CODES[body]}\n` : body);
      const type = status === 200 ? 'application/octet-stream' : 'text/plain';
      response.writeHead(status, { 'content-type': type, 'content-length': bytes.length, connection: 'close' });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    });
    server.on('clientError', refuse);
    servers.push(server);
    try {
      listening.push(await openPort(server, { name: 'http', ...at, purpose: purposeOf('http-01') }));
    } catch (error) {
      servers.pop();
      await close();
      throw error;
    }
  }
  return { listening, close };
}

/** @returns the answer, or the HTTP status of the refusal. */
async function bodyFor({ method, url = '' }: IncomingMessage, answers: ChallengeAnswers): Promise<string | number> {
  const token = CHALLENGE.exec(url)?.[1];
  if (token === undefined || (method !== 'GET' && method !== 'HEAD')) return 404;
  return (await answers.find(token)) ?? 404;
}

/** A target that is too long gets 404 as any unknown one does. Bytes that are not HTTP get 400. */
function refuse({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const line = code === 'HPE_HEADER_OVERFLOW' ? '404 Not Found' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${line}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  socket.setTimeout(SECOND, () => socket.destroy());
  socket.resume();
}

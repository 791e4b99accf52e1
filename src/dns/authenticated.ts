/** What `node:dns` cannot say: whether the resolver has validated an answer, the AD bit of RFC 4035 §3.2.3. RFC 6840 §5.7. */
import { createSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { isIPv6 } from 'node:net';
import { AUTHENTIC_DATA, decode, encode, RECURSION_DESIRED, type RecordType } from 'dns-packet';
import { SECOND } from '../system/clock.ts';

export type Validated =
  | { readonly kind: 'answered'; readonly authenticated: boolean; readonly server: string }
  /** The resolver is there, and could not or would not answer this: SERVFAIL, REFUSED. */
  | { readonly kind: 'failed'; readonly cause: string; readonly server: string }
  | { readonly kind: 'silent'; readonly cause: string };

export type ValidatedQuery = {
  readonly name: string;
  readonly type: RecordType;
  /** As in `createDns`; empty: the system's. */
  readonly servers: readonly string[];
  /** Milliseconds for each server. */
  readonly timeout?: number;
};

/** Asks one server after the other until one answers. Never rejects. The bit is worth as much as the path to that server. */
export async function askValidated({ name, type, servers, timeout = 3 * SECOND }: ValidatedQuery): Promise<Validated> {
  let last: Validated = { kind: 'silent', cause: 'no resolver is configured' };
  for (const server of servers.length > 0 ? servers : getServers()) {
    last = await ask({ name, type, server, timeout });
    if (last.kind !== 'silent') return last;
  }
  return last;
}

type Query = { readonly name: string; readonly type: RecordType; readonly server: string; readonly timeout: number };

function ask({ name, type, server, timeout }: Query): Promise<Validated> {
  const { host, port } = endpoint(server);
  const id = Math.floor(Math.random() * 0x1_0000);
  const packet = encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ name, type }],
    additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0x8000, options: [] } as never], // DO
  });
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    const end = (result: Validated) => {
      clearTimeout(timer);
      socket.removeAllListeners().on('error', () => {}); // what comes now is too late
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => end({ kind: 'silent', cause: `${server} does not answer` }), timeout);
    socket.on('error', (error: NodeJS.ErrnoException) => end({ kind: 'silent', cause: `${server}: ${error.code}` }));
    socket.on('message', (bytes) => {
      const answer = judgeAnswer(bytes, id, server);
      if (answer !== undefined) end(answer);
    });
    socket.connect(port, host, () => socket.send(packet));
  });
}

/** undefined: no answer to our question. */
export function judgeAnswer(bytes: Buffer, id: number, server: string): Validated | undefined {
  if (bytes.length < 2 || bytes.readUInt16BE(0) !== id) return undefined;
  try {
    const packet = decode(bytes) as ReturnType<typeof decode> & { rcode?: string };
    const rcode = (packet.flags ?? 0) & 0x0f;
    if (rcode !== 0 && rcode !== 3) return { kind: 'failed', cause: packet.rcode ?? String(rcode), server };
    return { kind: 'answered', authenticated: ((packet.flags ?? 0) & AUTHENTIC_DATA) !== 0, server };
  } catch {
    return undefined; // not a DNS message: the answer may still come
  }
}

/** `127.0.0.1:5300`, `[::1]:53`, `192.0.2.1`, `2001:db8::1`. */
function endpoint(server: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? [];
  return { host: bracketed ?? plain ?? server, port: Number(port ?? 53) };
}

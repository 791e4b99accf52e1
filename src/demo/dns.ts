/** The DNS of the demo: one table of names, answered over UDP. Every answer fits into one datagram. RFC 1034, RFC 1035. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  type Answer,
  AUTHENTIC_DATA,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
} from 'dns-packet';

/** The records of a name. `mx` is the one host that takes its mail. `secure`: the answer says that it was validated (AD). */
export type Entry = {
  readonly address?: string;
  readonly mx?: string;
  readonly text?: string;
  /** The SHA-256 of a host's public key: a TLSA record 3 1 1, RFC 6698 §2.1. */
  readonly tlsa?: Buffer;
  readonly secure?: true;
};

type DemoDns = {
  /** `127.0.0.1:40053`, for the relay's configuration. */
  readonly server: string;
  close(): Promise<void>;
};

const NXDOMAIN = 3;
const TTL = 60;

/** @param names is read for each question, so entries can be added at any time. `*.test` stands for every other name directly below test. */
export async function startDns(names: ReadonlyMap<string, Entry>): Promise<DemoDns> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    try {
      socket.send(answerTo(message, names), from.port, from.address);
    } catch {
      // not a question: a foreign datagram must not end the demo
    }
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    server: `127.0.0.1:${socket.address().port}`,
    close: () => new Promise((done) => socket.close(done)),
  };
}

function answerTo(message: Buffer, names: ReadonlyMap<string, Entry>): Buffer {
  const { id = 0, flags = 0, questions = [] } = decode(message);
  const [{ name, type }] = questions as [{ name: string; type: string }];
  const key = name.toLowerCase();
  const entry = names.get(key) ?? names.get(`*${key.slice(key.indexOf('.'))}`);
  const header = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | (flags & RECURSION_DESIRED);
  return encode({
    type: 'response',
    id,
    flags: header | (entry === undefined ? NXDOMAIN : entry.secure ? AUTHENTIC_DATA : 0),
    questions,
    answers: entry === undefined ? [] : recordsOf(entry, name, type),
  });
}

function recordsOf({ address, mx, text, tlsa }: Entry, name: string, type: string): Answer[] {
  if (type === 'A' && address !== undefined) return [{ type, name, ttl: TTL, data: address }];
  if (type === 'MX' && mx !== undefined) return [{ type, name, ttl: TTL, data: { preference: 10, exchange: mx } }];
  if (type === 'TXT' && text !== undefined) return [{ type, name, ttl: TTL, data: text.match(/.{1,255}/gs) ?? [''] }];
  if (type === 'TLSA' && tlsa !== undefined)
    return [{ type, name, ttl: TTL, data: { usage: 3, selector: 1, matchingType: 1, certificate: tlsa } }];
  return [];
}

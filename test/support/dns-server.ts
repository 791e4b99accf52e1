/** A small authoritative DNS that plays the internet for the tests: RFC 1035, with faults on demand. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  type Answer,
  AUTHENTIC_DATA,
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import { answerFrom, type Fault, faultFor, isSecure, type Zone, type ZoneRecords } from './dns-zone.ts';

export type { Fault, Zone, ZoneRecords } from './dns-zone.ts';

export type DnsServerOptions = {
  readonly address?: string;
  /** 0: any free one, the same for UDP and TCP. */
  readonly port?: number;
  /** Names (or addresses, for their PTR) and their records. A name that is not there, and is no parent of one, is NXDOMAIN. */
  readonly zone: Zone;
  /** False for a resolver, whose answers do not say that the zone is its own (AA). Default: true. */
  readonly authoritative?: boolean;
};

export type DnsServer = {
  readonly port: number;
  /** `127.0.0.1:5300`, as the option `servers` of the resolver takes it. */
  readonly server: string;
  /** Replaces what a name has; undefined removes it. */
  set(name: string, records: ZoneRecords | undefined): void;
  /** Every question since the start, `MX example.org`. */
  readonly queries: readonly string[];
  close(): Promise<void>;
};

/** Without EDNS a datagram holds 512 octets: RFC 1035 §4.2.1. */
const PLAIN_DATAGRAM = 512;

export async function startDnsServer({
  address = '127.0.0.1',
  port = 0,
  zone,
  authoritative = true,
}: DnsServerOptions): Promise<DnsServer> {
  const records = new Map<string, ZoneRecords>(Object.entries(zone).map(([name, entry]) => [keyOf(name), entry]));
  const queries: string[] = [];
  const connections = new Set<Socket>();

  /** The bytes to send, or nothing. */
  function respond(request: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
    const query = decode(request);
    const question = query.questions?.[0];
    if (question === undefined) return undefined;
    queries.push(`${question.type} ${question.name}`);
    const fault = faultFor(records, question.name, question.type);
    if (fault === 'timeout' || (fault === 'cut' && transport === 'tcp')) return undefined;
    if (fault === 'garbage') return Buffer.concat([request.subarray(0, 2), Buffer.from('8180000100ff00000000ffffff', 'hex')]);
    const response = responseTo(query, fault);
    if (fault === 'cut' || (fault === 'truncated' && transport === 'udp')) return encode(truncated(response));
    const bytes = encode(response);
    return transport === 'udp' && bytes.length > datagramSize(query) ? encode(truncated(response)) : bytes;
  }

  function responseTo(query: Packet, fault: Fault | undefined): Packet {
    const question = query.questions![0]!;
    const { answers, rcode } = answerFrom(records, question.name, question.type);
    const failed = fault === 'servfail' ? 2 : fault === 'refused' ? 5 : undefined;
    return {
      type: 'response',
      id: fault === 'wrong-id' ? query.id! ^ 0x5555 : query.id!,
      flags:
        (authoritative ? AUTHORITATIVE_ANSWER : 0) |
        RECURSION_AVAILABLE |
        (isSecure(records, question.name) ? AUTHENTIC_DATA : 0) |
        ((query.flags ?? 0) & 0x0100) |
        (failed ?? rcode),
      questions: query.questions!,
      answers: failed === undefined ? answers : [],
    };
  }

  const { udp, tcp } = await open({ address, port, respond, connections });
  const bound = udp.address().port;
  return {
    port: bound,
    server: address.includes(':') ? `[${address}]:${bound}` : `${address}:${bound}`,
    set(name, entry) {
      if (entry === undefined) records.delete(keyOf(name));
      else records.set(keyOf(name), entry);
    },
    queries,
    async close() {
      for (const connection of connections) connection.destroy();
      await Promise.all([new Promise<void>((done) => udp.close(done)), new Promise((done) => tcp.close(done))]);
    },
  };
}

type Listening = {
  readonly address: string;
  readonly port: number;
  readonly respond: (request: Buffer, transport: 'udp' | 'tcp') => Buffer | undefined;
  readonly connections: Set<Socket>;
};

/** UDP and TCP on one port; where the port that UDP was given is taken for TCP, another pair is tried. */
async function open(listening: Listening, tries = 20): Promise<{ udp: UdpSocket; tcp: Server }> {
  const udp = createSocket({ type: listening.address.includes(':') ? 'udp6' : 'udp4' });
  udp.on('message', (message: Buffer, from: RemoteInfo) => {
    const answer = quietly(() => listening.respond(message, 'udp'));
    if (answer !== undefined) udp.send(answer, from.port, from.address);
  });
  udp.bind(listening.port, listening.address);
  await once(udp, 'listening');
  const tcp = createServer((socket) => serveStream(socket, listening));
  tcp.listen(udp.address().port, listening.address);
  try {
    await once(tcp, 'listening');
    return { udp, tcp };
  } catch (error) {
    udp.close();
    if (listening.port !== 0 || tries === 0) throw error;
    return open(listening, tries - 1);
  }
}

function serveStream(socket: Socket, { respond, connections }: Listening): void {
  connections.add(socket);
  let held = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const length = held.readUInt16BE(0);
      const answer = quietly(() => respond(held.subarray(2, 2 + length), 'tcp'));
      if (answer === undefined) return void socket.destroy();
      held = held.subarray(2 + length);
      const size = Buffer.alloc(2);
      size.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([size, answer]));
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => connections.delete(socket));
}

/** A datagram that is no DNS message gets no answer. */
function quietly(respond: () => Buffer | undefined): Buffer | undefined {
  try {
    return respond();
  } catch {
    return undefined; // a foreign datagram must not end the tests
  }
}

function truncated(response: Packet): Packet {
  return { ...response, flags: (response.flags ?? 0) | TRUNCATED_RESPONSE, answers: [] as Answer[] };
}

function datagramSize(query: Packet): number {
  const option = query.additionals?.find((record) => record.type === 'OPT');
  return Math.max(PLAIN_DATAGRAM, option !== undefined && 'udpPayloadSize' in option ? option.udpPayloadSize : 0);
}

function keyOf(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

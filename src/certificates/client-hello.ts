/** Reads a ClientHello before TLS starts: server name and protocols. RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1. */

type ClientHello = {
  /** Server name, lower case. */
  readonly serverName: string | undefined;
  /** Application protocols in the order of the client. */
  readonly protocols: readonly string[];
};

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const APPLICATION_PROTOCOLS = 16;
const HEADER = 5;

/** @returns 'more' while the record is not complete, undefined if it is no ClientHello in one record. */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | undefined {
  if ((bytes[0] ?? HANDSHAKE) !== HANDSHAKE || (bytes[1] ?? 3) !== 3) return undefined;
  if (bytes.length < HEADER) return 'more';
  const length = bytes.readUInt16BE(3);
  if (length > 16_384 || length < 42) return undefined;
  if (bytes.length < HEADER + length) return 'more';
  try {
    return parse(new Reader(bytes.subarray(HEADER, HEADER + length)));
  } catch (error) {
    if (error instanceof RangeError) return undefined; // a length field points beyond the end
    throw error;
  }
}

function parse(record: Reader): ClientHello | undefined {
  if (record.number(1) !== CLIENT_HELLO) return undefined;
  const hello = record.vector(3);
  hello.skip(2 + 32); // version, random
  hello.vector(1); // session
  hello.vector(2); // cipher suites
  hello.vector(1); // compression
  const extensions = hello.ended ? undefined : hello.vector(2);
  let serverName: string | undefined;
  const protocols: string[] = [];
  while (extensions !== undefined && !extensions.ended) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type === SERVER_NAME) {
      const list = content.vector(2);
      if (list.number(1) === 0) serverName = list.vector(2).text().toLowerCase(); // 0: host_name, the only defined type
    } else if (type === APPLICATION_PROTOCOLS) {
      for (const list = content.vector(2); !list.ended; ) protocols.push(list.vector(1).text());
    }
  }
  return { serverName, protocols };
}

/** Reads bytes in order. Every method throws RangeError beyond the end. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  get ended(): boolean {
    return this.#at >= this.#bytes.length;
  }
  number(octets: number): number {
    return this.#bytes.readUIntBE(this.skip(octets), octets);
  }
  /** Reads a length of `octets` octets, and returns the content that follows it. */
  vector(octets: number): Reader {
    const length = this.number(octets);
    const start = this.skip(length);
    return new Reader(this.#bytes.subarray(start, start + length));
  }
  text(): string {
    return this.#bytes.toString('latin1');
  }
  /** @returns the position of the first skipped octet. */
  skip(octets: number): number {
    const start = this.#at;
    if (start + octets > this.#bytes.length) throw new RangeError('beyond the end');
    this.#at += octets;
    return start;
  }
}

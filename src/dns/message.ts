/**
 * The messages of the DNS: RFC 1035 §4, with EDNS (RFC 6891). Our own code reads answers, because dns-packet does not distinguish a dot
 * inside a label from the dots between labels, and because one record that it cannot read spoils the whole answer. It writes questions
 * too: they have one form, and a new destination takes four.
 */
import { canonicalAddress } from '../net/addresses.ts';
import { commaList, data, type Phrase, phrase } from '../system/phrase.ts';

/** The types that a relay asks for, and those that answers contain besides. RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 6698 §7.1. */
export const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, OPT: 41, TLSA: 52 } as const;
export type QueryType = Exclude<keyof typeof TYPES, 'OPT'>;

export type Question = { readonly name: string; readonly type: QueryType };

/** One record. It keeps the position of its data in the message, because names in the data can point to other parts of it. */
export type ResourceRecord = {
  readonly name: string;
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly start: number;
  readonly end: number;
};

export type DnsMessage = {
  readonly bytes: Buffer;
  readonly id: number;
  readonly isResponse: boolean;
  /** The AA bit: the server has the zone itself. RFC 1035 §4.1.1 */
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  /** The AD bit: the resolver says that it has validated the whole answer. RFC 4035 §3.2.3 */
  readonly isAuthentic: boolean;
  readonly rcode: number;
  readonly question: { readonly name: string; readonly type: number; readonly class: number } | undefined;
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** The resolver's reasons for a failure: RFC 8914. */
  readonly extendedErrors: readonly ExtendedError[];
};
type ExtendedError = { readonly code: number; readonly text: string };

/** Octets of a datagram that are not fragmented on the way: RFC 6891 §6.2.5, and the DNS flag day of 2020. */
const DATAGRAM = 1232;
const INTERNET = 1;
/** Octets before the first name. */
const HEADER = 12;
const RECURSION_DESIRED = 0x0100;
const AUTHENTIC_DATA = 0x0020;
/** The OPT record of a question: the root's name, its type, the size of a datagram, no flags, no options. RFC 6891 §6.1.2 */
const OPT_RECORD = [0, 0, TYPES.OPT, DATAGRAM >> 8, DATAGRAM & 0xff, 0, 0, 0, 0, 0, 0];
/** Most compression pointers in one name. Correct messages have fewer. */
const MAX_POINTERS = 64;
const EXTENDED_ERROR = 15;
/** The codes of RFC 8914 §4 that help an operator. */
const EXTENDED_ERRORS: Readonly<Record<number, string>> = {
  6: 'DNSSEC bogus',
  7: 'signature expired',
  8: 'signature not yet valid',
  9: 'DNSKEY missing',
  10: 'RRSIGs missing',
  12: 'NSEC missing',
  14: 'not ready',
  15: 'blocked',
  18: 'prohibited',
  22: 'no reachable authority',
  23: 'network error',
};
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

/**
 * A question with RD and AD. AD asks only for the result of the validation; DO would also bring the signatures (RFC 6840 §5.7).
 * @param name of labels with 63 octets at most, as `isResolvable` has it; `.` and the empty string are the root.
 * @param edns false for servers that do not support the OPT record.
 */
export function encodeQuestion({ name, type }: Question, id: number, edns = true): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  const octets = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  const bytes = Buffer.alloc(HEADER + octets + 4 + (edns ? OPT_RECORD.length : 0));
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(RECURSION_DESIRED | AUTHENTIC_DATA, 2);
  bytes.writeUInt16BE(1, 4); // questions
  bytes.writeUInt16BE(edns ? 1 : 0, 10); // additional records
  let at = HEADER;
  for (const label of labels) {
    at = bytes.writeUInt8(label.length, at);
    at += bytes.write(label, at, 'latin1');
  }
  at = bytes.writeUInt16BE(TYPES[type], at + 1); // behind the label of the root, which has no octets
  at = bytes.writeUInt16BE(INTERNET, at);
  if (edns) bytes.set(OPT_RECORD, at);
  return bytes;
}

/** @returns undefined if the bytes are no DNS message. A record with broken data does not spoil the others. */
export function decodeMessage(bytes: Buffer): DnsMessage | undefined {
  try {
    return new MessageReader(bytes).message();
  } catch (error) {
    if (error instanceof RangeError) return undefined; // it is cut off, or a name points to itself
    throw error;
  }
}

/** True if the message answers this question: RFC 5452 §4. An attacker who forges answers does not know the id. */
export function isAnswerTo(message: DnsMessage, { name, type }: Question, id: number): boolean {
  const { question } = message;
  if (!message.isResponse || message.id !== id) return false;
  if (question === undefined) return message.rcode === 1 || message.rcode === 4; // a server that cannot read the question need not repeat it
  const asked = name.replace(/\.$/, '').toLowerCase(); // the root is `.` in a question, and empty in a parsed message
  return question.name.toLowerCase() === asked && question.type === TYPES[type] && question.class === INTERNET;
}

/** Describes why a resolver did not answer: `SERVFAIL (DNSKEY missing)`. */
export function describeFailure({ rcode, extendedErrors }: DnsMessage): Phrase {
  const word = nameOfRcode(rcode);
  const known = extendedErrors.map(({ code, text }) => data(EXTENDED_ERRORS[code] ?? (text || `extended error ${code}`)));
  return known.length === 0 ? data(word) : phrase`${word} (${commaList(known)})`;
}

/** The names of RFC 1035 §4.1.1 and RFC 2136 §2.2. */
export function nameOfRcode(rcode: number): string {
  return RCODES[rcode] ?? `RCODE ${rcode}`;
}

class MessageReader {
  readonly #bytes: Buffer;
  #at = HEADER;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  message(): DnsMessage {
    const bytes = this.#bytes;
    const flags = bytes.readUInt16BE(2);
    const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at)) as [
      number,
      number,
      number,
      number,
    ];
    const question = questions === 0 ? undefined : this.#question();
    for (let i = 1; i < questions; i++) this.#question();
    const head = {
      bytes,
      id: bytes.readUInt16BE(0),
      isResponse: (flags & 0x8000) !== 0,
      isAuthoritative: (flags & 0x0400) !== 0,
      isTruncated: (flags & 0x0200) !== 0,
      isAuthentic: (flags & AUTHENTIC_DATA) !== 0,
      rcode: flags & 0x000f,
      question,
    };
    if (head.isTruncated) return { ...head, answers: [], authorities: [], extendedErrors: [] }; // a truncated message may end anywhere
    return {
      ...head,
      answers: this.#records(answers),
      authorities: this.#records(authorities),
      extendedErrors: this.#records(additionals).flatMap((record) => extendedErrorsIn(bytes, record)),
    };
  }

  #question() {
    const name = this.#name();
    this.#at += 4;
    return { name, type: this.#bytes.readUInt16BE(this.#at - 4), class: this.#bytes.readUInt16BE(this.#at - 2) };
  }

  #name(): string {
    const { name, end } = readName(this.#bytes, this.#at);
    this.#at = end;
    return name;
  }

  #records(count: number): ResourceRecord[] {
    const records: ResourceRecord[] = [];
    for (let i = 0; i < count; i++) {
      const name = this.#name();
      const [type, space, ttl, length] = [
        this.#bytes.readUInt16BE(this.#at),
        this.#bytes.readUInt16BE(this.#at + 2),
        this.#bytes.readUInt32BE(this.#at + 4),
        this.#bytes.readUInt16BE(this.#at + 8),
      ];
      const start = this.#at + 10;
      this.#at = start + length;
      if (this.#at > this.#bytes.length) throw new RangeError('a record ends after the message');
      // The class of an OPT record is a size. A TTL with its first bit set counts as 0: RFC 2181 §8.
      if (space === INTERNET || type === TYPES.OPT)
        records.push({ name, type, ttl: ttl > 0x7fffffff ? 0 : ttl, start, end: this.#at });
    }
    return records;
  }
}

function extendedErrorsIn(bytes: Buffer, { type, start, end }: ResourceRecord): ExtendedError[] {
  if (type !== TYPES.OPT) return [];
  const found: ExtendedError[] = [];
  for (let at = start; at + 4 <= end; ) {
    const [code, length] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
    const next = at + 4 + length;
    if (code === EXTENDED_ERROR && length >= 2 && next <= end) {
      const text = bytes
        .toString('latin1', at + 6, next)
        .replace(/[^\x20-\x7e]/g, '?')
        .slice(0, 100);
      found.push({ code: bytes.readUInt16BE(at + 4), text });
    }
    at = next;
  }
  return found;
}

/** Most octets of a name, with a length before each label, without the last one: RFC 1035 §2.3.4. */
const MAX_NAME = 254;
/** Where a name is put together. An answer of 64 KiB can contain thousands of names of a hundred labels each. */
const scratch = Buffer.alloc(4 * MAX_NAME);
const [DOT, BACKSLASH, FIRST_PLAIN, LAST_PLAIN, ZERO] = [0x2e, 0x5c, 0x21, 0x7e, 0x30];

/**
 * Reads a name. Its labels are joined by dots. Unusual characters and a dot inside a label become `\ddd` (RFC 1035 §5.1), so that
 * different names stay different. The root is the empty string.
 * @throws RangeError if the name points outside of the message or to itself.
 */
export function readName(bytes: Buffer, start: number): { readonly name: string; readonly end: number } {
  let at = start;
  let end = -1;
  let octets = 0;
  let written = 0;
  for (let pointers = 0; ; ) {
    const length = bytes.readUInt8(at);
    if (length >= 0xc0) {
      if (end === -1) end = at + 2;
      at = bytes.readUInt16BE(at) & 0x3fff;
      if (++pointers > MAX_POINTERS) throw new RangeError('a name points to itself');
      if (at < HEADER) throw new RangeError('a name points into the header');
      continue;
    }
    if (length > 63) throw new RangeError('a label of an unknown kind');
    at++;
    if (length === 0) return { name: scratch.toString('latin1', 0, written), end: end === -1 ? at : end };
    octets += length + 1;
    if (octets > MAX_NAME || at + length > bytes.length) throw new RangeError('a name is too long');
    if (written > 0) scratch[written++] = DOT;
    for (const last = at + length; at < last; at++) written = writeEscaped(bytes[at]!, written);
  }
}

/** @returns the position after the character. */
function writeEscaped(octet: number, at: number): number {
  if (octet >= FIRST_PLAIN && octet <= LAST_PLAIN && octet !== DOT && octet !== BACKSLASH) {
    scratch[at] = octet;
    return at + 1;
  }
  scratch[at] = BACKSLASH;
  scratch[at + 1] = ZERO + Math.floor(octet / 100);
  scratch[at + 2] = ZERO + (Math.floor(octet / 10) % 10);
  scratch[at + 3] = ZERO + (octet % 10);
  return at + 4;
}

/** Reads the data of one record. Returns undefined if the data do not have the form of their type. */
export type ReadData<T> = (bytes: Buffer, start: number, end: number) => T | undefined;

export const readA: ReadData<string> = (bytes, start, end) =>
  end - start === 4 ? bytes.subarray(start, end).join('.') : undefined;

export const readAaaa: ReadData<string> = (bytes, start, end) =>
  end - start === 16 ? canonicalAddress(bytes.toString('hex', start, end).match(/.{4}/g)!.join(':')) : undefined;

export const readHost: ReadData<string> = (bytes, start, end) => {
  const read = readName(bytes, start);
  return read.end === end ? read.name : undefined;
};

/** Joins the strings of one record, octet by octet. */
export const readText: ReadData<string> = (bytes, start, end) => {
  let text = '';
  for (let at = start; at < end; at += 1 + bytes[at]!) {
    if (at + 1 + bytes[at]! > end) return undefined;
    text += bytes.toString('latin1', at + 1, at + 1 + bytes[at]!);
  }
  return end > start ? text : undefined;
};

/** Seconds that a negative answer may be cached: RFC 2308 §5. */
export const readNegativeTtl: ReadData<number> = (bytes, start, end) => {
  const mailbox = readName(bytes, readName(bytes, start).end);
  return mailbox.end + 20 === end ? bytes.readUInt32BE(end - 4) : undefined;
};

/**
 * True for a name that fits into a question: labels of 1 to 63 octets, 253 in all, with the characters that c-ares accepts.
 * RFC 1035 §2.3.4. Registries do not delegate names with other characters.
 */
export function isResolvable(name: string): boolean {
  return name.length > 0 && name.length <= 253 && name.split('.').every((label) => /^[A-Za-z0-9_*/-]{1,63}$/.test(label));
}

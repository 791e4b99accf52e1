/** Whole answers of a resolver, as the client reads them and decides by them. Held to what `targets.ts` says. */
import assert from 'node:assert/strict';
import { isIP, isIPv4 } from 'node:net';
import { encode } from 'dns-packet';
import { canonical, interpret, readCanonicalHost, readMx, readTlsa } from '../../src/dns/answer.ts';
import type { MxRecord, Resolved, TlsaRecord } from '../../src/dns/dns.ts';
import {
  type DnsMessage,
  decodeMessage,
  describeFailure,
  encodeQuestion,
  isAnswerTo,
  isResolvable,
  type Question,
  readA,
  readAaaa,
  readText,
  TYPES,
} from '../../src/dns/message.ts';
import { inEnglish } from '../../src/system/phrase.ts';

const MODE_OCTETS = 1;
const LARGEST_MESSAGE = 65_535;
const READERS = {
  ...{ A: readA, AAAA: readAaaa, MX: readMx, TLSA: readTlsa, TXT: readText, CNAME: readCanonicalHost, PTR: readCanonicalHost },
} as const;
type Asked = Question & { readonly type: keyof typeof READERS };
type Value = string | MxRecord | TlsaRecord;

const OTHERS = Object.keys(READERS) as readonly Asked['type'][];

/**
 * The first octet says how it was asked: bit 0, of a trusted server; bit 1, not the question that the message repeats, but one of our own;
 * bit 2, the message has as many records as can be read, whatever its header says. The rest is the type, if the message repeats none that
 * we ask for. What follows is the message.
 */
export function dnsLookups(input: Buffer, cut: number): string {
  const mode = input[0] ?? 0;
  const whole = input.subarray(MODE_OCTETS, MODE_OCTETS + LARGEST_MESSAGE);
  const bytes = (mode & 4) === 4 ? withTrueCounts(whole) : whole;
  const message = decodeMessage(bytes);
  if (message === undefined) return 'nothing';
  const trusted = (mode & 1) === 1;
  const asked = (mode & 2) === 2 ? ({ name: 'one.lab.test', type: 'MX' } as const) : questionOf(message, mode >> 3);
  const id = bytes.readUInt16BE(0);
  const isAccepted = isAnswerTo(message, asked, id);
  holdsQuestion({ message, asked, id, isAccepted });
  holdsCuts(message, cut - MODE_OCTETS);
  // What the client would do with another answer's records must be safe too, so those that are not accepted are read as well.
  const answer = interpretAs(message, asked, trusted);
  holdsAnswer({ message, asked, answer, trusted });
  assert.match(inEnglish(describeFailure(message)), /^[ -~]{1,8000}$/);
  const facts = [message.isTruncated, message.rcode === 3, trusted, message.extendedErrors.length > 0];
  return [asked.type, answer.kind, isAccepted, ...facts.map(Number)].join(' ');
}

const MOST_COUNTED = 40;

/** Most changes of a message make it shorter or longer than its counts say. So that its records are read all the same, these follow. */
function withTrueCounts(message: Buffer): Buffer {
  if (message.length < 12) return message;
  const counted = Buffer.from(message);
  counted.writeUInt16BE(Math.min(1, counted.readUInt16BE(4)), 4);
  counted.fill(0, 6, 12);
  for (const section of [6, 8, 10]) {
    for (let count = 1; count <= MOST_COUNTED; count++) {
      counted.writeUInt16BE(count, section);
      // Only answers and authorities differ in what they are for: some of what stands at the end is taken for the latter.
      if (decodeMessage(counted) !== undefined && (section !== 6 || count <= message.readUInt16BE(6))) continue;
      counted.writeUInt16BE(count - 1, section);
      break;
    }
  }
  return counted;
}

function questionOf({ question }: DnsMessage, choice: number): Asked {
  const type = OTHERS.find((known) => TYPES[known] === question?.type) ?? OTHERS[choice % OTHERS.length]!;
  const name = canonical(question?.name ?? '');
  return { name: isResolvable(name) ? name : 'one.lab.test', type };
}

function interpretAs(message: DnsMessage, { name, type }: Asked, trusted: boolean): Resolved<Value> {
  return interpret<Value>({ message, name, type, read: READERS[type], trusted });
}

type Accepting = { readonly message: DnsMessage; readonly asked: Asked; readonly id: number; readonly isAccepted: boolean };

/** An answer is to this question, octet by octet, or to none. */
function holdsQuestion({ message, asked, id, isAccepted }: Accepting): void {
  const { bytes } = message;
  for (const flip of [1, 0x80, 0x0100, 0x8000]) assert.ok(!isAnswerTo(message, asked, id ^ flip), 'the id is another one');
  if (!isAccepted) return;
  assert.ok((bytes[2]! & 0x80) !== 0, 'a question is no answer');
  const [sent, count] = [encodeQuestion(asked, id, false), bytes.readUInt16BE(4)];
  if (count === 0) {
    assert.ok([1, 4].includes(bytes[3]! & 0x0f), 'only a server that could not read it need not repeat it');
    return;
  }
  const repeated = bytes.toString('latin1', 12, sent.length);
  // A name that is put together from other parts of the message is the same name, and does not stand there in one piece.
  if (/^[\x00-\x3f]/.test(repeated) && !/[\xc0-\xff]/.test(repeated))
    assert.equal(repeated.toLowerCase(), sent.toString('latin1', 12).toLowerCase());
  for (const type of OTHERS) if (type !== asked.type) assert.ok(!isAnswerTo(message, { ...asked, type }, id));
  assert.ok(!isAnswerTo(message, { ...asked, name: `x.${asked.name}` }, id));
  assert.ok(!isAnswerTo(message, { ...asked, name: asked.name.slice(1) }, id));
}

/** A message that ends before its last record is none. */
function holdsCuts({ bytes, answers, authorities, isTruncated }: DnsMessage, cut: number): void {
  const end = Math.max(0, ...[...answers, ...authorities].map((record) => record.end));
  if (isTruncated) assert.equal(end, 0, 'what is truncated is not used');
  else if (cut >= 0 && cut < end) assert.equal(decodeMessage(bytes.subarray(0, cut)), undefined);
}

type Answer = {
  readonly message: DnsMessage;
  readonly asked: Asked;
  readonly answer: Resolved<Value>;
  readonly trusted: boolean;
};

function holdsAnswer({ message, asked, answer, trusted }: Answer): void {
  const isAuthentic = (message.bytes[3]! & 0x20) !== 0;
  if (answer.kind === 'temporary') {
    assert.match(inEnglish(answer.why), /^[ -~]{1,2100}$/);
    return;
  }
  assert.equal(answer.secure, trusted && isAuthentic, 'secure is what has AD, from whom we trust');
  assert.ok(answer.ttl >= (asked.type === 'TLSA' || answer.kind !== 'found' ? 0 : 5000) && answer.ttl <= 3_600_000);
  // The bit changes what the answer is worth, and nothing else.
  const flipped = Buffer.from(message.bytes);
  flipped[3]! ^= 0x20;
  const { secure, ...same } = answer;
  assert.deepEqual(interpretAs(decodeMessage(flipped)!, asked, trusted), { ...same, secure: trusted && !isAuthentic });
  if (answer.kind !== 'found') {
    assert.equal(answer.kind, (message.bytes[3]! & 0x0f) === 3 ? 'nxdomain' : 'none');
    return;
  }
  const records = message.answers.filter(({ type }) => type === TYPES[asked.type]);
  assert.ok(answer.values.length > 0 && answer.values.length <= records.length);
  for (const value of answer.values) holdsValue(asked.type, value);
  if (answer.name === asked.name && answer.values.length < 50) holdsAgain(asked, answer.values);
}

function holdsValue(type: Asked['type'], value: Value): void {
  const isValue: Record<Asked['type'], () => boolean> = {
    A: () => isIPv4(value as string),
    AAAA: () => isIP(value as string) !== 0,
    TXT: () => (value as string).length <= LARGEST_MESSAGE,
    TLSA: () => (value as TlsaRecord).data.length <= LARGEST_MESSAGE,
    MX: () => isName((value as MxRecord).exchange),
    CNAME: () => isName(value as string),
    PTR: () => isName(value as string),
  };
  assert.ok(isValue[type](), `${type} ${JSON.stringify(value)}`);
}

const isName = (name: string) => /^[!-~]{0,1016}$/.test(name) && name === name.toLowerCase();

/** What was found is found again where another program writes it. */
function holdsAgain({ name, type }: Asked, values: readonly Value[]): void {
  const data = values.map((value) => dataOf(type, value));
  if (data.includes(undefined)) return;
  const answers = data.map((one) => ({ type, name, ttl: 60, class: 'IN', data: one }));
  const written = encode({ type: 'response', id: 1, questions: [{ type, name }], answers } as never);
  const answer = interpretAs(decodeMessage(written)!, { name, type }, false);
  assert.deepEqual(answer.kind === 'found' && answer.values, values);
}

/** As dns-packet wants it; undefined for what it cannot write. */
function dataOf(type: Asked['type'], value: Value): unknown {
  if (type === 'A' || type === 'AAAA') return value;
  if (type === 'TXT') return (value as string).length < 256 ? Buffer.from(value as string, 'latin1') : undefined;
  if (type === 'TLSA') {
    const { usage, selector, matching, data } = value as TlsaRecord;
    return data.length === 0 ? undefined : { usage, selector, matchingType: matching, certificate: data };
  }
  const host = type === 'MX' ? (value as MxRecord).exchange : (value as string);
  if (host !== '' && !isResolvable(host)) return undefined;
  return type === 'MX' ? { ...(value as MxRecord), exchange: host || '.' } : host || '.';
}

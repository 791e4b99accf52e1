import { type Answer, AUTHENTIC_DATA, encode, type Packet, RECURSION_DESIRED, type RecordType } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeMessage,
  describeFailure,
  encodeQuestion,
  isAnswerTo,
  readA,
  readAaaa,
  readHost,
  readName,
  readText,
} from '../../../src/dns/message.ts';
import { inEnglish } from '../../../src/system/phrase.ts';
import { cpuTime } from '../../support/cpu-time.ts';
import { sized } from '../../support/size.ts';

/** What dns-packet, which is somebody else's code, makes of it. */
const answering = (answers: readonly Answer[], rest: Partial<Packet> = {}): Buffer =>
  encode({ type: 'response', id: 7, questions: [{ type: 'A', name: 'd.test' }], answers: [...answers], ...rest });

test('a question asks for the result of DNSSEC, not for its signatures', () => {
  const bytes = encodeQuestion({ name: 'd.test', type: 'MX' }, 0x1234);
  expect(bytes.readUInt16BE(0)).toBe(0x1234);
  expect(bytes.readUInt16BE(2)).toBe(0x0120); // RD and AD
  const message = decodeMessage(bytes);
  expect(message).toMatchObject({ question: { name: 'd.test', type: 15, class: 1 }, answers: [], isResponse: false });
  expect(encodeQuestion({ name: 'd.test', type: 'MX' }, 1, false).length).toBe(bytes.length - 11);
});

test('a question has the bytes that dns-packet gives it', () => {
  const label = fc.stringMatching(/^[A-Za-z0-9_*/-]{1,63}$/);
  const names = fc.array(label, { maxLength: 5 }).map((labels) => labels.join('.'));
  const types = fc.constantFrom('A', 'AAAA', 'CNAME', 'MX', 'PTR', 'SOA', 'TXT', 'TLSA');
  fc.assert(
    fc.property(names, types, fc.nat(0xffff), fc.boolean(), (name, type, id, edns) => {
      const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as never;
      const theirs = encode({
        ...{ type: 'query', id, flags: RECURSION_DESIRED | AUTHENTIC_DATA, questions: [{ name, type: type as RecordType }] },
        ...(edns && { additionals: [opt] }),
      });
      expect(encodeQuestion({ name, type }, id, edns)).toEqual(theirs);
    }),
  );
  expect(encodeQuestion({ name: '.', type: 'SOA' }, 1)).toEqual(encodeQuestion({ name: '', type: 'SOA' }, 1));
});

describe('records are read', () => {
  test('with compressed names, and the types that mail needs', () => {
    const bytes = answering([
      { type: 'MX', name: 'd.test', ttl: 60, data: { preference: 10, exchange: 'mx.d.test' } },
      { type: 'A', name: 'mx.d.test', ttl: 30, data: '192.0.2.1' },
      { type: 'AAAA', name: 'mx.d.test', ttl: 2 ** 31, data: '2001:db8::1:0:0:1' },
      { type: 'TXT', name: 'd.test', ttl: 5, data: ['a', 'b'.repeat(255)] },
    ]);
    const { answers } = decodeMessage(bytes)!;
    expect(answers.map(({ name, type, ttl }) => [name, type, ttl])).toEqual([
      ['d.test', 15, 60],
      ['mx.d.test', 1, 30],
      ['mx.d.test', 28, 0], // a TTL with its first bit set: RFC 2181 §8
      ['d.test', 16, 5],
    ]);
    const [mx, a, aaaa, txt] = answers as [(typeof answers)[0], (typeof answers)[0], (typeof answers)[0], (typeof answers)[0]];
    expect(readHost(bytes, mx.start + 2, mx.end)).toBe('mx.d.test');
    expect(readA(bytes, a.start, a.end)).toBe('192.0.2.1');
    expect(readAaaa(bytes, aaaa.start, aaaa.end)).toBe('2001:db8::1:0:0:1');
    expect(readText(bytes, txt.start, txt.end)).toBe(`a${'b'.repeat(255)}`);
  });

  test('a dot inside a label is not a dot between labels', () => {
    const bytes = Buffer.concat([
      Buffer.from([8]),
      Buffer.from('mx1.dane'),
      Buffer.from([4]),
      Buffer.from('test'),
      Buffer.from([0]),
    ]);
    expect(readName(bytes, 0)).toEqual({ name: 'mx1\\046dane.test', end: bytes.length });
  });

  test.each([
    ['a pointer to itself', Buffer.from([0xc0, 0x00])],
    ['a pointer into the header', Buffer.concat([Buffer.from([1, 97, 0]), Buffer.alloc(9), Buffer.from([0xc0, 0x00])]), 12],
    ['a label that leaves the message', Buffer.from([5, 97, 98])],
    ['a label of an unknown kind', Buffer.from([0x45, 97, 0])],
    [
      'a name of more than 255 octets',
      Buffer.concat([
        ...Array.from({ length: 5 }, () => Buffer.concat([Buffer.from([63]), Buffer.alloc(63, 97)])),
        Buffer.from([0]),
      ]),
    ],
  ])('%s ends the reading', (_, bytes, start = 0) => {
    expect(() => readName(bytes, start)).toThrow(RangeError);
  });
});

test('thousands of names of a hundred labels are read about as fast as names of four, so that no answer stops other work', () => {
  const [short, long] = [1, 62].map((octets) => {
    const label = Buffer.concat([Buffer.from([octets]), Buffer.alloc(octets, 97)]);
    const question = Buffer.concat([...Array(Math.floor(254 / label.length)).fill(label), Buffer.from([0, 0, 15, 0, 1])]);
    const header = Buffer.from('000781800001000000000000', 'hex');
    header.writeUInt16BE(4000, 6);
    const record = Buffer.from('c00c000f00010000003c0004000ac00c', 'hex'); // both its names are that of the question
    return Buffer.concat([header, question, ...Array(4000).fill(record)]);
  }) as [Buffer, Buffer];
  // The least of some: a collection of garbage may fall into any of them. Label by label, it would be thirty times as much.
  const timeOf = (bytes: Buffer) =>
    Math.min(...Array.from({ length: 7 }, () => cpuTime(() => expect(decodeMessage(bytes)?.answers.length).toBe(4000))));
  expect(timeOf(short)).toBeLessThan(10 * timeOf(long) + 20);
});

test('an answer with another name, type, class or id counts as forged', () => {
  const question = { name: 'd.test', type: 'A' } as const;
  const message = decodeMessage(answering([]))!;
  expect(isAnswerTo(message, question, 7)).toBe(true);
  expect(isAnswerTo(message, { ...question, name: 'D.Test' }, 7)).toBe(true);
  expect(isAnswerTo(message, question, 8)).toBe(false);
  expect(isAnswerTo(message, { ...question, name: 'e.test' }, 7)).toBe(false);
  expect(isAnswerTo(message, { ...question, type: 'MX' }, 7)).toBe(false);
  expect(isAnswerTo(decodeMessage(encodeQuestion(question, 7))!, question, 7)).toBe(false); // our own question, sent back
  const chaos = answering([]);
  chaos.writeUInt16BE(3, chaos.length - 2);
  expect(isAnswerTo(decodeMessage(chaos)!, question, 7)).toBe(false);
});

test('the reason of a failing resolver is quoted', () => {
  const why = (code: number, text = '') =>
    decodeMessage(
      answering([], {
        flags: 2,
        additionals: [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: 1232,
            flags: 0,
            options: [{ code: 15, data: Buffer.concat([Buffer.from([0, code]), Buffer.from(text)]) }],
          } as never,
        ],
      }),
    )!;
  expect(inEnglish(describeFailure(why(9)))).toBe('SERVFAIL (DNSKEY missing)');
  expect(inEnglish(describeFailure(why(99, 'odd\u001b[31m')))).toBe('SERVFAIL (odd?[31m)');
  expect(inEnglish(describeFailure(decodeMessage(answering([], { flags: 5 }))!))).toBe('REFUSED');
});

test('any bytes are a message or undefined, and never throw', () => {
  const whole = answering([
    { type: 'CNAME', name: 'd.test', ttl: 60, data: 'e.test' },
    { type: 'A', name: 'e.test', ttl: 60, data: '192.0.2.1' },
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 }),
      fc.nat(whole.length),
      (changes, end) => {
        const bytes = Buffer.from(whole.subarray(0, end));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const message = decodeMessage(bytes);
        for (const { start, end } of message?.answers ?? []) expect(start <= end && end <= bytes.length).toBe(true);
      },
    ),
    { numRuns: sized(2000, 200) },
  );
});

/** The subject that the trace keeps. */
import { expect, test } from 'vitest';
import { parseHeader } from '../../../src/preparation/header.ts';
import { subjectOf } from '../../../src/preparation/subject.ts';

const subject = (value: string | Buffer) =>
  subjectOf(
    parseHeader(Buffer.concat([Buffer.from('From: a@x.example\r\nSubject: '), Buffer.from(value), Buffer.from('\r\n')])).fields,
  );

test.each([
  ['Invoice 4711', 'Invoice 4711'],
  ['folded\r\n over two lines', 'folded over two lines'],
  ['Grüße', 'Grüße'],
  ['=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=', 'Grüße aus Köln'],
  ['=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=', 'ab'],
  ['=?utf-8*de?B?R3LDvMOfZQ==?= an alle', 'Grüße an alle'],
  ['Re: =?windows-1252?B?gDEwMA==?= left', 'Re: €100 left'],
  ['=?utf-8?B?w7w=?=\r\n =?utf-8?Q?=C3=9F?=', 'üß'],
  ['=?x-unknown?Q?plain?=', 'plain'],
  ['=?utf-8?B?broken', '=?utf-8?B?broken'],
])('%j is read as %j', (value, read) => expect(subject(value)).toBe(read));

test('a character that is cut between two encoded words is whole', () => {
  expect(subject('=?utf-8?B?w7zD?= =?utf-8?B?nw==?=')).toBe('üß');
});

test('a sign that could turn, end or forge a line is a blank', () => {
  expect(subject('=?utf-8?Q?a=0D=0ABcc:_x=E2=80=AEb=00c=1B[2J?=')).toBe('a Bcc: x b c [2J');
});

test('a long subject is cut, an endless one is not read to its end', () => {
  expect(subject('x'.repeat(900))).toBe(`${'x'.repeat(200)}...`);
  const many = Array.from({ length: 2000 }, () => '=?utf-8?Q?y?=').join('\r\n ');
  expect(subject(many)).toMatch(/^y{100,200}/);
});

test('there is none without a Subject, and with an empty one', () => {
  expect(subjectOf(parseHeader(Buffer.from('From: a@x.example\r\n')).fields)).toBeUndefined();
  expect(subject('  ')).toBeUndefined();
});

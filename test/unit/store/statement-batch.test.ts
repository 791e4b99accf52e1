/** What a batch of statements writes to the connection, and who gets which answer. */
import { PassThrough } from 'node:stream';
import type { Connection } from 'pg';
import { expect, test } from 'vitest';
import { columns, Pieces, parameterOf } from '../../../src/store/postgres/parameters.ts';
import { PreparedStatements, type Rows, StatementBatch } from '../../../src/store/postgres/statement-batch.ts';

type Asked = readonly [text: string, ...values: unknown[]];

/** Sends the statements. @returns the batch, the chunks that were written, and the answers. */
function send(prepared: PreparedStatements, ...asked: readonly Asked[]) {
  const answers: Promise<Rows<unknown>>[] = [];
  const statements = asked.map(([text, ...values]) => {
    const { promise, resolve, reject } = Promise.withResolvers<Rows<unknown>>();
    answers.push(promise);
    return { text, values, resolve, reject };
  });
  let ends = 0;
  const batch = new StatementBatch(statements, prepared, () => ends++);
  const chunks: Uint8Array[] = [];
  const stream = new PassThrough();
  stream.write = ((chunk: Uint8Array) => chunks.push(chunk) > 0) as typeof stream.write;
  batch.submit({ stream } as unknown as Connection);
  return { batch, chunks, answers, ends: () => ends };
}

/** The letters of the protocol's messages, whose lengths must lead from one to the next. */
function letters(chunks: readonly Uint8Array[]): string {
  const bytes = Buffer.concat(chunks);
  let found = '';
  let at = 0;
  for (; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) found += String.fromCharCode(bytes[at]!);
  expect(at).toBe(bytes.length);
  return found;
}

const text = (value: string) => value;
const fields = (...names: string[]) => ({ fields: names.map((name) => ({ name, dataTypeID: 25 })) });

test('several statements are one piece with one end, and a text is prepared and described only once', async () => {
  const prepared = new PreparedStatements(() => text);
  const first = send(prepared, ['SELECT a', 'x'], ['SELECT b'], ['SELECT a', 'ÿ']);
  expect(letters(first.chunks)).toBe('PBDEPBDEBDES');
  expect(first.chunks.length).toBe(1);
  for (const value of ['1', '2', '3']) {
    first.batch.handleRowDescription(fields('n', 'none'));
    first.batch.handleDataRow({ fields: [value, null] });
    first.batch.handleCommandComplete({ text: 'SELECT 1' });
  }
  first.batch.handleReadyForQuery();
  const found = await Promise.all(first.answers);
  expect(found.map(({ rows }) => rows)).toEqual(['1', '2', '3'].map((n) => [{ n, none: null }]));
  expect(found[0]).toMatchObject({ command: 'SELECT', count: 1 });
  const second = send(prepared, ['SELECT a', null], ['SELECT b']);
  expect(letters(second.chunks)).toBe('BEBES');
  second.batch.handleDataRow({ fields: ['4', '5'] });
  second.batch.handleCommandComplete({ text: 'SELECT 1' });
  second.batch.handleCommandComplete({ text: 'SELECT 0' });
  second.batch.handleReadyForQuery();
  expect((await second.answers[0]!).rows).toEqual([{ n: '4', none: '5' }]);
  expect((await second.answers[1]!).rows).toEqual([]);
});

test('the bytes of bodies are sent from where they are, as one parameter', () => {
  const bodies = [5000, 10, 2048].map((length, i) => new Uint8Array(length).fill(i + 1));
  const { chunks } = send(new PreparedStatements(() => text), ['INSERT', 'id', new Pieces(bodies)]);
  expect(letters(chunks)).toBe('PBDES');
  expect(chunks.filter((chunk) => chunk.length >= 2048)).toEqual([bodies[0], bodies[2]]);
  expect(chunks.find((chunk) => chunk.length === 5000)!.buffer).toBe(bodies[0]!.buffer);
  const sent = Buffer.concat(chunks);
  const length = Buffer.alloc(4);
  length.writeInt32BE(7058);
  expect(sent.indexOf(Buffer.concat([length, ...bodies]))).toBeGreaterThan(0);
});

test('an error is that of all statements, also of those before it, and what was not confirmed is prepared under another name', async () => {
  const prepared = new PreparedStatements(() => text);
  const { batch, answers, ends } = send(prepared, ['BEGIN'], ['BAD'], ['COMMIT']);
  batch.handleCommandComplete({ text: 'BEGIN' });
  batch.handleError(new Error('bad'));
  batch.handleError(new Error('later'));
  expect(ends()).toBe(1);
  for (const one of await Promise.allSettled(answers)) expect(one).toMatchObject({ reason: new Error('bad') });
  const again = send(prepared, ['BEGIN'], ['BAD'], ['COMMIT']);
  expect(letters(again.chunks)).toBe('CCBEPBDEPBDES'); // the server may forget both
  const names = [
    ...Buffer.concat(again.chunks)
      .toString('latin1')
      .matchAll(/P\0\0\0.(s\d+)\0/gs),
  ].map(([, name]) => name);
  expect(names).toEqual(['s4', 's5']);
});

test('a parameter is text, bytes or nothing, and an array has its special characters escaped', () => {
  expect([1.5, true, 10n, undefined, 'a'].map(parameterOf)).toEqual(['1.5', 'true', '10', null, 'a']);
  // A time between two milliseconds.
  expect([parameterOf(1.7e12 + 0.25), parameterOf([1.7e12 + 0.25, 0.25])]).toEqual(['1700000000001', '{1700000000001,0.25}']);
  expect(parameterOf(['a"b', 'c\\d', null, undefined, 7, ''])).toBe('{"a\\"b","c\\\\d",NULL,NULL,7,""}');
  expect(
    columns(
      [
        ['NULL', 1],
        [null, true],
      ],
      2,
    ),
  ).toEqual(['{"NULL",NULL}', '{1,true}']);
  for (const value of [{}, new Date(0), [['a']], [new Uint8Array(1)]]) expect(() => parameterOf(value)).toThrow(TypeError);
});

import { expect, test } from 'vitest';
import { AcmeError, isPassing, problemOf, tidy } from '../../../src/certificates/acme-error.ts';
import { parseRetryAfter } from '../../../src/certificates/transport.ts';

const URL = 'https://ca.test/new-order';
const problem = (type: string, detail: string) => JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail });

test('a problem document becomes one sentence with status, type, path and detail', () => {
  const error = problemOf(429, problem('rateLimited', 'too many\r\ncertificates\u2028for it'), URL, 5);
  expect(error.message).toBe('the authority answered 429 rateLimited at /new-order: too many certificates for it');
  expect(error).toMatchObject({ type: 'rateLimited', status: 429, retryAfter: 5 });
});

test.each([['<html>busy</html>'], [''], ['null'], ['[1]'], ['{"type":7,"detail":{}}'], ['{"type":"urn:other:thing"}']])(
  'what is no problem document (%s) is told by its status alone',
  (body) => {
    expect(problemOf(503, body, URL, undefined).message).toBe('the authority answered 503 at /new-order');
  },
);

test('a type that is too long is ignored', () => {
  expect(problemOf(400, problem('x'.repeat(100_000), ''), URL, undefined).message).toBe(
    'the authority answered 400 at /new-order',
  );
});

test('an endless detail is cut', () => {
  expect(tidy('x'.repeat(9000))).toHaveLength(500);
});

test.each([
  [new AcmeError('no answer'), true],
  [new AcmeError('busy', { status: 503 }), true],
  [new AcmeError('slow down', { status: 429, type: 'rateLimited' }), true],
  [new AcmeError('nonce', { status: 400, type: 'badNonce' }), true],
  [new AcmeError('no', { status: 403, type: 'unauthorized' }), false],
  [new Error('other'), false],
])('%s passes by itself: %s', (error, expected) => {
  expect(isPassing(error)).toBe(expected);
});

test.each([
  ['120', 120_000],
  [' 5 ', 5000],
  ['0', 0],
  ['Thu, 01 Jan 1970 00:01:00 GMT', 60_000],
  ['soon', undefined],
  ['', undefined],
  ['-5x', undefined],
  [undefined, undefined],
])('Retry-After %s is %s ms after the epoch, asked at 0', (value, expected) => {
  expect(parseRetryAfter(value, 0)).toBe(expected);
});

import { describe, expect, test } from 'vitest';
import {
  classAction,
  formatAction,
  isReplyClass,
  parseAction,
  type ReplyAction,
  type ReplyAlso,
  type ReplyClass,
  type ReplyScope,
  type ReplyVerb,
  scopeOf,
} from '../../../../src/delivery/shaping/reply-class.ts';

test.each([
  ['fail+suppress', { verb: 'fail', also: ['suppress'] }],
  ['rest:2h', { verb: 'rest', seconds: 7200, also: [] }],
  ['rest:15m+operator', { verb: 'rest', seconds: 900, also: ['operator'] }],
  ['as-today', { verb: 'as-today', also: [] }],
] as const)('the action %s is read, and written as it was', (text, action) => {
  expect(parseAction(text)).toEqual(action);
  expect(formatAction(parseAction(text) as ReplyAction)).toBe(text);
});

test.each(['', 'rest', 'retry:2h', 'fail+', 'fail+all', 'bounce', 'rest:2d', 'rest:2h+', 'FAIL'])(
  'the action %j is none',
  (text) => {
    expect(parseAction(text)).toBeUndefined();
  },
);

describe('a class', () => {
  const all: readonly ReplyClass[] = [
    'address-blocked',
    'ptr-helo',
    'rate',
    'concurrency',
    'session-cap',
    'rcpt-cap',
    'ipv6-refused',
    'tls-required',
    'address-throttled',
  ];

  test('about us never fails a recipient, and suppresses nothing', () => {
    for (const one of all) {
      expect(scopeOf(one)).toBe('us' satisfies ReplyScope);
      for (const digit of [4, 5]) {
        expect(classAction(one, digit).verb).not.toBe('fail' satisfies ReplyVerb);
        expect(classAction(one, digit).also).not.toContain('suppress' satisfies ReplyAlso);
      }
    }
  });

  test('is one of a fixed list', () => {
    expect(isReplyClass('rate')).toBe(true);
    expect(isReplyClass('toString')).toBe(false);
  });
});

/** Text from outside in the log. */
import { expect, test } from 'vitest';
import { createLog } from '../../../src/system/log.ts';

const HOSTILE = '\x1b[2J\x1b]0;title\x07\x9b31m\x7f\u2028\u2029\u202e\u2066\u061c\u200fend';
const MOVES_THE_CURSOR = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function logged(format: 'json' | 'pretty', fields: object): string {
  let written = '';
  const log = createLog({
    level: 'info',
    format,
    write: (lines) => {
      written += lines;
    },
  });
  log.info('refused', { ...fields });
  log.flush();
  return written;
}

test.each(['json', 'pretty'] as const)('the %s log has no character that moves a cursor or ends a line', (format) => {
  for (const value of [HOSTILE, [HOSTILE], { deep: HOSTILE }, new Error(HOSTILE)]) {
    const line = logged(format, { recipient: value, error: value });
    expect(line).not.toMatch(MOVES_THE_CURSOR);
    expect(line.split('\n')).toHaveLength(2);
  }
});

test('a JSON line still has the original text', () => {
  expect(JSON.parse(logged('json', { recipient: HOSTILE }))).toMatchObject({ event: 'refused', recipient: HOSTILE });
});

test('a plain value needs no quotes in the pretty log, and letters of other scripts stay', () => {
  expect(logged('pretty', { recipient: 'jürgen@例え.test' })).toContain('recipient=jürgen@例え.test');
});

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
    for (const fields of [{ recipient: value }, { recipient: value, error: value }]) {
      const line = logged(format, fields);
      expect(line).not.toMatch(MOVES_THE_CURSOR);
      expect(line.split('\n')).toHaveLength(2);
    }
  }
});

test('a JSON line still has the original text', () => {
  expect(JSON.parse(logged('json', { recipient: HOSTILE }))).toMatchObject({ event: 'refused', recipient: HOSTILE });
});

test('a line has the level, the time and the event first, then the fields in their order, and none that is undefined', () => {
  const facts = { queueId: 'q1', mx: null, proof: undefined, code: 250, list: ['a', 'b"'], deep: { x: undefined, y: true } };
  const shown = { queueId: 'q1', mx: null, code: 250, list: ['a', 'b"'], deep: { y: true } };
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const line = logged('json', facts);
  expect(JSON.parse(line)).toEqual({ level: 'info', time, event: 'refused', ...shown });
  expect(line.endsWith(`,"event":"refused",${JSON.stringify(shown).slice(1)}\n`)).toBe(true);
  expect(Object.keys(JSON.parse(line)).slice(0, 3)).toEqual(['level', 'time', 'event']);
  const failed = logged('json', { ...facts, error: new Error('x') });
  expect(failed.startsWith(line.replace(/"time":.*/s, '"time":')), 'with an error too').toBe(true);
  expect(JSON.parse(logged('json', {}))).toEqual({ level: 'info', time, event: 'refused' });
});

test('fields that are no plain JSON are logged all the same', () => {
  const circle: Record<string, unknown> = { name: 'x' };
  circle['self'] = circle;
  expect(JSON.parse(logged('json', { circle }))).toMatchObject({ event: 'refused', circle: { name: 'x' } });
  expect(JSON.parse(logged('json', { count: 5n }))).toMatchObject({ event: 'refused', count: 5 });
});

test('a plain value needs no quotes in the pretty log, and letters of other scripts stay', () => {
  expect(logged('pretty', { recipient: 'jürgen@例え.test' })).toContain('recipient=jürgen@例え.test');
});

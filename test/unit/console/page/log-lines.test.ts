import { expect, test } from 'vitest';
import { fitsLogFilter, parseLogLine } from '../../../../src/console/page/log-lines.ts';

const LINE =
  '{"level":"warn","time":"2026-11-28T09:00:00.000Z","event":"delayed","id":"1m8","code":450,"mx":null,"tls":{"v":"1.3"}}';

test('takes a line apart, and keeps it as it was written', () => {
  expect(parseLogLine(7, LINE)).toEqual({
    seq: 7,
    text: LINE,
    time: '2026-11-28T09:00:00.000Z',
    level: 'warn',
    event: 'delayed',
    fields: [
      ['id', '1m8'],
      ['code', '450'],
      ['tls', '{"v":"1.3"}'],
    ],
  });
});

test('shows a line that is no JSON object as it is', () => {
  for (const text of ['plain words', '[1]', 'null', '"x"', '{'])
    expect(parseLogLine(1, text)).toEqual({ seq: 1, text, time: undefined, level: '', event: text, fields: [] });
});

test('filters by level and what is worse, by event, and by text without case', () => {
  const line = parseLogLine(1, LINE);
  expect(['debug', 'info', 'warn', 'error'].map((level) => fitsLogFilter(line, { level }))).toEqual([true, true, true, false]);
  expect(fitsLogFilter(line, { event: 'delayed' })).toBe(true);
  expect(fitsLogFilter(line, { event: 'relayed' })).toBe(false);
  expect(fitsLogFilter(line, { find: '1M8' })).toBe(true);
  expect(fitsLogFilter(line, { find: 'absent' })).toBe(false);
  expect(fitsLogFilter(parseLogLine(1, 'plain'), { level: 'error' })).toBe(true);
});

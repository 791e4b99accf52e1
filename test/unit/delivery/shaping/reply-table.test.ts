import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { judgeReply } from '../../../../src/delivery/shaping/judgement.ts';
import { loadReplies, parseReplies, ReplyFileError, replyProblems } from '../../../../src/delivery/shaping/reply-table.ts';

const HEAD = 'provider\tcode\tstatus\tpattern\tclass\taction\tsure\tphase\texample\tsource\tdate';
const line = (changes: Partial<Record<string, string>> = {}) =>
  Object.values({
    ...{ provider: '*', code: '550', status: '5.7.1', pattern: 'go away', class: 'recipient-policy', action: 'fail', sure: 'n' },
    ...{ phase: 'any', example: '550 5.7.1 Go away', source: 'seen', date: '2026-11-28' },
    ...changes,
  }).join('\t');
const file = (...lines: string[]) => ['# version 7', HEAD, ...lines].join('\n');

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'replies-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function written(text: string): string {
  const path = join(folder, 'replies.local.tsv');
  writeFileSync(path, text);
  return path;
}

test('a file has a version, comments, and a line for each reply', () => {
  const { rows, version } = parseReplies(
    `\ufeff# ours\r\n# version 7\r\n\r\n${HEAD}\r\n# more\r\n${line()}\r\n`,
    'replies.local.tsv',
  );
  expect(version).toBe('7');
  expect(rows).toMatchObject([
    { provider: '*', digit: 5, status: '7.1', class: 'recipient-policy', origin: 'replies.local.tsv:6' },
  ]);
});

describe('a mistake is told with file, line and column', () => {
  test.each([
    [{ provider: 'Google' }, 'provider'],
    [{ code: '250' }, 'code'],
    [{ status: '2.0.0' }, 'status'],
    [{ pattern: '*' }, 'pattern'],
    [{ class: 'spam' }, 'class'],
    [{ action: 'bounce' }, 'action'],
    [{ sure: 'yes' }, 'sure'],
    [{ phase: 'helo' }, 'phase'],
    [{ date: '1.2.2026' }, 'date'],
  ])('%j', (changes, column) => {
    const read = () => parseReplies(file(line(), line(changes)), 'r.tsv');
    expect(read).toThrow(ReplyFileError);
    expect(read).toThrow(new RegExp(`^r\\.tsv:4:\\d+: ${column}: `));
  });

  test('each of several', () => {
    expect(() => parseReplies(file(line({ sure: '' }), 'a\tb', line({ code: 'x' })), 'r.tsv')).toThrow(
      /^r\.tsv:3:43: sure: .*\nr\.tsv:4:1: 2 columns, .*\nr\.tsv:5:3: code: /,
    );
  });

  test('a file without the names of the columns', () => {
    expect(() => parseReplies('', 'r.tsv')).toThrow(/^r\.tsv:1:1: /);
    expect(() => parseReplies(line(), 'r.tsv')).toThrow(/^r\.tsv:1:1: the first line has the columns provider, code/);
  });
});

describe("the operator's file", () => {
  const ask = (local: string, text: string) => {
    const replies = loadReplies(written(local));
    return judgeReply({ provider: 'google', phase: 'rcpt', reply: { code: 550, status: '5.7.1', text }, replies });
  };

  test('is read first', () => {
    const local = file(line({ provider: 'google', pattern: 'likely unsolicited mail', class: 'recipient-policy' }));
    expect(ask(local, 'likely unsolicited mail')).toMatchObject({
      class: 'recipient-policy',
      origin: expect.stringMatching(/replies\.local\.tsv:3$/),
    });
    expect(ask(file(), 'likely unsolicited mail').class).toBe('content-spam');
  });

  test('disables a line of ours', () => {
    const local = file(line({ provider: 'google', pattern: 'likely unsolicited mail', class: 'off', action: 'as-today' }));
    expect(ask(local, 'likely unsolicited mail').origin).not.toContain('tsv:');
  });
});

test('the versions of both files name the table', () => {
  expect(loadReplies(written(file())).version).toMatch(/^7\+\d{4}-\d\d-\d\d$/);
});

test('what is wrong with a file is told in lines, also that there is none', () => {
  expect(replyProblems(written(file(line())))).toEqual([]);
  expect(replyProblems(written(file(line({ sure: 'x' }), line({ code: '1' }))))).toHaveLength(2);
  expect(replyProblems(join(folder, 'none.tsv'))).toEqual([expect.stringContaining('none.tsv does not exist')]);
});

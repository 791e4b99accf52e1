/** The table of all replies to clients. */
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { refusal, renderRepliesReference, replyOf } from '../../../src/smtp/replies.ts';

const ROOT = new URL('../../../', import.meta.url);

test('deploy/replies.md is up to date with the table (npm run reference)', () => {
  expect(readFileSync(new URL('deploy/replies.md', ROOT), 'utf8')).toBe(renderRepliesReference());
});

test('no other file makes a reply', () => {
  const made = globSync('src/**/*.ts', { cwd: ROOT.pathname }).filter((file) =>
    /\bnew Refusal\(|'[245]\d\d [245]\.\d+\.\d+ [^']*\\r\\n'/.test(readFileSync(new URL(file, ROOT), 'utf8')),
  );
  expect(made).toEqual(['src/smtp/replies.ts']);
});

test('words in braces are filled in once, and braces in a client’s text stay as they are', () => {
  expect(refusal('foreignFrom', { login: 'a{address}', address: '$&{login}' }).message).toBe(
    '550 5.7.1 The login a{address} may not send mail From: $&{login}',
  );
  expect(replyOf('queued', { queueId: 'x' })).toEqual({ code: 250, status: '2.0.0', text: 'Ok: queued as x' });
});

test('each status belongs to its code, and each text is a line of ASCII', () => {
  const rows = renderRepliesReference().match(/^\| \d.*$/gm)!;
  expect(rows.length).toBeGreaterThan(100);
  for (const row of rows) {
    const [, code, status] = /^\| (\d)\d\d \| (?:(\d)\.\d+\.\d+)? \| [\x20-\x7e]+ \|$/.exec(row) ?? [];
    expect([code, row]).toEqual([status ?? '3', row]);
  }
});

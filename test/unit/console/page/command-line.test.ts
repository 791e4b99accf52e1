import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { shellWord, smarthostCommand } from '../../../../src/console/page/command-line.ts';

test('leaves plain words alone', () => {
  expect(smarthostCommand('user', 'add', 'anna@example.org', '--sender', '@example.org')).toBe(
    'smarthost user add anna@example.org --sender @example.org',
  );
});

test('keeps words of strangers one word for a shell', () => {
  for (const hostile of ["it's", '$(id)', '`id`', 'a;b', 'a b', '', '*', '!x', '"', '\\', '~', '#x', '{a,b}'])
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(hostile)}`], { encoding: 'utf8' })).toBe(hostile);
});

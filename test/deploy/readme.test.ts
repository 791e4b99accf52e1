/** All commands, settings, events, replies and links in deploy/README.md exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatProblem, parseConfig } from '../../src/config/config.ts';
import { EVENTS } from '../../src/events/events.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { run } from '../support/program.ts';

const file = join(CHECKOUT, 'deploy/README.md');
const text = readFileSync(file, 'utf8');
const blocks = [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, content]) => ({ language, content: content! }));
const inline = [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
const sources = readdirSync(join(CHECKOUT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(CHECKOUT, 'src', name), 'utf8'))
  .join('\n');

/** Groups have commands of their own; all others take what follows as arguments. */
const GROUPS = [
  'config',
  'user',
  'domain',
  'queue',
  'provider',
  'reply',
  'report',
  'cert',
  'console',
  'token',
  'store',
  'tls',
  'tls policies',
  'tls reports',
];
type Call = { readonly words: string; readonly options: readonly string[] };

function callsIn(code: string): Call[] {
  return code.split(/\n|&&|\|/).flatMap((line) => {
    const [, rest] = /(?:^|sudo |xargs |exec smarthost )\s*smarthost (?!\/)([^#]*)/.exec(line.trim()) ?? [];
    if (rest === undefined) return [];
    const [first = '', ...others] = rest.trim().split(/\s+/);
    let words = first;
    for (const word of others) if (GROUPS.includes(words) && /^[a-z]+$/.test(word)) words += ` ${word}`;
    return [{ words, options: [...rest.matchAll(/ (--[a-z-]+)/g)].map(([, option]) => option!) }];
  });
}

describe('commands', () => {
  const calls = [...inline, ...blocks.map(({ content }) => content)].flatMap(callsIn);
  const all = Map.groupBy(calls, ({ words }) => words);

  test.each([...all.entries()])('smarthost %s exists, with the options that are shown', async (words, uses) => {
    const node = join(CHECKOUT, 'node_modules/.bin/node');
    const { code, stdout } = await run(node, [join(CHECKOUT, 'src/smarthost.ts'), ...words.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: smarthost ${words}`);
    for (const option of uses.flatMap(({ options }) => options)) expect(stdout).toContain(option);
  });

  test('are found by this test', () => {
    expect([...all.keys()]).toEqual(expect.arrayContaining(['doctor', 'user add', 'queue reroute', 'backup', 'cert show']));
  });
});

describe('configuration', () => {
  const snippets = blocks.filter(({ language, content }) => language === 'yaml' && !content.startsWith('# prometheus.yml'));

  test.each(snippets)('is accepted: $content', async ({ content }) => {
    const result = await parseConfig({ path: '/etc/smarthost/smarthost.yaml', text: content }, { env: {}, cwd: '/' });
    expect('problems' in result ? result.problems.map(formatProblem) : []).toEqual([]);
  });

  test('has the settings that the text names', () => {
    const reference = readFileSync(join(CHECKOUT, 'deploy/configuration.md'), 'utf8');
    const named = inline.map(
      (code) => /^(?:listen|tls|submission|auth|limits|reports|delivery|queue|trace|dns)\.[a-zA-Z.]+/.exec(code)?.[0],
    );
    for (const setting of named.filter((name) => name !== undefined)) expect(reference).toContain(`\`${setting}\``);
  });
});

test('every event in it is logged by the relay', () => {
  const events = text
    .slice(text.indexOf('| event | meaning |'), text.indexOf('## Metrics'))
    .match(/^\| `.*?\|/gm)!
    .join();
  for (const [, event] of events.matchAll(/`(\w+)`/g)) expect(Object.keys(EVENTS)).toContain(event);
});

test('every answer in it is one that the relay gives', () => {
  for (const [, code, status] of text.matchAll(/`(4\d\d|5\d\d) (\d\.\d\.\d+)`/g))
    if (!['451 5.7.3', '454 4.7.5', '451 4.4.0'].includes(`${code} ${status}`)) expect(sources).toContain(`'${status}'`);
});

test('every link leads somewhere', () => {
  const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g)) {
    if (target!.startsWith('#')) expect(anchors).toContain(target!.slice(1));
    else expect(existsSync(join(dirname(file), target!)), target).toBe(true);
  }
});

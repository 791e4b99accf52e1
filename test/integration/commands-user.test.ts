/** `smarthost user …` on a real store. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCredentials } from '../../src/credentials/credentials.ts';
import { type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench();
});
afterEach(() => bench.close());

const verify = (name: string, password: string) =>
  bench.withStore(
    async ({ credentials }) => (await createCredentials({ store: credentials, cacheFor: 0 }).verify(name, password)).result,
  );

test('add prints a password once, and it logs in', async () => {
  const { code, out, err } = await bench.run(['user', 'add', 'Anna@Example.org']);
  expect(code).toBe(0);
  expect(out).toMatch(/^\S{16,}\n$/);
  expect(err).not.toContain(out.trim());
  expect(await verify('anna@example.org', out.trim())).toBe('ok');
});

test('add --json is {name,password}; a password from stdin is not printed', async () => {
  const added = await bench.json('user', 'add', 'anna@example.org');
  expect(Object.keys(added)).toEqual(['name', 'password']);
  const { out, code } = await bench.run(['user', 'add', 'bob@example.org', '--password-stdin', '--json'], {
    stdin: 'correct horse\r\nsecond line',
  });
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({ name: 'bob@example.org', password: null });
  expect(await verify('bob@example.org', 'correct horse')).toBe('ok');
});

test('add takes every option and list shows them in the shape of the interface', async () => {
  const options = [
    '--sender',
    '@Example.org',
    '--sender',
    '*',
    '--mail-server',
    '--limit',
    '10/hour',
    '--limit',
    'newRecipients=5/day',
    '--expires',
    '2030-01-31',
  ];
  expect((await bench.run(['user', 'add', 'exchange', ...options, '--rewrite', 'fixed@example.org'])).code).toBe(0);
  const [listed] = await bench.json('user', 'list');
  expect(listed).toEqual({
    name: 'exchange',
    senders: ['@example.org', '*'],
    mailServer: true,
    limits: [
      { kind: 'messages', count: 10, per: 'hour' },
      { kind: 'newRecipients', count: 5, per: 'day' },
    ],
    used: [
      { kind: 'messages', count: 10, per: 'hour', used: 0, resetsAt: expect.stringMatching(/Z$/) },
      { kind: 'newRecipients', count: 5, per: 'day', used: 0, resetsAt: expect.stringMatching(/Z$/) },
    ],
    disabled: false,
    expiresAt: '2030-01-31T00:00:00.000Z',
    stops: [],
    trustedUntil: null,
    lastLogin: null,
  });
  expect(await bench.json('user', 'show', 'EXCHANGE')).toMatchObject({ rewrite: 'fixed@example.org', defaultLimits: false });
});

test('limits are the defaults of the configuration if the user has none, and a mail server has no limits', async () => {
  await bench.run(['user', 'add', 'anna@example.org']);
  await bench.run(['user', 'add', 'exchange', '--sender', '*', '--mail-server']);
  const [anna, exchange] = await bench.json('user', 'list');
  expect(anna.limits).toEqual([
    { kind: 'messages', count: 1000, per: 'day' },
    { kind: 'newRecipients', count: 200, per: 'day' },
  ]);
  expect(exchange.limits).toEqual([]);
});

test('set changes the given options and keeps the rest', async () => {
  await bench.run(
    ['user', 'add', 'anna@example.org', '--limit', '5/day', '--expires', '2030-01-31T12:00', '--mail-server', '--password-stdin'],
    { stdin: 'first' },
  );
  const before = await bench.json('user', 'show', 'anna@example.org');
  expect(before.expiresAt).toBe('2030-01-31T12:00:00.000Z');
  expect(await bench.json('user', 'set', 'anna@example.org', '--limit', 'none')).toEqual({
    ...{ ...before, limits: [], used: [] },
    revision: before.revision + 1,
  });
  const after = await bench.json(
    'user',
    'set',
    'anna@example.org',
    '--sender',
    '@example.net',
    '--no-mail-server',
    '--expires',
    'never',
    '--limit',
    'default',
  );
  expect(after).toMatchObject({ senders: ['@example.net'], mailServer: false, expiresAt: null, defaultLimits: true });
  expect(await verify('anna@example.org', 'first')).toBe('ok');
  expect((await bench.run(['user', 'set', 'anna@example.org', '--password-stdin'], { stdin: 'second' })).code).toBe(0);
  expect(await verify('anna@example.org', 'second')).toBe('ok');
});

test('passwd replaces the password', async () => {
  await bench.run(['user', 'add', 'anna@example.org', '--password-stdin'], { stdin: 'first' });
  const { password } = await bench.json('user', 'passwd', 'anna@example.org');
  expect(await verify('anna@example.org', 'first')).toBe('wrong');
  expect(await verify('anna@example.org', password)).toBe('ok');
});

test('disable, enable and remove', async () => {
  await bench.run(['user', 'add', 'anna@example.org', '--password-stdin'], { stdin: 'first' });
  expect((await bench.json('user', 'disable', 'anna@example.org')).disabled).toBe(true);
  expect(await verify('anna@example.org', 'first')).toBe('disabled');
  expect((await bench.json('user', 'enable', 'anna@example.org')).disabled).toBe(false);
  expect(await verify('anna@example.org', 'first')).toBe('ok');
  expect((await bench.run(['user', 'remove', 'anna@example.org'])).code).toBe(0);
  expect(await bench.json('user', 'list')).toEqual([]);
});

test('a name that exists already, and a missing one, are failures that say what to do', async () => {
  await bench.run(['user', 'add', 'anna@example.org']);
  const again = await bench.run(['user', 'add', 'ANNA@example.org']);
  expect(again).toMatchObject({ code: 1, out: '' });
  expect(again.err).toMatch(/exists already.*user set/);
  for (const word of ['show', 'passwd', 'disable', 'enable', 'remove']) {
    expect(await bench.run(['user', word, 'bob'])).toEqual({
      code: 1,
      out: '',
      err: 'No credential named "bob". `smarthost user list` shows them.\n',
    });
  }
});

test.each([
  [['user', 'add', 'scanner'], /--sender/],
  [['user', 'add', '@example.org'], /--sender/],
  [['user', 'add', ''], /must not be empty/],
  [['user', 'add', 'a\u0007b', '--sender', '*'], /control characters/],
  [['user', 'add', 'anna@example.org', '--sender', 'nobody'], /--sender must be/],
  [['user', 'add', 'anna@example.org', '--limit', '10/week'], /--limit must be/],
  [['user', 'add', 'anna@example.org', '--limit', 'bytes=10/day'], /--limit counts messages/],
  [['user', 'add', 'anna@example.org', '--limit', 'none', '--limit', '1/day'], /stands alone/],
  [['user', 'add', 'anna@example.org', '--expires', '2027-02-31'], /--expires must be/],
  [['user', 'add', 'anna@example.org', '--expires', 'tomorrow'], /--expires must be/],
  [['user', 'add', 'anna@example.org', '--rewrite', 'x'], /--rewrite must be/],
  [['user', 'add', 'anna@example.org', '--password-stdin'], /first line of stdin is empty/],
  [['user', 'add', 'anna@example.org', '--password', 'x'], /unknown option/],
  [['user', 'add'], /missing required argument/],
  [['user', 'set', 'anna@example.org'], /nothing to change/],
  [['user'], /Usage: smarthost user/],
  [['user', 'ad'], /Did you mean add/],
])('%j is a usage error', async (args, sentence) => {
  const { code, out, err } = await bench.run(args);
  expect(code).toBe(2);
  expect(out).toBe('');
  expect(err).toMatch(sentence);
});

test('hold and release say what happens, and whose mail is held', async () => {
  await bench.run(['user', 'add', 'exchange', '--mail-server', '--sender', '@x.example', '--contact', 'op@x.example']);
  expect((await bench.run(['user', 'hold', 'exchange', '--sender', 'News@x.example'])).err).toMatch(/is held from now on/);
  expect((await bench.run(['user', 'list'])).out).toMatch(/1 sender held/);
  const shown = JSON.parse((await bench.run(['user', 'show', 'exchange', '--json'])).out);
  expect(shown).toMatchObject({
    profile: 'server',
    contact: 'op@x.example',
    stops: [{ sender: 'news@x.example', state: 'held' }],
  });
  expect(await bench.run(['user', 'release', 'exchange'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('Held is: news@x.example (--sender)'),
  });
  const released = await bench.run(['user', 'release', 'exchange', '--sender', 'news@x.example', '--discard', '--json']);
  expect(JSON.parse(released.out)).toMatchObject({ state: 'released', discarded: 0, trustedUntil: null });
  expect((await bench.run(['user', 'release', 'exchange', '--trust', '7d'])).err).toMatch(/is trusted/);
  expect((await bench.run(['user', 'release', 'exchange', '--send', '--discard'])).code).toBe(2);
});

test('text is an aligned table; a name cannot move the cursor', async () => {
  await bench.run(['user', 'add', 'anna@example.org']);
  await bench.run(['user', 'add', 'b', '--sender', '*', '--limit', 'none']);
  const { out } = await bench.run(['user', 'list']);
  const [header, ...rows] = out.trimEnd().split('\n');
  expect(rows).toHaveLength(2);
  const column = header!.indexOf('STATE');
  for (const row of rows) expect(row.slice(column, column + 7)).toBe('enabled');
});

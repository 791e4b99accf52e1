/** An operator changes a login while its sessions are open: the real command line with a running relay, seen by the client. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf } from '../support/raw-client.ts';
import { openClient, PASSWORD, startTestRelay, type TestRelay, USER } from '../support/relay.ts';

const SMARTHOST = new URL('../../src/smarthost.ts', import.meta.url).pathname;
const OTHER = 'another horse battery staple';
const TEXT = 'From: <me@sender.test>\r\nSubject: x\r\n\r\nHello\r\n';

let relay: TestRelay;
let users = 0;
beforeAll(async () => {
  relay = await startTestRelay({ yaml: 'auth: { failureDelay: 0s }' });
});
afterAll(() => relay.close());

async function smarthost(args: readonly string[], stdin = ''): Promise<void> {
  const run = promisify(execFile)(process.execPath, [SMARTHOST, ...args, '--config', relay.file], {
    env: { PATH: process.env['PATH'] },
  });
  run.child.stdin?.end(stdin);
  await run;
}

const add = (user: string, password = PASSWORD, ...options: readonly string[]) =>
  smarthost(['user', 'add', user, '--sender', '@sender.test', '--password-stdin', ...options], `${password}\n`);
const passwd = (user: string) => smarthost(['user', 'passwd', user, '--password-stdin'], `${OTHER}\n`);

/** A credential of its own, and a session that is logged in. */
async function newUser() {
  const user = `user${++users}@sender.test`;
  await add(user);
  const client = await openClient(relay.ports.submissions, { tls: true });
  expect(codeOf(await client.login(user))).toBe('235 2.7.0');
  return { user, client, acceptedOf: () => relay.log.filter((line) => line.event === 'accepted' && line['user'] === user) };
}

type Action = (user: string) => Promise<void>;
const ENDS: readonly [string, Action][] = [
  ['is disabled', (user) => smarthost(['user', 'disable', user])],
  ['gets another password', passwd],
  [
    'is disabled, gets another password and is enabled',
    async (user) => {
      await smarthost(['user', 'disable', user]);
      await passwd(user);
      await smarthost(['user', 'enable', user]);
    },
  ],
  ['is removed', (user) => smarthost(['user', 'remove', user])],
  [
    'is removed, and a namesake with the same password is added',
    async (user) => {
      await smarthost(['user', 'remove', user]);
      await add(user);
    },
  ],
  ['has expired', (user) => smarthost(['user', 'set', user, '--expires', '2020-01-01'])],
];

describe.each(ENDS)('a login that %s', (_, end) => {
  test('sends nothing more, neither the message under way nor the next one', async () => {
    const { user, client, acceptedOf } = await newUser();
    const other = await openClient(relay.ports.submissions, { tls: true });
    await other.login(user);
    for (const line of [`MAIL FROM:<${user}>`, 'RCPT TO:<anna@dest.test>', 'DATA']) await client.command(line);
    client.send(TEXT);
    await end(user);
    expect(await client.command('.')).toMatch(/^530 5\.7\.0 Your login .*log in again$/);
    expect(await other.message({ from: user, text: TEXT })).toMatch(/^530 5\.7\.0 /);
    expect(codeOf(await client.command(`MAIL FROM:<${user}>`))).toBe('530 5.7.0');
    expect(acceptedOf()).toEqual([]);
    client.close();
    other.close();
  });
});

test('an open transaction gets 530 at its next RCPT and at DATA, and the session may log in again', async () => {
  const { user, client } = await newUser();
  const second = await openClient(relay.ports.submissions, { tls: true });
  await second.login(user);
  for (const one of [client, second]) {
    expect(codeOf(await one.command(`MAIL FROM:<${user}>`))).toBe('250 2.1.0');
    expect(codeOf(await one.command('RCPT TO:<anna@dest.test>'))).toBe('250 2.1.5');
  }
  await passwd(user);
  let recipients = 0;
  await expect
    .poll(async () => codeOf(await client.command(`RCPT TO:<r${++recipients}@dest.test>`)), { timeout: 10_000 })
    .toBe('530 5.7.0');
  expect(codeOf(await second.command('DATA'))).toBe('530 5.7.0');
  expect(codeOf(await client.command('DATA'))).toBe('530 5.7.0');
  expect(codeOf(await client.login(user, OTHER))).toBe('235 2.7.0');
  expect(await client.message({ from: user, text: TEXT })).toMatch(/^250 2\.0\.0 /);
  client.close();
  second.close();
});

test.each([
  ['of From', (user: string) => user, /^550 5\.7\.1 /],
  ['of the reverse-path', () => '@other.test', /^553 5\.7\.1 /],
])(
  'a right %s that is taken away counts for the message under way; what does not concern it changes nothing',
  async (_, rule, answer) => {
    const { user, client, acceptedOf } = await newUser();
    const send = async (whileItComes: readonly string[]) => {
      for (const line of [`MAIL FROM:<${user}>`, 'RCPT TO:<anna@dest.test>', 'DATA']) await client.command(line);
      client.send(TEXT);
      await smarthost(['user', 'set', user, ...whileItComes]);
      return client.command('.');
    };
    expect(await send(['--limit', '100/day'])).toMatch(/^250 2\.0\.0 /);
    expect(await send(['--sender', rule(user)])).toMatch(answer);
    expect(acceptedOf()).toHaveLength(1);
    client.close();
  },
);

test('a limit that is used up is forgotten with the login: a namesake sends at once', async () => {
  const { user, client } = await newUser();
  await smarthost(['user', 'set', user, '--limit', '1/day']);
  client.close();
  const first = await openClient(relay.ports.submissions, { tls: true });
  await first.login(user);
  await expect.poll(() => first.message({ from: user, text: TEXT })).toMatch(/^450 4\.7\.1 Limit of 1 /);
  await smarthost(['user', 'remove', user]);
  await add(user, OTHER, '--limit', '1/day');
  let second = first;
  const login = async () => {
    second.close();
    second = await openClient(relay.ports.submissions, { tls: true });
    return second.login(user, OTHER);
  };
  await expect.poll(login, { timeout: 10_000, interval: 1000 }).toMatch(/^235 /);
  expect(await second.message({ from: user, text: TEXT })).toMatch(/^250 2\.0\.0 /);
  expect(await second.message({ from: user, text: TEXT })).toMatch(/^450 4\.7\.1 /);
  second.close();
});

test('mail over a limit is held and listed, and is sent in its order as soon as the limit allows it', async () => {
  const holding = await startTestRelay({ yaml: 'limits: { messages: [2/day], newRecipients: [], over: hold, maxHeld: 3 }' });
  try {
    const client = await openClient(holding.ports.submissions, { tls: true });
    await client.login();
    const replies: string[] = [];
    for (let i = 0; i < 6; i++) replies.push(codeOf(await client.message({ to: [`r${i}@dest.test`], text: TEXT })));
    expect(replies).toEqual([...Array(5).fill('250 2.0.0'), '450 4.7.1']);
    client.close();
    await holding.mx.received(2);
    const cli = (...args: readonly string[]) =>
      promisify(execFile)(process.execPath, [SMARTHOST, ...args, '--config', holding.file], {
        env: { PATH: process.env['PATH'] },
      });
    const { stdout } = await cli('queue', 'list', '--json');
    const lastReply = expect.stringMatching(/^450 4\.7\.1 Held /);
    const held = [2, 3, 4].map((i) => ({ recipients: [{ recipient: `r${i}@dest.test`, state: 'held', lastReply }] }));
    const listed = JSON.parse(stdout) as { recipients: { recipient: string }[] }[];
    expect(listed.sort((a, b) => a.recipients[0]!.recipient.localeCompare(b.recipients[0]!.recipient))).toMatchObject(held);
    await cli('user', 'set', USER, '--limit', '4/day');
    await holding.mx.received(4); // held mail is looked at every ten seconds
    await cli('user', 'set', USER, '--limit', '10/day');
    await holding.reload(); // and at once
    await holding.mx.received(5);
    const released = holding.log.filter(({ event }) => event === 'released').map((line) => line['recipient']);
    expect(released).toEqual(['r2@dest.test', 'r3@dest.test', 'r4@dest.test']);
  } finally {
    await holding.close();
  }
});

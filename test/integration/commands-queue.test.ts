/** `smarthost queue …`, `trace` and `send` on a real store. The test plays the running relay. */
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NewMessage } from '../../src/store/store.ts';
import { aMessage, type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench();
});
afterEach(() => bench.close());

async function put(...messages: readonly NewMessage[]): Promise<void> {
  await bench.withStore(async (store) => {
    await Promise.all(messages.map((message) => store.messages.accept({ message })));
  });
}

const AT = Date.UTC(2026, 10, 21, 12);
const attempt = { at: AT, mx: 'mx.example.com', ip: '192.0.2.1', tls: 'TLSv1.3', seconds: 0.5 };
const delayed = { ...attempt, outcome: 'delayed', code: 451, status: '4.7.1', reply: '451 4.7.1 Try \x1b[31mlater' } as const;

async function delay(message: NewMessage): Promise<void> {
  await bench.withStore(async ({ messages }) => {
    const change = { n: 0, state: 'delayed', nextAttemptAt: AT + 60_000, lastReply: delayed.reply, attempt: delayed } as const;
    await messages.claim({ destination: message.recipients[0]!.destination, now: Date.now() + 1000, limit: 1, lease: 'test#1' });
    await messages.settle({ messageId: message.id, lease: 'test#1', at: AT, changes: [change] });
  });
}

test('list --json has the documented shape', async () => {
  const message = aMessage(['bob@example.com'], { acceptedAt: AT, expiresAt: AT + 1000 });
  await put(message);
  await delay(message);
  expect(await bench.json('queue', 'list')).toEqual([
    {
      id: message.id,
      messageId: message.messageId,
      user: 'anna@example.org',
      reversePath: 'anna@example.org',
      size: 5,
      acceptedAt: '2026-11-21T12:00:00.000Z',
      recipients: [
        {
          recipient: 'bob@example.com',
          state: 'delayed',
          attempts: 1,
          nextAttemptAt: '2026-11-21T12:01:00.000Z',
          expiresAt: '2026-11-21T12:00:01.000Z',
          lastReply: delayed.reply,
        },
      ],
    },
  ]);
});

test('trace and show list each attempt, and find a message by each of its names', async () => {
  const message = aMessage(['bob@example.com']);
  await put(message);
  await delay(message);
  const attempts = [{ ...delayed, at: '2026-11-21T12:00:00.000Z' }];
  for (const what of [
    message.id,
    message.messageId,
    message.messageId.slice(1, -1),
    'bob@example.com',
    '"bob"@Example.com.',
    'anna@example.org',
  ]) {
    const [traced, ...others] = await bench.json('trace', what);
    expect(others).toEqual([]);
    expect(Object.keys(traced.recipients[0].attempts[0])).toEqual([
      'at',
      'mx',
      'ip',
      'tls',
      'outcome',
      'code',
      'status',
      'reply',
      'seconds',
    ]);
    expect(traced.recipients[0]).toMatchObject({ recipient: 'bob@example.com', state: 'delayed', attempts });
    expect(await bench.json('queue', 'show', message.id)).toEqual(traced);
  }
});

test('the text has the same content, without the control characters of a remote reply', async () => {
  const message = aMessage(['bob@example.com', 'eve@example.net'], { reversePath: '' });
  await put(message);
  await delay(message);
  const { out } = await bench.run(['trace', message.id]);
  expect(out).toContain(
    '2026-11-21T12:00:00Z delayed mx.example.com [192.0.2.1] TLSv1.3 in 0.5 s: 451 4.7.1 Try \ufffd[31mlater',
  );
  expect(out).toContain('eve@example.net: queued');
  const list = await bench.run(['queue', 'list']);
  expect(`${out}${list.out}`).not.toContain('\x1b');
  expect(list.out.split('\n')).toHaveLength(4); // header, two recipients, the end
  expect(list.err).toBe('1 message.\n');
});

test('trace begins with the state of the mail, in colours only on a terminal', async () => {
  const message = aMessage(['bob@example.com', 'eve@example.net']);
  await put(message);
  await delay(message);
  const { out } = await bench.run(['trace', message.id]);
  expect(out).toMatch(/^2 recipients: 1 delayed, next attempt \S+Z; 1 queued, next attempt \S+Z\nmessage: /);
  expect(out).toMatch(/^accepted: +\S+Z from anna@example\.org$/m);
  const coloured = await bench.run(['trace', message.id], { colours: true });
  expect(coloured.out).toContain('\x1b[33m1 delayed');
  expect(stripVTControlCharacters(coloured.out)).toBe(out);
});

test('trace of an address with much mail shows the newest, and all on request', async () => {
  await put(...Array.from({ length: 7 }, () => aMessage(['bob@example.com'])));
  const some = await bench.run(['trace', 'bob@example.com']);
  expect(some.out.match(/^message:/gm)).toHaveLength(5);
  expect(some.err).toBe('The newest 5 of 7; --all shows more.\n');
  expect((await bench.run(['trace', 'bob@example.com', '--all'])).out.match(/^message:/gm)).toHaveLength(7);
  expect(await bench.json('trace', 'bob@example.com')).toHaveLength(7);
});

test('list reads more than one page, and filters', async () => {
  const many = Array.from({ length: 450 }, (_, i) => aMessage([`r${i}@example.com`]));
  await put(...many, aMessage(['x@example.net'], { user: 'bob' }));
  const all = await bench.json('queue', 'list');
  expect(all).toHaveLength(451);
  expect(new Set(all.map(({ id }: { id: string }) => id)).size).toBe(451);
  expect(await bench.json('queue', 'list', '--domain', 'Example.NET')).toHaveLength(1);
  expect(await bench.json('queue', 'list', '--user', 'BOB')).toHaveLength(1);
  expect(await bench.json('queue', 'list', '--state', 'held')).toEqual([]);
  expect((await bench.run(['queue', 'list', '--state', 'lost'])).code).toBe(2);
});

test('hold, release, retry and remove change the selected mail and say so', async () => {
  const [one, two] = [aMessage(['bob@example.com']), aMessage(['eve@example.net', 'kim@example.com'])];
  await put(one, two);
  const touched = (list: { recipient: string; state: string }[]) =>
    list.map(({ recipient, state }) => `${recipient} ${state}`).sort();
  expect(touched(await bench.json('queue', 'hold', '--domain', 'example.com'))).toEqual([
    'bob@example.com held',
    'kim@example.com held',
  ]);
  expect(touched(await bench.json('queue', 'release', one.id))).toEqual(['bob@example.com queued']);
  await delay(one);
  expect(touched(await bench.json('queue', 'retry', one.id)).map((text) => text.split(' ')[0])).toEqual(['bob@example.com']);
  expect(Date.parse((await bench.json('queue', 'show', one.id)).recipients[0].nextAttemptAt)).toBeLessThanOrEqual(Date.now());
  expect(await bench.json('queue', 'remove', '--all')).toHaveLength(3);
  expect(await bench.json('queue', 'list')).toEqual([]);
  expect((await bench.json('trace', two.id))[0].recipients.map(({ state }: { state: string }) => state)).toEqual([
    'removed',
    'removed',
  ]);
});

test('retry asks the relay for one attempt per destination, and says what that means for hosts that rest', async () => {
  const message = aMessage(['bob@example.com', 'kim@example.com', 'eve@example.net']);
  await put(message);
  const { err } = await bench.run(['queue', 'retry', message.id]);
  expect(err).toMatch(/^3 recipients due now\. Hosts that rest after failures get one attempt/);
  await bench.withStore(async ({ messages }) => {
    expect([...(await messages.takeRetried(1)), ...(await messages.takeRetried(10))].sort()).toEqual([
      'example.com',
      'example.net',
    ]);
    expect(await messages.takeRetried(10)).toEqual([]);
  });
  await bench.run(['queue', 'hold', message.id]);
  await bench.run(['queue', 'release', message.id]);
  await bench.withStore(async ({ messages }) => expect(await messages.takeRetried(10)).toEqual([]));
});

test('an ID without a change is a failure, but the others are done', async () => {
  const message = aMessage(['bob@example.com']);
  await put(message);
  const { code, out, err } = await bench.run(['queue', 'hold', message.id, '0000000000000']);
  expect(code).toBe(1);
  expect(out).toContain('held');
  expect(err).toMatch(/Nothing to hold in 0000000000000/);
  expect((await bench.run(['queue', 'show', '0000000000000'])).code).toBe(1);
  expect((await bench.run(['queue', 'retry', '--all'])).code).toBe(0);
  expect((await bench.run(['trace', 'nobody@example.com'])).code).toBe(1);
});

test.each([
  ['retry'],
  ['retry', 'x', '--all'],
  ['remove', '--all', '--domain', 'example.org'],
  ['hold', '--domain', 'x y'],
  ['reroute'],
])('queue %j is a usage error', async (...args) => {
  expect(await bench.run(['queue', ...args])).toMatchObject({ code: 2, out: '' });
});

test('summary counts by state and by destination', async () => {
  await put(aMessage(['bob@example.com']), aMessage(['kim@example.com', 'eve@example.net']));
  await bench.run(['queue', 'hold', '--domain', 'example.net']);
  const { states, oldestAcceptedAt, destinations } = await bench.json('queue', 'summary');
  expect(states).toMatchObject({ queued: 2, held: 1 });
  expect(oldestAcceptedAt).toMatch(/Z$/);
  expect(destinations[0]).toMatchObject({
    destination: 'example.com',
    recipients: 2,
    oldestAcceptedAt: expect.stringMatching(/Z$/),
  });
  expect((await bench.run(['queue', 'summary'])).out).toMatch(/^DESTINATION +RECIPIENTS/);
});

test('reroute applies the current routes', async () => {
  const message = aMessage(['bob@example.com']);
  await put(message);
  const routes = "hostname: relay.example.net\ndataDir: data\nroutes: [{ hosts: ['smtp.example.org:587'] }]";
  const { writeFile } = await import('node:fs/promises');
  await writeFile(`${bench.folder}/smarthost.yaml`, routes);
  expect(await bench.json('queue', 'reroute', '--all')).toHaveLength(1);
  const { destinations } = await bench.json('queue', 'summary');
  expect(destinations.map(({ destination }: { destination: string }) => destination)).toEqual(['route:smtp.example.org:587']);
});

test('send queues a signed test message and follows it to its end', async () => {
  const running = bench.run(['send', '--to', 'bob@example.com', '--timeout', '20s', '--json']);
  const claims = await bench.withStore(async ({ messages }) => {
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await new Promise((next) => setTimeout(next, 20))) {
      const found = await messages.claim({ destination: 'example.com', now: Date.now(), limit: 1, lease: 'test#1' });
      if (found.length === 0) continue;
      const relayed = { ...attempt, outcome: 'relayed', code: 250, status: '2.0.0', reply: '250 2.0.0 Ok' } as const;
      await messages.settle({
        messageId: found[0]!.message.id,
        lease: 'test#1',
        at: AT,
        changes: [{ n: 0, state: 'relayed', attempt: relayed }],
      });
      return found;
    }
    return [];
  });
  const { code, out, err } = await running;
  expect(code).toBe(0);
  expect(err).toMatch(/Queued as \S{17}\.\n.* relayed mx\.example\.com/);
  expect(JSON.parse(out)).toMatchObject({
    user: null,
    reversePath: 'postmaster@relay.example.net',
    recipients: [{ state: 'relayed' }],
  });
  const { content } = claims[0]!;
  const text = Buffer.from(content.kind === 'inline' ? content.bytes : []).toString();
  expect(text).toMatch(/^From: postmaster@relay\.example\.net\r$/m);
  expect(text).toMatch(/^Auto-Submitted: auto-generated\r$/m);
});

test('send --verbose shows the sent header, and each state', async () => {
  await bench.run(['domain', 'add', 'relay.example.net']);
  const { code, err } = await bench.run(['send', '--to', 'bob@example.com', '--timeout', '0', '--verbose']);
  expect(code).toBe(1);
  expect(err).toMatch(/^The header as it is sent:$/m);
  expect(err).toMatch(/^ {2}DKIM-Signature: .*\n(?: {2}\s.*\n)*(?: {2}.*\n)* {2}Subject: Test message/m);
  expect(err).toMatch(/^\S+Z queued, for example\.com$/m);
});

test('send stops following after its time, and says that the message stays in the queue', async () => {
  const { code, err } = await bench.run(['send', '--to', 'bob@example.com', '--timeout', '0']);
  expect(code).toBe(1);
  expect(err).toMatch(/Not relayed: queued\. Is the relay running.*stays in the queue/);
  expect(await bench.json('queue', 'list')).toHaveLength(1);
  expect((await bench.run(['send', '--to', 'bob'])).code).toBe(2);
  expect((await bench.run(['send'])).code).toBe(2);
});

test('an action chooses by login, state, age and destination, and says first how much that is', async () => {
  const old = aMessage(['a@x.example', 'b@y.example'], { acceptedAt: AT, user: 'shop' });
  const fresh = aMessage(['c@x.example'], { user: 'shop' });
  const other = aMessage(['d@x.example'], { acceptedAt: AT, user: 'printer' });
  await put(old, fresh, other);
  const { code, out, err } = await bench.run(['queue', 'hold', '--user', 'Shop', '--older-than', '1h', '--dry-run']);
  const [, pin] = /--up-to (\S+)\n$/.exec(err) ?? [];
  const said = '2 recipients of 1 message, the oldest accepted 2026-11-21T12:00:00Z. Nothing was changed.';
  expect([code, out, err]).toEqual([0, '', `${said} For no more than these: --up-to ${pin}\n`]);
  expect(await bench.json('queue', 'list', '--state', 'held')).toEqual([]);
  expect(await bench.json('queue', 'hold', '--user', 'shop', '--older-than', '1h', '--destination', 'x.example')).toEqual([
    { id: old.id, recipient: 'a@x.example', state: 'held' },
  ]);
  expect(await bench.json('queue', 'remove', '--state', 'held', '--dry-run')).toMatchObject({ recipients: 1, messages: 1 });
  expect(await bench.json('queue', 'remove', '--state', 'held')).toHaveLength(1);
  const { upTo } = await bench.json('queue', 'hold', '--user', 'printer', '--dry-run');
  await put(aMessage(['late@x.example'], { user: 'printer' }));
  expect(await bench.json('queue', 'hold', '--user', 'printer', '--up-to', upTo)).toMatchObject([{ id: other.id }]);
  expect((await bench.run(['queue', 'hold', '--all', '--up-to', 'x@y'])).err).toContain('--up-to');
  expect((await bench.run(['queue', 'hold', '--state', 'relayed'])).err).toContain(
    '--state is one of queued, active, delayed, held, uncertain',
  );
  expect((await bench.run(['queue', 'hold', '--all', '--user', 'shop'])).err).toContain('say which');
  expect((await bench.run(['queue', 'hold', '--older-than', 'long'])).err).toContain('--older-than');
  expect((await bench.run(['queue', 'hold', '--user', 'nobody', '--dry-run'])).err).toBe('Nothing fits.\n');
});

test('trace lists messages by login, recipient, subject and state, in pages', async () => {
  const origin = { ip: '192.0.2.1', tls: 'TLSv1.3', mechanism: 'PLAIN', subject: 'Invoice \u001b[2J4711' };
  const first = aMessage(['a@x.example', 'b@y.example'], { acceptedAt: AT, user: 'shop', origin });
  const second = aMessage(['c@x.example'], { acceptedAt: AT + 1000, user: 'shop' });
  const third = aMessage(['d@z.example'], { user: 'printer' });
  await put(first);
  await put(second);
  await put(third);
  const ids = async (...options: string[]) => (await bench.json('trace', ...options)).items.map(({ id }: { id: string }) => id);
  expect(await ids('--user', 'SHOP')).toEqual([second.id, first.id]);
  expect(await ids('--to', '@X.example', '--subject', 'invoice')).toEqual([first.id]);
  expect(await ids('--since', '1h')).toEqual([third.id]);
  expect(await ids('--state', 'failed')).toEqual([]);
  const page = await bench.json('trace', '--user', 'shop', '--limit', '1');
  expect(page).toMatchObject({ items: [{ id: second.id, states: { queued: 1 } }], next: second.id });
  expect(await ids('--user', 'shop', '--before', page.next)).toEqual([first.id]);
  const { out, err } = await bench.run(['trace', '--user', 'shop', '--limit', '2']);
  expect(out.split('\n')[2]).toMatch(/ shop +anna@example\.org +a@x\.example and 1 more +queued +Invoice \ufffd\[2J4711$/);
  expect(err).toContain(`More: add --before ${first.id}`);
  expect((await bench.run(['trace'])).err).toContain('say which');
  expect((await bench.run(['trace', first.id, '--user', 'shop'])).err).toContain('say which');
  expect((await bench.run(['trace', '--state', 'lost'])).err).toContain('--state is one of');
});

/** `smarthost reply` and the operator's own lines. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aMessage, type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench('delivery: { replies: replies.local.tsv, source: [192.0.2.25] }\n');
  await write();
});
afterEach(() => bench.close());

const HEAD = 'provider\tcode\tstatus\tpattern\tclass\taction\tsure\tphase\texample\tsource\tdate\n';
const write = (...lines: string[]) =>
  writeFile(join(bench.folder, 'replies.local.tsv'), `# version 3\n${HEAD}${lines.join('\n')}\n`);
const OURS =
  'google\t550\t-\tlikely unsolicited mail\trecipient-policy\tfail\ty\tany\t550 likely unsolicited mail\tseen\t2026-11-28';
const LIST = '550 5.7.1 Service unavailable; client [192.0.2.25] blocked using zen.spamhaus.org';

describe('reply explain', () => {
  test('says what a reply is about, what is done, and what tells', async () => {
    expect((await bench.run(['reply', 'explain', '550 5.1.1 <u@example.com>: User unknown'])).out).toMatch(
      /^class: +no-such-user\nabout: +the recipient\naction: +fail\+suppress\nsure: +no\ntold by: rule "no such mailbox"\n$/,
    );
    expect(await bench.json('reply', 'explain', LIST)).toMatchObject({ class: 'address-blocked', action: 'hold', sure: true });
    expect(await bench.json('reply', 'explain', '421 RP-001', '--provider', 'outlook', '--phase', 'mail')).toEqual({
      ...{ provider: 'outlook', class: 'address-throttled', action: 'slow', sure: true },
      origin: expect.stringMatching(/^replies\.tsv:\d+$/),
    });
  });

  test("asks the operator's lines first", async () => {
    expect(await bench.json('reply', 'explain', '550 5.7.1 likely unsolicited mail', '--provider', 'google')).toMatchObject({
      class: 'content-spam',
    });
    await write(OURS);
    expect(await bench.json('reply', 'explain', '550 5.7.1 likely unsolicited mail', '--provider', 'google')).toMatchObject({
      class: 'recipient-policy',
      origin: `${join(bench.folder, 'replies.local.tsv')}:3`,
    });
  });

  test('reads lines of provider and reply, and answers each with a line', async () => {
    const stdin =
      'google\t421 4.7.28 An unusual rate of email originating from your IP address\r\n\n*\t5xx - No such user\n\tDT:SPM';
    const { out } = await bench.run(['reply', 'explain', '-', '--json'], { stdin });
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { provider: 'google', class: 'address-throttled' },
      { provider: '*', class: 'no-such-user' },
      { provider: null, class: 'content-spam' },
    ]);
    const plain = await bench.run(['reply', 'explain', '-'], { stdin: '*\t550 No such user\n' });
    expect(plain.out).toBe('no-such-user\tfail+suppress\t*\t550 No such user\n');
  });

  test('says what is wrong with what was typed', async () => {
    const phase = await bench.run(['reply', 'explain', '550 No', '--phase', 'helo']);
    expect(phase).toMatchObject({
      code: 2,
      err: expect.stringContaining('There is no phase "helo": it is one of greeting, ehlo'),
    });
    const line = await bench.run(['reply', 'explain', '-'], { stdin: '550 No\n' });
    expect(line).toMatchObject({ code: 2, err: expect.stringContaining('"provider TAB reply"') });
  });
});

test('config check names file, line and column of each mistake, and serve does not start with one', async () => {
  await write(OURS.replace('\ty\t', '\tyes\t'), OURS.replace('fail', 'bounce'));
  const file = join(bench.folder, 'replies.local.tsv');
  const checked = await bench.run(['config', 'check']);
  expect(checked.code).toBe(1);
  expect(checked.out).toContain(`delivery.replies ${file}:3:60: sure: it is y or n`);
  expect(checked.out).toContain(`delivery.replies ${file}:4:55: action: there is no action "bounce"`);
  const served = await bench.run(['serve', '--as-root']);
  expect(served.code).toBe(1);
  expect(served.err).toContain(`${file}:3:60: sure`);
});

describe('the refusals of the trace', () => {
  const refused = (reply: string, judged: object) => ({
    ...({ at: Date.now(), mx: 'mx.a.test', ip: '192.0.2.9', tls: null, outcome: 'failed', seconds: 1 } as const),
    ...{ code: 550, status: '5.7.1', reply, judged: { phase: 'rcpt', rules: '2026-01-01', ...judged } as never },
  });

  async function keep(...attempts: readonly ReturnType<typeof refused>[]): Promise<void> {
    await bench.withStore(async (store) => {
      for (const attempt of attempts) {
        const message = aMessage(['u@a.test']);
        await store.messages.accept({ message });
        await store.messages.settle({
          messageId: message.id,
          lease: null,
          at: attempt.at,
          changes: [{ n: 0, state: 'failed', attempt }],
        });
      }
    });
  }

  test('unknown counts those that nothing understands, whatever addresses and numbers they have', async () => {
    const unknown = { class: 'unknown', action: 'as-today' };
    await keep(
      refused('550 5.7.1 <a@a.test> Frobnicated by x1.a.test, id 17', unknown),
      refused('550 5.7.1 <b@a.test> Frobnicated by x2.a.test, id 18', unknown),
      refused('550 5.7.1 No such user', { class: 'no-such-user', action: 'fail+suppress' }),
    );
    expect(await bench.json('reply', 'unknown')).toEqual([
      {
        fingerprint: '550 5.7.1 <> frobnicated by host, id #',
        count: 2,
        mx: 'mx.a.test',
        example: expect.stringContaining('Frobnicated'),
      },
    ]);
    expect((await bench.run(['reply', 'unknown'])).out).toMatch(/^COUNT +REPLY\n2 +550 5\.7\.1 <> frobnicated by host, id #$/m);
  });

  test('replay shows those that would be taken for something else now', async () => {
    await keep(
      refused('550 5.7.1 likely unsolicited mail', { class: 'content-spam', action: 'fail+strike', provider: 'google' }),
      refused('550 5.1.1 No such user', { class: 'no-such-user', action: 'fail+suppress' }),
    );
    expect(await bench.json('reply', 'replay')).toEqual({ refusals: 2, changed: [] });
    await write(OURS);
    expect(await bench.json('reply', 'replay', '--days', '1')).toMatchObject({
      refusals: 2,
      changed: [
        { provider: 'google', before: { class: 'content-spam', rules: '2026-01-01' }, now: { class: 'recipient-policy' } },
      ],
    });
    expect((await bench.run(['reply', 'replay'])).err).toBe('1 of 2 refusals would be taken for something else.\n');
    expect((await bench.run(['reply', 'replay', '--days', 'x'])).code).toBe(2);
  });
});

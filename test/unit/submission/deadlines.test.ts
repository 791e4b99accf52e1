import { afterEach, describe, expect, test } from 'vitest';
import { parseDuration } from '../../../src/config/config.ts';
import { SETTINGS } from '../../../src/config/settings.ts';
import { firstTextDeadline, nextTextDeadline, overdue } from '../../../src/submission/deadlines.ts';
import { codeOf, RawClient } from '../../support/raw-client.ts';
import { LIMITS, PLAIN, type Rig, type RigOptions, startRig } from '../../support/submission-rig.ts';

const QUIET = { activeAt: 0, lineSince: 0, exchangeSince: 0, textUntil: 0, hurried: false };

describe('what is overdue', () => {
  test('by default nothing that a client does within five minutes: RFC 5321 §4.5.3.2.7', () => {
    const { idleTimeout, commandTimeout, authTimeout } = SETTINGS.submission;
    const milliseconds = ({ fallback }: { fallback: unknown }) => parseDuration(String(fallback));
    const submission = {
      ...LIMITS,
      idleTimeout: milliseconds(idleTimeout),
      commandTimeout: milliseconds(commandTimeout),
      authTimeout: milliseconds(authTimeout),
    };
    for (const since of ['activeAt', 'lineSince', 'exchangeSince'] as const) {
      expect(overdue({ ...QUIET, activeAt: 1, [since]: 1 }, submission, 300_001)).toBeUndefined();
    }
    expect(overdue({ ...QUIET, textUntil: firstTextDeadline(submission, 1) }, submission, 300_001)).toBeUndefined();
  });

  test('idle 5 min, a command 5 min, a login 5 min', () => {
    expect(overdue(QUIET, LIMITS, 300_000)).toBeUndefined();
    expect(overdue(QUIET, LIMITS, 300_001)).toBe('idleTooLong');
    const active = { ...QUIET, activeAt: 300_000 };
    expect(overdue({ ...active, lineSince: 1 }, LIMITS, 300_002)).toBe('commandTooSlow');
    expect(overdue({ ...active, exchangeSince: 1 }, LIMITS, 300_002)).toBe('loginTooSlow');
  });

  test('who has not logged in has 10 s where places are scarce', () => {
    expect(overdue({ ...QUIET, hurried: true }, LIMITS, 10_000)).toBeUndefined();
    expect(overdue({ ...QUIET, hurried: true }, LIMITS, 10_001)).toBe('idleTooLong');
    const hurried = { ...QUIET, activeAt: 60_000, hurried: true };
    expect(overdue({ ...hurried, lineSince: 1 }, LIMITS, 60_002)).toBe('commandTooSlow');
    expect(overdue({ ...hurried, exchangeSince: 1 }, LIMITS, 30_002)).toBe('loginTooSlow');
  });

  test('text earns time at the lowest rate, at most as much as an idle session has', () => {
    const at = (bytes: number) => nextTextDeadline(60_000, bytes, LIMITS, 0);
    expect(at(500)).toBe(61_000);
    expect(at(10_000_000)).toBe(300_000);
    expect(overdue({ ...QUIET, textUntil: at(500) }, LIMITS, 61_001)).toBe('textTooSlow');
  });

  test('a client at 500 B/s is never cut, one at 1 byte in 10 s is cut after about a minute', () => {
    const run = (bytes: number, every: number) => {
      let until = 60_000;
      for (let now = 0; now < 3_600_000; now += every) {
        if (now > until) return now;
        until = nextTextDeadline(until, bytes, LIMITS, now);
      }
      return undefined;
    };
    expect(run(500, 1000)).toBeUndefined();
    expect(run(1, 10_000)).toBeLessThan(80_000);
  });
});

describe('a session that takes too long', () => {
  let rig: Rig;
  afterEach(() => rig.close());
  const start = async (limits: RigOptions['limits'] = {}) => {
    rig = await startRig({ limits });
  };

  test('idle: 421 4.4.2', async () => {
    await start({ idleTimeout: 100 });
    const client = await rig.tls();
    expect(codeOf(await client.reply())).toBe('421 4.4.2');
    await client.closed();
  });

  test('a command by bytes: 421 4.4.2', async () => {
    await start({ commandTimeout: 100 });
    const client = await rig.tls();
    const timer = setInterval(() => client.send('x'), 20);
    expect(codeOf(await client.reply())).toBe('421 4.4.2');
    clearInterval(timer);
    await client.closed();
  });

  test('the time of a command begins with its first byte, also if other bytes come before or with it', async () => {
    let time = 1000;
    rig = await startRig({ limits: { commandTimeout: 1000 }, monotonic: () => time });
    const [slow, late] = [await rig.tls(), await rig.tls()];
    const say = async (client: RawClient, text: string) => {
      client.send(text);
      return codeOf(await client.reply());
    };
    for (const client of [slow, late]) {
      expect(await say(client, `NOOP\r\n${'x'.repeat(5000)}`)).toBe('250 2.0.0');
      expect(codeOf(await client.reply())).toBe('500 5.5.6');
      expect(await say(client, '\r\nNOOP\r\nNO')).toBe('250 2.0.0');
    }
    time += 600;
    slow.send('O');
    expect(await say(late, 'OP\r\nNO')).toBe('250 2.0.0');
    time += 600;
    expect(codeOf(await slow.reply())).toBe('421 4.4.2');
    expect(await say(late, 'OP\r\n')).toBe('250 2.0.0');
  });

  test('a login that does not go on: 421 4.4.2', async () => {
    await start({ authTimeout: 100 });
    const client = await rig.tls();
    await client.askAll(['EHLO x', 'AUTH LOGIN']);
    expect(codeOf(await client.reply())).toBe('421 4.4.2');
  });

  test('a login counts from its first challenge, and no longer when it was cancelled', async () => {
    let time = 1000;
    rig = await startRig({ limits: { authTimeout: 1000 }, monotonic: () => time });
    const [cancelled, slow] = [await rig.tls(), await rig.tls()];
    await cancelled.askAll(['EHLO x', 'AUTH LOGIN', '*']);
    await slow.askAll(['EHLO x', 'AUTH LOGIN']);
    time += 600;
    await slow.ask('YW5uYQ==');
    time += 600;
    expect(codeOf(await slow.reply())).toBe('421 4.4.2');
    expect(codeOf(await cancelled.ask('NOOP'))).toBe('250 2.0.0');
  });

  test('text by bytes: 421 4.4.2, and nothing of it stays', async () => {
    await start({ commandTimeout: 1000, idleTimeout: 1000 });
    const client = await rig.loggedIn();
    await client.askAll(['MAIL FROM:<anna@sender.test>', 'RCPT TO:<bob@example.org>', 'DATA']);
    const timer = setInterval(() => client.send('x'), 20);
    expect(codeOf(await client.reply())).toBe('421 4.4.2');
    clearInterval(timer);
    await client.closed();
    await expect.poll(() => rig.aborted.length).toBe(1);
  });

  test('a slow answer of ours is not the client’s fault', async () => {
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    rig = await startRig({ limits: { idleTimeout: 1000, commandTimeout: 1000 }, onFinish: async () => void (await wait(1500)) });
    const client = await rig.loggedIn();
    await client.askAll(['MAIL FROM:<anna@sender.test>', 'RCPT TO:<bob@example.org>', 'DATA']);
    client.send('From: anna@sender.test\r\n\r\nHello\r\n.\r\n');
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
  });

  test('who does not read replies is not read either, and ends as idle', async () => {
    await start({ idleTimeout: 1000 });
    const client = await RawClient.tls(rig.port('submissions'));
    await client.reply();
    await client.ask('EHLO x');
    await client.ask(`AUTH PLAIN ${PLAIN}`);
    await client.ask('MAIL FROM:<anna@sender.test>');
    client.socket.pause();
    for (let i = 0; i < 3000; i++) client.send('RCPT TO:<bob@example.org>\r\n'.repeat(200));
    await expect.poll(() => rig.submission.sessions(), { timeout: 100_000 }).toBe(0);
    client.close();
  });
});

/** Guessing passwords, overloading argon2, and avoiding limits: rows A03, A04, A06 and A12, behaviour rules 4, 5 and 7. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { type Attacked, base64, codeOf, PASSWORD, plain, RIGHT, send, startAttacked, TEXT, USER } from '../support/attack-rig.ts';
import { credentialWith } from '../support/credential.ts';
import type { RawClient } from '../support/raw-client.ts';
import { attack } from './attack.ts';

const WRONG = plain(USER, 'wrong');
const AUTH = 'failureDelay: 0.02s';

let folder: string;
let relay: Attacked;
const start = async (yaml: string) => {
  relay = await startAttacked({ dataDir: join(folder, 'data'), yaml });
};
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'smarthost-guessing-'));
});
afterEach(async () => {
  await relay?.nothingIsLost();
  await relay?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A client that has said EHLO; undefined where the connection is refused. */
async function knock(from: string): Promise<RawClient | undefined> {
  const client = relay.raw('submissions', from);
  try {
    await client.upgrade();
    await client.reply();
    await client.ask('EHLO client.test');
    return client;
  } catch {
    return undefined;
  }
}

/** The code that one login from there gets; `refused` where there is no TLS for it. */
async function tryFrom(from: string, line: string): Promise<string> {
  const client = await knock(from);
  const code = client === undefined ? 'refused' : codeOf(await client.ask(line));
  client?.close();
  return code;
}

attack('A03', '100 guesses on one connection', '535 three times, then 421 4.7.0 and the end', async () => {
  await start(`auth: { ${AUTH} }`);
  const client = await knock('127.0.0.1');
  client!.send(`${WRONG}\r\n`.repeat(100));
  await client!.closed();
  const replies: string[] = [];
  for (let i = 0; i < 4; i++) replies.push(codeOf(await client!.reply()));
  expect(replies).toEqual(['535 5.7.8', '535 5.7.8', '535 5.7.8', '421 4.7.0']);
  expect(client!.unread).toBe('');
  expect(relay.events('authFailed')).toHaveLength(3);
});

attack(
  'A03',
  'one guess on each of 100 connections',
  'slower answers; after ten failures 421 4.7.0, before TLS, also after a restart',
  async () => {
    await start('auth: { failureDelay: 0.1s }');
    const seen: string[] = [];
    const waits: number[] = [];
    for (let i = 0; i < 20; i++) {
      const began = Date.now();
      seen.push(await tryFrom('127.0.0.5', WRONG));
      waits.push(Date.now() - began);
    }
    expect(seen).toEqual([...Array(10).fill('535 5.7.8'), ...Array(10).fill('refused')]);
    expect(Math.min(...waits.slice(3, 6))).toBeGreaterThanOrEqual(200);
    expect(Math.min(...waits.slice(6, 10))).toBeGreaterThanOrEqual(300);
    expect(relay.events('authFailed')).toHaveLength(10);
    const blocked = async () => {
      const clear = relay.raw('submission', '127.0.0.5');
      expect(codeOf(await clear.reply())).toBe('421 4.7.0');
      await clear.closed();
      expect(await tryFrom('127.0.0.5', RIGHT)).toBe('refused');
      expect(await tryFrom('127.0.0.6', RIGHT)).toBe('235 2.7.0');
    };
    await blocked();
    await relay.close();
    await start('auth: { failureDelay: 0.1s }');
    await blocked();
  },
);

attack(
  'A03',
  'one user guessed from 100 addresses',
  'each address is counted alone, and the owner is never locked out',
  async () => {
    await start(`auth: { ${AUTH} }`);
    const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => tryFrom(`127.0.1.${i + 1}`, WRONG)));
    expect(new Set(replies)).toEqual(new Set(replies.filter((code) => code === '535 5.7.8' || code === '454 4.7.0')));
    expect(replies).toContain('535 5.7.8');
    expect(await tryFrom('127.0.0.1', RIGHT)).toBe('235 2.7.0');
    expect(await tryFrom('127.0.1.1', RIGHT)).toBe('235 2.7.0');
  },
);

attack('A03', '50 failures in a day, slow enough for the minute', 'the address is refused for the day', async () => {
  await start(`auth: { ${AUTH}, failuresPerMinute: 1000, failuresPerDay: 5 }`);
  for (let i = 0; i < 5; i++) expect(await tryFrom('127.0.0.5', WRONG)).toBe('535 5.7.8');
  expect(await tryFrom('127.0.0.5', RIGHT)).toBe('refused');
  const [count] = await relay.withStore((store) => store.credentials.failures(Date.now()));
  expect(count).toMatchObject({ key: '127.0.0.5', inDay: 5 });
});

attack(
  'A03',
  'guesses through a right login',
  'a right password does not count as a failure, and does not reset the count',
  async () => {
    await start(`auth: { ${AUTH}, failuresPerMinute: 4 }`);
    for (let i = 0; i < 4; i++) {
      expect(await tryFrom('127.0.0.5', WRONG)).toBe('535 5.7.8');
      expect(await tryFrom('127.0.0.5', RIGHT)).toBe(i < 3 ? '235 2.7.0' : 'refused');
    }
  },
);

attack('A03', 'the operator allows a network', 'it is never blocked, and nothing is counted', async () => {
  await start(`auth: { ${AUTH}, allow: [127.0.5.0/24] }`);
  for (let i = 0; i < 15; i++) expect(await tryFrom('127.0.5.9', WRONG)).toBe('535 5.7.8');
  expect(await tryFrom('127.0.5.9', RIGHT)).toBe('235 2.7.0');
  expect(await relay.withStore((store) => store.credentials.failures(Date.now()))).toEqual([]);
});

attack(
  'A04',
  'one password for 1000 users',
  'ten tries are checked, and the users are not locked out at other addresses',
  async () => {
    await start(`auth: { ${AUTH} }`);
    const codes: string[] = [];
    for (let i = 0; i < 1000 && codes.at(-1) !== 'refused'; i++)
      codes.push(await tryFrom('127.0.0.5', plain(`user${i}@sender.test`, PASSWORD)));
    expect(codes).toEqual([...Array(10).fill('535 5.7.8'), 'refused']);
    expect(await tryFrom('127.0.0.5', RIGHT)).toBe('refused');
    expect(await tryFrom('127.0.0.1', RIGHT)).toBe('235 2.7.0');
  },
);

attack(
  'A06',
  '120 guesses at once',
  'checked in order, or 454 4.7.0 after five seconds; sessions that are logged in are not affected',
  async () => {
    await start(`auth: { ${AUTH} }`);
    const good = await relay.loggedIn();
    const clients = await Promise.all(Array.from({ length: 120 }, (_, i) => knock(`127.0.2.${i + 1}`)));
    let answers = 0;
    const answered = (reply: string) => {
      answers++;
      return codeOf(reply);
    };
    const replies = Promise.all(clients.map((client, i) => client!.ask(plain(`u${i}@sender.test`, 'wrong')).then(answered)));
    await send(good, { text: TEXT });
    expect(answers).toBeLessThan(120); // the message has not waited for the guesses
    const codes = await replies;
    expect(codes.filter((code) => code !== '535 5.7.8' && code !== '454 4.7.0')).toEqual([]);
    expect(codes).toContain('535 5.7.8');
    expect(await tryFrom('127.0.0.9', RIGHT)).toBe('235 2.7.0');
  },
);

attack('A06', 'a password of 12 kB, and of 1025 octets', '535 5.7.8 without argon2', async () => {
  await start(`auth: { ${AUTH}, allow: [127.0.0.0/8] }`);
  for (const size of [9000, 1025]) {
    const line = plain(USER, 'x'.repeat(size));
    expect(await tryFrom('127.0.0.5', line)).toBe('535 5.7.8');
  }
  expect(await tryFrom('127.0.0.5', `AUTH PLAIN ${base64(`\0${USER}\0${'x'.repeat(12_288)}`)}`)).toBe('500 5.5.6');
});

attack('A06', 'a stored hash that asks for 4 GiB', '454 4.7.0, the reason in the log, and no memory is taken', async () => {
  await start(`auth: { ${AUTH} }`);
  const hash = `$argon2id$v=19$m=4194304,t=3,p=4$${base64('0123456789abcdef').replace(/=+$/, '')}$${base64('x'.repeat(32)).replace(/=+$/, '')}`;
  await relay.withStore((store) => store.credentials.add(credentialWith({ name: 'greedy@sender.test', hash })));
  const before = process.memoryUsage.rss();
  expect(await tryFrom('127.0.0.5', plain('greedy@sender.test', 'x'))).toBe('454 4.7.0');
  expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
  const { error } = await relay.logged('refused', (line) => line['error'] !== undefined);
  expect(error.message).toContain('4194304 KiB');
  expect(await tryFrom('127.0.0.5', RIGHT)).toBe('235 2.7.0');
});

attack(
  'A12',
  'avoiding the limit by case, connections, RSET, RCPT without DATA, and a restart',
  'counted once for the one user: 450 4.7.1',
  async () => {
    const yaml = 'limits: { messages: [], newRecipients: [], recipients: [10/hour] }';
    await start(yaml);
    const message = (n: number, first: number) => ({
      text: TEXT,
      to: Array.from({ length: n }, (_, i) => `r${first + i}@dest.test`),
    });
    const client = await relay.loggedIn();
    for (let i = 0; i < 30; i++) {
      await client.ask(`MAIL FROM:<${USER}>`);
      await client.ask(`RCPT TO:<idle${i}@dest.test>`);
      await client.ask('RSET');
    }
    await send(client, message(4, 0));
    const upper = await knock('127.0.0.1');
    expect(codeOf(await upper!.ask(plain(USER.toUpperCase(), PASSWORD)))).toBe('235 2.7.0');
    await send(upper!, message(4, 4));
    expect(await tryFrom('127.0.0.1', plain('app+x@sender.test', PASSWORD))).toBe('535 5.7.8');
    await relay.nothingIsLost();
    await relay.close();
    await start(yaml);
    const after = await relay.loggedIn();
    await after.ask(`MAIL FROM:<${USER}>`);
    expect(await after.askAll([8, 9, 10, 11].map((n) => `RCPT TO:<r${n}@dest.test>`))).toEqual([
      '250 2.1.5',
      '250 2.1.5',
      '450 4.7.1',
      '450 4.7.1',
    ]);
    await after.ask('DATA');
    after.send(TEXT);
    expect(codeOf(await after.ask('.'))).toBe('250 2.0.0');
    const late = await relay.loggedIn();
    await late.ask(`MAIL FROM:<${USER}>`);
    expect(await late.ask('RCPT TO:<r12@dest.test>')).toMatch(/^450 4\.7\.1 .*10 recipients per hour/);
  },
);

attack('A12', 'one message with more recipients than are left, many at once', 'the store counts exactly', async () => {
  await start('limits: { messages: [], newRecipients: [], recipients: [25/hour] }');
  const clients = await Promise.all(Array.from({ length: 6 }, () => relay.loggedIn()));
  const replies = await Promise.all(
    clients.map(async (client, i) => {
      await client.ask(`MAIL FROM:<${USER}>`);
      for (let n = 0; n < 10; n++) await client.ask(`RCPT TO:<c${i}n${n}@dest.test>`);
      await client.ask('DATA');
      client.send(TEXT);
      return codeOf(await client.ask('.'));
    }),
  );
  const counted = relay.accepted().reduce((sum, line) => sum + line['recipients'].length, 0);
  expect(counted).toBeLessThanOrEqual(25);
  expect(replies.filter((code) => code === '250 2.0.0').length).toBeGreaterThanOrEqual(2);
  expect(replies).toContain('450 4.7.1');
});

/** Version 2, TCP over IPv4, from 198.51.100.7. */
const V2 = Buffer.from('0d0a0d0a000d0a515549540a2111000cc6336407c633640100010002', 'hex');

attack(
  'A13',
  'PROXY v1 and v2 from a trusted address',
  'the client has the address of the header: it is counted, blocked and logged with it',
  async () => {
    await start(`auth: { ${AUTH}, failuresPerMinute: 3 }\nsubmission: { proxyTrust: [127.0.0.8/32] }`);
    const through = async (header: string | Buffer) => {
      const client = relay.raw('submission', '127.0.0.8');
      client.send(header);
      return { client, greeting: codeOf(await client.reply()) };
    };
    for (const header of ['PROXY TCP4 198.51.100.7 198.51.100.1 1 2\r\n', V2, V2]) {
      const { client } = await through(header);
      await client.ask('EHLO client.test');
      await client.startTls();
      await client.ask('EHLO client.test');
      expect(codeOf(await client.ask(WRONG))).toBe('535 5.7.8');
    }
    expect(relay.events('authFailed').map(({ ip }) => ip)).toEqual(Array(3).fill('198.51.100.7'));
    expect((await through(V2)).greeting).toBe('421 4.7.0');
    expect((await through('PROXY TCP4 198.51.100.7 198.51.100.1 1 2\r\n')).greeting).toBe('421 4.7.0');
    expect((await through('PROXY TCP4 198.51.100.8 198.51.100.1 1 2\r\n')).greeting).toBe('220');
    expect((await through('PROXY UNKNOWN\r\n')).greeting).toBe('220');
    expect(await relay.withStore((store) => store.credentials.failures(Date.now()))).not.toContainEqual(
      expect.objectContaining({ key: '127.0.0.8' }),
    );
  },
);

attack('A13', 'PROXY headers that are broken, huge or missing, from a trusted address', 'the connection is closed', async () => {
  await start('submission: { proxyTrust: [127.0.0.8/32] }');
  const bad = [
    'EHLO client.test\r\n',
    'PROXY TCP4 198.51.100.7\r\n',
    'PROXY TCP4 999.1.1.1 198.51.100.1 1 2\r\n',
    `PROXY TCP4 ${'1'.repeat(200)}`,
    Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex'),
    Buffer.from('0d0a0d0a000d0a515549540a3111000c', 'hex'),
  ];
  for (const header of bad) {
    const client = relay.raw('submission', '127.0.0.8');
    client.send(header);
    await client.closed();
    expect(client.unread).toBe('');
  }
  await relay.stillWorks();
});

attack(
  'A04',
  'a flood of wrong logins from many new addresses of one network',
  'users without a cached login can log in, whether they have logged in before or not',
  async () => {
    const uncounted = 'failuresPerMinute: 1000000, failuresPerDay: 1000000'; // it is about the turns alone
    await start(`auth: { failureDelay: 0s, cache: 0s, ${uncounted} }\nsubmission: { proxyTrust: [127.0.0.0/8] }`);
    const helloFrom = async (ip: string) => {
      const client = relay.raw('submissions');
      client.send(`PROXY TCP${ip.includes(':') ? '6' : '4'} ${ip} ${ip.includes(':') ? '::1' : '127.0.0.1'} 4000 465\r\n`);
      await client.upgrade();
      await client.reply();
      await client.ask('EHLO client.test');
      return client;
    };
    const user = (ip: string) => `${ip.replaceAll(':', '-')}@sender.test`; // a pair that many clients try at the same time is verified once
    const login = async (client: RawClient, ip: string) => codeOf(await client.ask(plain(user(ip), PASSWORD)));
    const before = ['192.0.2.1', '198.51.100.1', '2001:db8:aaaa:1::1'];
    const users = [...before, '203.0.113.1', '203.0.114.1', '2001:db8:bbbb:1::1', '127.0.0.9'];
    await relay.withStore(async ({ credentials }) => {
      const { hash } = (await credentials.get(USER))!;
      for (const ip of users) await credentials.add(credentialWith({ name: user(ip), hash }));
    });
    for (const ip of before) expect(await login(await helloFrom(ip), ip)).toBe('235 2.7.0');
    const good = await Promise.all(users.map(helloFrom));
    const bad = await Promise.all(Array.from({ length: 120 }, (_, i) => helloFrom(`2001:db8:ffff:${i.toString(16)}::1`)));
    const guesses = bad.map((client, i) => client.ask(plain(USER, `wrong ${i}`)));
    await guesses[0]; // the others wait for their turn
    expect(await Promise.all(good.map((client, i) => login(client, users[i]!)))).toEqual(users.map(() => '235 2.7.0'));
    expect(new Set((await Promise.all(guesses)).map(codeOf))).toContain('535 5.7.8');
  },
);

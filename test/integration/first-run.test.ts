/** The first run in the browser, by the real command: from an empty folder to the first mail, and what may go wrong on the way. */
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HOUR, MINUTE } from '../../src/system/clock.ts';
import { createVisitor, type FirstRunWorld, startFirstRunWorld, untilRelay, type Visitor } from '../support/first-run.ts';
import { isRoot } from '../support/peers.ts';
import { until } from '../support/program.ts';
import { submit } from '../support/smtp-send.ts';

let world: FirstRunWorld;
beforeEach(async () => {
  world = await startFirstRunWorld();
});
afterEach(() => world.close());

const PASSWORD = 'correct horse battery';
const account = (code: string, name = 'anna') => ({ code, name, password: PASSWORD });

async function logIn(visitor: Visitor, code: string): Promise<void> {
  expect((await visitor.ask('POST', '/setup', account(code))).status).toBe(201);
  expect((await visitor.ask('POST', '/session', { name: 'anna', password: PASSWORD })).status).toBe(201);
}

async function answerAll(visitor: Visitor): Promise<void> {
  const steps: readonly (readonly [string, object])[] = [
    ['/first-run/machine', { hostname: 'relay.test', addresses: ['203.0.113.5'] }],
    ['/first-run/domains', { domains: ['customer.test'] }],
    ['/first-run/certificate', { acceptTerms: true, challenge: 'http-01', email: 'operator@alpha.test' }],
    ['/first-run/way-out', { upstream: null }],
  ];
  for (const [path, body] of steps) expect((await visitor.ask('POST', path, body)).status).toBeLessThan(300);
}

test('from an empty folder to the first mail: one process, one session, and the reason when a login fails', async () => {
  const { program, code, link } = await world.begin();
  expect(link).toBe(`${world.origin}/#setup=${code}`);
  const visitor = createVisitor(world.origin);
  expect((await visitor.ask('GET', '/first-run')).status).toBe(401);
  await logIn(visitor, code);
  await answerAll(visitor);
  const { items } = (await visitor.ask('GET', '/first-run/way-out')).body;
  expect(items[0]).toMatchObject({ subject: 'IPv4', result: 'ok' });
  const { groups } = (await visitor.ask('GET', '/first-run/records')).body;
  expect(groups.flatMap(({ records }: any) => records).map(({ state }: any) => state)).toContain('missing');
  expect((await visitor.ask('POST', '/first-run/finish', {})).body).toEqual({ file: world.file, start: 'here' });
  expect(await untilRelay(visitor)).toMatchObject({ hostname: 'relay.test' });
  expect(world.configuration()).toMatch(/^operator: 'operator@alpha.test'$/m);
  expect((await visitor.ask('GET', '/first-run')).status).toBe(404);

  const made = await visitor.ask('POST', '/credentials', { name: 'shop', kind: 'application', senders: ['@customer.test'] });
  expect(made.status).toBe(201);
  const look = async () => (await visitor.ask('GET', '/credentials/shop/sessions')).body.items;
  expect(await look()).toEqual([]);
  const mail = {
    ...{ address: '127.0.0.1', port: world.ports.submissions, user: 'shop', from: 'noreply@customer.test' },
    ...{ to: ['you@alpha.test'], message: 'From: noreply@customer.test\r\nSubject: first\r\n\r\nHello\r\n' },
  };
  await expect(submit({ ...mail, password: `${made.body.password} ` })).rejects.toThrow();
  expect((await look())[0]).toMatchObject({ reason: 'wrongPassword', user: 'shop', mends: [{ do: 'newPassword' }] });
  await submit({ ...mail, password: made.body.password });
  const [{ queueId }] = await look();
  expect((await world.world.message(({ data }) => data.includes('Subject: first'))).recipients).toEqual(['you@alpha.test']);
  expect(queueId).toMatch(/^\S+$/);
  program.signal('SIGTERM');
  expect(await program.ended).toBe(0);
});

test('two at once make one account, and the code counts once', async () => {
  const { code } = await world.begin();
  const answers = await Promise.all(
    ['anna', 'eve'].map((name) => createVisitor(world.origin).ask('POST', '/setup', account(code, name))),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 404]);
  expect((await createVisitor(world.origin).ask('POST', '/setup', account(code, 'late'))).status).toBe(404);
});

test('five wrong codes end the right one', async () => {
  const { code } = await world.begin();
  const wrong = `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`;
  for (let tries = 0; tries < 5; tries++)
    expect((await createVisitor(world.origin).ask('POST', '/setup', account(wrong))).status).toBe(404);
  world.moveClock(2 * MINUTE);
  expect((await createVisitor(world.origin).ask('POST', '/setup', account(code))).status).not.toBe(201);
});

test('a code of an hour ago is refused', async () => {
  const { code } = await world.begin();
  world.moveClock(HOUR + MINUTE);
  const visitor = createVisitor(world.origin);
  await until('the clock was read', async () => (await visitor.ask('POST', '/setup/look', { code })).status === 404);
  expect((await visitor.ask('POST', '/setup', account(code))).status).not.toBe(201);
});

test('goes on after an interruption, with the account and the answers', async () => {
  const first = await world.begin();
  const visitor = createVisitor(world.origin);
  await logIn(visitor, first.code);
  await visitor.ask('POST', '/first-run/machine', { hostname: 'relay.test', addresses: ['203.0.113.5'] });
  first.program.signal('SIGTERM');
  expect(await first.program.ended).toBe(1); // a script must not take it for a finished first run
  expect(first.program.output()).toContain('To go on where you were, begin again.');
  const again = await world.begin();
  expect(again.link).toBe(`${world.origin}/`);
  expect(again.program.output()).toContain('There is an account already');
  expect((await visitor.ask('GET', '/first-run')).body.answers).toEqual({ hostname: 'relay.test', addresses: ['203.0.113.5'] });
});

test('a password or a link that is lost before there is a configuration is replaced by a command', async () => {
  const { code } = await world.begin();
  const command = (...words: string[]) => {
    const args = ['src/smarthost.ts', 'console', ...words, '--config', world.file];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      env: { ...process.env, ...world.env },
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, expect.any(String)]);
    return stdout;
  };
  const linkOf = (text: string) => new RegExp(`^${world.origin}/#setup=(\\S+)\n$`).exec(text)![1]!;
  const fresh = linkOf(command('setup'));
  expect((await createVisitor(world.origin).ask('POST', '/setup', account(code))).status).toBe(404);
  await logIn(createVisitor(world.origin), fresh);
  const visitor = createVisitor(world.origin);
  const forgotten = { code: linkOf(command('reset', 'anna')), password: 'another horse battery' };
  expect((await visitor.ask('POST', '/setup', forgotten)).status).toBe(201);
  expect((await visitor.ask('POST', '/session', { name: 'anna', password: forgotten.password })).status).toBe(201);
  expect(JSON.parse(command('list', '--json'))).toMatchObject([{ name: 'anna', role: 'admin' }]);
});

test('an existing configuration is never replaced, and one first run has the data', async () => {
  await world.begin();
  const second = spawnSync(process.execPath, ['src/smarthost.ts', 'init', '--web', '--dir', world.folder], {
    env: { ...process.env, ...world.env, SMARTHOST_LISTEN_CONSOLE: '127.0.0.1:0', SMARTHOST_LISTEN_ADMIN: '' },
    encoding: 'utf8',
  });
  expect([second.status, second.stderr]).toEqual([1, expect.stringMatching(/process \d+/)]);
  writeFileSync(world.file, 'hostname: mine.example.net\n');
  const third = spawnSync(process.execPath, ['src/smarthost.ts', 'init', '--web', '--dir', world.folder], { encoding: 'utf8' });
  expect([third.status, third.stderr]).toEqual([1, expect.stringContaining('is not replaced')]);
  expect(world.configuration()).toBe('hostname: mine.example.net\n');
});

test('from afar it has a certificate whose fingerprint is printed', async () => {
  const { program, link } = await world.begin('init', '--dir', world.folder, '--web-listen', `0.0.0.0:${world.ports.console}`);
  expect(link).toMatch(/^https:/);
  const socket = connect({ host: '127.0.0.1', port: world.ports.console, rejectUnauthorized: false });
  const seen = await new Promise<string>((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket.getPeerCertificate().fingerprint256));
    socket.once('error', reject);
  });
  socket.destroy();
  expect(program.output()).toContain(seen);
});

test('a container without a host name asks by itself, and the next start finds the answers', async () => {
  const words = ['serve', '--as-root', '--first-run', `127.0.0.1:${world.ports.console}`];
  world.env['SMARTHOST_CONFIG'] = world.file;
  const stopped = await world.begin(...words);
  const visitor = createVisitor(world.origin);
  await logIn(visitor, stopped.code);
  stopped.program.signal('SIGTERM'); // as `docker stop` does
  expect(await stopped.program.ended).toBe(0);
  const { program } = await world.begin(...words);
  await answerAll(visitor);
  await visitor.ask('POST', '/first-run/finish', {});
  await untilRelay(visitor);
  program.signal('SIGTERM');
  expect(await program.ended).toBe(0);
  expect(readFileSync(world.file, 'utf8')).toMatch(/^hostname: relay\.test$/m);
});

test.runIf(isRoot)('as root only the file is written as root: the browser talks to the owner of the data', async () => {
  const [uid, gid] = [65534, 65534];
  mkdirSync(join(world.folder, 'data'), { mode: 0o700 });
  chownSync(join(world.folder, 'data'), uid, gid);
  const words = ['serve', '--as-root', '--first-run', `127.0.0.1:${world.ports.console}`];
  world.env['SMARTHOST_CONFIG'] = world.file;
  const stopped = await world.begin(...words);
  const visitor = createVisitor(world.origin);
  await logIn(visitor, stopped.code);
  stopped.program.signal('SIGTERM');
  expect(await stopped.program.ended).toBe(0);
  expect(existsSync(world.file)).toBe(false);
  await world.begin();
  await answerAll(visitor);
  expect((await visitor.ask('POST', '/first-run/finish', {})).status).toBe(202);
  await untilRelay(visitor);
  const file = statSync(world.file);
  expect([file.uid, file.gid, file.mode & 0o777]).toEqual([0, gid, 0o640]);
  expect(statSync(join(world.folder, 'data', 'smarthost.db')).uid).toBe(uid);
});

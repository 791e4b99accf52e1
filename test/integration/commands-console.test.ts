/** `smarthost console …`, `token …` and `changes`, as an operator types them. */
import { userInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandBench, createCommandBench } from '../support/command.ts';

const LINK = /^http:\/\/localhost:8026\/#setup=[A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4}\n$/;

describe('the accounts of the console', () => {
  let bench: CommandBench;
  beforeEach(async () => {
    bench = await createCommandBench();
  });
  afterEach(() => bench.close());

  test('an account is added with a link, listed, changed and removed', async () => {
    const added = await bench.run(['console', 'add', 'anna', '--role', 'admin']);
    expect([added.code, added.out]).toEqual([0, expect.stringMatching(LINK)]);
    expect(added.err).toMatch(/^anna sets a password by this link, until .*Z\. It works once:\n/);
    expect(added.err).toContain('ssh -L 8026:localhost:8026 relay.example.net');
    expect(await bench.run(['console', 'add', 'Anna'])).toMatchObject({
      code: 1,
      err: 'anna exists already. `smarthost console role anna ROLE` changes it, `smarthost console reset anna` gives it a new password.\n',
    });
    await bench.run(['user', 'add', 'shop', '--sender', '*']);
    const rita = await bench.json('console', 'add', 'rita', '--role', 'reader', '--credential', 'shop');
    expect(rita).toMatchObject({ name: 'rita', role: 'reader', link: expect.stringContaining(rita.code) });
    expect(await bench.json('console', 'list')).toMatchObject([
      { name: 'anna', role: 'admin', credentials: null, hasPassword: false, secondFactor: false },
      { name: 'rita', role: 'reader', credentials: ['shop'] },
    ]);
    expect((await bench.run(['console', 'list'])).out).toMatch(
      /^ACCOUNT .*\nanna +admin +all +not yet +no .*\nrita +reader +shop /,
    );
    expect(await bench.json('console', 'role', 'rita', 'operator')).toMatchObject({ role: 'operator', credentials: null });
    expect((await bench.run(['console', 'role', 'rita', 'boss'])).code).toBe(2);
    expect(await bench.run(['console', 'disable', 'rita'])).toMatchObject({ code: 0, err: 'rita is disabled.\n' });
    expect(await bench.json('console', 'remove', 'rita')).toEqual({ name: 'rita', removed: true });
    expect(await bench.run(['console', 'remove', 'rita'])).toMatchObject({
      code: 1,
      err: 'No account named "rita". `smarthost console list` shows them.\n',
    });
  });

  test('the last admin is removed only if it is forced', async () => {
    await bench.run(['console', 'add', 'anna', '--role', 'admin']);
    for (const args of [
      ['remove', 'anna'],
      ['role', 'anna', 'reader'],
      ['disable', 'anna'],
    ])
      expect(await bench.run(['console', ...args])).toMatchObject({
        code: 1,
        err: 'anna is the last admin: nobody could change accounts any more. --force does it all the same.\n',
      });
    expect((await bench.run(['console', 'remove', 'anna', '--force'])).code).toBe(0);
  });

  test('a reset ends the sessions and prints a new link; logout ends them alone', async () => {
    await bench.run(['console', 'add', 'anna']);
    const logIn = (hash: string) =>
      bench.withStore(async ({ console: accounts }) => {
        await accounts.changeAccount('anna', { passwordHash: 'x' });
        const times = { createdAt: Date.now(), lastSeenAt: Date.now(), confirmedAt: Date.now() };
        const session = { hash, account: 'anna', ip: '192.0.2.1', userAgent: 'Firefox', ...times };
        expect(await accounts.addSession(session, { passwordHash: 'x', totpSecret: null })).toBe(true);
      });
    await logIn('aaaa');
    expect((await bench.run(['console', 'sessions'])).out).toMatch(/^ACCOUNT .*\nanna +192\.0\.2\.1 .* Firefox\n$/);
    expect(await bench.json('console', 'logout', 'anna')).toEqual({ name: 'anna', ended: 1 });
    await logIn('bbbb');
    expect((await bench.run(['console', 'reset', 'anna'])).out).toMatch(LINK);
    expect(await bench.json('console', 'sessions', 'anna')).toEqual([]);
    expect(await bench.json('console', 'list')).toMatchObject([{ hasPassword: false }]);
  });

  test('the first admin is made by a link of setup, and the link has the address of the console', async () => {
    expect((await bench.run(['console', 'setup'])).out).toMatch(LINK);
    const proxied = await createCommandBench('console: { origin: "https://mail.example.net" }\n');
    try {
      const { out, err } = await proxied.run(['console', 'setup']);
      expect(out).toMatch(/^https:\/\/mail\.example\.net\/#setup=/);
      expect(err).not.toContain('ssh');
    } finally {
      await proxied.close();
    }
  });

  test('a token is printed once, listed without its secret, and removed', async () => {
    expect(await bench.run(['token', 'add', 'x', '--scope', 'metrics:read'])).toMatchObject({ code: 2 });
    await bench.run(['console', 'add', 'anna', '--role', 'admin']);
    const added = await bench.run([
      'token',
      'add',
      'watch',
      '--scope',
      'metrics:read',
      '--network',
      '192.0.2.0/24',
      '--expires',
      'never',
    ]);
    expect(added).toMatchObject({ code: 0, out: expect.stringMatching(/^smh_[0-9A-Za-z]{49}\n$/) });
    const [token] = await bench.json('token', 'list');
    expect(token).toMatchObject({ name: 'watch', account: 'anna', scopes: ['metrics:read'], expiresAt: null });
    expect((await bench.run(['token', 'list'])).out).toMatch(/ watch +anna +metrics:read +all +never /);
    expect(await bench.json('token', 'remove', token.id)).toEqual({ id: token.id, removed: true });
    expect(await bench.run(['token', 'remove', token.id])).toMatchObject({ code: 1, err: expect.stringContaining('token list') });
    expect((await bench.run(['token', 'add', 'x', '--scope', 'everything'])).code).toBe(2);
  });

  test('changes names who has typed what, also behind sudo, and shows no secret', async () => {
    const { out: password } = await bench.run(['user', 'add', 'shop', '--sender', '@x.example']);
    await bench.run(['user', 'set', 'shop', '--sender', '@y.example'], { env: { SUDO_USER: 'berta' } });
    await bench.run(['domain', 'add', 'x.example']);
    await bench.run(['user', 'remove', 'nobody']);
    const all = await bench.json('changes');
    expect(all.map(({ action, actor, way, target }: any) => [action, actor, way, target])).toEqual([
      ['domain.add', userInfo().username, 'command', 'x.example'],
      ['user.set', 'berta', 'command', 'shop'],
      ['user.add', userInfo().username, 'command', 'shop'],
    ]);
    expect(all[1]).toMatchObject({ before: { senders: ['@x.example'] }, after: { senders: ['@y.example'] }, address: null });
    for (const secret of [password.trim(), 'argon2', 'PRIVATE']) expect(JSON.stringify(all)).not.toContain(secret);
    expect(await bench.json('changes', '--actor', 'berta')).toHaveLength(1);
    expect(await bench.json('changes', '--action', 'user', '--since', '1h', '--limit', '1')).toEqual([all[1]]);
    const { out } = await bench.run(['changes', '--action', 'user.set']);
    expect(out).toMatch(/berta +command +- +user\.set +shop +senders: \["@x\.example"\] > \["@y\.example"\]\n$/);
    expect((await bench.run(['changes', '--limit', '0'])).code).toBe(2);
  });
});

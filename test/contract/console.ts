/** What every store promises about accounts, links, sessions, tokens, repeated requests and findings. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AccountLink, ConsoleSession, ConsoleStore, ConsoleToken } from '../../src/store/store.ts';
import { DAY, HOUR, MINUTE } from '../../src/system/clock.ts';
import { asLeader } from '../support/led.ts';
import { NOW } from '../support/store-rig.ts';
import type { Subject } from './store.ts';

const link = (account: string | null, change: Partial<AccountLink> = {}): AccountLink => ({
  ...{ id: `id of ${account}`, hash: `hash of ${account}`, account, expiresAt: NOW + HOUR, triesLeft: 5 },
  ...change,
});
const newAccount = (name: string, role: 'reader' | 'operator' | 'admin' = 'operator') => ({
  ...{ name, role, credentials: role === 'reader' ? ['shop'] : null, createdAt: NOW },
});
const session = (account: string, change: Partial<ConsoleSession> = {}): ConsoleSession => ({
  ...{ hash: `session of ${account}`, account, createdAt: NOW, lastSeenAt: NOW, ip: '192.0.2.1', userAgent: 'a "browser"' },
  ...{ confirmedAt: NOW },
  ...change,
});
const token = (change: Partial<ConsoleToken> = {}): ConsoleToken => ({
  ...{ id: 't1', hash: 'hash of t1', name: 'shop', account: 'anna', scopes: ['messages:read'], credential: null, networks: [] },
  ...{ createdAt: NOW, expiresAt: NOW + DAY, lastUsedAt: null, lastUsedIp: null },
  ...change,
});

/** An account with a password. */
async function addWithPassword(store: ConsoleStore, name: string, role: 'reader' | 'operator' | 'admin' = 'operator') {
  await store.addAccount(newAccount(name, role), link(name));
  expect(await store.takeLink(link(name), { name, passwordHash: `password of ${name}` }, NOW)).toBe('done');
}
const verified = (name: string) => ({ passwordHash: `password of ${name}`, totpSecret: null });

export function consoleContract({ name, open }: Subject): void {
  async function opened() {
    const subject = await open();
    onTestFinished(() => subject.close());
    return { first: subject.one.console, second: subject.two.console, ...subject };
  }

  describe(`${name}: the console`, () => {
    test('an account is added once, whatever the case of its name, and is read back whole', async () => {
      const { first, second } = await opened();
      expect(await first.addAccount(newAccount('Anna', 'reader'), link('Anna'))).toBe(true);
      expect(await second.addAccount(newAccount('anna'), link('anna'))).toBe(false);
      const bare = { passwordHash: null, passwordSetAt: null, totpSecret: null, recoveryCodes: [], disabled: false };
      expect(await second.account('ANNA')).toEqual({ ...newAccount('Anna', 'reader'), ...bare });
      const change = { totpSecret: 'JBSWY3DP', recoveryCodes: ['a', 'b'], credentials: ['x "y"', 'z'], disabled: true };
      expect(await second.changeAccount('anna', change)).toBe('done');
      expect(await first.accounts()).toEqual([{ ...newAccount('Anna', 'reader'), ...bare, ...change }]);
      expect(await first.changeAccount('eve', {})).toBe('absent');
      expect(await first.removeAccount('anna')).toBe('done');
      expect(await first.removeAccount('anna')).toBe('absent');
      expect(await second.account('anna')).toBeUndefined();
    });

    test('the last admin is kept, unless it is forced: by a change, by disabling, by removal', async () => {
      const { first, second } = await opened();
      await first.addAccount(newAccount('anna', 'admin'), link('anna'));
      await first.addAccount(newAccount('bob', 'admin'), link('bob'));
      const both = await Promise.all([first.removeAccount('anna'), second.removeAccount('bob')]);
      expect(both.toSorted()).toEqual(['done', 'lastAdmin']);
      const [left] = await first.accounts();
      expect(await first.changeAccount(left!.name, { role: 'operator' })).toBe('lastAdmin');
      expect(await first.changeAccount(left!.name, { disabled: true })).toBe('lastAdmin');
      expect(await first.changeAccount(left!.name, { role: 'operator' }, { force: true })).toBe('done');
    });

    test('an admin who has set no password does not keep the last one who can log in from being kept', async () => {
      const { first } = await opened();
      await first.putLink(link(null));
      await first.takeLink(link(null), { name: 'anna', passwordHash: 'hash' }, NOW);
      await first.addAccount(newAccount('bob', 'admin'), link('bob'));
      expect(await first.removeAccount('anna')).toBe('lastAdmin');
      expect(await first.changeAccount('anna', { role: 'reader' })).toBe('lastAdmin');
      expect(await first.removeAccount('bob')).toBe('done');
    });

    test('of two that take one link at once, one gets it', async () => {
      const { first, second } = await opened();
      await first.putLink(link(null));
      const take = (store: ConsoleStore, name: string) =>
        store.takeLink(link(null), { name, passwordHash: `password of ${name}` }, NOW);
      const both = await Promise.all([take(first, 'anna'), take(second, 'bob')]);
      expect(both.toSorted()).toEqual(['done', 'gone']);
      const all = await first.accounts();
      expect(all).toMatchObject([{ role: 'admin', credentials: null, passwordSetAt: NOW, createdAt: NOW }]);
      expect(all[0]!.passwordHash).toBe(`password of ${all[0]!.name}`);
      // There is no new link for a first admin while there is one.
      expect(await second.putLink(link(null))).toBe(false);
      expect(await first.tryLink(link(null), NOW)).toBe('gone');
    });

    test.each([
      ['by its own link', (store: ConsoleStore) => addWithPassword(store, 'anna', 'admin')],
      [
        'by a better role',
        async (store: ConsoleStore) => {
          await addWithPassword(store, 'anna');
          await store.changeAccount('anna', { role: 'admin' });
        },
      ],
    ])(
      'a link for a first admin ends where somebody becomes admin %s, and stays so when the password is taken away',
      async (_, become) => {
        const { first, second } = await opened();
        expect(await first.putLink(link(null))).toBe(true);
        await become(second);
        expect(await first.tryLink(link(null), NOW)).toBe('gone');
        await first.changeAccount('anna', { passwordHash: null }, { link: link('anna') });
        expect(await second.tryLink(link(null), NOW)).toBe('gone');
        expect(await second.takeLink(link(null), { name: 'eve', passwordHash: 'x' }, NOW)).toBe('gone');
        expect(await second.tryLink(link('anna'), NOW)).toEqual({ account: 'anna' });
      },
    );

    test('of many that add one name and make it the first admin at once, one does, and there is one such account', async () => {
      const { first, second } = await opened();
      for (let round = 0; round < 5; round++) {
        const name = `anna${round}`;
        await first.putLink(link(null));
        const added = [first, second].map((store) => store.addAccount(newAccount(name), link(name)));
        const taken = second.takeLink(link(null), { name, passwordHash: 'x' }, NOW).then((outcome) => outcome === 'done');
        expect((await Promise.all([...added, taken])).filter(Boolean)).toHaveLength(1);
        expect(await first.accounts()).toHaveLength(1);
        await first.removeAccount(name, { force: true });
      }
    });

    test('a change is made only while its condition holds: a session that goes on, or rights as they were', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'Anna');
      await addWithPassword(first, 'bob');
      await first.addSession(session('anna', { hash: 'h' }), verified('Anna'));
      await first.addSession(session('bob', { hash: 'of bob' }), verified('bob'));
      const rights = { role: 'operator', credentials: null, disabled: false } as const;
      const change = { totpSecret: 'JBSWY3DP' };
      const outcomes = [
        await second.changeAccount('anna', { totpSecret: 'A' }, { when: { session: 'h', rights } }),
        await second.changeAccount('anna', change, { when: { session: 'of bob' } }),
        await second.changeAccount('anna', change, { when: { session: 'unknown', rights } }),
        await second.changeAccount('anna', change, { when: { session: 'h', rights: { ...rights, disabled: true } } }),
        await second.changeAccount('anna', change, { when: { rights: { ...rights, credentials: [] } } }),
      ];
      expect(outcomes).toEqual(['done', 'changed', 'changed', 'changed', 'changed']);
      expect((await first.account('anna'))?.totpSecret).toBe('A');
    });

    test('a reset holds against a change of password by a session, whichever comes first', async () => {
      const { first, second } = await opened();
      for (let round = 0; round < 5; round++) {
        const name = `anna${round}`;
        await addWithPassword(first, name);
        await first.addSession(session(name, { hash: name }), verified(name));
        const reset = () => first.changeAccount(name, { passwordHash: null }, { link: link(name) });
        const change = () => second.changeAccount(name, { passwordHash: 'mine' }, { when: { session: name } });
        await Promise.all(round % 2 === 0 ? [reset(), change()] : [change(), reset()]);
        expect((await first.account(name))?.passwordHash).toBeNull();
        expect(await second.sessions(name)).toEqual([]);
      }
    });

    test('a link ends with its time, with five wrong codes, and with a newer one', async () => {
      const { first, second } = await opened();
      await first.addAccount(newAccount('anna'), link('anna'));
      const wrong = { ...link('anna'), hash: 'wrong' };
      expect(await first.tryLink(link('anna'), NOW + HOUR)).toBe('gone');
      for (let i = 0; i < 4; i++) expect(await second.tryLink(wrong, NOW)).toBe('wrong');
      expect(await first.tryLink(link('anna'), NOW)).toEqual({ account: 'anna' });
      expect(await first.takeLink(wrong, { name: '', passwordHash: 'x' }, NOW)).toBe('wrong');
      expect(await first.tryLink(link('anna'), NOW)).toBe('gone');
      await first.putLink(link('anna', { id: 'older' }));
      await first.putLink(link('anna', { id: 'newer' }));
      expect(await first.tryLink({ ...link('anna'), id: 'older' }, NOW)).toBe('gone');
      await asLeader(first).trim(NOW + HOUR, { createdBefore: 0, seenBefore: 0 });
      expect(await first.tryLink({ ...link('anna'), id: 'newer' }, NOW)).toBe('gone');
    });

    test('a code of the second factor and a recovery code are used once', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'anna');
      await first.changeAccount('anna', { totpSecret: 'JBSWY3DP', recoveryCodes: ['one', 'two'] });
      const used = await Promise.all([first.useTotpStep('anna', 7), second.useTotpStep('Anna', 7)]);
      expect(used.toSorted()).toEqual([false, true]);
      expect([await first.useTotpStep('anna', 6), await first.useTotpStep('anna', 8)]).toEqual([false, true]);
      const codes = await Promise.all([first.useRecoveryCode('anna', 'one'), second.useRecoveryCode('anna', 'one')]);
      expect(codes.toSorted()).toEqual([false, true]);
      expect((await first.account('anna'))?.recoveryCodes).toEqual(['two']);
      expect(await first.useRecoveryCode('eve', 'two')).toBe(false);
    });

    test('ten sessions of an account stay, the oldest go', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'Anna');
      await addWithPassword(first, 'bob');
      await first.addSession(session('bob'), verified('bob'));
      for (let i = 0; i < 12; i++)
        expect(await first.addSession(session('anna', { hash: `h${i}`, createdAt: NOW + i }), verified('Anna'))).toBe(true);
      const hashes = (await second.sessions('ANNA')).map(({ hash }) => hash);
      expect(hashes).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map((i) => `h${i}`));
      expect(await second.sessions()).toHaveLength(11);
      // At the same time as ten others, the new one stays.
      await second.addSession(session('anna', { hash: 'h00', createdAt: NOW + 2 }), verified('Anna'));
      expect((await first.sessions('anna')).map(({ hash }) => hash)).toContain('h00');
    });

    test('a session is read with its account, is seen once a minute, confirmed and ended', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'Anna');
      await first.addSession(session('anna', { hash: 'h' }), verified('Anna'));
      expect(await second.session('h')).toEqual({
        session: session('Anna', { hash: 'h' }),
        account: await second.account('anna'),
      });
      await first.seeSession('h', NOW + MINUTE - 1, '2001:db8::1');
      expect((await second.session('h'))?.session.ip).toBe('192.0.2.1');
      await first.seeSession('h', NOW + MINUTE, '2001:db8::1');
      expect((await second.session('h'))?.session).toMatchObject({ ip: '2001:db8::1', lastSeenAt: NOW + MINUTE });
      expect(await first.confirmSession('h', NOW + 5)).toBe(true);
      expect((await second.session('h'))?.session.confirmedAt).toBe(NOW + 5);
      expect([await first.endSession('h'), await first.endSession('h'), await first.confirmSession('h', 1)]).toEqual([
        true,
        false,
        false,
      ]);
      expect(await second.session('h')).toBeUndefined();
      for (const hash of ['a', 'b', 'c']) await first.addSession(session('anna', { hash }), verified('Anna'));
      expect(await first.endSessions('anna', 'b')).toBe(2);
      expect((await first.sessions('anna')).map(({ hash }) => hash)).toEqual(['b']);
    });

    test('another password, another role and disabling end the sessions; other changes do not', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'anna');
      const renew = async (hash: string) => {
        expect(await first.addSession(session('anna', { hash }), (await first.account('anna'))!)).toBe(true);
      };
      await renew('a');
      await first.changeAccount('anna', { recoveryCodes: ['x'], role: 'operator' });
      expect(await second.session('a')).toBeDefined();
      await first.changeAccount('anna', { role: 'reader' });
      expect(await second.session('a')).toBeUndefined();
      await renew('b');
      await first.putLink(link('anna'));
      await first.takeLink(link('anna'), { name: '', passwordHash: 'other' }, NOW);
      expect(await second.session('b')).toBeUndefined();
      await renew('c');
      await first.changeAccount('anna', { disabled: true });
      expect(await second.session('c')).toBeUndefined();
      expect(await first.addSession(session('anna', { hash: 'd' }), { passwordHash: 'other', totpSecret: null })).toBe(false);
    });

    test('another second factor, or none any more, ends all sessions but the one that changes it', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'anna');
      await addWithPassword(first, 'bob');
      await first.addSession(session('bob'), verified('bob'));
      for (const change of [{ totpSecret: 'A' }, { totpSecret: 'B' }, { totpSecret: null }]) {
        const known = (await first.account('anna'))!;
        for (const hash of ['mine', 'other'])
          await first.addSession(session('anna', { hash: `${hash} ${known.totpSecret}` }), known);
        const mine = `mine ${known.totpSecret}`;
        expect(await second.changeAccount('anna', change, { when: { session: mine } })).toBe('done');
        expect((await first.sessions('anna')).map(({ hash }) => hash)).toEqual([mine]);
        expect(await first.addSession(session('anna', { hash: 'late' }), known), 'proven before the change').toBe(false);
        expect(await second.changeAccount('anna', { ...change, recoveryCodes: ['x'] })).toBe('done');
        expect(await first.sessions('anna'), 'the same factor').toHaveLength(1);
      }
      expect(await second.changeAccount('anna', { totpSecret: 'C' })).toBe('done');
      expect((await first.sessions()).map(({ account }) => account)).toEqual(['bob']);
    });

    test('no session begins with a password that was changed since it was verified, nor without an account', async () => {
      const { first } = await opened();
      await addWithPassword(first, 'anna');
      await first.changeAccount('anna', { passwordHash: 'new' });
      expect(await first.addSession(session('anna'), verified('anna'))).toBe(false);
      expect(await first.addSession(session('eve'), { passwordHash: null, totpSecret: null })).toBe(false);
      expect(await first.sessions()).toEqual([]);
    });

    test('old and idle sessions are removed by the upkeep', async () => {
      const { first } = await opened();
      await addWithPassword(first, 'anna');
      const of = (hash: string, createdAt: number, lastSeenAt: number) =>
        first.addSession(session('anna', { hash, createdAt, lastSeenAt }), verified('anna'));
      await of('old', NOW - 1, NOW + 9);
      await of('idle', NOW, NOW + 4);
      await of('fine', NOW, NOW + 5);
      await asLeader(first).trim(NOW, { createdBefore: NOW, seenBefore: NOW + 5 });
      expect((await first.sessions()).map(({ hash }) => hash)).toEqual(['fine']);
    });

    test('of the tokens of an account that have not ended, each has a name of its own', async () => {
      const { first, second } = await opened();
      for (const name of ['Anna', 'bert']) await addWithPassword(first, name);
      const add = (by: typeof first, id: string, change: Partial<ConsoleToken>) =>
        by.addToken(token({ id, hash: `hash of ${id}`, expiresAt: NOW + 5, ...change }));
      const both = await Promise.all([add(first, 't1', {}), add(second, 't2', { account: 'ANNA' })]);
      expect(both.toSorted()).toEqual(['done', 'name taken']);
      expect(await add(first, 't3', { account: 'bert', expiresAt: null })).toBe('done');
      expect(await add(first, 't4', { account: 'bert', createdAt: NOW + 1000 })).toBe('name taken');
      expect(await add(first, 't5', { createdAt: NOW + 4 })).toBe('name taken');
      expect(await add(first, 't6', { createdAt: NOW + 5, expiresAt: null })).toBe('done');
      expect((await second.tokens()).map(({ account }) => account).toSorted()).toEqual(['Anna', 'Anna', 'bert']);
    });

    test('a token is found by its hash with its account, notes its use once a minute, and ends with its account', async () => {
      const { first, second } = await opened();
      await addWithPassword(first, 'Anna');
      expect(await first.addToken(token({ account: 'eve' }))).toBe('no account');
      const whole = token({ scopes: ['a', 'b'], networks: ['192.0.2.0/24'], credential: 'shop', expiresAt: null });
      expect(await first.addToken(whole)).toBe('done');
      await first.addToken(token({ id: 't2', name: 'other', hash: 'hash of t2', createdAt: NOW + 1 }));
      expect(await second.token('hash of t1')).toEqual({
        token: { ...whole, account: 'Anna' },
        account: await first.account('anna'),
      });
      await first.seeToken('t1', NOW, '192.0.2.9');
      await first.seeToken('t1', NOW + MINUTE - 1, '192.0.2.10');
      expect((await second.tokens()).map(({ id, lastUsedAt, lastUsedIp }) => [id, lastUsedAt, lastUsedIp])).toEqual([
        ['t1', NOW, '192.0.2.9'],
        ['t2', null, null],
      ]);
      expect([await first.removeToken('t2'), await first.removeToken('t2')]).toEqual([true, false]);
      await first.removeAccount('anna');
      expect([await second.token('hash of t1'), await second.tokens()]).toEqual([undefined, []]);
    });

    test('a request with a key is done once, and its answer is repeated for a day', async () => {
      const { first, second } = await opened();
      const key = { owner: 't1', key: 'k "1"' };
      const both = await Promise.all([first.beginRequest(key, 'h', NOW), second.beginRequest(key, 'h', NOW)]);
      expect(both.map(({ state }) => state).toSorted()).toEqual(['new', 'running']);
      expect(await second.beginRequest(key, 'other', NOW)).toEqual({ state: 'different' });
      expect(await second.beginRequest({ ...key, owner: 't2' }, 'other', NOW)).toEqual({ state: 'new' });
      await first.endRequest(key, { status: 201, body: '{"a":"\\u0000"}' });
      const answer = { state: 'done', status: 201, body: '{"a":"\\u0000"}' };
      expect(await second.beginRequest(key, 'h', NOW + DAY - 1)).toEqual(answer);
      expect(await second.beginRequest(key, 'h', NOW + DAY)).toEqual({ state: 'new' });
      await first.endRequest(key, null);
      expect(await second.beginRequest(key, 'other', NOW)).toEqual({ state: 'new' });
      await asLeader(first).trim(NOW + DAY, { createdBefore: 0, seenBefore: 0 });
      expect(await second.beginRequest(key, 'h', NOW)).toEqual({ state: 'new' });
    });

    test('a request whose process has ended is done again only if it had changed nothing', async () => {
      const { first, second, one } = await opened();
      const [idle, done, answered] = ['idle', 'done', 'answered'].map((key) => ({ owner: 't1', key }));
      for (const key of [idle, done, answered]) await first.beginRequest(key!, 'h', NOW);
      const note = {
        at: NOW,
        actor: 'shop',
        way: 'token',
        address: null,
        action: 'mute',
        target: 'x',
        before: null,
        after: null,
      } as const;
      const mute = { check: 'ptr', subject: 'x', reason: '', by: 'shop', at: NOW, until: null };
      await one.noted({ ...note, id: '1', request: done! }).console.putMute(mute);
      const answer = { status: 200, body: 'yes' };
      await one.noted({ ...note, id: '2', request: { ...answered!, answer } }).console.putMute(mute);
      expect(await second.beginRequest(done!, 'h', NOW + MINUTE - 1)).toEqual({ state: 'running' });
      expect(await second.beginRequest(done!, 'h', NOW + MINUTE)).toEqual({ state: 'lost' });
      expect(await second.beginRequest(idle!, 'h', NOW + MINUTE)).toEqual({ state: 'new' });
      expect(await second.beginRequest(answered!, 'h', NOW)).toEqual({ state: 'done', ...answer });
      const again = { again: true };
      const later = NOW + MINUTE;
      for (const key of [done!, answered!]) {
        const both = [first, second].map((store) => store.beginRequest(key, 'h', later, again));
        expect((await Promise.all(both)).map(({ state }) => state).toSorted()).toEqual(['new', 'running']);
        expect(await first.beginRequest(key, 'other', later, again)).toEqual({ state: 'different' });
      }
    });

    test('findings keep the time of their result, and muted ones end', async () => {
      const { first, second } = await opened();
      const found = (check: string, result: string) => ({ check, subject: 'x', result, detail: '{}' });
      await first.keepFindings([found('ptr', 'error'), found('dmarc', 'warning')], NOW);
      await first.keepFindings([found('ptr', 'error'), found('dmarc', 'ok')], NOW + 1);
      expect(await first.findings()).toEqual([
        { ...found('dmarc', 'ok'), since: NOW + 1 },
        { ...found('ptr', 'error'), since: NOW },
      ]);
      await first.keepFindings([], NOW + 2);
      expect(await first.findings()).toEqual([]);
      const mute = { check: 'ptr', subject: 'x', reason: 'known', by: 'anna', at: NOW, until: NOW + DAY };
      await first.putMute({ ...mute, reason: 'old' });
      await second.putMute(mute);
      await second.putMute({ ...mute, check: 'dmarc', until: null });
      expect(await first.mutes()).toEqual([{ ...mute, check: 'dmarc', until: null }, mute]);
      await asLeader(first).trim(NOW + DAY, { createdBefore: 0, seenBefore: 0 });
      expect(await first.mutes()).toEqual([{ ...mute, check: 'dmarc', until: null }]);
      expect([await first.removeMute('dmarc', 'x'), await first.removeMute('dmarc', 'x')]).toEqual([true, false]);
    });
  });
}

/** A new password is a matter of a second, and the account may change meanwhile. */
import { expect, test } from 'vitest';
import { createConsolePasswords } from '../../../src/credentials/credentials.ts';
import { startTestConsole } from '../../support/console.ts';

/** @param meanwhile what happens while the new password is being hashed. */
async function changePassword(meanwhile: (control: Awaited<ReturnType<typeof startTestConsole>>['control']) => Promise<unknown>) {
  let during = async () => {};
  const passwords = {
    ...createConsolePasswords(),
    async hash() {
      await during();
      return 'the new hash';
    },
  };
  await using console = await startTestConsole({ passwords });
  await console.people.account('anna', { role: 'operator', passwordHash: 'the old hash' });
  await console.people.session('anna', 'hers');
  during = async () => void (await meanwhile(console.control));
  const { status } = await console.ask('POST', '/session/password', { password: 'a long password' }, { as: { session: 'hers' } });
  const { audit, console: accounts } = console.store;
  return {
    status,
    password: (await accounts.account('anna'))?.passwordHash,
    sessions: (await accounts.sessions('anna')).length,
    notes: (await audit.changes({ limit: 9, action: 'account.password' })).length,
  };
}

test('a change of password sets it, and leaves one new session', async () => {
  expect(await changePassword(async () => {})).toEqual({ status: 200, password: 'the new hash', sessions: 1, notes: 1 });
});

test('a change of password that is under way when the account is reset changes nothing', async () => {
  const reset = await changePassword(({ accounts }) => accounts.reset('anna'));
  expect(reset).toEqual({ status: 401, password: null, sessions: 0, notes: 0 });
});

test('a change of password that is under way at a logout from elsewhere changes nothing', async () => {
  const ended = await changePassword(({ sessions }) => sessions.endAll('anna'));
  expect(ended).toEqual({ status: 401, password: 'the old hash', sessions: 0, notes: 0 });
});

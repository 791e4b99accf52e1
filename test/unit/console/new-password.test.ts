/** A new password is a matter of a second, and the account may change meanwhile. */
import { expect, test } from 'vitest';
import { createAccess } from '../../../src/console/access/access.ts';
import type { Arrival } from '../../../src/console/access/arrival.ts';
import type { ConsoleParts } from '../../../src/console/console.ts';

test.each([true, false])(
  'a change of password that is under way when the account is reset changes nothing: reset %j',
  async (isReset) => {
    const done: string[] = [];
    let isOpen = true;
    const store = {
      session: async () => (isOpen ? { account: { name: 'anna' } } : undefined),
      account: async () => ({ name: 'anna', passwordHash: 'of somebody who came later' }),
      changeAccount: async () => done.push('changed'),
      addSession: async (_: unknown, { passwordHash }: { passwordHash: string }) => done.push(passwordHash),
    };
    const parts = {
      store: { console: store, noted: () => ({ console: store }) },
      passwords: {
        async hash() {
          isOpen = !isReset;
          return 'the new hash';
        },
      },
      settings: () => ({ names: [], lifetime: 1000 }),
      now: () => 0,
    } as unknown as ConsoleParts;
    const at = { ip: '192.0.2.1', secure: false, port: 1, origins: [], userAgent: '', cookie: undefined } satisfies Arrival;
    const asked = createAccess(parts).changePassword('hash of the session', 'a long enough password', at);
    if (isReset) await expect(asked).rejects.toMatchObject({ status: 401 });
    else await asked;
    expect(done, 'the new session belongs to the new password alone').toEqual(isReset ? [] : ['changed', 'the new hash']);
  },
);

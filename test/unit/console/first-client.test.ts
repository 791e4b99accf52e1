/** The route that shows what clients of a credential do. */
import { expect, test } from 'vitest';
import { newUser } from '../../../src/control/control.ts';
import { startTestConsole } from '../../support/console.ts';

test('shows sessions of a credential and nameless ones, and no session of another credential', async () => {
  await using console = await startTestConsole();
  const { control, clientEvents } = console;
  for (const name of ['anna@example.org', 'shop@example.org']) await control.users.add(await newUser(name, {}));
  const failed = (session: string, user: string) =>
    clientEvents.push({
      at: 1000,
      event: { event: 'authFailed', fields: { session, ip: '192.0.2.1', user, mechanism: 'PLAIN', reason: 'wrong' } },
    });
  failed('a', 'Anna@example.org');
  failed('b', 'shop@example.org');
  failed('c', 'ann@example.org');
  const { status, body } = await console.ask('GET', '/credentials/anna@example.org/sessions');
  expect(status).toBe(200);
  expect(body.items).toMatchObject([
    { user: 'Anna@example.org', reason: 'wrongPassword', at: '1970-01-01T00:00:01.000Z', mends: [{ do: 'newPassword' }] },
    { user: 'ann@example.org', reason: 'otherName' },
  ]);
  expect((await console.ask('GET', '/credentials/nobody/sessions')).status).toBe(404);
});

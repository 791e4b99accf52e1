/** What `doctor` says of logins whose mail is held. */
import { expect, test } from 'vitest';
import { checkLogins } from '../../../src/doctor/providers.ts';

test('Each login or sender whose mail is held is a warning that says how to release it', () => {
  expect(checkLogins([])).toMatchObject([{ result: 'ok' }]);
  const since = '2026-06-01T03:00:00.000Z';
  const held = [
    { name: 'shop', sender: null, since, heldRecipients: 3 },
    { name: 'exchange', sender: 'news@x.example', since, heldRecipients: 1 },
  ];
  expect(checkLogins(held)).toMatchObject([
    { result: 'warning', advice: expect.stringContaining('smarthost user release shop.') },
    { result: 'warning', advice: expect.stringContaining('smarthost user release exchange --sender news@x.example.') },
  ]);
});

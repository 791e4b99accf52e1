/** Every action that changes something leaves one row: by whom, to what, before and after, and never a secret. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Control } from '../../../src/control/control.ts';
import { DAY } from '../../../src/system/clock.ts';
import { testControl } from '../../support/control.ts';
import { bytesOf, inline, NOW, newMessage, put } from '../../support/store-rig.ts';

const CHANGED_AT = new Date(NOW).toISOString();
const rowsOf = async ({ changes }: Control) =>
  (await changes.list({ limit: 100 }))
    .map(({ action, target, before, after, recipients }) => ({ action, target, before, after, recipients }))
    .reverse();

test('users: each change has its row with before and after, and what changes nothing has none', async () => {
  const { control } = await testControl();
  const { users, behaviour } = control;
  await users.add({ name: 'shop', senders: ['@x.example'] }, 'correct horse');
  await expect(users.add({ name: 'shop', senders: ['*'] })).rejects.toMatchObject({ kind: 'exists' });
  await users.change('Shop', { senders: ['@x.example'] });
  await users.change('shop', { disabled: true });
  await users.change('shop', {}, { password: 'correct horse 2' });
  await users.setPassword('shop');
  await behaviour.setTraits('shop', { bulk: true });
  await behaviour.setTraits('shop', { bulk: true });
  await behaviour.hold('shop', {});
  await behaviour.release('shop', { discard: true });
  await users.remove('shop');
  const settings = { senders: ['@x.example'], mailServer: false, limits: null, expiresAt: null, rewrite: null, disabled: false };
  const rows = await rowsOf(control);
  expect(rows.map(({ action }) => action)).toEqual([
    ...['user.add', 'user.set', 'user.set', 'user.password', 'user.traits', 'user.hold', 'user.release', 'user.remove'],
  ]);
  expect(rows[0]).toEqual({ action: 'user.add', target: 'shop', before: null, after: settings, recipients: null });
  expect(rows[1]).toMatchObject({ before: settings, after: { ...settings, disabled: true } });
  expect(rows[2]!.after).toEqual({ ...settings, disabled: true, password: 'changed' });
  expect(rows[7]).toMatchObject({ before: { ...settings, disabled: true }, after: null });
  const text = JSON.stringify(rows);
  for (const secret of ['argon2', 'correct horse']) expect(text).not.toContain(secret);
  expect((await control.changes.list({ limit: 1 }))[0]).toMatchObject({
    actor: 'anna',
    way: 'command',
    address: null,
    at: CHANGED_AT,
  });
});

test('domains: keys are named and never shown', async () => {
  const { control } = await testControl();
  const pem = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await control.domains.takeOver('x.example', 's1', pem);
  await control.domains.rotate('x.example');
  await control.domains.ensure(['x.example', 'y.example']);
  await control.domains.remove('x.example');
  const rows = await rowsOf(control);
  expect(rows.map(({ action, target }) => [action, target])).toEqual([
    ['domain.add', 'x.example'],
    ['domain.rotate', 'x.example'],
    ['domain.add', 'y.example'],
    ['domain.remove', 'x.example'],
  ]);
  expect(rows[0]).toMatchObject({ before: [], after: [{ selector: 's1', algorithm: 'rsa-sha256', state: 'active' }] });
  expect(rows[1]!.before).toEqual(rows[0]!.after);
  expect(rows[3]).toMatchObject({ after: [] });
  expect(JSON.stringify(rows)).not.toContain('PRIVATE KEY');
});

test('the queue: one row for each action, with the selection and how many it has changed', async () => {
  const { control, store } = await testControl();
  const ids: string[] = [];
  for (let i = 0; i < 25; i++) ids.push((await put(store, newMessage({ content: inline(bytesOf('x')) }))).id);
  await control.queue.hold({ domain: 'example.net' });
  await control.queue.hold({ domain: 'example.net' });
  await control.queue.release({ ids });
  await control.queue.remove({ ids: [ids[0]!] });
  const rows = await rowsOf(control);
  expect(rows).toEqual([
    {
      action: 'queue.hold',
      target: 'example.net',
      before: null,
      after: { selection: { domain: 'example.net', upTo: ids.toSorted().at(-1) } }, // what was there when it began
      recipients: 25,
    },
    {
      ...{ action: 'queue.release', target: '25 messages', before: null, recipients: 25 },
      after: { selection: { messages: 25, ids: ids.slice(0, 20) } },
    },
    { action: 'queue.remove', target: ids[0], before: null, after: { selection: { messages: 1, ids: [ids[0]] } }, recipients: 1 },
  ]);
});

test('what the running relay is asked for, and a test message, have rows', async () => {
  const { control, set, store } = await testControl();
  set({ tls: { mode: 'acme', acme: { acceptTerms: true } } });
  await control.certificates.renew();
  await control.providers.command('google', 'hold');
  const policy = {
    id: 'a1',
    mode: 'enforce',
    maxAge: 1,
    mx: ['mx.x.example'],
    text: '',
    fetchedAt: NOW,
    expiresAt: NOW + DAY,
  } as const;
  const rest = { usedAt: NOW, refreshAt: null, failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null };
  await store.tlsPolicies.putStsPolicy({ domain: 'x.example', ...policy, ...rest }, 'relay');
  await control.tlsPolicies.forget('x.example');
  await control.send.submit({ to: 'bob@x.example' });
  const rows = await rowsOf(control);
  expect(rows.map(({ action, target }) => `${action} ${target}`)).toEqual([
    ...['certificate.renew all', 'provider.hold google', 'tls-policy.forget x.example', 'mail.send bob@x.example'],
  ]);
  expect(rows[2]!.before).toMatchObject({ id: 'a1', mode: 'enforce' });
  expect(rows[3]!.after).toEqual({ from: 'postmaster@relay.example.net', to: 'bob@x.example' });
});

/** Muted findings over the API. */
import { expect, test } from 'vitest';
import { startTestConsole } from '../../support/console.ts';

const MUTE = { check: 'dmarc', subject: 'shop.test', reason: 'comes with the new site', until: null };

test('a finding is muted with a reason, and told of again', async () => {
  await using console = await startTestConsole();
  const made = await console.ask('POST', '/doctor/mutes', MUTE);
  expect([made.status, made.body]).toMatchObject([201, MUTE]);
  expect((await console.ask('GET', '/doctor/mutes', undefined, { as: 'operator' })).body.items).toMatchObject([MUTE]);
  expect((await console.ask('DELETE', '/doctor/mutes?check=dmarc&subject=shop.test')).status).toBe(204);
  expect((await console.ask('GET', '/doctor/mutes')).body.items).toEqual([]);
  expect((await console.ask('DELETE', '/doctor/mutes?check=dmarc&subject=shop.test')).status).toBe(404);
});

test('a mute without a reason, or with an end that is none or past, is refused at its field', async () => {
  await using console = await startTestConsole();
  for (const [change, pointer] of [
    [{ reason: ' ' }, '/reason'],
    [{ until: 'soon' }, '/until'],
    [{ until: '2001-01-01T00:00:00Z' }, '/until'],
  ] as const) {
    const { status, body } = await console.ask('POST', '/doctor/mutes', { ...MUTE, ...change });
    expect([status, body.errors.map((one: { pointer: string }) => one.pointer)]).toEqual([422, [pointer]]);
  }
  expect((await console.ask('POST', '/doctor/mutes', MUTE, { as: 'reader' })).status).toBe(403);
});

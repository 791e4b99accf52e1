/** Providers, test mail and TLS with destinations over the API. */
import { expect, test } from 'vitest';
import { startTestConsole } from '../../support/console.ts';

test('a provider is shown with its limits, and the relay is asked to hold its mail', async () => {
  await using console = await startTestConsole();
  const { items } = (await console.ask('GET', '/providers')).body;
  expect(items.map(({ provider }: any) => provider)).toContain('google');
  const one = (await console.ask('GET', '/providers/google')).body;
  expect(one).toMatchObject({ provider: 'google', held: 0, addresses: [], limits: { sessions: expect.any(Number) } });
  expect((await console.ask('GET', '/providers/nobody')).status).toBe(404);
  const hold = await console.ask('POST', '/providers/google/hold');
  expect([hold.status, hold.body]).toEqual([202, { provider: 'google', asked: 'hold' }]);
  expect(await console.store.operation.value('provider.command.google')).toBe('hold');
  expect((await console.ask('POST', '/providers/google/probe')).status).toBe(409);
});

test('a test message waits like other mail, and both of its addresses are checked at once', async () => {
  await using console = await startTestConsole();
  const wrong = await console.ask('POST', '/test-messages', { to: 'x', from: 'y' });
  expect(wrong.body.errors).toEqual([
    { pointer: '/to', detail: 'to must be a mail address such as admin@example.net, not "x"' },
    { pointer: '/from', detail: 'from must be a mail address such as admin@example.net, not "y"' },
  ]);
  const { status, body, headers } = await console.ask('POST', '/test-messages', { to: 'bob@x.test' });
  expect([status, headers.get('location')]).toEqual([202, `/api/v1/messages/${body.id}`]);
  expect(body.header).toMatch(/^To: .*bob@x\.test/m);
  const stored = await console.store.messages.get(body.id);
  expect(stored).toMatchObject({ reversePath: 'postmaster@relay.example.net', recipients: [{ address: 'bob@x.test' }] });
});

test('policies, reports and failures of TLS are listed; what is missing is not found', async () => {
  await using console = await startTestConsole();
  for (const path of ['/tls/policies', '/tls/reports', '/tls/failures'])
    expect((await console.ask('GET', path)).body).toEqual({ items: [] });
  expect((await console.ask('GET', '/tls/policies/x.test')).status).toBe(404);
  expect((await console.ask('DELETE', '/tls/policies/x.test')).status).toBe(404);
  expect((await console.ask('POST', '/tls/reports/suppress', { rua: 'mailto:a@x.test', suppressed: true })).status).toBe(404);
  expect((await console.ask('GET', '/tls/reports/2026-11-20/x.test')).status).toBe(404);
  const wrong = await console.ask('POST', '/tls/reports/2026-02-31/x.test/send');
  expect(wrong.body.errors).toEqual([{ pointer: '/day', detail: 'day is a UTC day such as 2026-11-27, not "2026-02-31"' }]);
});

/** The frame of all pages in a real browser: it loads little, breaks no policy, and works without a mouse. */
import { afterAll, describe, expect, test } from 'vitest';
import { closeBrowser, hasBrowser, openWindow } from '../support/browser.ts';
import { startTestConsole } from '../support/console.ts';

afterAll(closeBrowser);

describe.skipIf(!hasBrowser)('the frame', () => {
  test('the first page comes with at most 30 requests and 70 KB', async () => {
    await using console = await startTestConsole();
    await using visit = await openWindow(console.origin);
    const { page, requests, received } = visit;
    const { port } = new URL(console.origin);
    await page.context().addCookies([{ name: `smarthost-${port}`, value: 'session of admin', url: console.origin }]);
    await page.route('**/api/v1/session', (route) => route.fulfill({ json: { name: 'anna', role: 'admin', csrf: 'x' } }));
    await page.goto('/');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await page.getByText('relay.example.net').waitFor();
    expect(requests.length).toBeLessThanOrEqual(30);
    expect(received()).toBeLessThanOrEqual(70_000);
    if (process.env['SHOT']) await page.screenshot({ path: `${process.env['SHOT']}/frame.png` });
  });
});

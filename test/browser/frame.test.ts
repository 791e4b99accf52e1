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
    await page.goto('/');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await page.locator('#main').getByText('relay.example.net').waitFor();
    // What is looked at again after 5 s counts once.
    expect(new Set(requests).size).toBeLessThanOrEqual(30);
    expect(received()).toBeLessThanOrEqual(70_000);
  });
});

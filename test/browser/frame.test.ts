/** The frame of all pages in a real browser: it loads little, breaks no policy, and works without a mouse. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, describe, expect, test } from 'vitest';
import { closeBrowser, hasBrowser, lookAt, openWindow } from '../support/browser.ts';
import { startTestConsole } from '../support/console.ts';

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const PLACES = ['.name', '.top input', 'h1'];

const logIn = (page: Page, origin: string) =>
  page.context().addCookies([{ name: `smarthost-${new URL(origin).port}`, value: 'session of admin', url: origin }]);

/** Where each begins, and how high it is. */
const placesIn = (page: Page) =>
  Promise.all(PLACES.map(async (place) => Object.values((await page.locator(place).boundingBox())!).filter((_, at) => at !== 2)));

afterAll(closeBrowser);

describe.skipIf(!hasBrowser)('the frame', () => {
  test('the first page comes with at most 30 requests and 70 KB', async () => {
    await using console = await startTestConsole();
    await using visit = await openWindow(console.origin);
    const { page, requests, received } = visit;
    await logIn(page, console.origin);
    await page.goto('/');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await page.locator('#main').getByText('relay.example.net').waitFor();
    // What is looked at again after 5 s counts once.
    expect(new Set(requests).size).toBeLessThanOrEqual(30);
    expect(received()).toBeLessThanOrEqual(70_000);
  });

  test('the document shows by itself where a reader is, and says what to do if its modules never come', async () => {
    await using console = await startTestConsole();
    await using visit = await openWindow(console.origin, {
      bypassCSP: true,
      expected: [/^Failed to load resource/],
      documentOnly: true,
    });
    const { page } = visit;
    await page.route('**/*.js', (route) => route.abort());
    for (const name of ['Messages', undefined]) {
      if (name !== undefined) await logIn(page, console.origin);
      else await page.context().clearCookies();
      await page.goto('/messages');
      await page.getByText('Loading …').waitFor();
      expect(await page.getByRole('heading').allTextContents()).toEqual(name === undefined ? [] : [name]);
      await page.getByText('This page should be here by now.').waitFor();
      await lookAt(page, `shell-${name ?? 'login'}`);
      await page.evaluate(AXE);
      for (const width of [360, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        const { violations } = (await page.evaluate("axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag22aa'] })")) as {
          violations: readonly { readonly id: string }[];
        };
        expect(violations.map(({ id }) => id)).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
      }
    }
  });

  test('nothing of it moves when they come', async () => {
    await using console = await startTestConsole();
    for (const width of [1280, 360]) {
      await using visit = await openWindow(console.origin, {
        viewport: { width, height: 800 },
        expected: [/^Failed to load resource/],
        documentOnly: true,
      });
      const { page } = visit;
      await logIn(page, console.origin);
      await page.route('**/*.js', (route) => route.abort());
      await page.goto('/settings');
      const before = await placesIn(page);
      await page.unroute('**/*.js');
      await page.goto('/settings');
      await page.locator('.menu summary').waitFor();
      const [name, search, title] = await placesIn(page);
      expect([name, title]).toEqual([before[0], before[2]]);
      expect(search!.slice(1)).toEqual(before[1]!.slice(1)); // who is logged in needs a place beside it
    }
  });

  test('without scripts the document says what does the same', async () => {
    await using console = await startTestConsole();
    await using visit = await openWindow(console.origin, { javaScriptEnabled: false });
    const { page } = visit;
    await page.goto('/');
    await page.getByRole('heading', { name: 'smarthost on relay.example.net' }).waitFor();
    expect(await page.getByText('Loading …').isVisible()).toBe(false);
  });

  test('a language that was chosen is that of the next visit, from its first word on', async () => {
    await using console = await startTestConsole();
    await using visit = await openWindow(console.origin, { expected: [/^Failed to load resource/] });
    const { page, requests } = visit;
    await logIn(page, console.origin);
    await page.goto('/messages');
    await page.getByText('admin', { exact: true }).first().click();
    await page.getByRole('button', { name: 'Français' }).click();
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Refusés' }).waitFor();
    const before = requests.length;
    await page.goto('/refused');
    await page.getByRole('heading', { level: 1, name: 'Refusés' }).waitFor();
    await page.getByRole('navigation').getByRole('link', { name: 'Refusés' }).waitFor();
    expect(requests.slice(before).filter((url) => url.includes('/texts/en-'))).toEqual([]);
  });
});

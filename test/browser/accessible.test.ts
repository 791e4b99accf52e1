/** Each page of this list has no fault that axe finds, light and dark, narrow and wide, and does not scroll sideways. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const COLOURS = ['cat.color'];
const PAGES = [
  '/credentials',
  '/credentials/app%40sender.test',
  '/credentials/app%40sender.test?view=rules',
  '/credentials/app%40sender.test?view=client',
  '/credentials/app%40sender.test?view=access',
  '/new-credential?kind=device',
  '/domains',
  '/domains/sender.test',
  '/destinations',
  '/doctor',
  '/tls',
  '/tls?view=policies',
  '/tls?view=reports',
  '/tls?view=failures',
  '/certificates',
  '/log',
  '/settings',
  '/accounts',
  '/accounts/reader',
  '/account',
  '/tokens',
  '/changes',
];

type AxeResult = {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
};

inBrowser('pages without barriers', startConsoleRelay, (console) => {
  test.each(PAGES)('%s', { timeout: 600_000 }, async (path) => {
    await using visit = await console().open('admin', { bypassCSP: true });
    const { page } = visit;
    await page.goto(path);
    await page.locator('footer.command').waitFor();
    await page.waitForFunction(() => document.querySelector('.loading') === null);
    await page.evaluate(AXE);
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [360, 1280]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        // Between the themes only colours differ.
        const rules = colorScheme === 'light' ? RULES : COLOURS;
        const { violations } = (await page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(rules)} })`)) as AxeResult;
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
        expect(found, `${colorScheme} ${width} px`).toEqual([]);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        expect(over, `scrolls sideways at ${width} px`).toBe(0);
      }
    }
  });
});

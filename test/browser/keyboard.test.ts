/** A whole day's work without a mouse: this file calls nothing but the keyboard. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { inBrowser, openWindow } from '../support/browser.ts';
import { ANNA, addAnna } from '../support/console-account.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { fillMail } from '../support/mail-world.ts';

/** More stops than any page has. */
const MOST_STOPS = 250;

type Stop = { readonly name: string; readonly isSeen: boolean };

/** What has the focus: its name for people, and whether its place and its ring can be seen. */
function focused(page: Page): Promise<Stop> {
  return page.evaluate(() => {
    const element = document.activeElement as HTMLElement;
    // The title of a page that was opened a moment ago has it too, and shows no ring: nothing can be done there.
    if (element === document.body || element.localName === 'h1') return { name: '', isSeen: true };
    const { outlineStyle, outlineWidth, visibility } = getComputedStyle(element);
    const { width, height, top, bottom, left, right } = element.getBoundingClientRect();
    const label = (element as HTMLInputElement).labels?.[0]?.textContent;
    return {
      name: (element.getAttribute('aria-label') ?? label ?? element.textContent ?? '').replaceAll(/\s+/g, ' ').trim(),
      isSeen:
        [outlineStyle !== 'none', Number.parseFloat(outlineWidth) >= 2, visibility === 'visible'].every(Boolean) &&
        [width > 0, height > 0, bottom > 0, top < innerHeight, right > 0, left < innerWidth].every(Boolean),
    };
  });
}

/** Goes on by the tabulator until the name fits. Each stop on the way can be seen, and none keeps the focus. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const passed: string[] = [];
  for (let stops = 0; stops < MOST_STOPS; stops++) {
    await page.keyboard.press('Tab');
    // The page scrolls to it a moment later.
    await expect.poll(async () => await focused(page), { message: 'the focus is seen' }).toMatchObject({ isSeen: true });
    const stop = await focused(page);
    if (typeof name === 'string' ? stop.name === name : name.test(stop.name)) return;
    passed.push(stop.name);
  }
  throw new Error(`no stop is ${name}: ${passed.join(' | ')}`);
}

inBrowser(
  'the keyboard alone',
  () =>
    startConsoleRelay({
      prepare: async (store) => {
        await addAnna(store);
        await fillMail(store);
      },
    }),
  (console) => {
    test('logs in, finds a message, holds mail in bulk after a look, makes a credential, and logs out', async () => {
      await using visit = await openWindow(console().origin);
      const { page } = visit;
      const { keyboard } = page;
      const atPage = (name: string) => page.getByRole('heading', { level: 1, name }).waitFor();
      await page.goto('/');
      await atPage('Log in');
      await tabTo(page, 'Account');
      await keyboard.type(ANNA.name);
      await tabTo(page, 'Password');
      await keyboard.type(ANNA.password);
      await keyboard.press('Enter');
      await atPage('Overview');

      await keyboard.press('g');
      await keyboard.press('m');
      await atPage('Messages');
      await page.getByRole('table', { name: 'Messages' }).waitFor();
      await tabTo(page, 'To');
      await keyboard.type('@gamma.example');
      await page.waitForURL('**/messages?to=%40gamma.example');
      await expect.poll(() => page.getByRole('table', { name: 'Messages' }).getByRole('row').count()).toBe(2);
      await tabTo(page, /\d\d:\d\d/);
      await keyboard.press('Enter');
      await atPage('Offer for the new building');

      await keyboard.press('g');
      await keyboard.press('q');
      await atPage('Queue');
      await page.getByRole('table', { name: 'Queue' }).waitFor();
      await tabTo(page, 'Choose outlook.example');
      await keyboard.press('Space');
      await page.getByText('6 recipients of 6 messages').waitFor();
      await tabTo(page, 'Hold');
      await keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'Hold' });
      await dialog.getByText('6 recipients of 6 messages').waitFor();
      await expect.poll(async () => (await focused(page)).name).toBe('Hold');
      await keyboard.press('Enter');
      await page.getByText('6 recipients are held.').waitFor();
      await expect.poll(async () => (await focused(page)).name).toBe('Hold');
      await tabTo(page, /^Take out of the queue/);
      await keyboard.press('Enter');
      const last = page.getByRole('dialog', { name: 'Take out of the queue' });
      await last.getByText('Takes 6 recipients of 6 messages out of the queue for good.').waitFor();
      await keyboard.press('Escape');
      await last.waitFor({ state: 'detached' });
      await expect.poll(async () => (await focused(page)).name).toMatch(/^Take out of the queue/);

      await keyboard.press('g');
      await keyboard.press('c');
      await atPage('Credentials');
      await tabTo(page, 'Add a credential');
      await keyboard.press('Enter');
      await tabTo(page, /^An application/);
      await keyboard.press('Enter');
      await tabTo(page, 'Name');
      await keyboard.type('newsletter');
      await tabTo(page, /^Senders/);
      await keyboard.type('news@sender.test');
      await tabTo(page, 'Add and show the password');
      await keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Copy the password now' }).waitFor();
      await tabTo(page, 'On to its settings');
      await keyboard.press('Enter');
      await atPage('newsletter');

      await tabTo(page, ANNA.name);
      await keyboard.press('Enter');
      await tabTo(page, 'Log out');
      await keyboard.press('Enter');
      await atPage('Log in');
    });
  },
);

/** How an operator finds a message and sees what became of it, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import type { NewMessage, Store } from '../../src/store/store.ts';
import { inBrowser, lookAt } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { fillMail } from '../support/mail-world.ts';
import { newMessage } from '../support/store-rig.ts';

/** Machines are slow at times. */
const PATIENCE = { timeout: 30_000 };

let messages: readonly NewMessage[];
/** To more recipients than a page shows. */
let large: NewMessage;

async function startWithMail() {
  const prepare = async (store: Store) => {
    messages = await fillMail(store);
    large = newMessage({
      to: Array.from({ length: 51 }, (_, n) => `reader${n}@list.example`),
      acceptedAt: messages[0]!.acceptedAt,
    });
    await store.messages.accept({ message: large });
  };
  return startConsoleRelay({ prepare });
}

inBrowser('messages', startWithMail, (console) => {
  test('the list is filtered by its address, and a message says what was tried and answered', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/messages');
    const table = page.getByRole('table', { name: 'Messages' });
    await table.getByText('Invoice 4711').waitFor();
    await lookAt(page, 'messages');
    await page.getByLabel('To', { exact: true }).fill('@gamma.example');
    await page.waitForURL('**/messages?to=%40gamma.example');
    await expect.poll(() => table.getByRole('row').count(), PATIENCE).toBe(2);
    await page.reload();
    await expect.poll(() => table.getByRole('row').count(), PATIENCE).toBe(2);
    await table.getByRole('link').first().click();
    await page.getByRole('heading', { level: 1, name: 'Offer for the new building' }).waitFor();
    await page.getByText('550 5.1.1 The email account that you tried to reach does not exist').waitFor();
    await page.getByText('450 4.2.0 Greylisted').waitFor();
    await lookAt(page, 'message');
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy as proof' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    const proof = await page.evaluate(() => navigator.clipboard.readText());
    expect(proof).toContain('To: <anna@alpha.example>: relayed');
    expect(proof).toMatch(/UTC {2}mx1\.alpha\.example \[198\.51\.100\.25\] {2}TLSv1\.3 {2}250 2\.0\.0 Ok: queued as 4F2K9/);
  });

  test('a message to very many shows its recipients in parts', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto(`/messages/${large.id}`);
    await page.getByText('Recipients 1 to 50 of 51').waitFor();
    await page.getByRole('link', { name: 'Later recipients' }).click();
    await page.getByRole('heading', { level: 2, name: 'reader50@list.example' }).waitFor();
    await page.getByRole('link', { name: 'Earlier recipients' }).click();
    await page.getByRole('heading', { level: 2, name: 'reader0@list.example' }).waitFor();
  });

  test('what strangers wrote is text, with its hidden signs shown', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto(`/messages/${messages[2]!.id}`);
    const heading = page.getByRole('heading', { level: 1 });
    await expect.poll(() => heading.textContent(), PATIENCE).toBe('<script>alert(1)</script> U+202Egnp.exeU+200B');
    expect(await page.title()).not.toContain('\u202e');
  });

  test('the search of the frame takes an id to its message, and other text to the recipients', async () => {
    await using visit = await console().open('reader');
    const { page } = visit;
    await page.goto('/');
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type(messages[0]!.id);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Invoice 4711' }).waitFor();
    await page.locator('body').press('/');
    await page.keyboard.type('nobody@nowhere.example');
    await page.keyboard.press('Enter');
    await page.getByText('No message fits.').waitFor();
    expect(await page.getByRole('link', { name: 'From', exact: true }).getAttribute('href')).toBe(
      '/messages?from=nobody%40nowhere.example',
    );
  });

  test('what was refused at the door is found with its client and its reply', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/refused');
    const table = page.getByRole('table', { name: 'Refused' });
    await table.getByText('535 5.7.8 Wrong name or password').waitFor();
    await lookAt(page, 'refused');
    await table.getByRole('link', { name: 'shop' }).click();
    await page.waitForURL('**/refused?credential=shop');
    await expect.poll(() => table.getByRole('row').count(), PATIENCE).toBe(2);
  });

  test('the overview answers in words first, also on a phone', async () => {
    await using visit = await console().open('operator', { viewport: { width: 360, height: 740 } });
    const { page } = visit;
    await page.goto('/');
    for (const words of ['Mail is flowing.', 'In the last hour:', /needs? you\./]) {
      const box = (await page.getByText(words).first().boundingBox())!;
      expect(box.y + box.height, String(words)).toBeLessThanOrEqual(600);
    }
    await page.getByText('Recipients, and refusals at the door').waitFor();
    await lookAt(page, 'overview');
    for (const path of ['/', '/messages', `/messages/${messages[1]!.id}`, '/queue', '/queue?by=message', '/refused']) {
      await page.goto(path);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.getByText('The same by command').waitFor();
      await page.waitForLoadState('networkidle');
      expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(360);
    }
  });
});

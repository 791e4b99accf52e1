/** How somebody gets in, and what happens when a session ends in the middle of work, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { secretHash } from '../../src/console/access/cookie.ts';
import { answered, inBrowser, lookAt, openWindow } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

const PASSWORD = 'a long password of anna';
const LINK = 'K7QF-2M9X-HRTW';

const startWithLink = () =>
  startConsoleRelay({
    prepare: async ({ console: accounts }) => {
      const now = Date.now();
      const code = LINK.replaceAll('-', '');
      const link = { id: code.slice(0, 4), hash: secretHash(code), account: 'anna', expiresAt: now + 3_600_000, triesLeft: 5 };
      await accounts.addAccount({ name: 'anna', role: 'operator', credentials: null, createdAt: now }, link);
    },
  });

inBrowser('logging in', startWithLink, (console) => {
  test('a link sets a password once, and a session that ends loses nothing that was typed', async () => {
    await using visit = await openWindow(console().origin, { expected: [answered(401, '/api/v1/')] });
    const { page } = visit;
    await page.goto(`/#setup=${LINK}`);
    await page.getByText('This sets the password of the account anna.').waitFor();
    expect(await page.locator('.brand').textContent()).toBe('smarthost relay.test');
    await lookAt(page, 'set-password');
    await page.getByLabel('New password').fill(PASSWORD);
    await page.getByLabel('The same again').fill('another one, mistyped');
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByText('The two passwords differ.').waitFor();
    await page.getByLabel('The same again').fill(PASSWORD);
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByText('Mail is flowing.').waitFor();
    expect(page.url()).toBe(`${console().origin}/`);
    expect(await page.getByRole('banner').getByRole('link').textContent()).toBe('smarthost relay.test');

    await page.goto('/new-credential?kind=app');
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.getByRole('link', { name: /^An application/ }).click();
    await page.getByLabel('Name').fill('shop');
    await page.getByLabel('Senders').fill('noreply@shop.test');
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Add and show the password' }).click();
    const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
    await dialog.getByLabel('Password').fill('wrong');
    await dialog.getByRole('button', { name: 'Log in' }).click();
    await dialog.locator('.fault:not(:empty)').first().waitFor();
    await dialog.getByLabel('Password').fill(PASSWORD);
    await dialog.getByRole('button', { name: 'Log in' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'Copy the password now' }).waitFor();
    await page.goto('/credentials?find=shop');
    await expect
      .poll(() => page.getByRole('table', { name: 'Credentials' }).getByRole('row').count(), { timeout: 30_000 })
      .toBe(2);
  });

  test('who is not logged in gets the page that was asked for after the login', async () => {
    await using visit = await openWindow(console().origin);
    const { page } = visit;
    await page.goto('/queue?by=message');
    await page.getByLabel('Account').fill('anna');
    await page.getByLabel('Password').fill(PASSWORD);
    await lookAt(page, 'login');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { level: 1, name: 'Queue' }).waitFor();
    expect(page.url()).toBe(`${console().origin}/queue?by=message`);
    await page.getByText('anna', { exact: true }).click();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { level: 1, name: 'Log in' }).waitFor();
  });

  test('a link that was used says how to get another one', async () => {
    await using visit = await openWindow(console().origin, { expected: [answered(404, '/api/v1/setup/look')] });
    const { page } = visit;
    await page.goto(`/#setup=${LINK}`);
    await page.getByText('A link counts once').waitFor();
  });
});

/** The console without the internet, and without the relay, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

inBrowser('without a network', startConsoleRelay, (console) => {
  test('each page of the navigation works although nothing but the relay answers', async () => {
    await using visit = await console().open('admin');
    const { page, requests } = visit;
    const { origin } = console();
    await page.route(
      (url) => url.origin !== origin,
      (route) => route.abort('internetdisconnected'),
    );
    await page.goto('/');
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    await links.first().waitFor();
    const names = await links.allTextContents();
    expect(names.length).toBeGreaterThan(12);
    for (const name of names) {
      await links.getByText(name, { exact: true }).click();
      await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
      await page.locator('footer.command').waitFor();
    }
    expect([...new Set(requests.map((url) => new URL(url).origin))]).toEqual([origin]);
  });

  test('a connection that is lost is told, what was shown stays, and it goes on by itself when the relay is back', async () => {
    await using visit = await console().open('operator', {
      expected: [/^Failed to load resource: net::ERR_INTERNET_DISCONNECTED/],
    });
    const { page } = visit;
    const note = page.getByText('The relay does not answer.');
    await page.goto('/');
    await page.getByText('Mail is flowing.').waitFor();
    await page.context().setOffline(true);
    await note.first().waitFor();
    expect(await page.getByText('Mail is flowing.').isVisible()).toBe(true);
    await page.context().setOffline(false);
    await note.first().waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'Queue', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Queue' }).waitFor();
  });
});

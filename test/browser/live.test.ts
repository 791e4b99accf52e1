/** Mail seen as it comes, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { openClient } from '../support/relay.ts';

inBrowser('the live list of messages', startConsoleRelay, (console) => {
  async function send(subject: string): Promise<void> {
    const client = await openClient(console().relay.ports.submissions, { tls: true });
    await client.login();
    const text = `From: app@sender.test\r\nTo: anna@dest.test\r\nSubject: ${subject}\r\n\r\nHow are you?\r\n`;
    expect(await client.message({ text })).toMatch(/^250 /);
    client.close();
  }

  test('a new message appears by itself and shows what becomes of it; paused, the list stays as it is', async () => {
    await using visit = await console().open('operator');
    const { page, requests } = visit;
    const streams = () => requests.filter((url) => url.includes('/messages/live')).length;
    await page.goto('/messages');
    await page.getByText('No mail has come yet.').waitFor();
    await expect.poll(streams).toBe(1);
    await send('First');
    const table = page.getByRole('table', { name: 'Messages' });
    const first = table.getByRole('row').filter({ hasText: 'First' });
    await first.getByText('relayed').waitFor();

    const live = page.getByRole('button', { name: 'Live' });
    await live.click();
    await expect.poll(() => live.getAttribute('aria-pressed')).toBe('false');
    expect(new URL(page.url()).searchParams.get('live')).toBe('no');
    await send('Second');
    await page.reload();
    const second = table.getByRole('row').filter({ hasText: 'Second' });
    await second.waitFor(); // as the list was when it was loaded
    await send('Third');
    await console().relay.logged('relayed', () => console().relay.log.filter(({ event }) => event === 'relayed').length === 3);
    expect(await table.getByText('Third').count()).toBe(0);
    expect(streams()).toBe(1);

    await live.click();
    await table.getByText('Third').waitFor();
    await send('Fourth');
    await table.getByText('Fourth').waitFor();
    expect(await table.getByRole('row').nth(1).textContent()).toContain('Fourth');
  });

  test('how many changes came too fast to be shown is said, and one button shows them', async () => {
    await using visit = await console().open('operator');
    const { page, requests } = visit;
    await page.route('**/api/v1/messages/live*', (route) =>
      route.fulfill({
        contentType: 'text/event-stream',
        body: 'retry: 600000\nevent: messages\ndata: {"items":[],"more":1207}\n\n',
      }),
    );
    await page.goto('/messages');
    const note = page.getByRole('status').filter({ hasText: '1,207 changes are not shown.' });
    await note.waitFor();
    const lists = () => requests.filter((url) => /\/api\/v1\/messages(\?|$)/.test(url)).length;
    const before = lists();
    await note.getByRole('button', { name: 'Load again' }).click();
    await expect.poll(lists).toBeGreaterThan(before);
    await note.waitFor({ state: 'detached' });
  });
});

/** What clients were refused, as soon as it happens, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { openClient } from '../support/relay.ts';

const startWithLimit = () => startConsoleRelay({ yaml: 'submission: { maxMessageSize: 64KiB }\n' });

inBrowser('the page of refusals', startWithLimit, (console) => {
  test('shows a failed login and what was refused at MAIL, RCPT and DATA, with address, credential and reply', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/refused');
    await page.getByText('Nothing was refused').waitFor();
    const client = await openClient(console().relay.ports.submissions, { tls: true });
    await client.login();
    const replies = [await client.command('MAIL FROM:<root@other.test>')];
    await client.command('MAIL FROM:<app@sender.test>');
    replies.push(await client.command('RCPT TO:<anna@127.0.0.1>'));
    await client.command('RSET');
    replies.push(await client.message({ text: 'From: eve@other.test\r\nTo: anna@dest.test\r\n\r\nHello\r\n' }));
    client.close();
    const stranger = await openClient(console().relay.ports.submissions, { tls: true });
    replies.push(await stranger.login('app@sender.test', 'wrong'));
    stranger.close();
    const table = page.getByRole('table', { name: 'Refused' });
    for (const [at, verb] of ['MAIL', 'RCPT', 'DATA', 'AUTH'].entries()) {
      const row = table.getByRole('row').filter({ has: page.getByRole('cell', { name: verb, exact: true }) });
      await row.waitFor();
      const text = await row.textContent();
      expect(replies[at]).toMatch(/^5\d\d /);
      for (const part of ['127.0.0.1', 'app@sender.test', replies[at]!.split('\n').at(-1)!.slice(4)])
        expect(text).toContain(part);
    }
  });
});

/** How an operator holds the mail for a provider and lets it go, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

inBrowser('providers', startConsoleRelay, (console) => {
  test('mail for one is held and let go again, each after a sentence that says what it does', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/destinations');
    const row = page.getByRole('row').filter({ hasText: /^google/ });
    const dialog = page.getByRole('dialog');
    await page.getByText(/providers take mail as usual$/).click();
    await row.getByRole('button', { name: 'Hold: google' }).click();
    await dialog.getByText('is accepted and kept, until you open it again. Its senders are not told.').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await row.getByRole('button', { name: 'Hold: google' }).click();
    await dialog.getByRole('button', { name: 'Hold', exact: true }).click();
    await page.getByText('Mail for google is held.').waitFor();
    await row.getByText('held by an operator').waitFor();
    // A probe of what an operator holds is refused, so it is not offered.
    expect(await row.getByRole('button', { name: /^Probe/ }).count()).toBe(0);
    await row.getByRole('button', { name: 'Open: google' }).click();
    await dialog.getByText('Held mail leaves at once.').waitFor();
    await dialog.getByRole('button', { name: 'Open', exact: true }).click();
    await page.getByText('Mail for google leaves at full pace.').waitFor();
    await row.getByRole('button', { name: 'Hold: google' }).waitFor();
  });
});

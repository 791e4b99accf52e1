/** How an operator mends what is stuck, in a real browser on a whole relay. */
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { NewMessage } from '../../src/store/store.ts';
import { closeBrowser, hasBrowser, lookAt } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { fillMail } from '../support/mail-world.ts';

describe.skipIf(!hasBrowser)('the queue', () => {
  let messages: readonly NewMessage[];
  const prepare = async (store: Parameters<typeof fillMail>[0]) => {
    messages = await fillMail(store);
  };
  beforeEach(() => {
    messages = [];
  });
  afterAll(closeBrowser);

  test('mail is taken out only after its number was typed, and the page says whom nobody tells', async () => {
    await using console = await startConsoleRelay({ prepare });
    await using visit = await console.open('operator');
    const { page } = visit;
    await page.goto('/queue');
    const table = page.getByRole('table', { name: 'Queue' });
    await table.getByText('outlook.example').waitFor();
    await lookAt(page, 'queue');
    await table.getByRole('checkbox', { name: 'Choose outlook.example' }).check();
    await page.getByText('6 recipients of 6 messages').waitFor();
    await page.getByRole('button', { name: 'Take out of the queue' }).click();
    const dialog = page.getByRole('dialog', { name: 'Take out of the queue' });
    await dialog.getByText('Takes 6 recipients of 6 messages out of the queue for good.').waitFor();
    await dialog.getByText('Their senders get no report').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    expect(await table.getByRole('checkbox', { name: 'Choose outlook.example' }).isChecked()).toBe(true);
    await page.getByRole('button', { name: 'Take out of the queue' }).click();
    await dialog.getByRole('button', { name: 'Take out of the queue' }).click();
    await page.getByText('6 recipients were taken out.').waitFor();
    await table.getByText('outlook.example').waitFor({ state: 'detached' });
  });

  test('one message is held and released from its page', async () => {
    await using console = await startConsoleRelay({ prepare });
    await using visit = await console.open('operator');
    const { page } = visit;
    await page.goto(`/messages/${messages[1]!.id}`);
    await page.getByRole('button', { name: 'Hold' }).click();
    await page.getByText('1 recipient is held.').waitFor();
    await page.getByRole('button', { name: 'Release' }).click();
    await page.getByText('1 recipient was released.').waitFor();
  });

  test('a reader sees the queue and can change nothing in it', async () => {
    await using console = await startConsoleRelay({ prepare });
    await using visit = await console.open('reader');
    const { page } = visit;
    await page.goto('/queue?by=message');
    await page.getByRole('table', { name: 'Queue' }).waitFor();
    expect(await page.getByRole('checkbox').count()).toBe(0);
    expect(await page.getByRole('button', { name: 'Take out of the queue' }).count()).toBe(0);
  });
});

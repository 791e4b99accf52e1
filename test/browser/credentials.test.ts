/** What an operator does with credentials, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { answered, inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { openClient } from '../support/relay.ts';

inBrowser('credentials', startConsoleRelay, (console) => {
  test('a new credential is asked for its kind first, its password is shown once, and it logs in', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/credentials');
    await page.getByRole('link', { name: 'Add a credential' }).click();
    await page.getByRole('link', { name: /^An application/ }).click();
    await page.getByLabel('Name').fill('shop');
    await page.getByLabel('Senders').fill('noreply@sender.test\n@shop.test');
    await page.getByRole('button', { name: 'Add and show the password' }).click();
    await page.getByRole('heading', { name: 'Copy the password now' }).waitFor();
    const password = (await page.locator('code.secret').textContent())!;
    expect(password.length).toBeGreaterThan(15);

    const client = await openClient(console().relay.ports.submissions, { tls: true });
    expect(await client.login('shop', password)).toMatch(/^235 /);
    client.close();

    await page.getByRole('link', { name: 'On to its settings' }).click();
    await page.getByRole('heading', { name: 'Settings for the client' }).waitFor();
    await page.getByText('relay.test').filter({ visible: true }).first().waitFor();
    await page.goto('/credentials?find=shop');
    await expect.poll(() => page.getByRole('table', { name: 'Credentials' }).getByRole('row').count()).toBe(2);
    expect(await page.content()).not.toContain(password);
  });

  test('its senders can be changed and tried, and a rule that is none is refused at its field', async () => {
    await using visit = await console().open('operator', { expected: [answered(422, '/api/v1/credentials/')] });
    const { page } = visit;
    await page.goto('/credentials/app%40sender.test?view=rules');
    const senders = page.getByLabel('May send as');
    await senders.fill('no rule');
    await page.getByRole('button', { name: 'Save the senders' }).click();
    await page.locator('.fault:not(:empty)').first().waitFor();
    expect(await senders.getAttribute('aria-invalid')).toBe('true');
    await senders.fill('@sender.test\nother@shop.test');
    await page.getByRole('button', { name: 'Save the senders' }).click();
    await page.getByText('Saved. It counts from the next message on.').waitFor();

    const tried = page.getByLabel('Sender address');
    await tried.fill('other@shop.test');
    await page.getByRole('button', { name: 'Try', exact: true }).click();
    await page.getByText('Allowed.').waitFor();
    await tried.fill('third@shop.test');
    await page.getByRole('button', { name: 'Try', exact: true }).click();
    await page.locator('.verdict', { hasText: /Refused: 55\d 5\.7\.1/ }).waitFor();
  });

  test('its own limits are saved row by row', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/credentials/app%40sender.test?view=rules');
    await page.getByLabel('Its own').check();
    await page.getByRole('spinbutton').fill('50');
    await page.getByRole('button', { name: 'One more limit' }).click();
    await page.getByRole('combobox').nth(2).selectOption('recipients');
    await page.getByRole('spinbutton').nth(1).fill('500');
    await page.getByRole('button', { name: 'Save the limits' }).click();
    await page.getByText('Saved. It counts from the next message on.').waitFor();
    await page.goto('/credentials/app%40sender.test');
    await page.getByText('0 of 50 messages a day').waitFor();
    await page.getByText('0 of 500 recipients a day').waitFor();
  });

  test('what its client does is seen live, with the reason of a failure and the button that mends it', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/credentials/app%40sender.test?view=client');
    const watch = page.getByRole('button', { name: 'Watch its next login' });
    const waiting = page.getByText(/^Waiting for its (first|next) login/);
    await watch.or(waiting).waitFor();
    if (await watch.isVisible()) await watch.click();
    await waiting.waitFor();
    const send = async (password?: string) => {
      const client = await openClient(console().relay.ports.submissions, { tls: true });
      const reply = await client.login('app@sender.test', password);
      if (reply.startsWith('235')) await client.command('MAIL FROM:<root@web1.test>');
      client.close();
    };
    await send('wrong');
    await page.getByText('The password is wrong.').waitFor();
    await send();
    await page.getByText('The login may not send as this address.').waitFor();
    await page.getByRole('button', { name: 'Allow root@web1.test' }).first().click();
    await page.getByText('Changed. Let the client try again.').waitFor();
    await page.goto('/credentials/app%40sender.test');
    await page.getByText('root@web1.test').first().waitFor();
  });

  test('a test mail is sent from its sender and can be followed', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/credentials/app%40sender.test?view=client');
    await page.getByLabel('From').fill('app@sender.test');
    await page.getByLabel('To', { exact: true }).fill('anna@dest.test');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText('The test mail is on its way.').waitFor();
    const [arrived] = await console().relay.mx.received(1);
    expect(arrived!.mailFrom).toBe('app@sender.test');
    expect(await page.getByRole('link', { name: 'Follow it' }).getAttribute('href')).toMatch(/^\/messages\/\w+$/);
  });

  test('disabling says what it does, refuses the next login, and can be undone; removing asks for its name', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    const login = async () => {
      const client = await openClient(console().relay.ports.submissions, { tls: true });
      const reply = await client.login();
      client.close();
      return reply;
    };
    await page.goto('/credentials/app%40sender.test?view=access');
    await page.getByRole('button', { name: 'Disable' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Its logins are refused').waitFor();
    await dialog.getByRole('button', { name: 'Disable' }).click();
    await page.getByText('app@sender.test is disabled.').waitFor();
    expect(await login()).toMatch(/^535 /);
    await page.getByRole('button', { name: 'Enable' }).click();
    await page.getByText('may send again').waitFor();
    expect(await login()).toMatch(/^235 /);

    await page.getByRole('button', { name: 'Remove' }).click();
    await dialog.getByLabel(/^Type app/).fill('another');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await dialog.getByText('This is not app@sender.test.').waitFor();
    await dialog.getByLabel(/^Type app/).fill('app@sender.test');
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await page.getByText('app@sender.test is removed.').waitFor();
    await page.getByRole('heading', { level: 1, name: 'Credentials' }).waitFor();
    expect(await login()).toMatch(/^535 /);
  });
});

/** What an administrator does with accounts, tokens and changes, in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { answered, inBrowser } from '../support/browser.ts';
import { askOnce } from '../support/console.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

inBrowser('accounts, tokens and changes', startConsoleRelay, (console) => {
  test('a new account comes with a link that is shown once, and the list shows that nobody has used it', async () => {
    await using visit = await console().open();
    const { page } = visit;
    await page.goto('/accounts');
    await page.getByRole('button', { name: 'Add an account' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('bob@example.org');
    await dialog.getByLabel('Role').selectOption('reader');
    await dialog.getByRole('button', { name: 'Add and show the link' }).click();
    await page.getByRole('heading', { name: 'Give this link to bob@example.org' }).waitFor();
    const link = (await page.locator('code.secret').textContent())!;
    expect(link).toMatch(new RegExp(`^${console().origin}/#setup=\\w{4}-\\w{4}-\\w{4}$`));
    await page.getByRole('row', { name: /bob@example\.org.*has not set a password yet.*Reader/ }).waitFor();
    await page.reload();
    await page.getByRole('row', { name: /bob@example\.org/ }).waitFor();
    expect(await page.content()).not.toContain(link.slice(-14));
  });

  test('an account of somebody else is changed, disabled and removed, each with a sentence first', async () => {
    await using visit = await console().open();
    const { page } = visit;
    await page.goto('/accounts/operator');
    await page.getByLabel('Role').selectOption('reader');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('operator is changed.').waitFor();
    await page.getByText('Nobody is logged in with it.').waitFor();
    await page.getByRole('button', { name: 'Disable' }).click();
    await page.getByRole('dialog').getByText('Ends all sessions of operator').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await page.locator('.mark', { hasText: 'disabled' }).waitFor();
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByLabel('Type operator').fill('operator');
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByText('operator is removed.').waitFor();
    await page.getByRole('heading', { level: 1, name: 'Accounts' }).waitFor();
    await page.getByRole('row', { name: /^admin/ }).waitFor();
    expect(await page.getByRole('row', { name: /^operator/ }).count()).toBe(0);
  });

  test('a token is shown once, opens the API with its scopes, and is refused when it is removed', async () => {
    await using visit = await console().open('admin', { expected: [answered(422, '/api/v1/tokens')] });
    const { page } = visit;
    await page.goto('/tokens');
    await page.getByRole('button', { name: 'Add a token' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('monitoring');
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    await dialog.getByText('A token has at least one scope.').waitFor();
    await dialog.getByLabel('metrics:read').check();
    await dialog.getByRole('button', { name: 'Make the token' }).click();
    await page.getByRole('heading', { name: 'Copy the token now' }).waitFor();
    const token = (await page.locator('code.secret').textContent())!;
    const ask = () => askOnce(`${console().origin}/api/v1/status`, 'GET', { authorization: `Bearer ${token}` });
    expect((await ask()).status).toBe(200);
    await page.reload();
    await page.getByRole('row', { name: /monitoring/ }).waitFor();
    expect(await page.content()).not.toContain(token);
    await page.getByRole('button', { name: 'Remove the token monitoring?' }).click();
    await dialog.getByRole('button', { name: 'Remove' }).click();
    await page.getByText('The token monitoring is removed.').waitFor();
    expect((await ask()).status).toBe(401);
  });

  test('the changes say who did what, with the fields before and after, and are filtered by the address', async () => {
    await using visit = await console().open();
    const { page } = visit;
    await page.goto('/credentials/app%40sender.test?view=access');
    await page.getByRole('button', { name: 'Disable' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await page.getByText('is disabled.').waitFor();
    await page.goto('/changes?action=user');
    const row = page.getByRole('row', { name: /app@sender\.test/ }).first();
    await row.waitFor();
    expect(await row.textContent()).toContain('admin');
    expect(await row.textContent()).toContain('in a browser, 127.0.0.1');
    await row.getByText('disabled: true').first().waitFor();
    await page.getByLabel('Who').fill('nobody-of-this-name');
    await page.getByText('No change fits the filter.').waitFor();
    expect(new URL(page.url()).searchParams.get('actor')).toBe('nobody-of-this-name');
  });

  test('the second factor is set up with a QR code or its key, and its recovery codes are shown once', async () => {
    await using visit = await console().open('admin', { expected: [answered(422, '/api/v1/session/factor')] });
    const { page } = visit;
    await page.goto('/account');
    await page.getByRole('button', { name: 'Turn it on' }).click();
    const picture = page.getByRole('img', { name: 'QR code with the key of the second factor' });
    await picture.waitFor();
    expect((await picture.locator('path').getAttribute('d'))!.length).toBeGreaterThan(500);
    const secret = (await page.locator('.scan code.secret').textContent())!.replaceAll(' ', '');
    const { TOTP, Secret } = await import('otpauth');
    await page.getByLabel('Code from the app').fill('000000');
    await page.getByRole('button', { name: 'Turn on' }).click();
    await page.locator('.fault:not(:empty)').first().waitFor();
    await page.getByLabel('Code from the app').fill(new TOTP({ secret: Secret.fromBase32(secret) }).generate());
    await page.getByRole('button', { name: 'Turn on' }).click();
    await page.getByRole('heading', { name: 'Keep these recovery codes' }).waitFor();
    expect(await page.locator('.codes li').count()).toBe(8);
    await page.getByRole('button', { name: 'I have kept them' }).click();
    await page.getByText('8 recovery codes are left.').waitFor();
  });
});

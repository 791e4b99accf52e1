/** The second factor from its first code to the day on which the telephone is lost, in a real browser on a whole relay. */
import { Secret, TOTP } from 'otpauth';
import { expect, test } from 'vitest';
import { answered, inBrowser, openWindow } from '../support/browser.ts';
import { addAnna, logIn, logOut } from '../support/console-account.ts';
import { startConsoleRelay } from '../support/console-relay.ts';

const STEP = 30_000;

inBrowser(
  'the second factor',
  () => startConsoleRelay({ prepare: addAnna }),
  (console) => {
    test('is asked for at the login, takes a code of the app or a recovery code, each once, and no other', async () => {
      await using visit = await openWindow(console().origin, { expected: [answered(401, '/api/v1/session')] });
      const { page } = visit;
      await page.goto('/account');
      await logIn(page);
      await page.getByRole('button', { name: 'Turn it on' }).click();
      const secret = (await page.locator('.scan code.secret').textContent())!.replaceAll(' ', '');
      // A clock may be one step off: the code of the last step leaves those of this one and the next for the logins.
      const codeOf = (step: number) =>
        new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + step * STEP });
      const first = codeOf(0);
      await page.getByLabel('Code from the app').fill(first);
      await page.getByRole('button', { name: 'Turn on' }).click();
      await page.getByRole('heading', { name: 'Keep these recovery codes' }).waitFor();
      const [recovery] = await page.locator('.codes code').allTextContents();
      await page.getByRole('button', { name: 'I have kept them' }).click();
      await logOut(page);

      await logIn(page);
      const code = page.getByLabel('Code of the second factor');
      await expect.poll(() => code.evaluate((input) => input === document.activeElement)).toBe(true);
      await code.fill(first);
      await page.keyboard.press('Enter');
      await page.getByText('The code is wrong, or was used before.').waitFor();
      await code.fill(codeOf(1));
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { level: 1, name: 'My account' }).waitFor();
      await page.getByText('8 recovery codes are left.').waitFor();
      await logOut(page);

      await logIn(page);
      await code.fill(recovery!);
      await page.keyboard.press('Enter');
      await page.getByText('7 recovery codes are left.').waitFor();
      await logOut(page);

      await logIn(page);
      await code.fill(recovery!);
      await page.keyboard.press('Enter');
      await page.getByText('The code is wrong, or was used before.').waitFor();
    });
  },
);

/** An account whose password a test knows, for journeys that begin at the login. */
import type { Page } from 'playwright-core';
import { hashPassword } from '../../src/credentials/credentials.ts';
import type { Store } from '../../src/store/store.ts';

export const ANNA = { name: 'anna', password: 'a long password of anna' } as const;

/** For `prepare` of a relay. */
export async function addAnna({ console: accounts }: Store): Promise<void> {
  const now = Date.now();
  const link = { id: 'anna', hash: 'used', account: ANNA.name, expiresAt: now, triesLeft: 0 };
  await accounts.addAccount({ name: ANNA.name, role: 'admin', credentials: null, createdAt: now }, link);
  await accounts.changeAccount(ANNA.name, { passwordHash: await hashPassword(ANNA.password), passwordSetAt: now });
}

/** Fills in the form of the login that the page shows, and sends it. */
export async function logIn(page: Page): Promise<void> {
  await page.getByLabel('Account').fill(ANNA.name);
  await page.getByLabel('Password').fill(ANNA.password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** By the menu of the account. */
export async function logOut(page: Page): Promise<void> {
  await page.getByText(ANNA.name, { exact: true }).click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { level: 1, name: 'Log in' }).waitFor();
}

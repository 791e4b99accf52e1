/** The whole first run in a real browser: from the link of the real command to the first mail that has arrived. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { answered, closeBrowser, hasBrowser, openWindow } from '../support/browser.ts';
import { type FirstRunWorld, startFirstRunWorld } from '../support/first-run.ts';
import { submit } from '../support/smtp-send.ts';

const PASSWORD = 'correct horse battery';
const AXE = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
/** While the console hands over to the relay, nobody answers. */
const HANDOVER = [
  /^Failed to load resource: net::ERR_(?:CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED)/,
];

let world: FirstRunWorld;
beforeEach(async () => {
  world = await startFirstRunWorld();
});
afterEach(() => world.close());
afterAll(closeBrowser);

/** WCAG 2.2 AA, by axe. */
async function checkAccess(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations: found } = await (globalThis as any).axe.run(document, { runOnly: tags });
    return found.map(({ id, nodes }: any) => `${id}: ${nodes.map(({ html }: any) => html).join(' ')}`);
  });
  expect(violations).toEqual([]);
}

/** At 360 px too, and without scrolling sideways. */
async function checkStep(page: Page, title: string): Promise<void> {
  await page.getByRole('heading', { level: 1, name: title }).waitFor();
  await checkAccess(page);
  const size = page.viewportSize()!;
  await page.setViewportSize({ width: 360, height: 800 });
  const wide = await page.evaluate(() => {
    const most = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= most) return [];
    const all = [...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > most);
    return all.map(({ outerHTML }) => outerHTML.slice(0, 120));
  });
  expect(wide, `${title} at 360 px`).toEqual([]);
  if (process.env['SHOT']) await page.screenshot({ path: `${process.env['SHOT']}/${title}.png`, fullPage: true });
  await page.setViewportSize(size);
}

async function makeAccount(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await page.getByLabel('Account').fill('anna');
  const [first, again] = await page.locator('input[type=password]').all();
  await first!.fill(PASSWORD);
  await again!.fill(PASSWORD);
  await page.keyboard.press('Enter');
}

describe.skipIf(!hasBrowser)('the first run', () => {
  test('leads from the link to the first mail, and says why the first login fails', async () => {
    const { link } = await world.begin();
    await using visit = await openWindow(world.origin, {
      bypassCSP: true,
      expected: [...HANDOVER, answered(422, '/api/v1/first-run/machine')],
    });
    const { page } = visit;
    await makeAccount(page, link);
    await checkStep(page, 'Account');
    await page.getByRole('button', { name: 'Go on' }).click();

    await checkStep(page, 'This machine');
    await page.getByLabel('Full host name').fill('relay');
    await page.getByRole('button', { name: 'Look it up' }).click();
    await page.locator('.fault:not(:empty)').first().waitFor();
    await page.getByLabel('Full host name').fill('relay.test');
    await page.getByLabel('Public addresses').fill('203.0.113.5');
    await page.getByRole('button', { name: /Look/ }).click();
    await page.getByText('A of relay.test').first().waitFor();
    await page.getByRole('button', { name: 'Go on' }).click();

    await page.getByRole('heading', { level: 1, name: 'Domains' }).waitFor();
    await page.getByLabel('Domains that send').fill('customer.test');
    await page.getByRole('button', { name: 'Make the keys' }).click();
    await page.getByText(/of \d+ records are right/).waitFor();
    await checkStep(page, 'Domains');
    await page.getByRole('button', { name: 'Go on' }).click();

    await checkStep(page, 'Certificate');
    await page.getByLabel('Your mail address').fill('operator@alpha.test');
    await page.getByRole('button', { name: 'Go on' }).click();

    await page.getByText(/220 mx\.alpha\.test/).waitFor();
    await checkStep(page, 'Way out');
    await page.getByRole('button', { name: 'Write it and start the relay' }).click();

    await page.getByRole('heading', { level: 1, name: 'Who sends' }).waitFor();
    expect(world.configuration()).toMatch(/^hostname: relay\.test$/m);
    await page.getByLabel('an application').check();
    await page.getByRole('button', { name: 'Make the login' }).click();
    await page.getByText('Waiting for its first login').waitFor();
    await checkStep(page, 'Who sends');
    const password = (await page.locator('.facts code').nth(2).textContent())!;
    const mail = {
      ...{ address: '127.0.0.1', port: world.ports.submissions, user: 'app', to: ['you@alpha.test'] },
      ...{ message: 'From: root@web1.example\r\nSubject: first\r\n\r\nHello\r\n', from: 'root@web1.example' },
    };
    await submit({ ...mail, password: 'wrong' }).catch(() => {});
    await page.getByText('The password is wrong.').waitFor();
    await submit({ ...mail, password }).catch(() => {});
    await page.getByText('The login may not send as this address.').waitFor();
    await checkAccess(page);
    await page.getByRole('button', { name: 'Allow root@web1.example' }).first().click();
    await page.getByText('Let the client try again').waitFor();
    await submit({ ...mail, password });
    await page.getByRole('button', { name: 'Follow the message' }).first().click();
    await page.getByText('Your first mail has arrived.').waitFor();
    await checkStep(page, 'First mail');
    expect((await world.world.message(({ data }) => data.includes('Subject: first'))).recipients).toEqual(['you@alpha.test']);
  });

  test('works by keyboard alone and in French, and goes on after the browser was closed', async () => {
    const { link } = await world.begin();
    const context = { locale: 'fr-FR', viewport: { width: 360, height: 800 } };
    await using first = await openWindow(world.origin, context);
    const { page } = first;
    await page.goto(link);
    await page.getByLabel('Compte').waitFor();
    await page.getByLabel('Compte').focus();
    await page.keyboard.type('anna');
    for (const text of [PASSWORD, PASSWORD]) {
      await page.keyboard.press('Tab');
      await page.keyboard.type(text);
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Compte' }).waitFor();
    await page.getByRole('button', { name: 'Continuer' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Cette machine' }).waitFor();
    await page.getByLabel('Nom d’hôte complet').focus();
    await page.keyboard.press('Control+A');
    await page.keyboard.type('relay.test');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Continuer' }).waitFor();
    const state = await page.context().storageState();
    await using second = await openWindow(world.origin, { ...context, storageState: state });
    await second.page.goto('/');
    await second.page.getByRole('heading', { level: 1, name: 'Domaines' }).waitFor();
  });
});

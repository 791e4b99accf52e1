/** What an operator does with domains, doctor, certificates, log and settings, in a real browser on a whole relay. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { openClient } from '../support/relay.ts';

inBrowser('domains, doctor, certificates and settings', startConsoleRelay, (console) => {
  test('a new domain shows each record that it needs, and a record that is published is seen by one click', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/domains');
    await page.getByRole('button', { name: 'Add a domain' }).click();
    await page.getByRole('dialog').getByLabel('Domain').fill('@Shop.Test');
    await page.getByRole('dialog').getByRole('button', { name: 'Add and show its records' }).click();
    await page.getByRole('heading', { level: 1, name: 'shop.test' }).waitFor();
    const dmarc = page.getByRole('article').filter({ has: page.getByText('DMARC', { exact: true }) });
    await dmarc.locator('code', { hasText: 'v=DMARC1; p=none' }).waitFor();
    expect(await dmarc.textContent()).toContain('nothing');
    console().relay.dns.set('_dmarc.shop.test', { TXT: ['v=DMARC1; p=none'] });
    await page.getByRole('button', { name: 'Look again' }).click();
    await dmarc.getByText('the same').waitFor();
    await page.getByText('Zone file', { exact: true }).click();
    const zone = (await page.locator('details pre').textContent())!;
    expect(zone.split('\n').filter((line) => / IN TXT "/.test(line)).length).toBeGreaterThanOrEqual(4);
    for (const [, piece] of zone.matchAll(/"([^"]*)"/g)) expect(piece!.length).toBeLessThanOrEqual(255);
  });

  test('a key is rotated, and a domain is removed only by its name', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/domains/sender.test');
    await page.getByRole('link', { name: 'app@sender.test' }).waitFor();
    await page.getByRole('button', { name: 'Make new keys' }).click();
    await page.getByRole('dialog').getByText('The old keys sign until').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Make new keys' }).click();
    await page.getByText('New keys are made. Publish their records.').waitFor();
    await page.getByText('waits for its record').first().waitFor();
    await page.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByLabel('Type sender.test').fill('sender.test');
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByText('sender.test is removed.').waitFor();
  });

  test('the doctor looks once, shows what to mend first, and a finding is muted with a reason and an end', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/doctor');
    await page.getByText('Nobody has looked yet.').waitFor();
    await page.getByRole('button', { name: 'Look now' }).click();
    const findings = page.getByRole('list').and(page.locator('.findings')).locator('.finding');
    await findings.first().waitFor();
    const count = await findings.count();
    await findings.first().getByRole('button', { name: /^Mute/ }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('comes with the new site');
    await page.getByRole('dialog').getByRole('button', { name: 'Mute' }).click();
    await page.getByRole('link', { name: 'Muted' }).click();
    await page.getByText('comes with the new site').waitFor();
    expect(new URL(page.url()).searchParams.get('show')).toBe('muted');
    await page.getByRole('button', { name: 'Tell of it again' }).click();
    await page.getByRole('link', { name: 'What needs you' }).click();
    await expect.poll(() => findings.count()).toBe(count);
  });

  test('the certificates are shown with their fingerprints', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/certificates');
    await page.getByRole('heading', { name: 'ECDSA key' }).waitFor();
    expect(await page.getByText(/days left/).count()).toBe(2);
    expect(await page.locator('.print').count()).toBe(2);
    await page.getByRole('button', { name: 'Renew now' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Renew now' }).click();
    await page.getByText('The relay renews its certificates.').waitFor();
  });

  test('a setting that was changed in the file is named, and a reload takes it over', async () => {
    await using visit = await console().open('admin');
    const { page } = visit;
    const { file } = console().relay;
    await page.goto('/settings?find=limits.messages');
    const row = page.getByRole('row', { name: /limits\.messages/ });
    await row.waitFor();
    await page.getByText('The file is what runs.').waitFor();
    await writeFile(file, `${await readFile(file, 'utf8')}limits: { messages: [77/day] }\n`);
    await page.reload();
    await row.getByText('In the file now').waitFor();
    await row.getByText('[77/day]').waitFor();
    await page.getByRole('button', { name: 'Check the file' }).click();
    await page.locator('[role=status]', { hasText: /The file is good|problem/ }).waitFor();
    await page.getByRole('button', { name: 'Reload' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Reload' }).click();
    await page.getByText('The file is reloaded.').waitFor();
    await page.getByText('The file is what runs.').waitFor();
  });

  test('the settings stand in sections, and a link leads to each; a filter leaves those that have something', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/settings');
    const jump = page.getByRole('navigation', { name: 'Sections' });
    await jump.getByRole('link', { name: 'The relay' }).waitFor();
    const names = await jump.getByRole('link').allTextContents();
    expect(names).toEqual(await page.locator('.section h2').allTextContents());
    expect(names.length).toBeGreaterThan(10);
    await jump.getByRole('link', { name: 'queue', exact: true }).click();
    await page.waitForURL('**/settings#settings-queue');
    const heading = page.getByRole('heading', { level: 2, name: 'queue', exact: true });
    const top = async () => (await heading.boundingBox())!.y;
    await expect.poll(top).toBeLessThan(200);
    const bar = (await page.locator('header').first().boundingBox())!;
    expect(await top()).toBeGreaterThanOrEqual(bar.y + bar.height); // not below the bar
    await page.getByLabel('Setting or value').fill('limits.messages');
    await expect.poll(() => jump.getByRole('link').allTextContents()).toEqual(['limits']);
  });

  test('the log shows what happens while it is followed, and leads to the message', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/log?event=accepted&follow=yes');
    await page.getByText('Following: new lines appear at the top.').waitFor();
    const client = await openClient(console().relay.ports.submissions, { tls: true });
    await client.login();
    const text = 'From: app@sender.test\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n';
    const reply = await client.message({ text });
    client.close();
    await page
      .getByRole('list', { name: 'Lines of the log' })
      .getByRole('link', { name: reply.split(' ').at(-1)! })
      .waitFor();
    await page.getByLabel('Level').selectOption('error');
    await page.getByText('No line fits the filter.').waitFor();
    expect(new URL(page.url()).searchParams.get('level')).toBe('error');
  });
});

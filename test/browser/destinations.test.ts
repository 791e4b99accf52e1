/** Why it is slow there, and what an operator does about it: in a real browser on a whole relay. */
import { expect, test } from 'vitest';
import { inBrowser } from '../support/browser.ts';
import { startConsoleRelay } from '../support/console-relay.ts';
import { openClient } from '../support/relay.ts';

const TEXT = 'From: app@sender.test\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n';

async function startWithBusyHost() {
  const console = await startConsoleRelay({
    yaml: "routes: [{ user: nobody, hosts: ['127.0.0.1:9'] }]\n",
    mx: { script: { RCPT: () => '451 4.7.500 Server busy <b>now</b>' } },
  });
  const client = await openClient(console.relay.ports.submissions, { tls: true });
  await client.login();
  expect(await client.message({ text: TEXT })).toMatch(/^250 /);
  client.close();
  await console.relay.logged('delayed');
  return console;
}

inBrowser('destinations', startWithBusyHost, (console) => {
  test('a destination shows what waits and its last reply, as text', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/destinations?find=dest');
    await page.getByRole('link', { name: 'dest.test' }).click();
    await page.getByRole('heading', { level: 1, name: 'dest.test' }).waitFor();
    await page.getByText('1 recipient', { exact: false }).first().waitFor();
    await page.getByText('451 4.7.500 Server busy <b>now</b>').first().waitFor();
    await page.getByText('smarthost queue hold --destination dest.test').waitFor();
  });

  test('its mail is held and released, and each step tells first how many it will touch', async () => {
    await using visit = await console().open('operator');
    const { page } = visit;
    await page.goto('/destinations/dest.test');
    await page.getByRole('button', { name: 'Hold all' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('heading', { name: 'Hold 1 recipient?' }).waitFor();
    await dialog.getByText('Its senders are not told.').waitFor();
    await dialog.getByRole('button', { name: 'Hold all' }).click();
    await page.getByText('1 recipient changed.').waitFor();
    await page.locator('.states .mark', { hasText: 'held' }).waitFor();
    await page.getByRole('button', { name: 'Release' }).click();
    await dialog.getByRole('button', { name: 'Release' }).click();
    await page.locator('.states .mark', { hasText: 'held' }).waitFor({ state: 'detached' });
  });

  test('a destination shows its routes, and what is demanded of the TLS of each host and why, also in French', async () => {
    await using visit = await console().open('reader', { locale: 'fr-FR' });
    const { page } = visit;
    await page.goto('/destinations/dest.test');
    await page.getByText('seulement le courrier de nobody').waitFor();
    await page.getByText('sinon par ses enregistrements MX').waitFor();
    const section = page.getByRole('region', { name: 'TLS exigé, et pourquoi' });
    await section.getByText('opportuniste : TLS s’il est proposé, avec n’importe quel certificat').first().waitFor();
    await section.getByText('le résolveur de ce relais ne valide pas DNSSEC', { exact: false }).waitFor();
    await section.getByText('Dernière session').waitFor();
    await section.getByRole('button', { name: 'Examiner à nouveau' }).click();
    await section.getByText(/^Examiné à/).waitFor();
  });
});

/** A person at the pages of the first run: reads them in a language, and has a mouse or only a keyboard. */
import type { Locator, Page } from 'playwright-core';
import { EN_CLIENT } from '../../src/console/page/texts/en-client.ts';
import { EN_COMMON } from '../../src/console/page/texts/en-common.ts';
import { EN_FIRST_RUN } from '../../src/console/page/texts/en-first-run.ts';
import { FR_CLIENT } from '../../src/console/page/texts/fr-client.ts';
import { FR_COMMON } from '../../src/console/page/texts/fr-common.ts';
import { FR_FIRST_RUN } from '../../src/console/page/texts/fr-first-run.ts';
import { SECOND } from '../../src/system/clock.ts';
import type { Zone } from '../support/dns-server.ts';
import { until } from '../support/program.ts';

const WORDS = {
  en: { ...EN_COMMON, ...EN_FIRST_RUN, ...EN_CLIENT },
  fr: { ...FR_COMMON, ...FR_FIRST_RUN, ...FR_CLIENT },
};
type Words = typeof WORDS.en;
/** The key of a text without variants. */
type Word = { [Key in keyof Words]: Words[Key] extends string ? Key : never }[keyof Words];

export type Habits = { readonly language?: keyof typeof WORDS; readonly keyboard?: boolean };
export type Newcomer = ReturnType<typeof createNewcomer>;

const PASSWORD = 'correct horse battery';

export function createNewcomer(page: Page, { language = 'en', keyboard = false }: Habits = {}) {
  const word = (key: Word) => WORDS[language][key] as string;
  const isReached = (one: Locator) => one.evaluate((element) => element === document.activeElement);
  const reach = async (one: Locator) => {
    await one.waitFor();
    if (keyboard) await until('Tab reaches it', async () => (await isReached(one)) || (await page.keyboard.press('Tab')));
  };
  const sees = async (text: string | RegExp) => {
    const found = page.getByText(text).first().waitFor();
    await found.catch(async (cause) => {
      throw new Error(`${text} is not in: ${await page.locator('main').innerText()}`, { cause });
    });
  };
  const reads = (key: Word) => sees(word(key));
  const isAt = (key: Word) => page.getByRole('heading', { level: 1, name: word(key) }).waitFor();
  const write = async (key: Word, text: string) => {
    const field = page.getByLabel(word(key)).first();
    await reach(field);
    if (!keyboard) return field.fill(text);
    await page.keyboard.press('Control+A');
    await page.keyboard.type(text);
  };
  const press = async (...keys: Word[]) => {
    const names = keys.map((key) => page.getByRole('button', { name: word(key), exact: true }));
    const button = names.reduce((all, one) => all.or(one)).first();
    await reach(button);
    await (keyboard ? page.keyboard.press('Enter') : button.click());
  };
  const choose = async (key: Word) => {
    const radio = page.getByRole('radio', { name: word(key) });
    await radio.waitFor();
    if (!keyboard) return radio.check();
    const group = await radio.getAttribute('name');
    const inGroup = () => page.evaluate((name) => document.activeElement?.getAttribute('name') === name, group);
    await until('Tab reaches the choice', async () => (await inGroup()) || (await page.keyboard.press('Tab')));
    await until('it is chosen', async () => (await radio.isChecked()) || (await page.keyboard.press('ArrowDown')));
  };
  return {
    ...{ page, sees, reads, isAt, write, press, choose },
    /** By the link of the terminal. */
    async chooseAccount(link: string, again = PASSWORD): Promise<void> {
      await page.goto(link);
      await write('login.name', 'anna');
      await write('setup.password', PASSWORD);
      await write('setup.again', again);
      await press('setup.button');
    },
    async setPassword(link: string): Promise<void> {
      await page.goto(link);
      await write('setup.password', PASSWORD);
      await write('setup.again', PASSWORD);
      await press('setup.button');
      // Who is as fast as this has tried too many codes in a minute, and does what the page says.
      const wait = page.getByText(/too many codes\. Wait \d+ s/);
      await wait.or(page.getByRole('heading', { level: 1 }).filter({ hasNotText: word('page.setPassword') })).waitFor();
      if (!(await wait.isVisible())) return;
      await page.waitForTimeout(SECOND * (1 + Number(/\d+/.exec(await wait.innerText())![0])));
      await press('setup.button');
    },
    async logIn(at: string, password = PASSWORD): Promise<void> {
      await page.goto(at);
      await write('login.name', 'anna');
      await write('login.password', password);
      await press('login.button');
    },
    async nameMachine(name = 'relay.firm.example'): Promise<void> {
      await isAt('firstRun.machine');
      await write('firstRun.hostname', name);
      await press('firstRun.look', 'firstRun.lookAgain');
    },
    /** From what the DNS says about the name to the question how mail leaves. */
    async answerDomains(): Promise<void> {
      await press('firstRun.next');
      await isAt('firstRun.domains');
      await write('firstRun.domainsField', 'firm.example');
      await press('firstRun.domainsButton');
      await page.getByRole('region', { name: word('firstRun.records') }).waitFor();
    },
    async answerCertificate(): Promise<void> {
      await press('firstRun.next');
      await isAt('firstRun.certificate');
      await write('firstRun.email', 'anna@there.example');
      await press('firstRun.next');
      await isAt('firstRun.wayOut');
    },
    /** The records that the page gives to copy. */
    async copyRecords(): Promise<Zone> {
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await press('firstRun.copyZone');
      return zoneOf(await page.evaluate(() => navigator.clipboard.readText()));
    },
    /** @returns the password. */
    async makeLogin(): Promise<string> {
      await isAt('firstRun.client');
      await choose('firstRun.kind.application');
      await press('firstRun.makeLogin');
      await reads('client.waiting');
      return (await page.locator('.facts code').nth(2).textContent())!;
    },
    async followMail(): Promise<void> {
      await press('client.follow');
      await reads('firstRun.arrived');
    },
  };
}

/** Of lines as they stand in a zone file. */
function zoneOf(text: string): Zone {
  const zone: Record<string, Record<string, string[]>> = {};
  for (const [, name, type, value] of text.matchAll(/^([^;\s]\S*)\. \d+ IN (\S+) (.+)$/gm)) {
    const strings = [...value!.matchAll(/"([^"]*)"/g)].map(([, string]) => string);
    const records = (zone[name!] ??= {});
    (records[type!] ??= []).push(type === 'TXT' ? strings.join('') : value!);
  }
  return zone;
}

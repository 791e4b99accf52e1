/**
 * Five people who have never seen a relay, each on a Debian 12 that has had none: from one pasted line to the first mail that has arrived.
 * Each errs in a way of their own. What they type and click is what README, terminal and pages say.
 */
import { appendFileSync, chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContextOptions, chromium } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BROWSER_FLAGS, hasBrowser } from '../support/browser.ts';
import { putCheckout } from '../support/checkout.ts';
import { type DebianRoot, hasDebianRoots, makeDebianRoot } from '../support/debian-root.ts';
import { INSIDE_ADDRESS, OUTSIDE_ADDRESS, type Outside, startOutside } from '../support/outside.ts';
import { requirePeer } from '../support/peers.ts';
import { temporaryFolder, until } from '../support/program.ts';
import { type BootedRoot, bootRoot, canBoot } from '../support/systemd.ts';
import { createNewcomer, type Habits, type Newcomer } from './newcomer.ts';

const MINUTE = 60_000;
/** Milliseconds for one step. A busy machine decides no test. */
const PATIENCE = 4 * MINUTE;
const WHOLE = { timeout: 20 * MINUTE };
const SOURCE = '/usr/local/src/smarthost';
const INSTALL = `${SOURCE}/deploy/install.sh`;
const LOGIN = { user: 'relay@firm.example', password: 'paid for' };
const RELAY = 'relay.firm.example';

const present = requirePeer('mmdebstrap, systemd and chromium', hasDebianRoots() && canBoot() && hasBrowser);

describe.skipIf(!present)('a newcomer', () => {
  let root: DebianRoot;
  let booted: BootedRoot;
  let outside: Outside;
  let [name, began] = ['', 0];
  const programs = temporaryFolder('newcomers');
  const closers: (() => Promise<unknown>)[] = [];
  const at = (path: string) => join(root.path, path);

  beforeAll(async () => {
    root = await makeDebianRoot('bookworm', ['systemd', 'procps', 'iproute2', 'curl']);
    putCheckout(root.put, SOURCE);
    // What is downloaded is downloaded once. Then the program goes, so that each of them begins with nothing.
    began = Date.now();
    const { code, stderr } = await root.run([INSTALL, '--no-web'], { timeout: 30 * MINUTE });
    expect(code, stderr).toBe(0);
    console.log(`downloads and the first installation: ${secondsSince(began)} s`);
    await root.run([INSTALL, '--uninstall', '--purge']);
    writeFileSync(at('etc/resolv.conf'), `nameserver ${OUTSIDE_ADDRESS}\n`);
  }, 45 * MINUTE);
  afterAll(() => {
    root?.remove();
    programs.remove();
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await root.run([INSTALL, '--uninstall', '--purge'], { network: false });
  }, 5 * MINUTE);

  /** Turns the machine on, and gives it an Internet. @param address that the DNS has for the relay. */
  async function begin(who: string, { blocked = false, address = INSIDE_ADDRESS! } = {}): Promise<void> {
    booted = await bootRoot(root);
    closers.push(() => booted.close());
    const firm = { TXT: ['v=spf1 mx -all'] };
    const zone = { 'firm.example': firm, [RELAY]: { A: [address] }, [INSIDE_ADDRESS!]: { PTR: [`${RELAY}.`] } };
    outside = await startOutside(booted.init, { blocked, login: LOGIN, zone });
    closers.push(() => outside.close());
    const authorities = 'etc/ssl/certs/ca-certificates.crt';
    const before = readFileSync(at(authorities));
    appendFileSync(at(authorities), outside.certificate);
    closers.push(async () => writeFileSync(at(authorities), before));
    began = Date.now();
    name = who;
  }

  /** A window in which a command runs. Closing it ends what it runs. */
  async function terminal(command: string) {
    const log = `/root/terminal-${closers.length}`;
    rmSync(at(log), { force: true });
    const env = 'TERM=dumb npm_config_offline=true';
    const script = `setsid script -qefc "${command}" ${log} </dev/null >/dev/null 2>&1`;
    await booted.run(`touch ${log}; ${env} ${script} & echo $! >${log}.pid`);
    const text = () => readFileSync(at(log), 'latin1').replaceAll('\r', '');
    const shows = (what: RegExp) =>
      until(`the terminal shows ${what}`, () => what.exec(text()), { deadline: PATIENCE, context: text });
    return {
      shows,
      link: async () => (await shows(/^Open (\S+)/m))[1]!,
      close: () => booted.run(`kill -9 $(cat ${log}.pid); while pgrep -f smarthost[.]ts >/dev/null; do sleep 0.1; done`),
    };
  }

  /** A browser on the machine itself, which is what `ssh -L` makes of one elsewhere, or one that is really elsewhere. */
  async function browser(habits: Habits & { elsewhere?: true } & BrowserContextOptions = {}): Promise<Newcomer> {
    const pid = habits.elsewhere ? outside.pid : booted.init;
    const executablePath = join(programs.path, `browser-${pid}`);
    writeFileSync(executablePath, `#!/bin/sh\nexec nsenter -t ${pid} -n /usr/bin/chromium "$@"\n`);
    chmodSync(executablePath, 0o755);
    const opened = await chromium.launch({ executablePath, args: BROWSER_FLAGS, timeout: PATIENCE });
    closers.push(() => opened.close());
    const context = await opened.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', ...habits });
    context.setDefaultTimeout(PATIENCE);
    return createNewcomer(await context.newPage(), habits);
  }

  /** A program that sends, on the machine of the relay. @returns the exit code of curl. */
  async function client(url: string, password: string, tls = '--ssl-reqd') {
    const mail = 'From: app@firm.example\\r\\nTo: you@there.example\\r\\nSubject: first\\r\\n\\r\\nHello\\r\\n';
    const words = `--mail-from app@firm.example --mail-rcpt you@there.example --user 'app:${password}' -T -`;
    return (await booted.run(`printf '${mail}' | curl -sSk --max-time 60 ${tls} --url ${url} ${words}`)).code;
  }

  /** @returns the first mail. */
  function arrived() {
    const mail = outside.messages().find(({ to }) => to!.includes('you@there.example'));
    expect(mail).toBeDefined();
    console.log(`${name}: ${secondsSince(began)} s from the line to the mail`);
    return mail!;
  }

  test('who types a name wrong, twice, and whose client has the wrong port, no TLS and a wrong password', WHOLE, async () => {
    await begin('mistaken');
    const window = await terminal(INSTALL);
    const person = await browser();
    await person.chooseAccount(await window.link());
    await person.isAt('firstRun.account');
    await person.press('firstRun.next');
    await person.nameMachine('relay');
    await person.page.locator('.fault:not(:empty)').first().waitFor();
    await person.nameMachine('relay.frim.example');
    await person.sees(/relay\.frim\.example/);
    await person.nameMachine();
    await person.sees(`A of ${RELAY}`);
    await person.answerDomains();
    await outside.publish(await person.copyRecords());
    await person.press('firstRun.lookAgain');
    await person.sees(/^(\d+) of \1 records are right\.$/);
    await person.answerCertificate();
    await person.sees('220 mx.there.example');
    await person.press('firstRun.finish');
    const password = await person.makeLogin();
    await client('smtps://127.0.0.1:587', password);
    await person.reads('reason.tlsOnStartTlsPort');
    await client('smtp://127.0.0.1:587', password, '');
    await person.reads('reason.noTls');
    await client('smtp://127.0.0.1:587', `${password}x`);
    await person.reads('reason.wrongPassword');
    expect(await client('smtp://127.0.0.1:587', password)).toBe(0);
    await person.followMail();
    await window.shows(/The relay runs as a service/);
    expect(arrived().data).toMatch(/^DKIM-Signature: /m);
  });

  test('who loses the link, the window, the browser and the password', WHOLE, async () => {
    await begin('forgetful');
    const lost = await terminal(INSTALL);
    const link = await lost.link();
    await lost.close();
    const window = await terminal('smarthost init --web');
    const fresh = await window.link();
    const first = await browser();
    await first.page.goto(link);
    await first.reads('setup.ended');
    await first.chooseAccount(fresh, 'another');
    await first.reads('setup.differ');
    await first.write('setup.again', 'correct horse battery');
    await first.press('setup.button');
    await first.isAt('firstRun.account');
    await first.press('firstRun.next');
    await first.nameMachine();
    await first.sees(`A of ${RELAY}`);
    await first.page.context().browser()!.close();

    const later = await browser();
    await later.page.goto(fresh);
    await later.reads('setup.ended');
    await later.page.goto('about:blank');
    await later.logIn(new URL('/', fresh).href, 'forgotten horse');
    await later.sees('smarthost console reset NAME');
    await later.setPassword((await booted.run('smarthost console reset anna')).stdout.trim());
    await later.isAt('firstRun.domains');
    await later.press('firstRun.back');
    await later.nameMachine();
    await later.answerDomains();
    await later.answerCertificate();
    await later.press('firstRun.finish');
    const password = await later.makeLogin();
    expect(await client('smtps://127.0.0.1:465', password)).toBe(0);
    await later.followMail();
    arrived();
  });

  test('whose hoster blocks port 25, and who mistypes the password of the provider', WHOLE, async () => {
    await begin('blocked', { blocked: true });
    const window = await terminal(INSTALL);
    const person = await browser();
    await person.chooseAccount(await window.link());
    await person.isAt('firstRun.account');
    await person.press('firstRun.next');
    await person.nameMachine();
    await person.answerDomains();
    await person.answerCertificate();
    await person.choose('firstRun.provider');
    await person.write('firstRun.providerHost', 'smtp.provider.example');
    await person.write('firstRun.providerUser', LOGIN.user);
    await person.write('firstRun.providerPassword', 'paid for twice');
    await person.press('firstRun.try');
    await person.sees(/\b535\b/);
    await person.write('firstRun.providerPassword', LOGIN.password);
    await person.press('firstRun.finish');
    const password = await person.makeLogin();
    expect(await client('smtps://127.0.0.1:465', password)).toBe(0);
    await person.followMail();
    expect(arrived().user).toBe(LOGIN.user);
  });

  test('who reads French, has no mouse, and has set a wrong DNS record', WHOLE, async () => {
    const wrong = '45.79.10.99';
    await begin('French, by keyboard', { address: wrong });
    const window = await terminal(INSTALL);
    const person = await browser({ language: 'fr', keyboard: true, locale: 'fr-FR' });
    await person.chooseAccount(await window.link());
    await person.isAt('firstRun.account');
    await person.press('firstRun.next');
    await person.nameMachine();
    await person.sees(wrong);
    await person.reads('firstRun.later');
    await outside.publish({ [RELAY]: { A: [INSIDE_ADDRESS!] } });
    await person.nameMachine();
    await person.page.getByText(wrong).first().waitFor({ state: 'detached' });
    await person.answerDomains();
    await person.answerCertificate();
    await person.press('firstRun.finish');
    const password = await person.makeLogin();
    expect(await client('smtps://127.0.0.1:465', password)).toBe(0);
    await person.followMail();
    arrived();
  });

  test('who has only a telephone, elsewhere, and whose browser closes before the first mail', WHOLE, async () => {
    await begin('elsewhere, by telephone');
    const window = await terminal(`${INSTALL} --no-web && smarthost init --web --web-listen [::]:8443`);
    const telephone = { elsewhere: true, viewport: { width: 360, height: 740 } } as const;
    const person = await browser(telephone);
    const link = await window.link();
    expect(link).toMatch(`https://${INSIDE_ADDRESS}:8443/#setup=`);
    await person.chooseAccount(link);
    await person.isAt('firstRun.account');
    await person.press('firstRun.next');
    await person.nameMachine();
    await person.answerDomains();
    await person.answerCertificate();
    await person.press('firstRun.finish');
    await person.isAt('firstRun.client');
    await person.page.context().browser()!.close();

    const later = await browser(telephone);
    await later.logIn(new URL('/first-run', link).href);
    await later.isAt('firstRun.client');
    await later.press('firstRun.testInstead');
    await later.write('firstRun.mailTo', 'you@there.example');
    await later.press('firstRun.mailSend');
    await later.reads('firstRun.arrived');
    arrived();
  });
});

const secondsSince = (began: number) => Math.round((Date.now() - began) / 1000);

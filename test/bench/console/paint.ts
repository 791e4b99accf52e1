/** What a person waits for in Chromium: the first paint and the whole content, the first mail in a live list, and whether a flood leaves the page usable. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core';
import { cookieOf } from '../../support/console-session.ts';
import { quantile } from '../../support/sample.ts';
import { note, PASSWORD, type Rig, startRig } from './rig.ts';
import { steadyLoad } from './steady.ts';

const TIMES = 5;
/** Seconds. */
const FLOOD = 15;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-dev-shm-usage'];

type Visit = { readonly page: Page; readonly control: CDPSession; close(): Promise<void> };

async function withBrowser(messages: number, work: (rig: Rig, visit: () => Promise<Visit>) => Promise<void>): Promise<void> {
  const rig = await startRig({ messages });
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
  try {
    await work(rig, () => visitOf(browser, rig));
  } finally {
    await browser.close();
    await rig.close();
  }
}

/** Nothing is kept from other visits. */
async function visitOf(browser: Browser, rig: Rig): Promise<Visit> {
  const origin = `http://127.0.0.1:${rig.port}`;
  const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 900 } });
  await context.addCookies([{ ...cookieOf('admin', rig.port), url: origin }]);
  const page = await context.newPage();
  return { page, control: await context.newCDPSession(page), close: () => context.close() };
}

/** As it is, four times slower than this machine, and with 100 ms for each way there and back; then the first visits after starts. */
export async function measurePaint(messages: number): Promise<void> {
  await withBrowser(messages, async (rig, visit) => {
    await paint(visit, async () => {}); // the first page of a browser is not that of the relay
    for (const [what, prepare] of [
      ['as it is', async () => {}],
      ['with a quarter of the processor', slowProcessor],
      ['at 100 ms there and back', slowNetwork],
    ] as const) {
      const seen: Painted[] = [];
      for (let i = 0; i < TIMES; i++) seen.push(await paint(visit, prepare));
      note(`first paint ${what}`, median(seen, 'paint'), 'ms');
      note(`whole content ${what}`, median(seen, 'whole'), 'ms');
      note(`processor of the page's thread ${what}`, median(seen, 'processor'), 'ms');
    }
    const cold: Painted[] = [];
    const warm: Painted[] = [];
    for (let i = 0; i < TIMES; i++) {
      await rig.relay.stop();
      await rig.relay.start();
      cold.push(await paint(visit, async () => {}));
      warm.push(await paint(visit, async () => {}));
    }
    for (const key of ['paint', 'whole'] as const)
      note(
        `${key === 'paint' ? 'first paint' : 'whole content'} of a first visit after a start, beside the next`,
        median(cold, key) - median(warm, key),
        'ms',
      );
    if (rig.relay.events('consoleFailed').length > 0) throw new Error('a request failed');
  });
}

type Painted = Awaited<ReturnType<typeof paint>>;

const median = (seen: readonly Painted[], key: keyof Painted) =>
  quantile(
    seen.map((one) => one[key]),
    0.5,
  );

const slowProcessor = (control: CDPSession) => control.send('Emulation.setCPUThrottlingRate', { rate: 4 });
const slowNetwork = (control: CDPSession) =>
  control.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 100,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });

async function paint(visit: () => Promise<Visit>, prepare: (control: CDPSession) => Promise<unknown>) {
  const { page, control, close } = await visit();
  await control.send('Network.enable');
  await control.send('Performance.enable', { timeDomain: 'threadTicks' });
  await prepare(control);
  const began = performance.now();
  await page.goto('/messages');
  await page.locator('tbody tr').first().waitFor();
  const whole = performance.now() - began;
  const { metrics } = await control.send('Performance.getMetrics');
  const processor = 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN);
  const first = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        new PerformanceObserver((list) => {
          for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') resolve(startTime);
        }).observe({ type: 'paint', buffered: true } as PerformanceObserverInit);
      }),
  );
  await close();
  return { paint: first, whole, processor };
}

/** From the 250 to the row, with the clock of this machine; then a flood. */
export async function measureLive(messages: number): Promise<void> {
  await withBrowser(messages, async (rig, visit) => {
    const { page } = await visit();
    const { submissions: port } = rig.relay.ports;
    const order = { port, password: PASSWORD, rate: 10, seconds: 5 };
    await steadyLoad({ ...order, rate: 50 });
    await page.goto('/messages');
    await page.locator('tbody tr').first().waitFor();
    await page.evaluate(followRows);
    const { acceptedAt } = await steadyLoad(order);
    await sleep(2000);
    const rows = await page.evaluate(() => (window as unknown as Followed).rows);
    const waits = acceptedAt.flatMap(({ subject, at }) => (rows[subject] === undefined ? [] : [rows[subject] - at]));
    note('mail that the live list has shown', (100 * waits.length) / acceptedAt.length, '%');
    note('from its 250 to its row, median', quantile(waits, 0.5), 'ms');
    note('from its 250 to its row, most', Math.max(...waits), 'ms');
    await page.goto('/messages'); // nobody looks at its rows now
    await page.locator('tbody tr').first().waitFor();
    const began = performance.now();
    const flood = steadyLoad({ port, password: PASSWORD, rate: 1000, seconds: FLOOD, perConnection: 100 });
    const ended = flood.then(() => performance.now());
    await page.locator('p[role=status]').first().waitFor(); // more came than is shown
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) delays.push(await inputDelay(page));
    const told = await page.locator('p[role=status]').first().textContent();
    note('messages a second that came meanwhile', (await flood).times.length / (((await ended) - began) / 1000), '1/s');
    note('a key in the page beside them, median', quantile(delays, 0.5), 'ms');
    note('a key in the page beside them, most', Math.max(...delays), 'ms');
    note(`the page says how many it does not show: ${told?.trim()}`, 1, '');
  });
}

type Followed = { rows: Record<string, number> };

/** Notes when each subject is in the page for the first time. */
function followRows(): void {
  const rows: Record<string, number> = {};
  Object.assign(window, { rows });
  const look = () => {
    for (const [subject] of document.body.innerText.matchAll(/Steady \S+/g))
      rows[subject] ??= performance.timeOrigin + performance.now();
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}

/** From a press of a key until the browser has run what listens to it, and is ready to draw. */
async function inputDelay(page: Page): Promise<number> {
  await page.evaluate(() => {
    const heard = new Promise<number>((resolve) =>
      addEventListener('keydown', ({ timeStamp }) => requestAnimationFrame(() => resolve(performance.now() - timeStamp)), {
        once: true,
      }),
    );
    Object.assign(window, { heard });
  });
  await page.keyboard.press('Shift');
  return page.evaluate(() => (window as unknown as { readonly heard: Promise<number> }).heard);
}

/** A real browser that shows the pages. What a page does wrong without looking wrong fails the test at its end. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { hasCommand, requirePeer } from './peers.ts';

export const BROWSER_FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
];

export const hasBrowser = requirePeer('chromium', hasCommand('chromium'));

export type Visit = {
  readonly page: Page;
  /** Addresses of all requests, in their order. */
  readonly requests: readonly string[];
  /** Octets of heads and bodies that came from the server, as they were sent. */
  received(): number;
  /** Closes it. @throws if the page has done something wrong. */
  [Symbol.asyncDispose](): Promise<void>;
};

/** Milliseconds that a page may take for a step: a busy machine decides no test. */
const PATIENCE = 90_000;

let running: Promise<Browser> | undefined;

/** One browser for all tests of a file. Call it in `afterAll`. */
export async function closeBrowser(): Promise<void> {
  await (await running)?.close();
  running = undefined;
}

/** Tests in a browser of what `start` starts once for all of them. They are skipped where there is no browser. */
export function inBrowser<T extends AsyncDisposable>(
  name: string,
  start: () => Promise<T>,
  tests: (started: () => T) => void,
): void {
  describe.skipIf(!hasBrowser)(name, () => {
    let started: T | undefined;
    beforeAll(async () => {
      started = await start();
    });
    afterAll(async () => {
      await closeBrowser();
      await started?.[Symbol.asyncDispose]();
    });
    tests(() => started!);
  });
}

/**
 * What a browser logs of an answer of 400 and above. A test names those that it asks for, so that no page gets one by accident.
 * @param path its beginning, such as `/api/v1/session`.
 */
export const answered = (status: number, path: string): RegExp =>
  new RegExp(`^Failed to load resource: the server responded with a status of ${status} .* https?://[^/]+${path}`);

export type WindowOptions = BrowserContextOptions & {
  /** What the browser may log, such as an answer that the test asks for, or a connection that is refused. */
  readonly expected?: readonly RegExp[];
  /** `goto` waits only for the document, and not for what its modules make of it. */
  readonly documentOnly?: boolean;
};

/**
 * A window with nothing kept from other tests, 1280 px wide. Its test fails if the page logs an error, breaks its policy for content, asks
 * another host, or leaves a rejection unhandled.
 * @param origin of the console.
 */
export async function openWindow(
  origin: string,
  { expected = [], documentOnly, ...options }: WindowOptions = {},
): Promise<Visit> {
  running ??= chromium.launch({ executablePath: '/usr/bin/chromium', args: BROWSER_FLAGS });
  const context = await (await running).newContext({
    ...{ baseURL: origin, locale: 'en-GB', timezoneId: 'Europe/Berlin', viewport: { width: 1280, height: 900 } },
    ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const faults: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => faults.push(String(error.stack ?? error)));
  page.on('request', (request) => {
    requests.push(request.url());
    if (!request.url().startsWith(origin)) faults.push(`asks ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) =>
      console.error(`policy: ${violatedDirective} ${blockedURI} ${sample}`),
    );
  });
  // The document has its heading before its modules run, and what is pressed until then is lost.
  const goto = page.goto.bind(page);
  page.goto = async (...asked) => {
    const response = await goto(...asked);
    if (documentOnly !== true && options.javaScriptEnabled !== false)
      await page.locator('#app .late').waitFor({ state: 'detached' });
    return response;
  };
  const network = await context.newCDPSession(page);
  await network.send('Network.enable');
  let octets = 0;
  network.on('Network.loadingFinished', ({ encodedDataLength }) => {
    octets += encodedDataLength;
  });
  return {
    ...{ page, requests, received: () => octets },
    async [Symbol.asyncDispose]() {
      await context.close();
      expect(faults.filter((fault) => !expected.some((one) => one.test(fault)))).toEqual([]);
    },
  };
}

/** Writes pictures of a page into the folder `LOOK_AT`, if it is set: wide and narrow, light and dark. For people who change pages. */
export async function lookAt(page: Page, name: string): Promise<void> {
  const folder = process.env['LOOK_AT'];
  if (folder === undefined) return;
  const before = page.viewportSize();
  for (const width of [1280, 360])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.setViewportSize({ width, height: width === 360 ? 740 : 900 });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: `${folder}/${name}-${width}-${colorScheme}.png`, fullPage: width === 360 });
    }
  await page.emulateMedia({ colorScheme: null });
  if (before !== null) await page.setViewportSize(before);
}

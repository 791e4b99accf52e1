/** The pictures of the documents: made from the pages as they are, and never older than them. `npm run pictures` makes them anew. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import * as v from 'valibot';
import { afterAll, expect, test } from 'vitest';
import type { PageBuild } from '../../src/console/page-build.ts';
import { ROUTES } from '../../src/console/routes.ts';
import { closeBrowser, hasBrowser, openWindow } from '../support/browser.ts';
import { startTestConsole } from '../support/console.ts';
import { PICTURE_ANSWERS, PICTURE_TIME } from './picture-data.ts';

const FOLDER = 'deploy/pictures';
const RECORD = `${FOLDER}/pages.json`;
const MOST_OCTETS = 200_000;
const isMaking = process.env['PICTURES'] === 'make';

/** By the name of the picture. `page`: as in the table of pages. */
const PICTURES = {
  overview: { path: '/', page: '/', ready: 'outlook.com' },
  message: { path: '/messages/1m80c1e7zdvtr', page: '/messages/:id', ready: 'eve@gamma.test' },
  credential: { path: '/credentials/shop', page: '/credentials/:name', ready: 'Refused at the door' },
  domain: { path: '/domains/shop.example', page: '/domains/:name', ready: 'Zone file' },
} as const;
const THEMES = ['light', 'dark'] as const;
afterAll(closeBrowser);

type Name = keyof typeof PICTURES;
const NAMES = Object.keys(PICTURES) as readonly Name[];

/** As the server makes them, in a thread of its own. */
function buildPages(): Promise<PageBuild> {
  const { promise, resolve, reject } = Promise.withResolvers<PageBuild>();
  const thread = new Worker(new URL('../../src/console/page-build.ts', import.meta.url));
  thread.once('message', resolve);
  thread.once('error', reject);
  return promise;
}

/** Of all that the page loads: the names of the files have their hashes. */
function sourceOf({ plans, style }: PageBuild, name: Name): string {
  const { modules, texts } = plans.pages.find(({ path }) => path === PICTURES[name].page)!;
  const loaded = [...modules, ...(texts['en'] ?? []), style].sort();
  return createHash('sha256').update(loaded.join('\n')).digest('hex');
}

test('the data of the pictures are what the API answers', () => {
  for (const [asked, answer] of Object.entries(PICTURE_ANSWERS)) {
    const [method, path] = asked.split(' ') as [string, string];
    const found = ROUTES.find((one) => one.method === method && new URLPattern({ pathname: one.path }).test({ pathname: path }));
    expect(found, asked).toBeDefined();
    const result = v.safeParse(found!.answer!, answer);
    expect(
      result.issues?.map(({ message, path }) => `${path?.map(({ key }) => key).join('.')}: ${message}`) ?? [],
      asked,
    ).toEqual([]);
    expect(result.output, asked).toEqual(answer);
  }
});

test.skipIf(isMaking)('no picture is older than its page, or larger than 200 KB: else `npm run pictures`', async () => {
  const build = await buildPages();
  const record = JSON.parse(await readFile(RECORD, 'utf8'));
  expect(record).toEqual(Object.fromEntries(NAMES.map((name) => [name, sourceOf(build, name)])));
  for (const name of NAMES)
    for (const theme of THEMES) expect((await stat(`${FOLDER}/${name}-${theme}.png`)).size).toBeLessThanOrEqual(MOST_OCTETS);
});

test.skipIf(!hasBrowser)('each picture is made, of a page that does nothing wrong', { timeout: 600_000 }, async () => {
  await using console = await startTestConsole();
  if (isMaking) await mkdir(FOLDER, { recursive: true });
  for (const [name, { path, ready }] of Object.entries(PICTURES)) {
    for (const colorScheme of THEMES) {
      await using visit = await openWindow(console.origin, { colorScheme, viewport: { width: 1120, height: 720 } });
      const { page } = visit;
      await page.clock.setFixedTime(PICTURE_TIME);
      await page.route('**/api/v1/**', (route) => {
        const { pathname } = new URL(route.request().url());
        const answer = PICTURE_ANSWERS[`${route.request().method()} ${decodeURIComponent(pathname.slice('/api/v1'.length))}`];
        return answer === undefined ? route.fulfill({ status: 404, json: {} }) : route.fulfill({ json: answer });
      });
      await page.goto(path);
      await page.getByText(ready).first().waitFor();
      await page.waitForFunction(() => document.querySelector('.loading') === null);
      const bytes = await page.screenshot();
      expect(bytes.length, `${name} ${colorScheme}`).toBeLessThanOrEqual(MOST_OCTETS);
      if (isMaking) await writeFile(`${FOLDER}/${name}-${colorScheme}.png`, bytes);
    }
  }
  if (isMaking) await noteSources();
});

/** What the pictures were made from. */
async function noteSources(): Promise<void> {
  const build = await buildPages();
  const record = Object.fromEntries(NAMES.map((name) => [name, sourceOf(build, name)]));
  await writeFile(
    RECORD,
    `${JSON.stringify(record, null, 2)}
`,
  );
}

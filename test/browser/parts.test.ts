/** What all pages are made of, each part alone in a real browser. */
import { afterAll, describe, expect, test } from 'vitest';
import type { ApiFailure } from '../../src/console/page/api.ts';
import type { dayText, listText, minuteText, numberText, percentText } from '../../src/console/page/format.ts';
import type { html } from '../../src/console/page/html.ts';
import type { ListPage, useList } from '../../src/console/page/load.ts';
import type { copyButton, emptyNote, mark, stateMark, strange, Tone, tabs, useNow } from '../../src/console/page/parts/basics.ts';
import type { barChart, ChartSeries } from '../../src/console/page/parts/chart.ts';
import type { askDanger } from '../../src/console/page/parts/danger.ts';
import type { Column, dataTable, pager, RowSelection, useSelection } from '../../src/console/page/parts/data-table.ts';
import type { Filter, filterBar, filterHref, useFilters } from '../../src/console/page/parts/filter-bar.ts';
import type { FormValues, openForm } from '../../src/console/page/parts/form.ts';
import type { tellDone, tellFailed } from '../../src/console/page/parts/toast.ts';
import type { StreamState, useStream } from '../../src/console/page/stream.ts';
import { answered, closeBrowser, hasBrowser, openWindow } from '../support/browser.ts';
import { startTestConsole } from '../support/console.ts';

/** What the browser has loaded of the modules in `MODULES`. */
type Parts = {
  h: typeof import('preact').h;
  render: typeof import('preact').render;
  html: typeof html;
  ApiFailure: typeof ApiFailure;
  dayText: typeof dayText;
  listText: typeof listText;
  minuteText: typeof minuteText;
  numberText: typeof numberText;
  percentText: typeof percentText;
  useList: typeof useList;
  copyButton: typeof copyButton;
  emptyNote: typeof emptyNote;
  mark: typeof mark;
  stateMark: typeof stateMark;
  strange: typeof strange;
  tabs: typeof tabs;
  useNow: typeof useNow;
  barChart: typeof barChart;
  askDanger: typeof askDanger;
  dataTable: typeof dataTable;
  pager: typeof pager;
  useSelection: typeof useSelection;
  filterBar: typeof filterBar;
  filterHref: typeof filterHref;
  useFilters: typeof useFilters;
  openForm: typeof openForm;
  tellDone: typeof tellDone;
  tellFailed: typeof tellFailed;
  useStream: typeof useStream;
  /** The part of the page that a test draws into. */
  room: HTMLElement;
  /** What a test remembers. */
  heard: unknown[];
};
declare const parts: Parts;

const MODULES = [
  ...['preact', 'html.ts', 'api.ts', 'format.ts', 'load.ts', 'stream.ts', 'parts/basics.ts', 'parts/chart.ts'],
  ...['parts/danger.ts', 'parts/data-table.ts', 'parts/filter-bar.ts', 'parts/form.ts', 'parts/toast.ts'],
];
const LOAD = `(async () => {
  const room = document.createElement('div');
  document.querySelector('main').append(room);
  globalThis.parts = { room, heard: [] };
  for (const name of ${JSON.stringify(MODULES)}) Object.assign(parts, await import(name.endsWith('.ts') ? '/assets/' + name : name));
})()`;

afterAll(closeBrowser);

async function openParts(origin: string) {
  const visit = await openWindow(origin, { expected: [answered(404, '/no/page')] });
  await visit.page.route('**/api/v1/session', (route) =>
    route.fulfill({ json: { signedIn: true, name: 'anna', role: 'admin', csrf: 'x' } }),
  );
  await visit.page.goto('/no/page');
  await visit.page.getByRole('heading', { level: 1 }).waitFor();
  await visit.page.evaluate(LOAD);
  return visit;
}

describe.skipIf(!hasBrowser)('a table', () => {
  test('keeps the rows that were chosen when other rows come and go, and forgets those that have gone', async () => {
    await using console = await startTestConsole();
    await using visit = await openParts(console.origin);
    const { page } = visit;
    await page.evaluate(() => {
      const { dataTable, h, pager, room, render, useSelection } = parts;
      type Row = { readonly id: string };
      const columns: Column<Row>[] = [{ name: 'id', title: 'Id', cell: ({ id }) => id }];
      function Rows({ ids }: { readonly ids: readonly string[] }) {
        const selection: RowSelection = useSelection(ids);
        const rows = ids.map((id) => ({ id }));
        return [
          dataTable({ label: 'Rows', columns, rows, key: ({ id }) => id, selection }),
          h('output', {}, [...selection.chosen].join()),
          pager({ more: undefined, count: rows.length }),
        ];
      }
      Object.assign(parts, { draw: (ids: string[]) => render(h(Rows, { ids }), room) });
      (parts as any).draw(['a', 'b', 'c', 'd']);
    });
    await page.getByRole('checkbox', { name: 'Choose b' }).check();
    await page.getByRole('checkbox', { name: 'Choose d' }).click({ modifiers: ['Shift'] });
    expect(await page.locator('output').textContent()).toBe('b,c,d');
    await page.evaluate(() => (parts as any).draw(['new', 'a', 'b', 'd']));
    expect(await page.getByRole('checkbox', { name: 'Choose b' }).isChecked()).toBe(true);
    expect(await page.locator('output').textContent()).toBe('b,d');
    expect(await page.getByText('4 rows').isVisible()).toBe(true);
  });

  test('moves from row to row by j and k, and chooses by x', async () => {
    await using console = await startTestConsole();
    await using visit = await openParts(console.origin);
    const { page } = visit;
    await page.evaluate(() => {
      const { dataTable, h, render, room, useSelection } = parts;
      const rows = ['a', 'b'];
      const Rows = () =>
        dataTable({
          label: 'Rows',
          columns: [{ name: 'id', title: 'Id', cell: (id: string) => id }],
          rows,
          key: (id) => id,
          selection: useSelection(rows),
          href: (id) => `/${id}`,
        });
      render(h(Rows, {}), room);
    });
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    expect(await page.getByRole('checkbox', { name: 'Choose b' }).isChecked()).toBe(true);
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/a');
  });
});

describe.skipIf(!hasBrowser)('a dialog', () => {
  test('that asks before danger acts only when its number was typed, shows what the relay says, and gives the focus back', async () => {
    await using console = await startTestConsole();
    await using visit = await openParts(console.origin);
    const { page } = visit;
    await page.evaluate(() => {
      const { ApiFailure, askDanger, h, heard, render, room } = parts;
      let tries = 0;
      const ask = async () =>
        heard.push(
          await askDanger({
            title: 'Take out',
            what: 'Takes out 1,312 recipients.',
            untold: 'Their senders get no report.',
            button: 'Take out now',
            typed: '1,312',
            act: async () => {
              heard.push('acts');
              if (tries++ === 0) throw new ApiFailure(503, 'The store is busy.');
            },
          }),
        );
      render(h('button', { onClick: ask }, 'Open'), room);
    });
    await page.getByRole('button', { name: 'Open' }).click();
    const dialog = page.getByRole('dialog', { name: 'Take out' });
    await dialog.getByText('Their senders get no report.').waitFor();
    await dialog.getByRole('button', { name: 'Take out now' }).click();
    await dialog.getByText('This is not 1,312.').waitFor();
    await dialog.getByLabel('Type 1,312:').fill('1312');
    await dialog.getByRole('button', { name: 'Take out now' }).click();
    await dialog.getByText('The store is busy.').waitFor();
    await dialog.getByRole('button', { name: 'Take out now' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await page.evaluate(() => parts.heard)).toEqual(['acts', 'acts', true]);
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Open');
    await page.keyboard.press('Enter');
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect(await page.evaluate(() => parts.heard)).toEqual(['acts', 'acts', true, false]);
  });

  test('with a form shows all faults of the relay at their fields, and goes to the first', async () => {
    await using console = await startTestConsole();
    await using visit = await openParts(console.origin);
    const { page } = visit;
    await page.evaluate(() => {
      const { ApiFailure, heard, openForm } = parts;
      const send = async (values: FormValues) => {
        if (values['name'] === '')
          throw new ApiFailure(422, 'Not valid.', 'about:blank', [
            { pointer: '/limit', detail: 'A limit has a number.' },
            { pointer: '/name', detail: 'A name is missing.' },
          ]);
        return values;
      };
      const fields = [
        { name: 'name', label: 'Name' },
        { name: 'limit', label: 'Limit', optional: true },
        {
          name: 'kind',
          label: 'Kind',
          kind: 'choice',
          choices: [
            ['app', 'Application'],
            ['device', 'Device'],
          ],
          first: 'app',
        },
        { name: 'off', label: 'Off', kind: 'yes' },
      ] as const;
      void openForm({ title: 'New', fields, button: 'Add', send }).then((done) => heard.push(done));
    });
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByText('A limit has a number.').waitFor();
    expect(await page.getByLabel('Name').evaluate((input) => input === document.activeElement)).toBe(true);
    expect(await page.getByLabel('Name').getAttribute('aria-invalid')).toBe('true');
    await page.getByLabel('Name').fill('shop');
    await page.getByLabel('Kind').selectOption('Device');
    await page.getByLabel('Off').check();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await page.evaluate(() => parts.heard)).toEqual([{ name: 'shop', limit: '', kind: 'device', off: 'yes' }]);
  });
});

describe.skipIf(!hasBrowser)('a list', () => {
  test('is filtered by its address, and goes further back by hand', async () => {
    await using console = await startTestConsole();
    await using visit = await openParts(console.origin);
    const { page, requests } = visit;
    await page.route('**/api/v1/things*', (route) => {
      const before = new URL(route.request().url()).searchParams.get('before');
      const list: ListPage<string> =
        before === null
          ? { items: ['d', 'c'], next: 'c' }
          : { items: ['c', 'b'], next: null, searchedBackTo: '2026-11-24T08:00:00Z' };
      return route.fulfill({ json: list });
    });
    await page.evaluate(() => {
      const { filterBar, filterHref, h, html, pager, render, room, tabs, useFilters, useList } = parts;
      const filters: Filter[] = [{ name: 'to', label: 'To' }];
      function List() {
        const { to } = useFilters(['to']);
        const { items, more, searchedBackTo } = useList<string>('/things', (id) => id, { query: { to } });
        return html`${filterBar(filters)}<output>${items?.join()}</output>${pager({ more, searchedBackTo, count: items?.length ?? 0 })}
          ${tabs('frame.pages', [{ href: filterHref({ to: 'eve' }), words: 'Eve', current: to === 'eve' }])}`;
      }
      render(h(List, {}), room);
    });
    await page.getByText('d,c').waitFor();
    await page.getByRole('button', { name: 'Show more' }).click();
    await page.getByText('d,c,b').waitFor();
    await page.getByText('2026-11-24T08:00:00Z').waitFor();
    await page.getByLabel('To').fill('bob');
    await page.waitForURL('**/no/page?to=bob');
    await expect.poll(() => requests.findLast((url) => url.includes('/things'))).toContain('/things?to=bob');
    await page.getByRole('link', { name: 'Eve' }).click();
    await expect.poll(() => page.getByLabel('To').inputValue()).toBe('eve');
    await page.goBack();
    await expect.poll(() => page.getByLabel('To').inputValue()).toBe('bob');
  });
});

test.skipIf(!hasBrowser)('one window reads the stream of events, another one hears it from that window', async () => {
  await using console = await startTestConsole();
  await using first = await openParts(console.origin);
  await first.page.route('**/api/v1/live', (route) =>
    route.fulfill({ contentType: 'text/event-stream', body: 'event: thing\ndata: {"id":1}\n\n' }),
  );
  const second = await first.page.context().newPage();
  await second.route('**/api/v1/session', (route) =>
    route.fulfill({ json: { signedIn: true, name: 'anna', role: 'admin', csrf: 'x' } }),
  );
  const streams: string[] = [];
  second.on('request', (request) => void (request.url().endsWith('/live') && streams.push(request.url())));
  await second.goto('/no/page');
  await second.getByRole('heading', { level: 1 }).waitFor();
  await second.evaluate(LOAD);
  const follow = () => {
    const { h, heard, render, room, useStream } = parts;
    const hear = (type: string, data: unknown) => void heard.push([type, data]);
    const Live = () => {
      const state: StreamState = useStream('/live', {}, { types: ['thing'], hear, ask: () => {} });
      return h('output', {}, state);
    };
    render(h(Live, {}), room);
  };
  await first.page.evaluate(follow);
  await first.page.waitForFunction(() => parts.heard.length > 0);
  await second.evaluate(follow);
  // The answer of the test ends at once, so that the browser asks again: each time both windows hear of it.
  await second.waitForFunction(() => parts.heard.length > 0, undefined, { timeout: 30_000 });
  expect(await second.evaluate(() => parts.heard[0])).toEqual(['thing', { id: 1 }]);
  expect(streams).toEqual([]);
});

test.skipIf(!hasBrowser)('states are words, strangers write text, charts have tables, and what happened is told', async () => {
  await using console = await startTestConsole();
  await using visit = await openParts(console.origin);
  const { page } = visit;
  await page.evaluate(() => {
    const { barChart, copyButton, emptyNote, h, html, mark, render, room, stateMark, strange, tellDone, tellFailed, useNow } =
      parts;
    const { dayText, listText, minuteText, numberText, percentText } = parts;
    const tone: Tone = 'good';
    const series: ChartSeries[] = [{ name: 'relayed', words: 'relayed' }];
    const noon = Date.UTC(2026, 10, 28, 11);
    function All() {
      const now = useNow();
      return html`<p id="states">${mark(tone, 'open')} ${stateMark('failed')} ${stateMark('new word')}</p>
        <p id="stranger">${strange('<b>x</b>\u202e')}</p>
        <p id="figures">${[numberText(1204), percentText(0.82), listText(['a', 'b']), minuteText(noon), dayText(noon)].join(' | ')}</p>
        <p id="now">${now > noon ? 'later' : 'earlier'}</p>
        ${emptyNote('Nothing yet')} ${copyButton('copied text', 'Copy it')}
        ${barChart({
          label: 'Mail',
          per: 'Hour',
          series,
          points: [
            { at: '10:00', values: { relayed: 1180 } },
            { at: '11:00', values: {} },
          ],
        })}`;
    }
    render(h(All, {}), room);
    tellDone('Two were tried.');
    tellFailed('One was not.');
  });
  expect(await page.locator('#states').textContent()).toBe('✓ open ✗ failed · new word');
  expect(await page.locator('#stranger').textContent()).toBe('<b>x</b>U+202E');
  expect(await page.locator('#figures').textContent()).toBe('1,204 | 82% | a and b | 12:00 | 28 Nov');
  await page.getByRole('button', { name: 'Table' }).click();
  expect(await page.getByRole('row', { name: '10:00 1,180' }).isVisible()).toBe(true);
  const log = page.getByRole('log', { name: 'What has just happened' });
  await log.getByText('Two were tried.').waitFor();
  await log.getByText('One was not.').waitFor();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy it' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('copied text');
});

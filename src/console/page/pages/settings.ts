/** The settings in effect, where each comes from, and what the file would change. The file is never written here. */
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { numberText } from '../format.ts';
import { html } from '../html.ts';
import { useAction, useLoad } from '../load.ts';
import { byCommand, emptyNote, failureNote, loadingNote, mark, pageHead, strange } from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { dataTable } from '../parts/data-table.ts';
import { filterBar, useFilters } from '../parts/filter-bar.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { mayAs } from '../session.ts';
import { settingText } from '../setting-text.ts';
import { t } from '../texts.ts';

type Setting = {
  readonly path: string;
  readonly about: string;
  /** In effect. Secrets are `***`. */
  readonly value?: unknown;
  readonly default?: unknown;
  readonly from: 'default' | 'environment' | 'file';
  /** The line of the file, or the name of the variable. */
  readonly where: number | string | null;
  readonly needsRestart: boolean;
  /** The file or the environment says something else now. */
  readonly changed: boolean;
  readonly next?: unknown;
};

/** `GET /config` */
type Config = { readonly file: string | null; readonly settings: readonly Setting[] };

type Problem = { readonly path: string; readonly message: string; readonly level: 'error' | 'warning'; readonly source: string };

export function SettingsPage() {
  const { find, show } = useFilters(['find', 'show']);
  const { value, failure, again } = useLoad<Config>('/config', { every: 15_000 });
  const rows = value?.settings.filter((one) => fits(one, find?.toLowerCase(), show));
  const differing = value?.settings.filter(({ changed }) => changed).length ?? 0;
  const [problems, tell] = useState<readonly Problem[]>();
  const check = async () => {
    const found = await orTell(() => api.post<{ readonly problems: readonly Problem[] }>('/config/check', {}));
    tell(found?.problems);
  };
  const { busy, run } = useAction();
  return html`
    ${pageHead(
      t('page.settings'),
      html`
      ${mayAs('operator') && html`<button aria-disabled=${busy} onClick=${() => run(check)}>${t('settings.check')}</button>`}
      ${mayAs('admin') && html`<button class=${differing > 0 ? 'main' : ''} onClick=${() => reload(again)}>${t('settings.reload')}</button>`}
    `,
    )}
    <p class="about">${t('settings.intro')}</p>
    ${failureNote(failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    ${value && html`<p>${value.file === null ? t('settings.file.none') : t('settings.file', { file: value.file })} ${differing === 0 ? mark('good', t('settings.same')) : mark('wait', t('settings.differs', { count: differing }), '▲')}</p>`}
    <div role="status">${problems && problemList(problems)}</div>
    ${
      value &&
      filterBar([
        { name: 'find', label: t('settings.search') },
        {
          ...{ name: 'show', label: t('settings.show'), kind: 'choice' },
          choices: [
            ['', t('settings.show.all')],
            ['set', t('settings.show.set')],
            ['differs', t('settings.show.differs')],
          ],
        },
      ])
    }
    ${rows?.length === 0 && emptyNote(t('settings.none'))}
    ${rows && rows.length > 0 && sections(rows)}
    ${byCommand('smarthost config show', 'smarthost config check', 'systemctl reload smarthost')}
  `;
}

function fits({ path, value, from, changed }: Setting, find: string | undefined, show: string | undefined): boolean {
  if (show === 'set' && from === 'default') return false;
  if (show === 'differs' && !changed) return false;
  return find === undefined || path.toLowerCase().includes(find) || (settingText(value) ?? '').toLowerCase().includes(find);
}

/** By the mapping of the file that they stand in, in the order of the reference; those at its top come first. */
function sections(rows: readonly Setting[]) {
  const groups = [...Map.groupBy(rows, ({ path }) => (path.includes('.') ? path.split('.')[0]! : TOP))];
  return html`
    <nav class="jump" aria-label=${t('settings.sections')}><ul>
      ${groups.map(([name, { length }]) => html`<li key=${name}><a href=${`#${idOf(name)}`}>${sectionName(name)}</a> <span class="dim">${numberText(length)}</span></li>`)}
    </ul></nav>
    ${groups.map(([name, own]) => html`<section key=${name} class="section" aria-labelledby=${idOf(name)}><h2 id=${idOf(name)} tabindex="-1">${sectionName(name)}</h2> ${list(own, name)}</section>`)}
  `;
}

/** No mapping has this name. */
const TOP = '';
const idOf = (name: string) => `settings-${name || 'top'}`;
const sectionName = (name: string) => (name === TOP ? t('settings.top') : html`<code>${name}</code>`);

const list = (rows: readonly Setting[], name: string) =>
  dataTable({
    label: name === TOP ? t('settings.top') : `${t('page.settings')}: ${name}`,
    rows,
    key: ({ path }) => path,
    columns: [
      {
        name: 'path',
        title: t('settings.setting'),
        kind: 'text',
        cell: ({ path, about }) => html`<code>${path}</code><div class="hint">${about}</div>`,
      },
      { name: 'value', title: t('settings.value'), narrow: 'whole', cell: valueCell },
      { name: 'default', title: t('settings.default'), narrow: 'label', cell: (one) => written(one.default) },
      { name: 'from', title: t('settings.source'), narrow: 'label', cell: sourceWords },
      {
        name: 'takes',
        title: t('settings.takes'),
        narrow: 'label',
        cell: ({ needsRestart }) => t(needsRestart ? 'settings.restart' : 'settings.live'),
      },
    ],
  });

function sourceWords({ from, where }: Setting) {
  if (from === 'file' && typeof where === 'number') return t('settings.source.line', { line: String(where) });
  return html`${t(`settings.source.${from}`)} ${where !== null && html`<code>${where}</code>`}`;
}

function valueCell({ value, changed, next }: Setting) {
  if (!changed) return written(value);
  return html`${written(value)}<div class="warn"><span class="sign" aria-hidden="true">▲</span> ${t('settings.inFile')}: ${written(next)}</div>`;
}

function written(value: unknown) {
  const text = settingText(value);
  return text === null
    ? html`<span class="dim">${t('settings.unset')}</span>`
    : html`<code class="value">${strange(text, 4000)}</code>`;
}

const problemList = (problems: readonly Problem[]) =>
  problems.length === 0
    ? html`<p>${mark('good', t('settings.checked'))}</p>`
    : html`<section class="notice"><h2>${t('settings.problems', { count: problems.length })}</h2><ul class="list">${problems.map(
        ({ path, message, level, source }) =>
          html`<li>${mark(level === 'error' ? 'bad' : 'wait', t(`settings.problem.${level}`), level === 'error' ? '✗' : '▲')} <code>${path}</code> ${strange(message)} <span class="dim">${strange(source)}</span></li>`,
      )}</ul></section>`;

const reload = (again: () => Promise<void>) =>
  askDanger({
    title: t('settings.reload.ask'),
    what: t('settings.reload.says'),
    button: t('settings.reload'),
    act: async () => {
      const { restartNeeded } = await api.post<{ readonly restartNeeded: readonly string[] }>('/config/reload', {});
      tellDone(
        restartNeeded.length === 0 ? t('settings.reloaded') : t('settings.reloaded.restart', { names: restartNeeded.join(', ') }),
      );
      await again();
    },
  });

/** Tables: rows that are chosen stay chosen while the rows are loaded anew, and j, k and x move and choose without a mouse. */
import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Children, html } from '../html.ts';
import { t } from '../texts.ts';

export type Column<Row> = {
  /** Unique in the table. */
  readonly name: string;
  readonly title: Children;
  readonly cell: (row: Row) => Children;
  /** `figure`: aligned right. `text`: sentences. `address`: an address stays on one line if there is room. `short`: never broken. */
  readonly kind?: 'figure' | 'text' | 'address' | 'short';
  /** On narrow screens a row is a block: `label` shows the title before the value, `hide` leaves it out. Default: the value alone. */
  readonly narrow?: 'label' | 'hide' | 'whole';
};

type TableProps<Row> = {
  /** What the table shows, for those who do not see it. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly key: (row: Row) => string;
  readonly selection?: RowSelection;
  /** Which rows can be chosen. Default: all. */
  readonly choosable?: (row: Row) => boolean;
  /** The name of a row in its checkbox. Default: its key. */
  readonly rowName?: (row: Row) => string;
  /** Enter on a row goes there. Put the link into a cell too. */
  readonly href?: (row: Row) => string;
  /** May scroll sideways on narrow screens instead of becoming blocks. */
  readonly scrolls?: boolean;
};

export type RowSelection = {
  readonly chosen: ReadonlySet<string>;
  choose(keys: readonly string[], is: boolean): void;
  clear(): void;
};

/** @param present the keys of the rows that are there. A chosen row that has gone is not chosen any more. undefined: not loaded yet. */
export function useSelection(present: readonly string[] | undefined): RowSelection {
  const [all, change] = useState<ReadonlySet<string>>(new Set());
  const there = present && new Set(present);
  const chosen = there === undefined ? all : new Set([...all].filter((key) => there.has(key)));
  return {
    chosen,
    choose: (keys, is) =>
      change((before) => {
        const next = new Set(before);
        for (const key of keys) is ? next.add(key) : next.delete(key);
        return next;
      }),
    clear: () => change(new Set()),
  };
}

export const dataTable = <Row>(props: TableProps<Row>) => h(DataTable as typeof DataTable<any>, { table: props });

/** Blocks on narrow screens take the roles of a table away, so they are said. */
function DataTable<Row>({ table }: { readonly table: TableProps<Row> }) {
  const { label, columns, rows, key, selection, rowName = key, choosable = () => true, href, scrolls = false } = table;
  const last = useRef<string>(undefined);
  const keys = rows.map(key);
  const choose = (row: string, event: MouseEvent) => {
    const is = (event.target as HTMLInputElement).checked;
    const [from, to] = [keys.indexOf(last.current ?? row), keys.indexOf(row)].sort((a, b) => a - b);
    selection!.choose(event.shiftKey && from !== -1 ? keys.slice(from, to! + 1) : [row], is);
    last.current = row;
  };
  return html`<div class="table ${scrolls ? 'scrolls' : 'blocks'}" ...${scrolls ? { tabindex: 0, role: 'region', 'aria-label': label } : {}}>
    <table role="table" aria-label=${label}>
      <thead role="rowgroup">
        <tr role="row">
          ${selection && html`<th role="columnheader" scope="col" class="choose">${h(ChooseAll, { keys: rows.filter(choosable).map(key), selection })}</th>`}
          ${columns.map(({ name, title, kind }) => html`<th key=${name} role="columnheader" scope="col" class=${kind ?? ''}>${title}</th>`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map((row, at) => {
          const id = keys[at]!;
          const isChosen = selection?.chosen.has(id) ?? false;
          return html`<tr key=${id} role="row" data-row=${href?.(row) ?? ''} tabindex="-1" class=${isChosen ? 'chosen' : ''} aria-selected=${selection && isChosen}>
            ${
              selection &&
              html`<td role="cell" class="choose">${choosable(row) && html`<input type="checkbox" aria-label=${t('table.choose', { row: rowName(row) })} checked=${isChosen} onClick=${(event: MouseEvent) => choose(id, event)} />`}</td>`
            }
            ${columns.map(
              ({ name, title, cell, kind, narrow }) =>
                html`<td key=${name} role="cell" class="${kind ?? ''} ${narrow ?? ''}">${narrow === 'label' && html`<span class="label">${title}</span>`}${cell(row)}</td>`,
            )}
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}

function ChooseAll({ keys, selection }: { readonly keys: readonly string[]; readonly selection: RowSelection }) {
  const box = useRef<HTMLInputElement>(null);
  const count = keys.filter((key) => selection.chosen.has(key)).length;
  const all = count > 0 && count === keys.length;
  useEffect(() => {
    box.current!.indeterminate = count > 0 && !all;
  }, [count, all]);
  return html`<input ref=${box} type="checkbox" aria-label=${t('table.chooseAll')} checked=${all} onClick=${() => selection.choose(keys, !all)} />`;
}

type Pager = {
  /** How far back was searched, where a search ends before it has seen all. */
  readonly searchedBackTo?: Children;
  readonly more: (() => Promise<void>) | undefined;
  readonly count: number;
};

/** The end of a list: what was seen, and the way further back. */
export const pager = ({ searchedBackTo, more, count }: Pager) => html`<div class="pager">
  <span>${searchedBackTo ?? t('pager.shown', { count })}</span>
  ${more && html`<button onClick=${() => more()}>${searchedBackTo === undefined ? t('pager.more') : t('pager.further')}</button>`}
</div>`;

/** The filter of a list. It is kept in the address of the page, so that a list can be sent to a colleague. */

import { h } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useCell } from '../cell.ts';
import { type Children, html } from '../html.ts';
import { filterBy, place } from '../router.ts';
import { t } from '../texts.ts';
import { queryWith } from '../url.ts';

export type Filter = {
  /** In the query of the address. */
  readonly name: string;
  readonly label: string;
  readonly kind?: 'text' | 'choice' | 'time';
  /** Of `choice`: value and words. The first one should be '' for all. */
  readonly choices?: readonly (readonly [value: string, words: string])[];
  readonly placeholder?: string;
};

/** The values of the filters in the address, and undefined where one is empty. */
export function useFilters<const N extends string>(names: readonly N[]): Readonly<Record<N, string | undefined>> {
  const { query } = useCell(place);
  const all = new URLSearchParams(query);
  return Object.fromEntries(names.map((name) => [name, all.get(name) || undefined])) as Record<N, string | undefined>;
}

/** Long enough that one word is one request. */
const PAUSE = 350;

export const filterBar = (filters: readonly Filter[], more?: Children) => h(FilterBar, { filters, more });

function FilterBar({ filters, more }: { readonly filters: readonly Filter[]; readonly more: Children }) {
  const values = useFilters(filters.map(({ name }) => name));
  const isSet = Object.values(values).some((value) => value !== undefined);
  const clear = () => filterBy(Object.fromEntries(filters.map(({ name }) => [name, null])));
  return html`<form class="filters" role="search" aria-label=${t('filter.label')} onSubmit=${(event: Event) => event.preventDefault()}>
    ${filters.map((filter) => h(FilterField, { key: filter.name, filter, value: values[filter.name] ?? '' }))}
    ${isSet && html`<button type="button" class="quiet" onClick=${clear}>${t('filter.clear')}</button>`}
    ${more && html`<span class="more">${more}</span>`}
  </form>`;
}

function FilterField({
  filter: { name, label, kind = 'text', choices = [], placeholder },
  value,
}: {
  readonly filter: Filter;
  readonly value: string;
}) {
  const [typed, type] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => type(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  if (kind === 'choice') {
    const change = (event: Event) => filterBy({ [name]: (event.target as HTMLSelectElement).value });
    return html`<label>${label} <select name=${name} value=${value} onChange=${change}>${choices.map(([one, words]) => html`<option value=${one} selected=${one === value}>${words}</option>`)}</select></label>`;
  }
  const now = (text: string) => filterBy({ [name]: text.trim() }, { replace: true });
  const input = (event: Event) => {
    const text = (event.target as HTMLInputElement).value;
    type(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => now(text), PAUSE);
  };
  const commit = () => {
    clearTimeout(timer.current);
    now(typed);
  };
  return html`<label>${label} <input type=${kind === 'time' ? 'datetime-local' : 'search'} name=${name} value=${typed} placeholder=${placeholder} autocomplete="off" spellcheck=${false} onInput=${input} onChange=${commit} /></label>`;
}

/** The address of this page with another filter, for links. */
export const filterHref = (changes: Readonly<Record<string, string | null | undefined>>) =>
  place.get().path + queryWith(place.get().query, changes);

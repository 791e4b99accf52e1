/** The third step: the domains that send, and the records to copy, each with what the DNS has now. */
import { h } from 'preact';
import { useState } from 'preact/hooks';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { copyButton, failureNote, loadingNote, mark, type Tone } from '../parts/basics.ts';
import { dataTable } from '../parts/data-table.ts';
import { Form } from '../parts/form.ts';
import { type TextKey, t } from '../texts.ts';
import { seenList, stepButtons } from './first-run-parts.ts';
import { type SeenAnswer, type StepProps, wordsOf } from './first-run-state.ts';

type CheckedRecord = {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly state: 'ok' | 'missing' | 'other' | 'unknown';
  readonly found: readonly string[];
};
type Records = {
  readonly groups: readonly { readonly comment: string; readonly records: readonly CheckedRecord[] }[];
  readonly zone: string;
};

const TONES: Readonly<Record<CheckedRecord['state'], Tone>> = { ok: 'good', missing: 'bad', other: 'wait', unknown: 'plain' };

export function DomainsStep({ state: { answers }, done, back }: StepProps) {
  const [seen, show] = useState<readonly SeenAnswer[]>();
  const [count, ask] = useState(answers.domains === undefined ? 0 : 1);
  return html`<div class="step">
    ${h(Form, {
      about: html`<p>${t('firstRun.domainsAbout')}</p>`,
      fields: [
        {
          ...{ name: 'domains', label: t('firstRun.domainsField'), placeholder: 'example.org example.com' },
          ...{ hint: t('firstRun.domainsHint'), first: (answers.domains ?? []).join(' ') },
        },
      ],
      button: t('firstRun.domainsButton'),
      send: async ({ domains }) => {
        show((await api.post<{ items: readonly SeenAnswer[] }>('/first-run/domains', { domains: wordsOf(domains) })).items);
        ask(count + 1);
      },
    })}
    ${seenList(seen)} ${count > 0 && h(RecordList, { key: count })} ${stepButtons(count > 0 ? done : undefined, back)}
  </div>`;
}

/** Looked at again each 15 s: a record that is set becomes right while one reads. */
function RecordList() {
  const { value, failure, again, busy } = useLoad<Records>('/first-run/records', { every: 15_000 });
  if (value === undefined) return failure ? failureNote(failure, again) : loadingNote();
  const all = value.groups.flatMap(({ records }) => records);
  const right = all.filter(({ state }) => state === 'ok').length;
  return html`<section class="records" aria-label=${t('firstRun.records')}>
    <div class="head"><h2>${t('firstRun.records')}</h2>
      <div class="actions"><button type="button" aria-disabled=${busy} onClick=${() => again()}>${t('firstRun.lookAgain')}</button> ${copyButton(value.zone, t('firstRun.copyZone'))}</div>
    </div>
    <p role="status">${t('firstRun.recordsRight', { right, count: all.length })}</p>
    <p class="hint">${t('firstRun.later')}</p>
    ${value.groups.map(
      ({ comment, records }) => html`<h3>${comment}</h3>
        ${dataTable({
          label: comment,
          rows: records,
          key: ({ type, name, value }) => `${type} ${name} ${value}`,
          columns: [
            { name: 'state', title: t('firstRun.recordState'), kind: 'short', cell: recordState },
            { name: 'type', title: t('firstRun.recordType'), kind: 'short', narrow: 'label', cell: ({ type }) => type },
            {
              name: 'name',
              title: t('firstRun.recordName'),
              narrow: 'whole',
              cell: ({ name }) => html`<code>${name}</code> ${copyButton(name)}`,
            },
            {
              ...{ name: 'value', title: t('firstRun.recordValue'), kind: 'text', narrow: 'whole' },
              cell: ({ value, found, state }) => html`<code>${value}</code> ${copyButton(value)}
                ${state === 'other' && html`<div class="hint">${t('firstRun.recordFound')} <code>${found.join(' · ')}</code></div>`}`,
            },
          ],
        })}`,
    )}
  </section>`;
}

const recordState = ({ state }: CheckedRecord) => mark(TONES[state], t(`firstRun.record.${state}` as TextKey));

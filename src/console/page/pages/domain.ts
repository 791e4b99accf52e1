/** One domain: each record with what is wanted and what the DNS says now, its keys, and who sends as it. */
import { useEffect, useState } from 'preact/hooks';
import { ApiFailure, api } from '../api.ts';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { asFailure, useAction, useLoad } from '../load.ts';
import type { PageProps } from '../pages.ts';
import {
  byCommand,
  copyButton,
  factList,
  failureNote,
  loadingNote,
  mark,
  pageHead,
  strange,
  type Tone,
  when,
} from '../parts/basics.ts';
import { askDanger } from '../parts/danger.ts';
import { tellDone } from '../parts/toast.ts';
import { type Sentence, said } from '../phrases.ts';
import { navigate } from '../router.ts';
import { rich, t } from '../texts.ts';
import { pathTo } from '../url.ts';
import { type DomainKey, keyStateWords } from './domains.ts';

/** `GET /domains/:name` */
type Domain = { readonly domain: string; readonly keys: readonly DomainKey[]; readonly credentials: readonly string[] };

type CheckedRecord = {
  readonly purpose: 'dkim' | 'spf' | 'dmarc' | 'mx';
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly wanted: string | null;
  readonly line: string | null;
  readonly found: readonly string[] | null;
  readonly result: 'ok' | 'warning' | 'error' | 'unknown';
  readonly advice: string;
  readonly phrase: Sentence | null;
  readonly answerer: Answerer | null;
};

/** `name`: of a server of the domain itself. `unasked`: why a resolver was asked instead. */
type Answerer = {
  readonly server: string;
  readonly name?: string;
  readonly unasked?: 'unknown' | 'refused' | 'silent' | 'foreign';
};

/** `POST /domains/:name/check` */
type Look = { readonly at: string; readonly asked: readonly string[]; readonly records: readonly CheckedRecord[] };

export function DomainPage({ params: { name = '' } }: PageProps) {
  const path = pathTo('/domains', name);
  const { value, failure, again } = useLoad<Domain>(path, { every: 30_000 });
  const check = useCheck(path);
  const rotate = () =>
    askDanger({
      title: t('domains.rotate.ask', { name }),
      what: t('domains.rotate.says'),
      button: t('domains.rotate'),
      act: async () => {
        await api.post(`${path}/rotate`, {});
        tellDone(t('domains.rotated'));
        await Promise.all([again(), check.look()]);
      },
    });
  return html`
    <p class="up"><a href="/domains">← ${t('page.domains')}</a></p>
    ${pageHead(strange(name), html`<button class="main" aria-disabled=${check.busy} onClick=${check.look}>${t('domains.look')}</button>`)}
    ${failureNote(failure, again)}
    <section>
      <h2>${t('domains.records')}</h2>
      <p role="status" class="dim">${check.busy ? t('domains.looking') : check.seen && rich('domains.looked', { time: when(check.seen.at), server: check.seen.asked.join(', ') })}</p>
      ${failureNote(check.failure, check.look)}
      ${check.seen?.records.map(record)}
      ${check.seen && zone(check.seen.records)}
    </section>
    ${value === undefined && failure === undefined && loadingNote()}
    ${
      value &&
      html`
      <section>
        <h2>${t('domains.keys.title')}</h2>
        <ul class="list">${value.keys.map(
          ({ selector, algorithm, state, createdAt }) => html`<li>
          <code>${selector}</code> ${algorithm} ${mark(KEY_TONES[state] ?? 'plain', keyStateWords(state))} <span class="dim">${rich('domains.key.age', { time: when(createdAt, 'ago') })}</span>
        </li>`,
        )}</ul>
        <div class="buttons">
          <button onClick=${rotate}>${t('domains.rotate')}</button>
          <button class="danger" onClick=${() => remove(name)}>${t('domains.remove')}</button>
        </div>
      </section>
      <section>
        <h2>${t('domains.credentials')}</h2>
        ${value.credentials.length === 0 ? html`<p class="dim">${t('domains.credentials.none')}</p>` : html`<ul class="list">${value.credentials.map((one) => html`<li><a href=${pathTo('/credentials', one)}>${strange(one)}</a></li>`)}</ul>`}
      </section>
    `
    }
    ${byCommand(smarthostCommand('domain', 'records', name), smarthostCommand('doctor', name), smarthostCommand('domain', 'rotate', name))}
  `;
}

const KEY_TONES: Readonly<Record<string, Tone>> = { active: 'good', pending: 'wait', retiring: 'plain' };

/** Asks the DNS when the page opens, and at each click. Nothing is remembered as good. */
function useCheck(path: string) {
  const [found, show] = useState<Look>();
  const [failure, fail] = useState<ApiFailure>();
  const { busy, run } = useAction();
  const look = () =>
    run(async () => {
      try {
        show(await api.post<Look>(`${path}/check`, {}));
        fail(undefined);
      } catch (error) {
        fail(asFailure(error));
      }
    });
  useEffect(() => void look(), [path]);
  return { seen: found, failure, busy, look };
}

const RESULTS: Readonly<Record<CheckedRecord['result'], readonly [Tone, string]>> = {
  ok: ['good', '✓'],
  warning: ['wait', '▲'],
  error: ['bad', '✗'],
  unknown: ['plain', '?'],
};

function record({ purpose, name, type, wanted, line, found, result, advice, phrase, answerer }: CheckedRecord) {
  const [tone, sign] = RESULTS[result];
  const which = `${type} ${name}`;
  const isLong = line !== null && line.split('" "').length > 1;
  return html`<article class="panel record" key=${`${purpose} ${name}`}>
    <h3>${mark(tone, t(`result.${result}`), sign)} <b>${purpose.toUpperCase()}</b> <span class="dim">${type}</span></h3>
    ${factList([
      [
        t('domains.record.name'),
        html`<code>${strange(name)}</code> ${named(copyButton(`${name}.`), t('domains.record.copyName', { record: which }))}`,
      ],
      wanted !== null && [
        t('domains.record.wanted'),
        html`<code>${strange(wanted)}</code> ${named(copyButton(wanted), t('domains.record.copyValue', { record: which }))}
        ${isLong && named(copyButton(piecesOf(line), t('domains.copy.pieces')), t('domains.record.copyPieces', { record: which }))}`,
      ],
      [t('domains.record.found'), foundValues(found, wanted)],
      answerer !== null && [t('domains.record.answerer'), answererWords(answerer)],
      advice !== '' && [t('domains.record.advice'), html`<b>${strange(said(advice, phrase))}</b>`],
    ])}
  </article>`;
}

/** An answer of a resolver may be older than the record. */
const answererWords = ({ server, name, unasked }: Answerer) =>
  name !== undefined
    ? html`${strange(name)} <span class="dim">${server}</span>`
    : html`${mark('wait', strange(server), '▲')} <span class="dim">${t(`domains.answerer.${unasked ?? 'unknown'}`)}</span>`;

/** The group says what the button copies. */
const named = (button: unknown, name: string) => html`<span role="group" aria-label=${name}>${button}</span>`;

/** What stands behind the type in a line of a zone file: strings of at most 255 octets, in quotes. */
const piecesOf = (line: string) => line.slice(line.indexOf('"'));

function foundValues(found: CheckedRecord['found'], wanted: string | null) {
  if (found === null) return html`<span class="dim">${t('domains.record.unknown')}</span>`;
  if (found.length === 0) return html`<span class="dim">${t('domains.record.found.nothing')}</span>`;
  if (found.length === 1 && found[0] === wanted) return html`<span class="dim">${t('domains.record.same')}</span>`;
  return html`<ul class="list">${found.map((value) => html`<li><code>${strange(value)}</code></li>`)}</ul>`;
}

function zone(records: readonly CheckedRecord[]) {
  const lines = records.flatMap(({ line }) => line ?? []);
  const text = lines.join('\n');
  return (
    lines.length > 0 &&
    html`<details class="recipe">
    <summary>${t('domains.zone')}</summary>
    <p class="hint">${t('domains.zone.says')} ${t('domains.pieces.says')}</p>
    <pre tabindex="0" aria-label=${t('domains.zone')}>${text}</pre>
    ${copyButton(text, t('domains.zone.copy'))}
  </details>`
  );
}

/** Where queued mail needs a key, the relay says so first, and it is asked again. */
async function remove(name: string) {
  const path = pathTo('/domains', name);
  let needed: ApiFailure | undefined;
  const done = await askDanger({
    title: t('domains.remove.ask', { name }),
    what: t('domains.remove.says'),
    button: t('domains.remove'),
    typed: name,
    act: async () => {
      try {
        await api.remove(path);
      } catch (error) {
        if (!(error instanceof ApiFailure && error.status === 409)) throw error;
        needed = error;
      }
    },
  });
  if (!done) return;
  if (needed === undefined) return gone(name);
  const isForced = await askDanger({
    title: t('domains.remove.ask', { name }),
    what: strange(needed.message),
    untold: t('domains.remove.keeps'),
    button: t('domains.remove.force'),
    act: () => api.remove(`${path}?force=true`),
  });
  if (isForced) gone(name);
}

function gone(name: string) {
  tellDone(t('domains.removed', { name }));
  navigate('/domains');
}

/** Whether receivers would take our mail: what is wrong, in the order in which to mend it. */
import { api, relayName, relayNow } from '../api.ts';
import { countFindings, doctorReport, type ShownFinding, SUMMING_UP } from '../doctor-report.ts';
import { html } from '../html.ts';
import { useAction, useLoad } from '../load.ts';
import {
  byCommand,
  copyButton,
  emptyNote,
  factList,
  failureNote,
  loadingNote,
  mark,
  pageHead,
  strange,
  type Tone,
  tabs,
  when,
} from '../parts/basics.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { openForm } from '../parts/form.ts';
import { orTell } from '../parts/toast.ts';
import { said, saidSubject } from '../phrases.ts';
import { rich, t } from '../texts.ts';

type Mute = { readonly reason: string; readonly by: string; readonly until: string | null };
type Finding = ShownFinding & { readonly mute: Mute | null };

/** `GET /doctor` */
type Looked = {
  readonly state: 'never' | 'looking' | 'looked';
  readonly lookedAt: string | null;
  readonly error: string | null;
  readonly findings: readonly ShownFinding[];
  readonly changes: readonly ResultChange[];
};

type ResultChange = {
  readonly at: string;
  readonly check: string;
  readonly subject: string;
  readonly before: Finding['result'];
  readonly result: Finding['result'];
};

type Mutes = { readonly items: readonly (Mute & { readonly check: string; readonly subject: string })[] };

const SHOWN = ['todo', 'all', 'ok', 'muted'] as const;

const FITS: Readonly<Record<(typeof SHOWN)[number], (one: Finding) => boolean>> = {
  todo: ({ result, mute }) => result !== 'ok' && mute === null,
  all: () => true,
  ok: ({ result }) => result === 'ok',
  muted: ({ mute }) => mute !== null,
};

export function DoctorPage() {
  const { value, failure, again } = useLoad<Looked>('/doctor', { every: 3000 });
  const mutes = useLoad<Mutes>('/doctor/mutes', { every: 15_000 });
  const asked = useFilters(['show']).show;
  const shown = SHOWN.find((one) => one === asked) ?? 'todo';
  const { busy, run } = useAction();
  const look = () =>
    run(async () => {
      await orTell(() => api.post('/doctor', {}));
      await again();
    });
  const isLooking = busy || value?.state === 'looking';
  const lookButton = html`<button class="main" aria-disabled=${isLooking} onClick=${look}>${t('doctor.look')}</button>`;
  const all = value && withMutes(value.findings, mutes.value);
  const rows = all?.filter(FITS[shown]) ?? [];
  const isSeen = value !== undefined && value.lookedAt !== null;
  return html`
    ${pageHead(t('page.doctor'), isSeen && lookButton)}
    <p class="about">${t('doctor.intro')}</p>
    ${failureNote(failure ?? mutes.failure, again)}
    ${value === undefined && failure === undefined && loadingNote()}
    <p role="status" class="dim">${isLooking ? t('doctor.looking') : isSeen && rich('doctor.looked', { time: when(value.lookedAt) })}</p>
    ${value?.error != null && html`<p class="fault">${rich('doctor.failed', { reason: strange(value.error) })}</p>`}
    ${value && !isSeen && !isLooking && emptyNote(t('doctor.empty'), lookButton)}
    ${
      isSeen &&
      html`
      ${summary(all!, value.lookedAt!)}
      ${tabs(
        'doctor.filter',
        SHOWN.map((one) => ({
          href: filterHref({ show: one === 'todo' ? null : one }),
          words: t(`doctor.filter.${one}`),
          current: one === shown,
        })),
      )}
      ${rows.length === 0 && emptyNote(t(shown === 'todo' ? 'doctor.right' : 'doctor.none'))}
      <ol class="findings">${rows.map((one, at) => finding(one, rows[at - 1], mutes.again))}</ol>
      ${value.changes.length > 0 && history(value.changes)}
    `
    }
    ${byCommand('smarthost doctor', 'smarthost doctor --watch')}
  `;
}

function withMutes(findings: readonly ShownFinding[], mutes: Mutes | undefined): readonly Finding[] {
  const of = new Map(mutes?.items.map((mute) => [`${mute.check} ${mute.subject}`, mute]));
  return findings.map((one) => ({ ...one, mute: of.get(`${one.check} ${one.subject}`) ?? null }));
}

const history = (changes: readonly ResultChange[]) => html`<section>
  <h2>${t('doctor.history')}</h2>
  <ul class="list">${changes.map(
    ({ at, check, subject, before, result }) => html`<li>
    ${when(at)} <code>${check}</code> ${strange(saidSubject(subject))}: ${resultMark(before)} → ${resultMark(result)}
  </li>`,
  )}</ul>
</section>`;

const resultMark = (result: Finding['result']) => mark(TONES[result][0], t(`result.${result}`), TONES[result][1]);

function summary(findings: readonly Finding[], lookedAt: string) {
  const { ok, warning, error, unknown } = countFindings(findings.filter(({ mute }) => mute === null));
  const parts = [
    error > 0 && mark('bad', t('doctor.errors', { count: error })),
    warning > 0 && mark('wait', t('doctor.warnings', { count: warning }), '▲'),
    unknown > 0 && mark('plain', t('doctor.unknown', { count: unknown }), '?'),
    mark('good', t('doctor.ok', { count: ok })),
  ];
  const report = doctorReport(findings, { relay: relayName(), at: lookedAt });
  return html`<p class="summary">${parts} ${copyButton(report, t('doctor.copy'))}</p>`;
}

const TONES: Readonly<Record<Finding['result'], readonly [Tone, string]>> = {
  ok: ['good', '✓'],
  warning: ['wait', '▲'],
  error: ['bad', '✗'],
  unknown: ['plain', '?'],
};

function finding(one: Finding, before: Finding | undefined, again: () => Promise<void>) {
  const { check, subject, result, found, wanted, advice, phrases, since, mute } = one;
  const isOk = result === 'ok';
  const title =
    check === SUMMING_UP && before?.check !== SUMMING_UP && html`<li class="between"><h2>${t('doctor.receivers')}</h2></li>`;
  return html`${title}
  <li key=${`${check} ${subject}`} class="finding ${result}">
    <div class="what">
      <h2>${resultMark(result)} <code>${check}</code> ${strange(saidSubject(subject))}</h2>
      <span class="dim">${rich('doctor.sinceText', { time: when(since) })}</span>
    </div>
    ${factList([
      [t('doctor.found'), strange(said(found, phrases.found))],
      !isOk && [t('doctor.wanted'), strange(said(wanted, phrases.wanted))],
      !isOk && advice !== '' && [t('doctor.advice'), html`<b>${strange(said(advice, phrases.advice))}</b>`],
    ])}
    ${mute !== null && html`<p>${mutedText(mute)}</p>`}
    ${
      !isOk &&
      html`<div class="buttons">
      ${
        mute === null
          ? html`<button class="quiet" aria-label=${t('doctor.mute.name', { check, subject: saidSubject(subject) })} onClick=${() => muteFinding(one, again)}>${t('doctor.mute')}</button>`
          : html`<button class="quiet" onClick=${() => unmute(one, again)}>${t('doctor.unmute')}</button>`
      }
    </div>`
    }
  </li>`;
}

const mutedText = ({ by, reason, until }: Mute) =>
  until === null
    ? rich('doctor.mutedByForEver', { name: strange(by), reason: strange(reason) })
    : rich('doctor.mutedBy', { name: strange(by), until: when(until), reason: strange(reason) });

const DAY = 86_400_000;
const SPANS = { week: 7, month: 30, quarter: 91 } as const;

async function muteFinding({ check, subject }: Finding, again: () => Promise<void>) {
  await openForm({
    title: t('doctor.mute.title', { check, subject: saidSubject(subject) }),
    about: t('doctor.mute.says'),
    fields: [
      { name: 'reason', label: t('doctor.mute.reason'), hint: t('doctor.mute.reason.hint') },
      {
        ...{ name: 'until', label: t('doctor.mute.until'), kind: 'choice', first: 'month' },
        choices: [
          ...(['week', 'month', 'quarter'] as const).map((one) => [one, t(`doctor.mute.${one}`)] as const),
          ['never', t('doctor.mute.never')],
        ],
      },
    ],
    button: t('doctor.mute'),
    send: async ({ reason = '', until = '' }) => {
      const days = SPANS[until as keyof typeof SPANS] as number | undefined;
      const end = days === undefined ? null : new Date(relayNow() + days * DAY).toISOString();
      await api.post('/doctor/mutes', { check, subject, reason: reason.trim(), until: end });
      await again();
    },
  });
}

const unmute = (one: Finding, again: () => Promise<void>) =>
  orTell(async () => {
    await api.remove(`/doctor/mutes?${new URLSearchParams({ check: one.check, subject: one.subject })}`);
    await again();
  });

/** Where an account is logged in. */
import { api } from '../api.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { emptyNote, failureNote, strange, when } from '../parts/basics.ts';
import { dataTable } from '../parts/data-table.ts';
import { orTell, tellDone } from '../parts/toast.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

type Session = {
  readonly id: string;
  readonly account: string;
  readonly createdAt: string;
  readonly lastSeenAt: string;
  readonly ip: string;
  readonly userAgent: string;
  readonly current: boolean;
};

type SessionsProps = { readonly name: string; readonly isMine: boolean };

export function Sessions({ name, isMine }: SessionsProps) {
  const { value, failure, again } = useLoad<{ readonly items: readonly Session[] }>('/sessions', {
    query: { account: name },
    every: 15_000,
  });
  const end = ({ id }: Session) =>
    orTell(async () => {
      await api.remove(pathTo('/sessions', id));
      tellDone(t('me.sessions.ended'));
      await again();
    });
  const endOthers = () =>
    orTell(async () => {
      const { ended } = await api.remove<{ readonly ended: number }>(`/sessions?account=${encodeURIComponent(name)}`);
      tellDone(t('me.sessions.othersEnded', { count: ended }));
      await again();
    });
  return html`<section>
    <h2>${t('me.sessions')}</h2>
    ${isMine && html`<p class="about">${t('me.sessions.says')}</p>`}
    ${value?.items.length === 0 && emptyNote(t('me.sessions.none'))}
    ${failureNote(failure, again)}
    ${
      value &&
      value.items.length > 0 &&
      dataTable({
        label: t('me.sessions'),
        rows: value.items,
        key: ({ id }) => id,
        columns: [
          {
            name: 'browser',
            title: t('me.sessions.browser'),
            kind: 'text',
            cell: ({ userAgent, current }) =>
              html`${strange(browserName(userAgent))}${current && html` <b>(${t('me.sessions.this')})</b>`}`,
          },
          { name: 'address', title: t('me.sessions.address'), narrow: 'label', cell: ({ ip }) => strange(ip) },
          { name: 'began', title: t('me.sessions.began'), narrow: 'label', cell: ({ createdAt }) => when(createdAt) },
          { name: 'seen', title: t('me.sessions.seen'), narrow: 'label', cell: ({ lastSeenAt }) => when(lastSeenAt, 'ago') },
          {
            name: 'end',
            title: html`<span class="hidden">${t('me.sessions.end')}</span>`,
            cell: (one) =>
              !one.current &&
              html`<button class="quiet" aria-label=${t('me.sessions.end.name', { address: one.ip })} onClick=${() => end(one)}>${t('me.sessions.end')}</button>`,
          },
        ],
      })
    }
    ${value && value.items.filter(({ current }) => !current).length > 0 && html`<div class="buttons"><button onClick=${endOthers}>${t(isMine ? 'me.sessions.endOthers' : 'me.sessions.endAll')}</button></div>`}
  </section>`;
}

const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrom(e|ium)\//, 'Chromium'],
  [/Safari\//, 'Safari'],
] as const;
const SYSTEMS = [
  [/Windows/, 'Windows'],
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
] as const;

/** Only what a person knows it by. A program that is no browser is shown as it calls itself. */
function browserName(userAgent: string): string {
  const browser = BROWSERS.find(([pattern]) => pattern.test(userAgent))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1];
  if (browser === undefined) return userAgent.slice(0, 80) || '–';
  return system === undefined ? browser : `${browser}, ${system}`;
}

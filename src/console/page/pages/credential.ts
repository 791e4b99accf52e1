/** One credential: what it sends and may send, what its client needs, and how to stop it. */
import { h } from 'preact';
import { AccessView } from '../credential/access.ts';
import { ClientView } from '../credential/client.ts';
import { RulesView } from '../credential/rules.ts';
import { UseView } from '../credential/use.ts';
import { credentialMark, kindWords, type WholeCredential } from '../credential/words.ts';
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import type { PageProps } from '../pages.ts';
import { failureNote, loadingNote, pageHead, strange, tabs } from '../parts/basics.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

const VIEWS = { use: UseView, rules: RulesView, client: ClientView, access: AccessView } as const;
type ViewName = keyof typeof VIEWS;

/** What each part gets. `changed`: shows what the relay has answered. */
export type CredentialProps = { readonly user: WholeCredential; readonly changed: () => Promise<void> };

export function CredentialPage({ params: { name = '' } }: PageProps) {
  const { value: user, failure, again } = useLoad<WholeCredential>(pathTo('/credentials', name), { every: 10_000 });
  const asked = useFilters(['view']).view;
  const view = (Object.keys(VIEWS) as ViewName[]).find((one) => one === asked) ?? 'use';
  return html`
    <p class="up"><a href="/credentials">← ${t('page.credentials')}</a></p>
    ${pageHead(strange(name))}
    ${failureNote(failure, again)}
    ${user === undefined && failure === undefined && loadingNote()}
    ${
      user &&
      html`
      <p class="states">${credentialMark(user)} <span>${kindWords(user)}</span></p>
      ${tabs(
        'credentials.views',
        VIEW_NAMES.map((one) => ({
          href: filterHref({ view: one === 'use' ? null : one, span: null }),
          words: t(`credentials.view.${one}`),
          current: one === view,
        })),
      )}
      ${h(VIEWS[view], { key: user.name, user, changed: again })}
    `
    }
  `;
}

const VIEW_NAMES = Object.keys(VIEWS) as readonly ViewName[];

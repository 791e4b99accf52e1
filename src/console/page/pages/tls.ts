/** TLS with other servers: what would happen to mail for a domain, policies that were fetched, and reports about failures. */
import { h } from 'preact';
import { smarthostCommand } from '../command-line.ts';
import { html } from '../html.ts';
import { byCommand, pageHead, tabs } from '../parts/basics.ts';
import { filterHref, useFilters } from '../parts/filter-bar.ts';
import { t } from '../texts.ts';
import { PolicyLook } from '../tls/check.ts';
import { PolicyList } from '../tls/policies.ts';
import { FailureList, ReportList } from '../tls/reports.ts';

const VIEWS = { check: PolicyLook, policies: PolicyList, reports: ReportList, failures: FailureList } as const;
type ViewName = keyof typeof VIEWS;
const NAMES = Object.keys(VIEWS) as readonly ViewName[];

const COMMANDS: Readonly<Record<ViewName, readonly (readonly string[])[]>> = {
  check: [['tls', 'check', 'DOMAIN']],
  policies: [
    ['tls', 'policies', 'list'],
    ['tls', 'policies', 'refresh', 'DOMAIN'],
    ['tls', 'policies', 'forget', 'DOMAIN'],
  ],
  reports: [
    ['tls', 'reports', 'list'],
    ['tls', 'reports', 'send', 'DAY', 'DOMAIN'],
    ['tls', 'reports', 'suppress', 'ADDRESS'],
  ],
  failures: [['tls', 'failures']],
};

export function TlsPage() {
  const asked = useFilters(['view']).view;
  const view = NAMES.find((one) => one === asked) ?? 'check';
  return html`
    ${pageHead(t('page.tls'))}
    <p class="about">${t('tls.intro')}</p>
    ${tabs(
      'tls.views',
      NAMES.map((one) => ({
        href: filterHref({ view: one === 'check' ? null : one, domain: null }),
        words: t(`tls.view.${one}`),
        current: one === view,
      })),
    )}
    ${h(VIEWS[view], {})}
    ${byCommand(...COMMANDS[view].map((words) => smarthostCommand(...words)))}
  `;
}

/** The table of pages: one entry for each. The server reads it too, to say early which modules a page needs. */
import type { ComponentType } from 'preact';
import type { PageRole } from './session.ts';
import type { CatalogueName, TextKey } from './texts.ts';
import { FIRST_RUN } from './url.ts';

export type PageProps = {
  /** Of the path: `/messages/:id` has `id`, decoded. */
  readonly params: Readonly<Record<string, string>>;
};

export type PageEntry = {
  readonly path: string;
  readonly title: TextKey;
  /** Which catalogue has its texts, and which part of the navigation shows it. */
  readonly group: Exclude<CatalogueName, 'common' | 'client' | 'phrases'>;
  /** Catalogues besides that of its group. */
  readonly texts?: readonly CatalogueName[];
  /** false: the navigation does not show it. */
  readonly shown: boolean;
  /** The least role. null: also without login. */
  readonly role: PageRole | null;
  /** `g` and this letter go there. */
  readonly letter?: string;
  readonly load: () => Promise<ComponentType<PageProps>>;
};

/** The order is that of the navigation. */
export const PAGES: readonly PageEntry[] = [
  {
    ...{ path: '/', title: 'page.overview', group: 'mail', shown: true, role: 'reader', letter: 'o' },
    load: () => import('./pages/overview.ts').then(({ OverviewPage }) => OverviewPage),
  },
  {
    ...{ path: '/messages', title: 'page.messages', group: 'mail', shown: true, role: 'reader', letter: 'm' },
    load: () => import('./pages/messages.ts').then(({ MessagesPage }) => MessagesPage),
  },
  {
    ...{ path: '/messages/:id', title: 'page.message', group: 'mail', shown: false, role: 'reader', texts: ['phrases'] },
    load: () => import('./pages/message.ts').then(({ MessagePage }) => MessagePage),
  },
  {
    ...{ path: '/refused', title: 'page.refused', group: 'mail', shown: true, role: 'operator', letter: 'r' },
    load: () => import('./pages/refused.ts').then(({ RefusedPage }) => RefusedPage),
  },
  {
    ...{ path: '/queue', title: 'page.queue', group: 'mail', shown: true, role: 'reader', letter: 'q', texts: ['phrases'] },
    load: () => import('./pages/queue.ts').then(({ QueuePage }) => QueuePage),
  },
  {
    ...{ path: '/destinations', title: 'page.destinations', group: 'relay', shown: true, role: 'reader', letter: 'd' },
    load: () => import('./pages/destinations.ts').then(({ DestinationsPage }) => DestinationsPage),
  },
  {
    ...{
      path: '/destinations/:key',
      title: 'page.destination',
      group: 'relay',
      shown: false,
      role: 'reader',
      texts: ['mail', 'phrases'],
    },
    load: () => import('./pages/destination.ts').then(({ DestinationPage }) => DestinationPage),
  },
  {
    ...{ path: '/credentials', title: 'page.credentials', group: 'senders', shown: true, role: 'operator', letter: 'c' },
    load: () => import('./pages/credentials.ts').then(({ CredentialsPage }) => CredentialsPage),
  },
  {
    ...{
      path: '/credentials/:name',
      title: 'page.credential',
      group: 'senders',
      texts: ['client', 'phrases'],
      shown: false,
      role: 'operator',
    },
    load: () => import('./pages/credential.ts').then(({ CredentialPage }) => CredentialPage),
  },
  {
    ...{ path: '/new-credential', title: 'page.newCredential', group: 'senders', shown: false, role: 'operator' },
    load: () => import('./pages/new-credential.ts').then(({ NewCredentialPage }) => NewCredentialPage),
  },
  {
    ...{ path: '/domains', title: 'page.domains', group: 'senders', shown: true, role: 'operator', letter: 'n' },
    load: () => import('./pages/domains.ts').then(({ DomainsPage }) => DomainsPage),
  },
  {
    ...{ path: '/domains/:name', title: 'page.domain', group: 'senders', shown: false, role: 'operator', texts: ['phrases'] },
    load: () => import('./pages/domain.ts').then(({ DomainPage }) => DomainPage),
  },
  {
    ...{ path: '/doctor', title: 'page.doctor', group: 'relay', shown: true, role: 'operator', letter: 'h', texts: ['phrases'] },
    load: () => import('./pages/doctor.ts').then(({ DoctorPage }) => DoctorPage),
  },
  {
    ...{ path: '/tls', title: 'page.tls', group: 'relay', shown: true, role: 'operator', letter: 't', texts: ['phrases'] },
    load: () => import('./pages/tls.ts').then(({ TlsPage }) => TlsPage),
  },
  {
    ...{ path: '/certificates', title: 'page.certificates', group: 'relay', shown: true, role: 'operator' },
    load: () => import('./pages/certificates.ts').then(({ CertificatesPage }) => CertificatesPage),
  },
  {
    ...{ path: '/log', title: 'page.log', group: 'relay', shown: true, role: 'operator', letter: 'l' },
    load: () => import('./pages/log.ts').then(({ LogPage }) => LogPage),
  },
  {
    ...{ path: '/settings', title: 'page.settings', group: 'relay', shown: true, role: 'operator', letter: 's' },
    load: () => import('./pages/settings.ts').then(({ SettingsPage }) => SettingsPage),
  },
  {
    ...{ path: '/accounts', title: 'page.accounts', group: 'people', shown: true, role: 'admin', letter: 'a' },
    load: () => import('./pages/accounts.ts').then(({ AccountsPage }) => AccountsPage),
  },
  {
    ...{ path: '/accounts/:name', title: 'page.otherAccount', group: 'people', shown: false, role: 'admin' },
    load: () => import('./pages/other-account.ts').then(({ OtherAccountPage }) => OtherAccountPage),
  },
  {
    ...{ path: '/tokens', title: 'page.tokens', group: 'people', shown: true, role: 'admin' },
    load: () => import('./pages/tokens.ts').then(({ TokensPage }) => TokensPage),
  },
  {
    ...{ path: '/changes', title: 'page.changes', group: 'people', shown: true, role: 'admin' },
    load: () => import('./pages/changes.ts').then(({ ChangesPage }) => ChangesPage),
  },
  {
    ...{ path: '/account', title: 'page.account', group: 'people', shown: false, role: 'reader' },
    load: () => import('./pages/account.ts').then(({ AccountPage }) => AccountPage),
  },
  {
    ...{
      path: FIRST_RUN,
      title: 'page.firstRun',
      group: 'first-run',
      texts: ['client', 'phrases'],
      shown: false,
      role: 'operator',
    },
    load: () => import('./pages/first-run.ts').then(({ FirstRunPage }) => FirstRunPage),
  },
];

export const PAGE_GROUPS = ['mail', 'senders', 'relay', 'people'] as const;

/** The table of pages: one entry for each. The server reads it too, to say early which modules a page needs. */
import type { ComponentType } from 'preact';
import type { PageRole } from './session.ts';
import type { CatalogueName, TextKey } from './texts.ts';

export type PageProps = {
  /** Of the path: `/messages/:id` has `id`, decoded. */
  readonly params: Readonly<Record<string, string>>;
};

export type PageEntry = {
  readonly path: string;
  readonly title: TextKey;
  /** Which catalogue has its texts, and which part of the navigation shows it. */
  readonly group: Exclude<CatalogueName, 'common'>;
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
];

export const PAGE_GROUPS = ['mail', 'senders', 'relay', 'people'] as const;

/** What the shell of each page loads and says, read from the table of pages and from the texts that the pages themselves use. */
import { PAGE_ROOT } from './page-sources.ts';

/** By language where it depends on that. `modules`: all that the first module of the page needs. */
type PagePlan = {
  readonly modules: readonly string[];
  readonly texts: Readonly<Record<string, readonly string[]>>;
  readonly title: Readonly<Record<string, string>>;
};

/** What a reader sees until the modules have come. */
type ShellWords = {
  readonly loading: string;
  readonly late: string;
  readonly pages: string;
  readonly search: string;
  readonly searchHint: string;
};

export type PagePlans = {
  /** `path` as in the table of pages. */
  readonly pages: readonly (PagePlan & { readonly path: string })[];
  /** For those who are not logged in. */
  readonly login: PagePlan;
  /** For a path that no page has. */
  readonly none: PagePlan;
  readonly words: Readonly<Record<string, ShellWords>>;
};

type Loader = () => Promise<unknown>;
type TableEntry = {
  readonly path: string;
  readonly title: string;
  readonly group: string;
  readonly texts?: readonly string[];
  readonly load: Loader;
};

const LANGUAGES = ['en', 'fr'];

/**
 * The table of pages imports nothing before a page is opened, so it can be read here. Its types need a browser, so it is named by its
 * address. @returns each with the name of its module.
 */
export async function pageTable(): Promise<readonly (TableEntry & { readonly module: string })[]> {
  const entries: readonly TableEntry[] = (await import(new URL('pages.ts', PAGE_ROOT).href)).PAGES;
  return entries.map((entry) => ({ ...entry, module: loaded(entry.load) }));
}

/** The module that a page loads is named once: in its loader. */
const loaded = (load: Loader) => /import\(\s*['"]\.\/([^'"]+)['"]/.exec(String(load))![1]!;

/** @param urlsOf the addresses of modules. @param has whether there is a module of this name. */
export async function planPages(
  table: Awaited<ReturnType<typeof pageTable>>,
  urlsOf: (modules: readonly string[]) => readonly string[],
  needs: (module: string) => readonly string[],
  has: (module: string) => boolean,
): Promise<PagePlans> {
  const plan = async (module: string | undefined, title: string, catalogues: readonly string[] = []): Promise<PagePlan> => {
    // What the relay says itself is English already, so that not each catalogue has a file in each language.
    const named = byLanguage((tag) => ['common', ...catalogues].map((name) => `texts/${tag}-${name}.ts`).filter(has));
    const texts = await Promise.all(LANGUAGES.map(async (tag) => [tag, (await words(named[tag]!))[title]!] as const));
    return {
      modules: urlsOf(['main.ts', ...(module === undefined ? [] : needs(module))]),
      texts: byLanguage((tag) => urlsOf(named[tag]!)),
      title: Object.fromEntries(texts),
    };
  };
  const shellWords = LANGUAGES.map(async (tag) => {
    const said = await words([`texts/${tag}-common.ts`]);
    const { loading = '', 'frame.late': late = '', 'frame.pages': pages = '' } = said;
    const { 'frame.search': search = '', 'frame.searchHint': searchHint = '' } = said;
    return [tag, { loading, late, pages, search, searchHint }] as const;
  });
  return {
    pages: await Promise.all(
      table.map(async ({ path, title, group, texts = [], module }) => ({
        path,
        ...(await plan(module, title, [group, ...texts])),
      })),
    ),
    login: await plan('pages/login.ts', 'page.login'),
    none: await plan(undefined, 'page.none'),
    words: Object.fromEntries(await Promise.all(shellWords)),
  };
}

const byLanguage = <T>(make: (tag: string) => T): Readonly<Record<string, T>> =>
  Object.fromEntries(LANGUAGES.map((tag) => [tag, make(tag)]));

/** The texts of catalogues, which import nothing either. */
async function words(catalogues: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const all = await Promise.all(catalogues.map((path) => import(new URL(path, PAGE_ROOT).href)));
  return Object.assign({}, ...all.flatMap((module) => Object.values(module)));
}

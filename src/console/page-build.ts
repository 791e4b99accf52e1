/**
 * Makes what a browser loads, in a thread that ends afterwards: stripping types needs a compiler that would stay in the memory of the relay,
 * and the main thread has mail to take. There is no bundler. The import map of the shell gives each module its name with its hash, so that
 * a change of one module changes the address of that module only.
 */
import { createHash } from 'node:crypto';
import { stripTypeScriptTypes } from 'node:module';
import { posix } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { brotliCompressSync } from 'node:zlib';
import { BROTLI } from './packing.ts';
import { keepPages, PAGE_PACKAGES, PAGE_ROOT, type PageSources, readPageSources } from './page-sources.ts';

/** One file as it is sent. `name`: below `/assets/`, with its hash. `brotli`: the same, packed; absent: not yet. */
type PageFile = {
  readonly name: string;
  readonly type: string;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly brotli?: Uint8Array;
};

/** What the shell of one page loads. `path` as in the table of pages, `modules`: all that its first module needs. */
type PagePlan = {
  readonly path: string;
  readonly modules: readonly string[];
  /** Language → the modules of its texts. */
  readonly texts: Readonly<Record<string, readonly string[]>>;
};

export type PageBuild = {
  readonly files: readonly PageFile[];
  /** The text of the import map. The policy for content has its hash. */
  readonly importMap: string;
  readonly main: string;
  readonly style: string;
  readonly icon: string;
  readonly pages: readonly PagePlan[];
};

const LANGUAGES = ['en', 'fr'];
const IMPORT = /^(?:import|export)\b[^'"`();=]*?from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']/gm;
const MINIFIED = /(?:^|[;}])(?:import|export)\s*[^'"();]*?from\s*["']([^"']+)["']/g;

/** @throws if a module imports one that no browser gets, such as a value of the server. */
async function buildPages(given: PageSources): Promise<PageBuild> {
  const modules = new Map<string, { readonly file: PageFile; readonly imports: readonly string[] }>();
  for (const name of PAGE_PACKAGES) {
    const text = given.get(name)!.replace(/^\/\/# sourceMappingURL.*$/m, '');
    const imports = [...text.matchAll(MINIFIED)].map(([, from]) => from!);
    modules.set(name, { file: fileOf(`${name.replace('/', '-')}.js`, 'text/javascript', text), imports });
  }
  for (const path of [...given.keys()].filter((name) => name.endsWith('.ts') && !name.startsWith('//'))) {
    const text = stripTypeScriptTypes(given.get(path)!);
    const imports = [...text.matchAll(IMPORT)].map(([, named, bare]) => target(path, named ?? bare!));
    modules.set(path, { file: fileOf(path.replace(/ts$/, 'js'), 'text/javascript', text), imports });
  }
  for (const [path, { imports }] of modules)
    for (const one of imports) if (!modules.has(one)) throw new Error(`${path} imports ${one}, which no browser gets`);
  const urlOf = (path: string) => `/assets/${modules.get(path)!.file.name}`;
  const all = (path: string) => [...closure(path, (one) => modules.get(one)?.imports ?? [])].map(urlOf);
  const style = fileOf('style.css', 'text/css', small(given.get('style.css')!));
  const icon = fileOf('icon.svg', 'image/svg+xml', given.get('icon.svg')!);
  /** What the relay says itself is English already, so that not each catalogue has a file in each language. */
  const catalogues = (tag: string, names: readonly string[]) =>
    names.map((name) => `texts/${tag}-${name}.ts`).flatMap((path) => (modules.has(path) ? [urlOf(path)] : []));
  const imports = Object.fromEntries([...modules.keys()].map((path) => [specifier(path), urlOf(path)]));
  return {
    files: [...[...modules.values()].map(({ file }) => file), style, icon],
    importMap: JSON.stringify({ imports }),
    main: urlOf('main.ts'),
    style: `/assets/${style.name}`,
    icon: `/assets/${icon.name}`,
    pages: (await table()).map(({ path, group, texts, load }) => ({
      path,
      modules: [...new Set([...all('main.ts'), ...all(loaded(load))])],
      texts: Object.fromEntries(LANGUAGES.map((tag) => [tag, catalogues(tag, ['common', group, ...(texts ?? [])])])),
    })),
  };
}

const target = (from: string, to: string) => (to.startsWith('.') ? posix.join(posix.dirname(from), to) : to);
/** A module asks for `./ui.ts`, which the browser resolves against its own address: the map begins there. */
const specifier = (path: string) => (path.endsWith('.ts') ? `/assets/${path}` : path);

function closure(path: string, next: (path: string) => readonly string[], seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const one of next(path)) closure(one, next, seen);
  return seen;
}

function fileOf(path: string, type: string, text: string): PageFile {
  const bytes = new TextEncoder().encode(text);
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 12);
  const dot = path.lastIndexOf('.');
  return { name: `${path.slice(0, dot)}.${hash}${path.slice(dot)}`, type: `${type}; charset=utf-8`, hash, bytes };
}

/** Without comments and the blanks at the ends of lines. */
const small = (css: string) => css.replace(/\/\*.*?\*\//gs, '').replace(/([{};,])\s*\n\s*/g, '$1');

type Loader = () => Promise<unknown>;
type TableEntry = { readonly path: string; readonly group: string; readonly texts?: readonly string[]; readonly load: Loader };

/** The table of pages imports nothing before a page is opened, so it can be read here. Its types need a browser, so it is named by its address. */
async function table(): Promise<readonly TableEntry[]> {
  return (await import(new URL('pages.ts', PAGE_ROOT).href)).PAGES;
}

/** The module that a page loads is named once: in its loader. */
const loaded = (load: Loader) => /import\(\s*['"]\.\/([^'"]+)['"]/.exec(String(load))![1]!;

if (parentPort !== null) {
  const sources = await readPageSources();
  const build = await buildPages(sources);
  parentPort.postMessage(build);
  // The best packing takes a second, which nobody waits for: the next start has it.
  await keepPages<PageBuild>(sources, () => ({
    ...build,
    files: build.files.map((file) => ({ ...file, brotli: brotliCompressSync(file.bytes, BROTLI) })),
  }));
}

/**
 * Makes what a browser loads, in a thread that ends afterwards: stripping types needs a compiler that would stay in the memory of the relay,
 * and the main thread has mail to take. There is no bundler: what all pages need is joined into one file, and each other module is a file.
 * The import map of the shell gives each its name with its hash, so that a change of one changes the address of that file only.
 */
import { createHash } from 'node:crypto';
import { stripTypeScriptTypes } from 'node:module';
import { posix } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { brotliCompressSync } from 'node:zlib';
import { joinModules } from './joined-modules.ts';
import { BROTLI } from './packing.ts';
import { type PagePlans, pageTable, planPages } from './page-plans.ts';
import { keepPages, keptPages, PAGE_PACKAGES, type PageSources, readPageSources } from './page-sources.ts';

/** One file as it is sent. `name`: below `/assets/`, with its hash. `brotli`: the same, packed; absent: not yet. */
type PageFile = {
  readonly name: string;
  readonly type: string;
  readonly hash: string;
  readonly bytes: Uint8Array;
  readonly brotli?: Uint8Array;
};

export type PageBuild = {
  readonly files: readonly PageFile[];
  /** The text of the import map. The policy for content has its hash. */
  readonly importMap: string;
  /** What runs first. It asks for the rest. */
  readonly start: string;
  readonly style: string;
  readonly icon: string;
  readonly plans: PagePlans;
};

/** What so many pages need is loaded with the first one, whichever it is. */
const COMMON = 10;
const IMPORT = /^(?:import|export)\b[^'"`();=]*?from\s*["']([^"']+)["']|^import\s*["']([^"']+)["']/gm;
const MINIFIED = /(?:^|[;}])(?:import|export)\s*[^'"();]*?from\s*["']([^"']+)["']/g;

type PageModule = { readonly text: string; readonly imports: readonly string[] };

async function buildPages(given: PageSources): Promise<PageBuild> {
  const modules = readModules(given);
  const table = await pageTable();
  const needs = (path: string) => [...closure(path, (one) => modules.get(one)!.imports)];
  const joined = new Set([...common(table.flatMap(({ module }) => needs(module))).flatMap(needs), ...needs('main.ts')]);
  const whole = fileOf(
    'main.js',
    'text/javascript',
    joinModules(new Map([...joined].map((path) => [path, modules.get(path)!.text]))),
  );
  const others = new Map<string, PageFile>();
  for (const [path, { text }] of modules)
    if (!joined.has(path)) others.set(path, fileOf(path.replace(/ts$/, 'js'), 'text/javascript', text));
  const urlOf = (path: string) => `/assets/${(others.get(path) ?? whole).name}`;
  const style = fileOf('style.css', 'text/css', small(given.get('style.css')!));
  const icon = fileOf('icon.svg', 'image/svg+xml', given.get('icon.svg')!);
  const imports = Object.fromEntries([...modules.keys()].map((path) => [specifier(path), urlOf(path)]));
  return {
    files: [whole, ...others.values(), style, icon],
    importMap: JSON.stringify({ imports }),
    start: urlOf('start.ts'),
    style: `/assets/${style.name}`,
    icon: `/assets/${icon.name}`,
    plans: await planPages(
      table,
      (paths) => [...new Set(paths.map(urlOf))],
      needs,
      (path) => modules.has(path),
    ),
  };
}

/** @throws if a module imports one that no browser gets, such as a value of the server. */
function readModules(given: PageSources): ReadonlyMap<string, PageModule> {
  const modules = new Map<string, PageModule>();
  for (const name of PAGE_PACKAGES) {
    const text = given.get(name)!.replace(/^\/\/# sourceMappingURL.*$/m, '');
    modules.set(name, { text, imports: [...text.matchAll(MINIFIED)].map(([, from]) => from!) });
  }
  for (const path of [...given.keys()].filter((name) => name.endsWith('.ts') && !name.startsWith('//'))) {
    const text = stripTypeScriptTypes(given.get(path)!);
    modules.set(path, { text, imports: [...text.matchAll(IMPORT)].map(([, named, bare]) => target(path, named ?? bare!)) });
  }
  for (const [path, { imports }] of modules)
    for (const one of imports) if (!modules.has(one)) throw new Error(`${path} imports ${one}, which no browser gets`);
  return modules;
}

/** What is named so often. */
function common(names: readonly string[]): readonly string[] {
  return [...Map.groupBy(names, (name) => name)].filter(([, all]) => all.length >= COMMON).map(([name]) => name);
}

const target = (from: string, to: string) => (to.startsWith('.') ? posix.join(posix.dirname(from), to) : to);
/** A module asks for `./ui.ts`, which the browser resolves against its own address: the map begins there. */
const specifier = (path: string) => (path.endsWith('.ts') ? `/assets/${path}` : path);

/** Each behind all that it imports. */
function closure(path: string, next: (path: string) => readonly string[], seen = new Set<string>()): Set<string> {
  for (const one of next(path)) if (!seen.has(one)) closure(one, next, seen);
  return seen.add(path);
}

function fileOf(path: string, type: string, text: string): PageFile {
  const bytes = new TextEncoder().encode(text);
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 12);
  const dot = path.lastIndexOf('.');
  return { name: `${path.slice(0, dot)}.${hash}${path.slice(dot)}`, type: `${type}; charset=utf-8`, hash, bytes };
}

/** Without comments and the blanks at the ends of lines. */
const small = (css: string) => css.replace(/\/\*.*?\*\//gs, '').replace(/([{};,])\s*\n\s*/g, '$1');

/** The best packing takes a second, which nobody waits for: the next start has it. */
const packed = (build: PageBuild): PageBuild => ({
  ...build,
  files: build.files.map((file) => ({ ...file, brotli: brotliCompressSync(file.bytes, BROTLI) })),
});

if (parentPort !== null) {
  const sources = await readPageSources();
  const build = await buildPages(sources);
  parentPort.postMessage(build);
  await keepPages(sources, () => packed(build));
} else if (import.meta.main) {
  // A program of its own, before somebody asks for a page: of an image, or beside the relay.
  const sources = await readPageSources();
  if ((await keptPages(sources)) === undefined) await keepPages(sources, async () => packed(await buildPages(sources)));
}

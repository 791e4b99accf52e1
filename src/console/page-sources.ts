/** What the files for browsers are made of, and where those that were made once are kept for the next start. */
import { createHash } from 'node:crypto';
import { access, constants, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';

export const PAGE_ROOT = new URL('./page/', import.meta.url);
export const PAGE_PACKAGES: readonly string[] = ['preact', 'preact/hooks', 'htm'];

/** What makes the files. */
const MAKERS = ['page-build.ts', 'page-plans.ts', 'joined-modules.ts', 'packing.ts'];

/** Name below `page/`, of a package, or of `MAKERS` with two slashes → its text. */
export type PageSources = ReadonlyMap<string, string>;

export async function readPageSources(): Promise<PageSources> {
  const names = (await readdir(PAGE_ROOT, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
  const files = names.filter((name) => /\.(?:ts|css|svg)$/.test(name)).sort();
  const urls = [
    ...PAGE_PACKAGES.map((name) => [name, fileURLToPath(import.meta.resolve(name))] as const),
    ...files.map((name) => [name, fileURLToPath(new URL(name, PAGE_ROOT))] as const),
    ...MAKERS.map((name) => [`//${name}`, fileURLToPath(new URL(name, import.meta.url))] as const),
  ];
  return new Map(await Promise.all(urls.map(async ([name, path]) => [name, await readFile(path, 'utf8')] as const)));
}

/** The folder of compiled code, which is as protected as the code itself. undefined: nothing is kept. */
const keptIn = (): string | undefined => {
  const folder = process.env['NODE_COMPILE_CACHE'];
  return folder === undefined ? undefined : join(folder, 'console-pages');
};

/** What was made of the same sources by the same release of Node. undefined: nothing is kept, or it cannot be read. */
export async function keptPages<T>(sources: PageSources): Promise<T | undefined> {
  const path = keptIn();
  if (path === undefined) return undefined;
  try {
    const { key, pages } = deserialize(await readFile(path)) as { readonly key: string; readonly pages: T };
    return key === keyOf(sources) ? pages : undefined;
  } catch {
    return undefined; // not there, or cut off: it is made anew
  }
}

/** The console works without it. @param make is not called where nothing can be kept. */
export async function keepPages<T>(sources: PageSources, make: () => T | Promise<T>): Promise<void> {
  const path = keptIn();
  if (path === undefined) return;
  const whole = `${path}.${process.pid}`;
  try {
    await access(dirname(path), constants.W_OK);
    await writeFile(whole, serialize({ key: keyOf(sources), pages: await make() }), { mode: 0o600 });
    await rename(whole, path);
  } catch {
    // the next start makes them again
  }
}

function keyOf(sources: PageSources): string {
  const hash = createHash('sha256').update(process.version);
  for (const [name, text] of sources) hash.update(`\0${name}\0${text}`);
  return hash.digest('hex');
}

/** Each text exists in each language, takes the same values, and is used. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { PAGES } from '../../../../src/console/page/pages.ts';
import { bestLanguage, rich, speak, t } from '../../../../src/console/page/texts.ts';

const ROOT = 'src/console/page';
type Catalogue = Readonly<Record<string, string | { readonly one: string; readonly other: string }>>;

const load = async (file: string) =>
  Object.values(await import(new URL(`../../../../${ROOT}/texts/${file}`, import.meta.url).href))[0] as Catalogue;
const files = readdirSync(`${ROOT}/texts`);
const english = files.filter((file) => file.startsWith('en-'));
const pages = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.startsWith('texts/'))
  .map((file) => `${ROOT}/${file}`);
/** The document of each page says some too. */
const sources = [...pages, 'src/console/page-plans.ts'].map((file) => readFileSync(file, 'utf8')).join('\n');

const valuesOf = (text: Catalogue[string]) =>
  [...new Set((typeof text === 'string' ? text : `${text.one} ${text.other}`).match(/\{\w+\}/g))].sort();

test.each(english)('%s has its texts in each other language, with the same values', async (file) => {
  const own = await load(file);
  const others = files.filter((other) => other.slice(2) === file.slice(2) && other !== file);
  expect(others.length).toBeGreaterThan(0);
  for (const other of others) {
    const texts = await load(other);
    expect(Object.keys(texts)).toEqual(Object.keys(own));
    for (const [key, text] of Object.entries(own)) {
      expect(valuesOf(texts[key]!), `${other} ${key}`).toEqual(valuesOf(text));
      expect(typeof texts[key], `${other} ${key}`).toBe(typeof text);
    }
  }
});

test('each text is used: by its whole key, or by the beginning of it', async () => {
  const keys = (await Promise.all(english.map(load))).flatMap((catalogue) => Object.keys(catalogue));
  expect(new Set(keys).size).toBe(keys.length);
  const whole = new Set([...sources.matchAll(/'([a-zA-Z]+(?:\.\w+)*)'/g)].map(([, key]) => key!));
  // A word that is put in is one part of a key, or its last parts.
  const built = [...sources.matchAll(/`((?:[a-zA-Z]+\.)+)\$\{[^}]+\}([\w.]*)(?=`)/g)].map(
    ([, start, end]) => new RegExp(`^${start!.replaceAll('.', '\\.')}[\\w:-]+${end!.replaceAll('.', '\\.')}$`),
  );
  expect(keys.filter((key) => !whole.has(key) && !built.some((form) => form.test(key)))).toEqual([]);
});

/** The files that a page consists of, without those that hold texts. */
function filesOf(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const source = readFileSync(file, 'utf8');
  for (const [, path] of source.matchAll(/^(?:import|export) (?!type)[^;]*? from '(\.[^']+)';$/gm)) {
    const next = join(dirname(file), path!);
    if (next.startsWith(`${ROOT}/`) && next !== `${ROOT}/pages.ts` && !next.startsWith(`${ROOT}/texts`)) filesOf(next, seen);
  }
  return seen;
}

test('a page loads the catalogues of all texts that its files name, and the sentences of the relay if it says any', async () => {
  const group = new Map<string, string>();
  for (const file of english)
    for (const key of Object.keys(await load(file))) group.set(key, file.slice('en-'.length, -'.ts'.length));
  const modules = [...readFileSync(`${ROOT}/pages.ts`, 'utf8').matchAll(/import\('\.\/(pages\/[\w-]+\.ts)'\)/g)];
  expect(modules).toHaveLength(PAGES.length);
  const lacks: string[] = [];
  for (const [at, { path, group: own, texts = [] }] of PAGES.entries()) {
    const parts = [...filesOf(`${ROOT}/${modules[at]![1]}`)].map((file) => ({ file, source: readFileSync(file, 'utf8') }));
    const later = parts.flatMap(({ source }) => [...source.matchAll(/\bloadTexts\('(\w+)'\)/g)].map(([, name]) => name!));
    const loaded = new Set<string>(['common', own, ...texts, ...later]);
    for (const { file, source } of parts) {
      for (const [, key] of source.matchAll(/\b(?:t|rich)\(\s*'([\w.-]+)'/g))
        if (!loaded.has(group.get(key!)!)) lacks.push(`${path}: ${key} in ${file}`);
      if (/\bsaid\(/.test(source) && !loaded.has('phrases')) lacks.push(`${path}: phrases in ${file}`);
    }
  }
  expect(lacks).toEqual([]);
});

test('a page says no words of its own', () => {
  const words = [...sources.matchAll(/>\s*([A-Z][a-z]+ [a-z ]+)[.<]/g)].map(([, text]) => text!);
  expect(words).toEqual([]);
});

test('numbers and plurals follow the language', async () => {
  await speak('en');
  expect([t('pager.shown', { count: 1 }), t('pager.shown', { count: 1204 })]).toEqual(['1 row', '1,204 rows']);
  await speak('fr');
  expect([t('pager.shown', { count: 0 }), t('pager.shown', { count: 1204 })]).toEqual(['0 ligne', '1\u202f204 lignes']);
  expect(rich('danger.type', { text: { element: true } })).toEqual(['Saisissez ', { element: true }, ' :']);
  await speak('en');
});

test('the language is the first of the browser that there are texts in', () => {
  expect(bestLanguage(['de-DE', 'fr-CH', 'en'])).toBe('fr');
  expect(bestLanguage(['ja'])).toBe('en');
  expect(bestLanguage([])).toBe('en');
});

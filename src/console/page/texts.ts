/** All words that a page says, in the language of its reader. A catalogue is loaded with the first page that needs it. */
import { cell } from './cell.ts';
import type { EN_CLIENT } from './texts/en-client.ts';
import type { EN_COMMON } from './texts/en-common.ts';
import type { EN_FIRST_RUN } from './texts/en-first-run.ts';
import type { EN_MAIL } from './texts/en-mail.ts';
import type { EN_PEOPLE } from './texts/en-people.ts';
import type { EN_RELAY } from './texts/en-relay.ts';
import type { EN_SENDERS } from './texts/en-senders.ts';

/** Forms by the value `count`: the rules of the language choose one. */
type Text = string | { readonly one: string; readonly other: string };

export type CatalogueName = 'common' | 'client' | 'first-run' | 'mail' | 'senders' | 'relay' | 'people' | 'phrases';
export type TextKey =
  | keyof typeof EN_COMMON
  | keyof typeof EN_CLIENT
  | keyof typeof EN_FIRST_RUN
  | keyof typeof EN_MAIL
  | keyof typeof EN_SENDERS
  | keyof typeof EN_RELAY
  | keyof typeof EN_PEOPLE;
type Values = Readonly<Record<string, string | number>>;
type Language = 'en' | 'fr';
/** The other languages have the keys of the English catalogue. */
export type SameTexts<C> = Readonly<Record<keyof C, Text>>;

type Catalogue = Readonly<Record<string, Text>>;

const CATALOGUES: Readonly<Record<Language, Readonly<Record<CatalogueName, () => Promise<Catalogue>>>>> = {
  en: {
    common: () => import('./texts/en-common.ts').then(({ EN_COMMON }) => EN_COMMON),
    client: () => import('./texts/en-client.ts').then(({ EN_CLIENT }) => EN_CLIENT),
    'first-run': () => import('./texts/en-first-run.ts').then(({ EN_FIRST_RUN }) => EN_FIRST_RUN),
    mail: () => import('./texts/en-mail.ts').then(({ EN_MAIL }) => EN_MAIL),
    senders: () => import('./texts/en-senders.ts').then(({ EN_SENDERS }) => EN_SENDERS),
    relay: () => import('./texts/en-relay.ts').then(({ EN_RELAY }) => EN_RELAY),
    people: () => import('./texts/en-people.ts').then(({ EN_PEOPLE }) => EN_PEOPLE),
    phrases: async () => ({}), // the relay says them in English itself
  },
  fr: {
    common: () => import('./texts/fr-common.ts').then(({ FR_COMMON }) => FR_COMMON),
    client: () => import('./texts/fr-client.ts').then(({ FR_CLIENT }) => FR_CLIENT),
    'first-run': () => import('./texts/fr-first-run.ts').then(({ FR_FIRST_RUN }) => FR_FIRST_RUN),
    mail: () => import('./texts/fr-mail.ts').then(({ FR_MAIL }) => FR_MAIL),
    senders: () => import('./texts/fr-senders.ts').then(({ FR_SENDERS }) => FR_SENDERS),
    relay: () => import('./texts/fr-relay.ts').then(({ FR_RELAY }) => FR_RELAY),
    people: () => import('./texts/fr-people.ts').then(({ FR_PEOPLE }) => FR_PEOPLE),
    phrases: () => import('./texts/fr-phrases.ts').then(({ FR_PHRASES }) => FR_PHRASES),
  },
};

export const language = cell<Language>('en');
/** What is being loaded. */
let asked: Language = 'en';

const wanted = new Set<CatalogueName>(['common']);
const known: Record<string, Text> = {};
let plural = new Intl.PluralRules('en');
let figures = new Intl.NumberFormat('en');

export async function loadTexts(...names: readonly CatalogueName[]): Promise<void> {
  for (const name of names) wanted.add(name);
  await speak(asked);
}

/** Loads what is wanted in this language, and only then changes to it. */
export async function speak(to: Language): Promise<void> {
  asked = to;
  const loaded = await Promise.all([...wanted].map((name) => CATALOGUES[to][name]()));
  if (asked !== to) return;
  Object.assign(known, ...loaded);
  language.set(to);
  plural = new Intl.PluralRules(to);
  figures = new Intl.NumberFormat(localeTag());
}

/** The language with its region, as the browser says it, because dates differ between regions. */
export const localeTag = () => navigator.languages.find((tag) => tag.startsWith(language.get())) ?? language.get();

const CHOSEN = 'smarthost-language';
const YEAR = 365 * 24 * 60 * 60;

/** A cookie, because the relay says the first words of each page. */
export function chooseLanguage(tag: string): void {
  // biome-ignore lint/suspicious/noDocumentCookie: its successor is younger than the browsers that pages are made for
  document.cookie = `${CHOSEN}=${tag}; Path=/; Max-Age=${YEAR}; SameSite=Lax`;
}

/** What was chosen, or else what the browser likes best. */
export function readersLanguage(): Language {
  const chosen = new RegExp(`(?:^|;\\s*)${CHOSEN}=(\\w\\w)`).exec(document.cookie)?.[1];
  return bestLanguage([...(chosen === undefined ? [] : [chosen]), ...navigator.languages]);
}

/** The first language of the list that there are texts in. */
export function bestLanguage(asked: readonly string[]): Language {
  const found = asked.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => Object.hasOwn(CATALOGUES, tag));
  return (found as Language | undefined) ?? 'en';
}

/** The text with its values. A number is written as the language does; `count` chooses the form. */
export function t(key: TextKey, values: Values = {}): string {
  return pieces(key, values)
    .map((piece) => (typeof piece === 'string' ? piece : shown(values[piece.name])))
    .join('');
}

/** The same with elements as values, such as the text of a stranger. */
export function rich<T>(key: TextKey, values: Readonly<Record<string, T | string | number>>): (T | string)[] {
  return pieces(key, values).map((piece) => {
    if (typeof piece === 'string') return piece;
    const value = values[piece.name];
    return typeof value === 'number' ? figures.format(value) : (value ?? '');
  });
}

type Piece = string | { readonly name: string };

function pieces(key: TextKey, values: Readonly<Record<string, unknown>>): Piece[] {
  const text = known[key] ?? key;
  const form = typeof text === 'string' ? text : text[plural.select(Number(values['count'])) === 'one' ? 'one' : 'other'];
  return form.split(/(\{\w+\})/).map((piece) => (/^\{\w+\}$/.test(piece) ? { name: piece.slice(1, -1) } : piece));
}

const shown = (value: string | number | undefined) => (typeof value === 'number' ? figures.format(value) : (value ?? ''));

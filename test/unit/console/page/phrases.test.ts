/** What the relay says in whole sentences is said in each language. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { said } from '../../../../src/console/page/phrases.ts';
import { FR_PHRASES } from '../../../../src/console/page/texts/fr-phrases.ts';
import { loadTexts, speak } from '../../../../src/console/page/texts.ts';
import { about, nothingIn } from '../../../../src/doctor/finding.ts';
import { data, inEnglish, phrase } from '../../../../src/system/phrase.ts';
import { API_DOCUMENT } from '../../../support/api-document.ts';

/** Behind a text that begins at `at`, whatever stands in it. */
function endOfText(source: string, at: number): number {
  const quote = source[at];
  for (let i = at + 1; ; i++) {
    if (source[i] === quote) return i + 1;
    if (source[i] === '\\') i++;
    else if (quote === '`' && source.startsWith('${', i)) i = endOfValue(source, i + 2) - 1;
  }
}

/** Behind the brace of a value that begins at `at`. */
function endOfValue(source: string, at: number): number {
  for (let i = at, depth = 1; ; ) {
    if (source[i] === '{') depth++;
    if (source[i] === '}' && --depth === 0) return i + 1;
    i = `'"\``.includes(source[i]!) ? endOfText(source, i) : i + 1;
  }
}

function patternAt(source: string, begin: number): string {
  let pattern = '';
  for (let i = begin, values = 0; source[i] !== '`'; ) {
    if (source.startsWith('${', i)) {
      pattern += `{${values++}}`;
      i = endOfValue(source, i + 2);
    } else {
      if (source[i] === '\\') i++;
      pattern += source[i++];
    }
  }
  return pattern;
}

const NAMES = /\{\d+\}/g;
/** Those with words. Signs between values are the same in each language. */
const PATTERNS = [
  ...new Set(
    readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.startsWith('console/page/'))
      .map((file) => readFileSync(`src/${file}`, 'utf8'))
      .flatMap((source) => [...source.matchAll(/\bphrase`/g)].map(({ index, 0: tag }) => patternAt(source, index + tag.length)))
      .filter((pattern) => /\p{L}/u.test(pattern.replace(NAMES, ''))),
  ),
];

/** What findings are about, if it is no name of something. */
const NAMES_OF_THINGS = [
  'IPv6',
  'MTA-STS',
  'REQUIRETLS',
  'dns',
  'delivery.mtaSts',
  'wal_keep_size',
  'smarthost serve',
  'destinations',
];
const SUBJECTS = readdirSync('src/doctor')
  .map((file) => readFileSync(`src/doctor/${file}`, 'utf8'))
  .flatMap((source) => [...source.matchAll(/\babout\([^,()]+, '([^']+)'\)|^ +\['([^']+)', phrase`/gm)])
  .map(([, one, summed]) => (one ?? summed)!)
  .filter((name) => !NAMES_OF_THINGS.includes(name));

test('each phrase of the server has a French text with the same values, and each French text a phrase', () => {
  expect(PATTERNS.length).toBeGreaterThan(300);
  const all = new Set([...PATTERNS, ...SUBJECTS]);
  expect([...all].filter((pattern) => FR_PHRASES[pattern] === undefined)).toEqual([]);
  expect(Object.keys(FR_PHRASES).filter((pattern) => !all.has(pattern))).toEqual([]);
  const valuesOf = (text: string) => [...(text.match(NAMES) ?? [])].sort();
  for (const pattern of PATTERNS) expect([pattern, valuesOf(FR_PHRASES[pattern]!)]).toEqual([pattern, valuesOf(pattern)]);
});

test('a phrase has its values and phrases inside it, in English as the command line says it, and in the language of the reader', async () => {
  const missing = phrase`the DNS gave no answer (${'SERVFAIL'})`;
  const whole = phrase`${data('{1} & co')} (${missing})`;
  expect(inEnglish(whole)).toBe('{1} & co (the DNS gave no answer (SERVFAIL))');
  const { found, phrases } = about('mx', 'x.test')('unknown', phrase`no such record`, phrase`MX records`);
  await loadTexts('phrases');
  await speak('fr');
  expect(said(inEnglish(whole), whole)).toBe('{1} & co (le DNS n’a pas répondu (SERVFAIL))');
  expect(said(found, phrases.found)).toBe('aucun enregistrement de ce type');
  expect(said('', phrases.advice)).toBe('');
  expect(said('of a newer relay', { pattern: 'of a newer {0}', values: ['relay'] })).toBe('of a newer relay');
  await speak('en');
  expect(said(found, phrases.found)).toBe('no such record');
});

test('why the DNS or a host of policies gave no answer is said in the language of the reader, to the last word', async () => {
  const silent = nothingIn({ kind: 'temporary', why: phrase`over TCP ${phrase`${'192.0.2.53'} closed before its answer`}` });
  const missing = phrase`the look-up of ${'mta-sts.x.test'} failed: ${data('SERVFAIL')}`;
  await loadTexts('phrases');
  await speak('fr');
  expect(said(inEnglish(silent), silent)).toBe(
    'le DNS n’a pas répondu (par TCP, 192.0.2.53 a fermé la connexion avant de répondre)',
  );
  expect(said(inEnglish(missing), missing)).toBe('la recherche de mta-sts.x.test a échoué : SERVFAIL');
  await speak('en');
  expect(said(inEnglish(silent), silent)).toBe('the DNS gave no answer (over TCP 192.0.2.53 closed before its answer)');
});

/** An answer that has a sentence has what another language needs to say it. The reasons of a client's failure have texts in the pages. */
const SPOKEN = ['sentence', 'advice', 'exchangeAdvice', 'fate', 'found', 'proof'];
const NOT_SPOKEN = [/credentials\/\{name\}\/sessions/, /first-run\/records/];

test('no answer of the API has a sentence without its phrase', () => {
  const lacking: string[] = [];
  let spoken = 0;
  const look = (part: unknown, path: string): void => {
    if (typeof part !== 'object' || part === null) return;
    const { properties } = part as { readonly properties?: Record<string, unknown> };
    const isOfPhrases = path.endsWith('/phrases');
    if (properties !== undefined && !isOfPhrases && SPOKEN.some((name) => name in properties)) {
      spoken++;
      if (!('phrase' in properties) && !('phrases' in properties)) lacking.push(path);
    }
    for (const [name, one] of Object.entries(part)) look(one, `${path}/${name}`);
  };
  look(API_DOCUMENT.paths, '');
  expect(spoken).toBeGreaterThan(8);
  expect(lacking.filter((path) => !NOT_SPOKEN.some((one) => one.test(path)))).toEqual([]);
});

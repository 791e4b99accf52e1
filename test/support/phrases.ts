/** Phrases in expectations. */
import { expect } from 'vitest';
import { inEnglish, type Phrase } from '../../src/system/phrase.ts';

/** Fits a phrase by what it says in English. */
export const saying = (wanted: string | RegExp) =>
  expect.toSatisfy((said: Phrase) =>
    typeof wanted === 'string' ? inEnglish(said) === wanted : wanted.test(inEnglish(said)),
  ) as unknown;

/** What the relay says in whole sentences, in the language of the reader: an English pattern, and what stands in it. */
import { language, type TextKey, t } from './texts.ts';

/** As the API has it. A value is text, a number, or such a sentence again. */
export type Sentence = { readonly pattern: string; readonly values: readonly unknown[] };

/** @param english as the API says it. A sentence that nobody has translated stays as it is. */
export function said(english: string, sentence: Sentence | null): string {
  return sentence === null || language.get() === 'en' ? english : translated(sentence);
}

function translated({ pattern, values }: Sentence): string {
  const shown = values.map((value) => (isSentence(value) ? translated(value) : (value as string | number)));
  return t(pattern as TextKey, Object.fromEntries(shown.entries()));
}

/** What a finding is about: a name, which is the same in each language, or words of the relay. */
export const saidSubject = (subject: string): string => said(subject, { pattern: subject, values: [] });

const isSentence = (value: unknown): value is Sentence => typeof value === 'object' && value !== null;

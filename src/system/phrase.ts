/**
 * What is said to a person, as its English pattern and what stands in it, so that a page can say it in another language. The pattern is also
 * the name of the phrase: catalogues of other languages have it as their key.
 */

/** `{0}`, `{1}` in the pattern stand for the values, in this order. */
export type Phrase = { readonly pattern: string; readonly values: readonly PhraseValue[] };
/** Text is data, such as a name or what a server has said: it is the same in each language. */
type PhraseValue = string | number | Phrase;

/** The only way to make words: what is between the values is the pattern. */
export function phrase(words: TemplateStringsArray, ...values: readonly PhraseValue[]): Phrase {
  return { pattern: words.reduce((pattern, part, at) => `${pattern}{${at - 1}}${part}`), values };
}

/** Text that has no words of ours. */
export function data(text: string): Phrase {
  return { pattern: '{0}', values: [text] };
}

/** With commas between them. */
export function commaList(all: readonly Phrase[]): Phrase {
  const [first = data(''), ...others] = all;
  return others.reduce((list, one) => phrase`${list}, ${one}`, first);
}

export function inEnglish({ pattern, values }: Phrase): string {
  return pattern.replace(/\{(\d+)\}/g, (_, at) => {
    const value = values[Number(at)]!;
    return typeof value === 'object' ? inEnglish(value) : String(value);
  });
}

/** Text from outside on its way into a report: it may say anything, but never end a line or start a field. */

/** Controls of ASCII and Latin-1, line and paragraph separators, marks that turn the direction of writing. */
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;
const MAX_TEXT = 1000;
/** RFC 5322 §2.1.1 wants 78; a word that is longer stays whole up to here. */
const LINE = 76;
const HARD = 900;

/** One line of at most `max` characters; `ascii`: anything else is a question mark. */
export function clean(text: string, { ascii = false, max = MAX_TEXT }: { ascii?: boolean; max?: number } = {}): string {
  const line = text.replace(UNSAFE, ' ').trim();
  const cut = line.length > max ? `${line.slice(0, max)}...` : line;
  return (ascii ? cut.replace(/[^\x20-\x7e]/gu, '?') : cut).toWellFormed();
}

/** Breaks one line at blanks. Blanks at its start stay; every further line begins with `indent`. */
export function wrap(text: string, indent: string): readonly string[] {
  const words = text.trimStart();
  const lines: string[] = [];
  let line = text.slice(0, text.length - words.length);
  let empty = true;
  for (const word of words.split(' ').flatMap(pieces)) {
    if (!empty && line.length + 1 + word.length > LINE) {
      lines.push(line);
      line = indent + word;
    } else line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}

/** RFC 5322 §3.3, always in UTC. */
export function formatDate(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000');
}

export const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);

function pieces(word: string): readonly string[] {
  return word.length <= HARD ? [word] : (word.match(new RegExp(`.{1,${HARD}}`, 'gu')) ?? []);
}

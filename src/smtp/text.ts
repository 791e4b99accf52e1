/**
 * Text from outside on its way into a header, a report, a reply, the log or a terminal: it may say anything, but it ends no line,
 * starts no field, and moves no cursor. The one place that knows which characters do.
 */

/** DEL and the controls of Latin-1, line and paragraph separators, marks that turn the direction of writing. */
const BEYOND_ASCII = '\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const UNSAFE = new RegExp(`[\\x00-\\x1f${BEYOND_ASCII}]`, 'g');
const RUN_OF_UNSAFE = new RegExp(`[\\x00-\\x1f${BEYOND_ASCII}]+`, 'g');
/** Without the line feed. */
const UNSAFE_IN_LINES = new RegExp(`[\\x00-\\x09\\x0b-\\x1f${BEYOND_ASCII}]`, 'g');
/** Without what JSON escapes by itself. */
const UNSAFE_IN_JSON = new RegExp(`[${BEYOND_ASCII}]`, 'g');
/** Without tab and line feed, and with the colours that our commands paint with. */
const UNSAFE_ON_TERMINAL = new RegExp(`\\x1b\\[\\d{1,2}m|[\\x00-\\x08\\x0b-\\x1f${BEYOND_ASCII}]`, 'g');

const MAX_TEXT = 1000;
/** RFC 5322 §2.1.1 wants 78; a word that is longer stays whole up to here. */
const LINE = 76;
const HARD = 900;

/** One line, each unsafe character replaced by one other. */
export function oneLine(text: string, instead = ' '): string {
  return text.replace(UNSAFE, instead);
}

/** The same for text of several lines, separated by LF. */
export function plainLines(text: string): string {
  return text.replace(UNSAFE_IN_LINES, ' ');
}

/** JSON of the same value, with an escape for each unsafe character. */
export function plainJson(json: string): string {
  return json.replace(UNSAFE_IN_JSON, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What a command prints: our own colours pass. */
export function forTerminal(text: string): string {
  return text.replace(UNSAFE_ON_TERMINAL, (found) => (found.length > 1 ? found : '\ufffd'));
}

/** One line of at most `max` characters; `ascii`: anything else is a question mark. */
export function cleanLine(text: string, { ascii = false, max = MAX_TEXT }: { ascii?: boolean; max?: number } = {}): string {
  const line = text.replace(RUN_OF_UNSAFE, ' ').trim();
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

/** A date in UTC, which does not tell where the relay stands: RFC 5322 §3.3. */
export function formatDate(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000');
}

export const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);

function pieces(word: string): readonly string[] {
  return word.length <= HARD ? [word] : (word.match(new RegExp(`.{1,${HARD}}`, 'gu')) ?? []);
}

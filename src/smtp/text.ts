/**
 * Makes text from outside safe for a header, a report, a reply, the log or a terminal: it cannot end a line, start a field or move the
 * cursor. Only this file knows which characters can.
 */

/** DEL and the controls of Latin-1, line and paragraph separators, marks that turn the direction of writing. */
const BEYOND_ASCII = '\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const UNSAFE = new RegExp(`[\\x00-\\x1f${BEYOND_ASCII}]`, 'g');
const RUN_OF_UNSAFE = new RegExp(`[\\x00-\\x1f${BEYOND_ASCII}]+`, 'g');
/** The same characters except the line feed. */
const UNSAFE_IN_LINES = new RegExp(`[\\x00-\\x09\\x0b-\\x1f${BEYOND_ASCII}]`, 'g');
/** The same characters except those that JSON escapes itself. */
const UNSAFE_IN_JSON = new RegExp(`[${BEYOND_ASCII}]`, 'g');
const HAS_UNSAFE_IN_JSON = new RegExp(`[${BEYOND_ASCII}]`);
/** The same characters except tab, line feed and the colour codes of our commands. */
const UNSAFE_ON_TERMINAL = new RegExp(`\\x1b\\[\\d{1,2}m|[\\x00-\\x08\\x0b-\\x1f${BEYOND_ASCII}]`, 'g');

const MAX_TEXT = 1000;
/** Longest word that is not broken. RFC 5322 §2.1.1 wants lines of 78 characters. */
const LINE = 76;
const HARD = 900;

/** ASCII letters in lower case. Other scripts have letters that fold onto each other, and two owners must not become one. */
export function lowerAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

/** Makes one line: each unsafe character is replaced. */
export function oneLine(text: string, instead = ' '): string {
  return text.replace(UNSAFE, instead);
}

/** The same for text of several lines, separated by LF. */
export function plainLines(text: string): string {
  return text.replace(UNSAFE_IN_LINES, ' ');
}

/** JSON of the same value, with an escape for each unsafe character. */
export function plainJson(json: string): string {
  if (!HAS_UNSAFE_IN_JSON.test(json)) return json; // to replace by a function is slow even where there is nothing to replace
  return json.replace(UNSAFE_IN_JSON, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** For the output of commands: our own colour codes stay. */
export function forTerminal(text: string): string {
  return text.replace(UNSAFE_ON_TERMINAL, (found) => (found.length > 1 ? found : '\ufffd'));
}

/** Makes one line of at most `max` characters. With `ascii`, other characters become question marks. */
export function cleanLine(text: string, { ascii = false, max = MAX_TEXT }: { ascii?: boolean; max?: number } = {}): string {
  const line = text.replace(RUN_OF_UNSAFE, ' ').trim();
  const cut = line.length > max ? `${line.slice(0, max)}...` : line;
  return (ascii ? cut.replace(/[^\x20-\x7e]/gu, '?') : cut).toWellFormed();
}

/** Breaks one line at blanks. Blanks at its start stay. All later lines begin with `indent`. */
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

let datedSecond = Number.NaN;
let date = '';

/** A date in UTC, which does not reveal the time zone of the relay: RFC 5322 §3.3. Mail of the same second has the same. */
export function formatDate(at: number): string {
  const second = Math.floor(at / 1000);
  if (second !== datedSecond) {
    date = new Date(at).toUTCString().replace('GMT', '+0000');
    datedSecond = second;
  }
  return date;
}

export const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);

function pieces(word: string): readonly string[] {
  return word.length <= HARD ? [word] : (word.match(new RegExp(`.{1,${HARD}}`, 'gu')) ?? []);
}

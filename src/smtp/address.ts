/** Mailboxes and paths: RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3. One strict parser for policy, DNS, configuration and SMTP. */
import { toAsciiDomain } from './domain.ts';

// The length of a local part is not limited: RFC 5321 §4.5.3.1 only names minimums. A command line has at most 4096 octets.
const ATEXT = "A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\u{10ffff}-";
const DOT_STRING = new RegExp(`^[${ATEXT}]+(?:\\.[${ATEXT}]+)*$`, 'u');
/** Words with dots at any place, also at the start and the end. Old Japanese phones have such addresses, and they still get mail. */
const LOOSE_DOT_STRING = new RegExp(`^\\.*[${ATEXT}][.${ATEXT}]*$`, 'u');
const QUOTED_STRING = /^"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*"$/u;
/** Control characters, other blanks and invisible characters outside of ASCII. */
const INVISIBLE =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\uffff]/u;

export type Mailbox = {
  /** The local part in its canonical spelling, and the domain as lower-case A-labels. */
  readonly address: string;
  /** True if the written address is not ASCII, so that it needs SMTPUTF8. */
  readonly needsUtf8: boolean;
};

/** Why a text is no valid mailbox: its syntax, an address literal, no domain, or a domain without a dot. */
export type MailboxProblem = 'syntax' | 'literal' | 'no domain' | 'dotless';

/** @param text `local-part@domain` without angle brackets. Pure, linear in time. */
export function parseMailbox(text: string): Mailbox | MailboxProblem {
  const at = endOfLocalPart(text);
  const localPart = readLocalPart(text.slice(0, at));
  if (localPart === undefined) return 'syntax';
  if (at === text.length) return 'no domain';
  const domain = text.slice(at + 1);
  if (domain.startsWith('[')) return /^\[[\x21-\x5a\x5e-\x7e]*\]$/.test(domain) ? 'literal' : 'syntax';
  if (/^[0-9.]+$/.test(domain)) return 'literal';
  const ascii = toAsciiDomain(domain);
  if (ascii === undefined) return 'syntax';
  if (!ascii.includes('.')) return 'dotless';
  return { address: `${localPart}@${ascii}`, needsUtf8: /[^\x00-\x7f]/.test(text) };
}

/** @returns the canonical address, or undefined if the text is no valid mailbox. */
export function canonicalMailbox(text: string): string | undefined {
  const mailbox = parseMailbox(text);
  return typeof mailbox === 'string' ? undefined : mailbox.address;
}

/**
 * The canonical spelling of a local part: RFC 5321 §4.1.2 wants as little quoting as possible, so `"app"` becomes `app`.
 * @param meaning the local part without quotes and backslashes.
 */
export function spellLocalPart(meaning: string): string {
  return DOT_STRING.test(meaning) ? meaning : `"${meaning.replace(/["\\]/g, '\\$&')}"`;
}

/** True if a local part has a control character, a blank outside of ASCII, or an invisible character. */
export function holdsInvisible(localPart: string): boolean {
  return INVISIBLE.test(localPart);
}

function readLocalPart(text: string): string | undefined {
  if (holdsInvisible(text)) return undefined;
  if (DOT_STRING.test(text)) return text;
  if (QUOTED_STRING.test(text)) return spellLocalPart(text.slice(1, -1).replace(/\\(.)/g, '$1'));
  return LOOSE_DOT_STRING.test(text) ? spellLocalPart(text) : undefined;
}

/** The end of the local part: the first `@` outside of quotes, or the end of the text. */
function endOfLocalPart(text: string): number {
  const from = text.startsWith('"') ? endOfQuotes(text, 0) : 0;
  const at = text.indexOf('@', from);
  return at === -1 ? text.length : at;
}

/** The position after the closing quote of the quoted string at `start`. If it is not closed, the end of the text. */
function endOfQuotes(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/** The path of a command, and the text after it. */
type Path = {
  /** Without angle brackets and source route. Empty for `<>`. */
  readonly mailbox: string;
  /** The parameters, without the blanks around them. */
  readonly rest: string;
};

/**
 * Reads the path at the beginning of the text: `<mailbox>`, `<@a,@b:mailbox>` (the route is ignored, RFC 5321 §C), or one
 * mailbox without brackets, as simple devices send it. Returns undefined if there is no path.
 */
export function parsePath(text: string): Path | undefined {
  if (!text.startsWith('<')) return parseBarePath(text);
  const end = endOfPath(text);
  if (end === -1) return undefined;
  const rest = text.slice(end + 1);
  if (rest !== '' && !rest.startsWith(' ')) return undefined;
  const mailbox = withoutRoute(text.slice(1, end));
  return mailbox === undefined ? undefined : { mailbox, rest: rest.trim() };
}

/** The position of the closing bracket. A bracket inside quotes does not count. */
function endOfPath(text: string): number {
  const quote = text.indexOf('"');
  const close = text.indexOf('>');
  return quote === -1 || close < quote ? close : text.indexOf('>', endOfQuotes(text, quote));
}

function parseBarePath(text: string): Path | undefined {
  const blank = text.indexOf(' ');
  const mailbox = blank === -1 ? text : text.slice(0, blank);
  if (!/^[^<>"\s,;:@]+@[^<>"\s,;:@]+$/.test(mailbox)) return undefined;
  return { mailbox, rest: blank === -1 ? '' : text.slice(blank).trim() };
}

function withoutRoute(inside: string): string | undefined {
  if (!inside.startsWith('@')) return inside;
  const colon = inside.indexOf(':');
  if (colon === -1 || colon === inside.length - 1) return undefined;
  const hops = inside.slice(0, colon).split(',');
  return hops.every((hop) => hop.startsWith('@') && toAsciiDomain(hop.slice(1)) !== undefined)
    ? inside.slice(colon + 1)
    : undefined;
}

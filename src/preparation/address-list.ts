/**
 * The address list of From and Sender: RFC 5322 §3.4, read as strictly as it must be so that every reader finds the same address.
 * What common parsers read differently is refused with its cause: groups (RFC 6854), routes, an address as the name of another
 * one. Obsolete forms that have one reading pass. One pass over the text, nothing recursive, no regular expression that could
 * take long.
 */
import { domainToUnicode } from 'node:url';
import { holdsInvisible, spellLocalPart } from '../smtp/address.ts';
import { toAsciiDomain } from '../smtp/domain.ts';

type ParsedMailbox = {
  /** `local-part@domain`: the local part in its one spelling, the domain as lower-case A-labels where it is a domain name. */
  readonly address: string;
  /** What stands before the angle bracket, as written; empty without one. */
  readonly phrase: string;
};

/** Why a text is no address list that all read alike; 'syntax' where there is no better word. */
export type AddressProblem =
  | 'syntax'
  | 'not closed'
  | 'comma'
  | 'colon'
  | 'route'
  | 'at sign'
  | 'parenthesis'
  | 'brackets'
  | 'encoded'
  | 'look-alike';

type Token = {
  readonly kind: 'atom' | 'quoted' | 'literal' | 'special';
  readonly text: string;
  readonly start: number;
  /** What stood directly before it, and was dropped. */
  readonly after: 'nothing' | 'blank' | 'comment';
};

/** Empty lists give no mailbox. */
export function parseAddressList(text: string): readonly ParsedMailbox[] | AddressProblem {
  return plainMailbox(text) ?? readAddressList(text);
}

/** One address, alone or behind a name of letters and digits, as most mail has it. */
const PLAIN =
  /^(?:([a-z\d]+(?: [a-z\d]+)*) )?<([\w+-]+(?:\.[\w+-]+)*)@([a-z\d-]+(?:\.[a-z\d-]+)*)>$|^([\w+-]+(?:\.[\w+-]+)*)@([a-z\d-]+(?:\.[a-z\d-]+)*)$/i;
const MAX_PLAIN = 200;

/** What the tokens would give, at a third of their cost; undefined: they have to tell. */
function plainMailbox(text: string): readonly ParsedMailbox[] | undefined {
  const found = text.length > MAX_PLAIN ? null : PLAIN.exec(text);
  if (found === null) return undefined;
  const [, phrase = '', localPart = found[4], domain = found[5]] = found;
  const ascii = toAsciiDomain(domain!);
  return ascii === undefined ? undefined : [{ address: `${localPart}@${ascii}`, phrase }];
}

function readAddressList(text: string): readonly ParsedMailbox[] | AddressProblem {
  const tokens = tokenize(text);
  if (typeof tokens === 'string') return tokens;
  const mailboxes: ParsedMailbox[] = [];
  let start = 0;
  for (let i = 0; i <= tokens.length; i++) {
    const special = i === tokens.length ? ',' : specialAt(tokens, i);
    if (special === '<') {
      i = closing(tokens, i);
      if (i === -1) return 'not closed';
    } else if (special === ',') {
      if (i > start) {
        const mailbox = parseMailboxTokens(tokens.slice(start, i), text);
        if (typeof mailbox === 'string') return mailbox === 'syntax' && isSplitName(tokens, start, i) ? 'comma' : mailbox;
        mailboxes.push(mailbox);
      }
      start = i + 1;
    } else if (special === ':') return 'colon';
    else if (special === ')' || special === ']') return 'parenthesis';
    else if (special !== undefined && special !== '@' && special !== '.') return 'syntax';
  }
  return mailboxes;
}

function specialAt(tokens: readonly Token[], i: number): string | undefined {
  const token = tokens[i];
  return token?.kind === 'special' ? token.text : undefined;
}

function closing(tokens: readonly Token[], open: number): number {
  for (let i = open + 1; i < tokens.length; i++) {
    const special = specialAt(tokens, i);
    if (special === '>') return i;
    if (special === '<') return -1;
  }
  return -1;
}

/** `Author, Ann <ann@example.org>`: words alone, and a comma beside them. */
function isSplitName(tokens: readonly Token[], start: number, end: number): boolean {
  return (start > 0 || end < tokens.length) && !tokens.slice(start, end).some((_, i) => specialAt(tokens, start + i) === '@');
}

/** `phrase <addr-spec>`, or an addr-spec alone. Nothing may follow the bracket. */
function parseMailboxTokens(tokens: readonly Token[], text: string): ParsedMailbox | AddressProblem {
  const open = tokens.findIndex((_, i) => specialAt(tokens, i) === '<');
  if (open === -1) return withPhrase(parseAddrSpec(tokens), '');
  if (specialAt(tokens, tokens.length - 1) !== '>') return 'syntax';
  const inside = tokens.slice(open + 1, -1);
  if (inside.some((_, i) => specialAt(inside, i) === ':')) return specialAt(inside, 0) === '@' ? 'route' : 'syntax';
  const name = tokens.slice(0, open);
  const address = parseAddrSpec(inside);
  // A name that is the address itself says nothing else to anybody.
  if (name.some(holdsAtSign) && parseAddrSpec(name).toLowerCase() !== address.toLowerCase()) return 'at sign';
  // Most know no brackets in a name: they read what is in them as if it stood without.
  if (name.some(({ kind, text }) => kind === 'literal' && IN_BRACKETS.test(text.slice(1, -1)))) return 'brackets';
  return withPhrase(address, open === 0 ? '' : text.slice(tokens[0]!.start, tokens[open]!.start).trim());
}

/** Outside quotes. */
function holdsAtSign({ kind, text }: Token): boolean {
  return kind === 'special' ? text === '@' : kind === 'literal' && /[@<>]/.test(text);
}

function withPhrase(address: string, phrase: string): ParsedMailbox | AddressProblem {
  return isProblem(address) ? address : { address, phrase };
}

const isProblem = (text: string): text is AddressProblem => !text.includes('@');

/** Words and dots, one `@`, words and dots or a domain literal. @returns the address, or an AddressProblem. */
function parseAddrSpec(tokens: readonly Token[]): string {
  const at = tokens.findIndex((_, i) => specialAt(tokens, i) === '@');
  if (at < 1 || at === tokens.length - 1) return 'syntax';
  // A comment within an address: some read what stands behind it.
  if (tokens.some(({ after }, i) => i > 0 && after === 'comment')) return 'syntax';
  const localPart = joinWords(tokens.slice(0, at), true);
  const domain = joinWords(tokens.slice(at + 1), false);
  if (localPart === undefined || domain === undefined) return 'syntax';
  if (/[@<>]/.test(localPart)) return 'at sign';
  if (ENCODED_WORD.test(localPart) || ENCODED_WORD.test(domain)) return 'encoded';
  if (holdsInvisible(localPart)) return 'syntax';
  const ascii = toAsciiDomain(domain) ?? (LOCAL_DOMAIN.test(domain) ? domain.toLowerCase() : undefined);
  if (ascii === undefined) return 'syntax';
  return isWrittenAs(ascii, domain) ? `${spellLocalPart(localPart)}@${ascii}` : 'look-alike';
}

/** False where characters were mapped to others: `。` to a dot, a full-width letter to a letter, a hidden one to nothing. */
function isWrittenAs(ascii: string, domain: string): boolean {
  return /^[\x00-\x7f]*$/.test(domain) || domainToUnicode(ascii) === domain.normalize('NFC').toLowerCase();
}

/** word *("." word). The grammar has no doubled dots, but phones in Japan made them: they pass in the local part. */
function joinWords(tokens: readonly Token[], local: boolean): string | undefined {
  let joined = '';
  let afterWord = false;
  for (let i = 0; i < tokens.length; i++) {
    const { kind, text, after } = tokens[i]!;
    if (kind === 'special' && text !== '.') return undefined;
    // Some read only the word before the @, or a literal that is a part of something else.
    if (local && i > 0 && after === 'blank') return undefined;
    if (kind === 'literal' && (tokens.length > 1 || !/^\[[\w.:-]*\]$/.test(text))) return undefined;
    if (kind === (local ? 'literal' : 'quoted') || (kind === 'quoted' ? CONTROL : NOT_IN_ATOMS).test(text)) return undefined;
    if (kind !== 'special' && afterWord) return undefined;
    if (kind === 'special' && !afterWord && !local) return undefined;
    joined += text;
    afterWord = kind !== 'special';
  }
  return !local && !afterWord ? undefined : joined;
}

const IN_BRACKETS = /["(),:;<>@[\\]/;
/** Its beginning: RFC 2047 §5 allows none in an address, and some decode it there before they look for the `@`. */
const ENCODED_WORD = /=\?[^?]*\?[bq]\?/i;
/** Names and literals that are no domain of the DNS; only the credential that may send as anybody can use them. */
const LOCAL_DOMAIN = /^(?:[\w.-]+|\[[\w.:-]*\])$/;
const CONTROL = /[\x00-\x1f\x7f]/;
const NOT_IN_ATOMS = /[\x00-\x1f\x7f\\]/;
const SPECIALS = '<>@,;:.)]';
const ENDS_ATOM = ` \t("[${SPECIALS}`;

/** Comments and blanks are dropped. */
function tokenize(text: string): readonly Token[] | AddressProblem {
  const tokens: Token[] = [];
  let i = 0;
  let after: Token['after'] = 'nothing';
  const add = (kind: Token['kind'], text: string, start: number) => {
    tokens.push({ kind, text, start, after });
    after = 'nothing';
  };
  while (i < text.length) {
    const char = text[i]!;
    if (char === ' ' || char === '\t') {
      if (after === 'nothing') after = 'blank';
      i++;
    } else if (char === '(') {
      i = skipComment(text, i);
      if (i === -1) return 'not closed';
      after = 'comment';
    } else if (char === '"') {
      const end = endOf(text, i, '"');
      if (end === -1) return 'not closed';
      add('quoted', unquoted(text.slice(i + 1, end)), i);
      i = end + 1;
    } else if (char === '[') {
      const end = endOf(text, i, ']');
      if (end === -1) return 'not closed';
      add('literal', text.slice(i, end + 1), i);
      i = end + 1;
    } else if (SPECIALS.includes(char)) {
      add('special', char, i);
      i++;
    } else {
      const start = i;
      while (i < text.length && !ENDS_ATOM.includes(text[i]!)) i++;
      // Some take the next character for a quoted one, others for what it is.
      if (text[i - 1] === '\\' && i < text.length && text[i] !== ' ' && text[i] !== '\t') return 'syntax';
      add('atom', text.slice(start, i), start);
    }
  }
  return tokens;
}

function unquoted(text: string): string {
  return text.includes('\\') ? text.replace(/\\(.)/gs, '$1') : text;
}

/** Index of the closing character, backslashes respected. */
function endOf(text: string, start: number, close: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === close) return i;
  }
  return -1;
}

/** Behind the comment that opens at `start`; comments nest. */
function skipComment(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i + 1;
  }
  return -1;
}

/**
 * The address list of From and Sender: RFC 5322 §3.4, with its obsolete forms and the groups of RFC 6854. One pass over the
 * text, nothing recursive, no regular expression that could take long.
 */
import { toAsciiDomain } from '../smtp/domain.ts';

export type ParsedMailbox = {
  /** `local-part@domain`, the domain as lower-case A-labels where it is a domain name. */
  readonly address: string;
  /** What stands before the angle bracket, as written; empty without one. */
  readonly phrase: string;
};

type Token = { readonly kind: 'atom' | 'quoted' | 'special'; readonly text: string; readonly start: number };

/** @returns undefined where the text is no address list; empty lists and empty groups give no mailbox. */
export function parseAddressList(text: string): readonly ParsedMailbox[] | undefined {
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  const mailboxes: ParsedMailbox[] = [];
  let inGroup = false;
  let start = 0;
  for (let i = 0; i <= tokens.length; i++) {
    const special = i === tokens.length ? 'end' : tokens[i]!.kind === 'special' ? tokens[i]!.text : undefined;
    if (special === '<') {
      i = closing(tokens, i);
      if (i === -1) return undefined;
    } else if (special === ':' && !inGroup) {
      inGroup = true;
      start = i + 1;
    } else if (special === ',' || special === 'end' || (special === ';' && inGroup)) {
      if (i > start) {
        const mailbox = parseMailboxTokens(tokens.slice(start, i), text);
        if (mailbox === undefined) return undefined;
        mailboxes.push(mailbox);
      }
      if (special === ';') inGroup = false;
      start = i + 1;
    } else if (special !== undefined && special !== '@' && special !== '.') return undefined;
  }
  return inGroup ? undefined : mailboxes;
}

function closing(tokens: readonly Token[], open: number): number {
  for (let i = open + 1; i < tokens.length; i++) {
    if (tokens[i]!.kind !== 'special') continue;
    if (tokens[i]!.text === '>') return i;
    if (tokens[i]!.text === '<') return -1;
  }
  return -1;
}

/** `phrase <addr-spec>`, or an addr-spec alone. Nothing may follow the bracket. */
function parseMailboxTokens(tokens: readonly Token[], text: string): ParsedMailbox | undefined {
  const open = tokens.findIndex(({ kind, text: special }) => kind === 'special' && special === '<');
  if (open === -1) return withPhrase(parseAddrSpec(tokens), '');
  const last = tokens[tokens.length - 1]!;
  if (last.kind !== 'special' || last.text !== '>') return undefined;
  const phrase = open === 0 ? '' : text.slice(tokens[0]!.start, tokens[open]!.start).trim();
  return withPhrase(parseAddrSpec(withoutRoute(tokens.slice(open + 1, -1))), phrase);
}

function withPhrase(address: string | undefined, phrase: string): ParsedMailbox | undefined {
  return address === undefined ? undefined : { address, phrase };
}

/** `@a,@b:user@example.org` means user@example.org: RFC 5322 §4.4. */
function withoutRoute(tokens: readonly Token[]): readonly Token[] {
  const colon = tokens.findIndex(({ kind, text }) => kind === 'special' && text === ':');
  return colon !== -1 && tokens[0]!.text === '@' ? tokens.slice(colon + 1) : tokens;
}

/** Words and dots, one `@`, words and dots or a domain literal. */
function parseAddrSpec(tokens: readonly Token[]): string | undefined {
  const at = tokens.findIndex(({ kind, text }) => kind === 'special' && text === '@');
  if (at < 1 || at === tokens.length - 1) return undefined;
  const localPart = joinWords(tokens.slice(0, at), true);
  const domain = joinWords(tokens.slice(at + 1), false);
  if (localPart === undefined || domain === undefined) return undefined;
  const ascii = toAsciiDomain(domain) ?? (/^[\x21-\x7e]+$/.test(domain) ? domain.toLowerCase() : undefined);
  return ascii === undefined ? undefined : `${localPart}@${ascii}`;
}

/** word *("." word); doubled dots are none of the grammar, but phones in Japan made them: they pass in the local part. */
function joinWords(tokens: readonly Token[], local: boolean): string | undefined {
  let joined = '';
  let afterWord = false;
  for (const { kind, text } of tokens) {
    if (kind === 'special' && text !== '.') return undefined;
    if (kind === 'quoted' && !local) return undefined;
    if (kind !== 'special' && afterWord) return undefined;
    if (kind === 'special' && !afterWord && !local) return undefined;
    joined += kind === 'quoted' ? quoteIfNeeded(text) : text;
    afterWord = kind !== 'special';
  }
  return !local && !afterWord ? undefined : joined;
}

/** The same mailbox is always spelled the same, so that a quoted name cannot pass for another one. */
function quoteIfNeeded(text: string): string {
  return /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/.test(text)
    ? text
    : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

const SPECIALS = '<>@,;:.';

/** Comments and blanks are dropped. @returns undefined for a quote, comment or literal that is not closed. */
function tokenize(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let i = 0;
  while (i < text.length) {
    const char = text[i]!;
    if (char === ' ' || char === '\t') i++;
    else if (char === '(') {
      i = skipComment(text, i);
      if (i === -1) return undefined;
    } else if (char === '"') {
      const end = endOf(text, i, '"');
      if (end === -1) return undefined;
      tokens.push({ kind: 'quoted', text: text.slice(i + 1, end).replace(/\\(.)/gs, '$1'), start: i });
      i = end + 1;
    } else if (char === '[') {
      const end = endOf(text, i, ']');
      if (end === -1) return undefined;
      tokens.push({ kind: 'atom', text: text.slice(i, end + 1), start: i });
      i = end + 1;
    } else if (SPECIALS.includes(char)) {
      tokens.push({ kind: 'special', text: char, start: i });
      i++;
    } else {
      const start = i;
      while (i < text.length && !' \t("[<>@,;:.'.includes(text[i]!)) i++;
      tokens.push({ kind: 'atom', text: text.slice(start, i), start });
    }
  }
  return tokens;
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

/**
 * A small strict reader of XML for documents from strangers: elements and their text. It knows no DOCTYPE, so no entity but the five of
 * XML, and it opens nothing. Namespace prefixes and attributes are not kept. An attribute cannot contain `>`.
 */
import { refuse } from './refusal.ts';

export type XmlElement = { readonly name: string; text: string; readonly children: XmlElement[] };

/** Characters of one tag, comment or piece of text. */
const LONGEST = 64 * 1024;
const LONGEST_VALUE = 4096;
/** Characters of all values below one child of the root. */
const LONGEST_PART = 256 * 1024;
const DEEPEST = 20;
/** Elements below one child of the root. */
const MOST_ELEMENTS = 5000;
/** Tags, comments, entities and so on of a document: as many as can be read in half a second. */
const MOST_PIECES = 1_000_000;

const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;
const OPEN =
  /^([A-Za-z_][\w.-]{0,99}(?::[A-Za-z_][\w.-]{0,99})?)(?:\s+[A-Za-z_][\w.:-]{0,99}\s*=\s*(?:"[^<>"]*"|'[^<>']*'))*\s*(\/?)$/;
const ENTITY = /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));|&/g;
const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
/** What is skipped, by how it begins, and what holds text as it is. */
const CDATA = '<![CDATA[';
const MARKS = [
  ['<!--', '-->'],
  [CDATA, ']]>'],
  ['<?', '?>'],
] as const;

/** Takes a document in pieces and gives each child of its root as a tree, so that a long report is never in memory as a whole. */
export class XmlReader {
  readonly #root: string;
  readonly #take: (element: XmlElement) => void;
  /** The open elements below the root, and their names as written. */
  readonly #open: XmlElement[] = [];
  readonly #names: string[] = [];
  #elements = 0;
  #size = 0;
  #pieces = 0;
  #state: 'before' | 'inside' | 'after' = 'before';
  #rest = '';

  /** @param root the local name that the root must have */
  constructor(root: string, take: (element: XmlElement) => void) {
    this.#root = root;
    this.#take = take;
  }

  /** @throws FeedbackRefusal */
  push(piece: string): void {
    if (FORBIDDEN.test(piece)) refuse('It is no XML: it contains characters that XML does not allow.');
    const text = this.#rest + piece;
    let at = 0;
    for (;;) {
      const start = text.indexOf('<', at);
      if (start < 0) break;
      if (start > at) this.#addText(text.slice(at, start));
      at = start;
      this.#count();
      const end = this.#readMarkup(text, start);
      if (end < 0) break;
      at = end;
    }
    this.#rest = text.slice(at);
    if (this.#rest.length > LONGEST) refuse('The XML contains one piece of more than 64 KiB. No report has that.');
  }

  /** The document is over. @throws FeedbackRefusal if it is not whole */
  end(): void {
    if (this.#state === 'before') refuse(`It is no report: the XML has no element <${this.#root}>.`);
    if (this.#state === 'inside' || this.#rest.includes('<'))
      refuse('The XML ends too early: the report was not copied or downloaded whole.');
    this.#addText(this.#rest);
  }

  /** @returns where it ends, or -1 if its end has not come yet. */
  #readMarkup(text: string, start: number): number {
    for (const [begin, ending] of MARKS) {
      if (!text.startsWith(begin, start)) continue;
      const end = text.indexOf(ending, start + begin.length);
      if (end < 0) return -1;
      if (begin === CDATA) this.#addValue(text.slice(start + begin.length, end));
      return end + ending.length;
    }
    if (text.charCodeAt(start + 1) === 0x21) {
      const begun = text.slice(start, start + CDATA.length);
      if (CDATA.startsWith(begun) || '<!--'.startsWith(begun)) return -1;
      refuse('The XML contains a DOCTYPE or ENTITY. Reports have none, and they are never read.');
    }
    const end = text.indexOf('>', start);
    if (end < 0) return -1;
    const inner = text.slice(start + 1, end);
    if (inner.startsWith('/')) this.#close(inner.slice(1).trimEnd());
    else this.#begin(inner);
    return end + 1;
  }

  #begin(inner: string): void {
    const found = OPEN.exec(inner) ?? refuse(`The XML is not well-formed at <${shown(inner)}>.`);
    const [, written, isEmpty] = found as unknown as [string, string, string];
    const name = written.slice(written.indexOf(':') + 1);
    if (this.#state === 'after') refuse('The XML has more than one root element.');
    this.#names.push(written);
    if (this.#names.length > DEEPEST) refuse(`The XML is nested deeper than ${DEEPEST} elements. No report is.`);
    if (this.#state === 'before') {
      if (name !== this.#root) refuse(`It is no report: its root element is <${shown(written)}> and not <${this.#root}>.`);
      this.#state = 'inside';
    } else {
      if (this.#open.length === 0) [this.#elements, this.#size] = [0, 0];
      this.#elements += 1;
      if (this.#elements > MOST_ELEMENTS)
        refuse(`A part of the XML has more than ${MOST_ELEMENTS} elements. No report has that.`);
      const element = { name, text: '', children: [] };
      this.#open.at(-1)?.children.push(element);
      this.#open.push(element);
    }
    if (isEmpty !== '') this.#close(written);
  }

  #close(written: string): void {
    if (this.#names.pop() !== written) refuse(`The XML is not well-formed: </${shown(written)}> closes another element.`);
    const element = this.#open.pop();
    if (element === undefined) this.#state = 'after';
    else if (this.#open.length === 0) this.#take(element);
  }

  #addText(text: string): void {
    if (!/\S/.test(text)) return;
    if (this.#state !== 'inside') refuse('It is no XML: there is text outside its elements.');
    this.#addValue(text.includes('&') ? text.replace(ENTITY, (...found) => this.#decode(...found)) : text);
  }

  #decode(...found: Parameters<typeof decode>): string {
    this.#count();
    return decode(...found);
  }

  #count(): void {
    this.#pieces += 1;
    if (this.#pieces > MOST_PIECES) refuse('The XML has more than a million tags and entities. No report has that.');
  }

  #addValue(text: string): void {
    const element = this.#open.at(-1);
    if (element === undefined) return;
    element.text += text;
    this.#size += text.length;
    if (this.#size > LONGEST_PART) refuse('A part of the XML has more than 256 KiB of text. No report has that.');
    if (element.text.length > LONGEST_VALUE)
      refuse(`A value of the XML has more than ${LONGEST_VALUE} characters. No report has that.`);
  }
}

function decode(_: string, name?: string, decimal?: string, hex?: string): string {
  if (name !== undefined) return ENTITIES[name]!;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  const isAllowed = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) && !FORBIDDEN.test(String.fromCodePoint(code));
  return isAllowed
    ? String.fromCodePoint(code)
    : refuse('The XML contains an entity that is not one of the five of XML, or a bare "&".');
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}

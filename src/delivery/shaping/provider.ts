/**
 * Which provider receives the mail of a domain, by the names of its MX hosts, and how much it may get. Providers are lines of
 * `providers.tsv`. Lines of the operator's own file come first: they add providers, and replace values of ours.
 */
import { readFileSync } from 'node:fs';
import { HOUR, MINUTE, SECOND } from '../../system/clock.ts';

export type Provider = {
  /** One word. */
  readonly key: string;
  /** Names of MX hosts, or ends of them by whole labels; `*` stands for one label. */
  readonly mx: readonly string[];
  /** Sessions at a time from one address of ours, to all hosts of the provider together. */
  readonly sessions: number;
  /** Messages in one connection. */
  readonly perConnection: number;
  /** Messages in a minute, from one address of ours. */
  readonly perMinute: number;
  /** The first rest after a request for less, ms. */
  readonly firstRest: number;
  readonly ipv6: 'try' | 'no';
  /** Where a block of our address is reported: a URL, or `mailto:`. */
  readonly removal?: string;
  /** Where the numbers come from. */
  readonly source: string;
  /** The day on which the source was read. */
  readonly read: string;
  /** Whose line it is: ours, or the operator's. */
  readonly origin: 'shipped' | 'local';
};

export type ProviderTable = {
  /** In the order of the files, the operator's first. */
  readonly providers: readonly Provider[];
  readonly byKey: ReadonlyMap<string, Provider>;
  /** By the end of a host name. */
  readonly byName: ReadonlyMap<string, Provider>;
  /** How many labels the names with `*` have. */
  readonly wildcards: ReadonlySet<number>;
};

/** A mistake in a file of providers. Line and column begin at 1. */
type ProviderProblem = { readonly line: number; readonly column: number; readonly message: string };

/** A file of providers has mistakes. */
export class ProviderFileError extends Error {
  override readonly name = 'ProviderFileError';
  readonly problems: readonly ProviderProblem[];
  constructor(file: string, problems: readonly ProviderProblem[]) {
    super(problems.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`).join('\n'));
    this.problems = problems;
  }
}

const COLUMNS = ['key', 'mx', 'sessions', 'connection', 'minute', 'rest', 'ipv6', 'removal', 'source', 'read'] as const;
type Column = (typeof COLUMNS)[number];
/** A mark for a value that stays as it is, or that there is none. */
const SAME = '-';
/** In the column `mx`: hosts of this provider are treated as those of an unknown one. */
const OFF = 'off';
/** Nobody writes more, and more would be read at each reload. */
const MAX_FILE = 1024 * 1024;
const MAX_REST = 24 * HOUR;

/** The values of a line that are written in it. */
type Given = { readonly key: string; readonly off: boolean; readonly values: Partial<Omit<Provider, 'key' | 'origin'>> };

/**
 * @param local the operator's file. Absent: none.
 * @throws ProviderFileError with all mistakes of the operator's file, or the error of reading it.
 */
export function loadProviders(local?: string): ProviderTable {
  const shipped = parseLines('providers.tsv', readFileSync(new URL('./providers.tsv', import.meta.url), 'utf8'), 'shipped');
  if (local === undefined) return tableOf([], shipped);
  const text = readFileSync(local, 'utf8');
  if (text.length > MAX_FILE)
    throw new ProviderFileError(local, [{ line: 1, column: 1, message: 'the file is larger than 1 MB' }]);
  const known = new Map(shipped.map(({ key, values }) => [key, values]));
  return tableOf(parseLines(local, text, 'local', known), shipped);
}

/** What is wrong with the operator's file, in lines for people: `FILE:LINE:COLUMN: …`. Empty: nothing. */
export function providerProblems(local: string): readonly string[] {
  try {
    loadProviders(local);
    return [];
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof ProviderFileError) return message.split('\n');
    return [code === 'ENOENT' ? `${local} does not exist` : `${local} cannot be read (${code ?? message})`];
  }
}

/** The operator's lines and then ours, as far as the operator has not replaced them. */
function tableOf(local: readonly Given[], shipped: readonly Given[]): ProviderTable {
  const ours = new Map(shipped.map(({ key, values }) => [key, values]));
  const replaced = new Set(local.map(({ key }) => key));
  const providers = [
    ...local.filter(({ off }) => !off).map(({ key, values }) => ({ ...ours.get(key), ...values, key, origin: 'local' })),
    ...shipped.filter(({ key }) => !replaced.has(key)).map(({ key, values }) => ({ ...values, key, origin: 'shipped' })),
  ] as readonly Provider[];
  const byName = new Map<string, Provider>();
  for (const provider of providers) for (const name of provider.mx) if (!byName.has(name)) byName.set(name, provider);
  const wildcards = new Set([...byName.keys()].filter((name) => name.includes('*')).map((name) => name.split('.').length));
  return { providers, byKey: new Map(providers.map((provider) => [provider.key, provider])), byName, wildcards };
}

/**
 * The provider of a domain whose MX hosts of the best preference have these names. Where they belong to several providers, it is that of
 * the first name in alphabetical order. Undefined: none of the table.
 */
export function providerOf(table: ProviderTable, mxNames: readonly string[]): Provider | undefined {
  const names = mxNames.length === 1 ? mxNames : [...mxNames].sort();
  for (const name of names) {
    const found = providerOfHost(table, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * The name of a machine that a provider rents out, or of a customer's line, has its address in it mostly, or a label that says so. It is
 * under another's hand.
 */
const RENTED =
  /(?:^|\D)\d{1,3}(?:[-.]\d{1,3}){3}(?:\D|$)|(?:^|\.)(?:abo|adsl|clients?|cust|customers?|dedicated|dsl|dyn|dynamic|hd|mcs|pool|rdns|res|rev|static|vps[-\d]*|vserver)\./;

/** The provider that runs a host. The longest end of the name wins. */
export function providerOfHost({ byName, wildcards }: ProviderTable, name: string): Provider | undefined {
  const host = name.toLowerCase();
  if (RENTED.test(host)) return undefined;
  const labels = host.split('.');
  for (let from = 0; from < labels.length; from++) {
    const end = labels.slice(from);
    const found = byName.get(end.join('.'));
    if (found !== undefined) return found;
    if (!wildcards.has(end.length)) continue;
    for (let i = 0; i < end.length; i++) {
      const wild = byName.get(end.map((label, at) => (at === i ? '*' : label)).join('.'));
      if (wild !== undefined) return wild;
    }
  }
  return undefined;
}

type Cell = { readonly text: string; readonly column: number };

/**
 * Reads a whole file. @param known values of the lines that this file may leave out by `-`; absent: each value is needed.
 * @throws ProviderFileError
 */
function parseLines(
  file: string,
  text: string,
  origin: Provider['origin'],
  known: ReadonlyMap<string, Given['values']> = new Map(),
): readonly Given[] {
  const problems: ProviderProblem[] = [];
  const lines: Given[] = [];
  const keys = new Set<string>();
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '');
    if (line.trim() === '' || line.startsWith('#')) continue;
    const cells = cellsOf(line);
    if (cells[0]!.text === COLUMNS[0]) continue; // the line that names the columns
    const wrong = (column: number, message: string) => void problems.push({ line: i + 1, column, message });
    const given = parseLine(cells, { origin, known, wrong });
    if (given === undefined) continue;
    if (keys.has(given.key)) wrong(1, `${given.key} has a line above`);
    keys.add(given.key);
    lines.push(given);
  }
  if (problems.length > 0) throw new ProviderFileError(file, problems);
  return lines;
}

function cellsOf(line: string): readonly Cell[] {
  let column = 1;
  return line.split('\t').map((text) => {
    const cell = { text: text.trim(), column };
    column += text.length + 1;
    return cell;
  });
}

type LineContext = {
  readonly origin: Provider['origin'];
  readonly known: ReadonlyMap<string, Given['values']>;
  readonly wrong: (column: number, message: string) => void;
};

function parseLine(cells: readonly Cell[], { origin, known, wrong }: LineContext): Given | undefined {
  const key = cells[0]!.text;
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(key)) {
    wrong(1, `key: "${key}" is no word of lower-case letters, digits and hyphens`);
    return undefined;
  }
  if (cells.length > COLUMNS.length) {
    wrong(
      cells[COLUMNS.length]!.column,
      `there are ${cells.length} columns, and ${COLUMNS.length} have a meaning; they are divided by tabs`,
    );
    return undefined;
  }
  if (cells[1]?.text === OFF) return { key, off: true, values: {} };
  const values: Record<string, unknown> = {};
  let isGood = true;
  for (const [i, name] of COLUMNS.entries()) {
    if (i === 0) continue;
    const cell = cells[i];
    const [field, read, fallback] = READERS[name as Exclude<Column, 'key'>];
    if (cell === undefined || cell.text === SAME || cell.text === '') {
      if (known.get(key)?.[field] !== undefined || field === 'removal') continue;
      if (origin === 'local' && fallback !== undefined) values[field] = fallback;
      else {
        wrong(cell?.column ?? cells.at(-1)!.column, `${name}: a value is needed`);
        isGood = false;
      }
      continue;
    }
    try {
      values[field] = read(cell.text);
    } catch (error) {
      wrong(cell.column, `${name}: ${(error as Error).message}`);
      isGood = false;
    }
  }
  return isGood ? { key, off: false, values } : undefined;
}

type Reader = readonly [field: keyof Given['values'], read: (text: string) => unknown, fallback?: unknown];

/** How each column is read. The last value is that of a new provider of the operator. */
const READERS: Readonly<Record<Exclude<Column, 'key'>, Reader>> = {
  mx: ['mx', readNames],
  sessions: ['sessions', readCount(1000), 5],
  connection: ['perConnection', readCount(10_000), 50],
  minute: ['perMinute', readCount(10_000), 60],
  rest: ['firstRest', readDuration, 10 * MINUTE],
  ipv6: ['ipv6', readFamily, 'try'],
  removal: ['removal', readLink],
  source: ['source', (text) => text, 'the operator'],
  read: ['read', readDay, ''],
};

function readNames(text: string): readonly string[] {
  return text
    .toLowerCase()
    .split(/[ ,]+/)
    .map((name) => {
      const plain = name.replace(/^\./, '');
      const labels = plain.split('.');
      if (labels.length < 2 || !labels.every((label) => label === '*' || /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)))
        throw new Error(`"${name}" is no host name with at least two labels`);
      if (labels.filter((label) => label === '*').length > 1) throw new Error(`"${name}" has more than one *`);
      if (labels.at(-1) === '*') throw new Error(`"${name}" fits names that anybody may register: write each top level`);
      return plain;
    });
}

function readCount(most: number): (text: string) => number {
  return (text) => {
    const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (count < 1 || count > most) throw new Error(`"${text}" is no whole number from 1 to ${most}`);
    return count;
  };
}

const UNITS: Readonly<Record<string, number>> = { s: SECOND, m: MINUTE, h: HOUR };

function readDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  const duration = Number(count) * (UNITS[unit] ?? Number.NaN);
  if (!(duration >= MINUTE && duration <= MAX_REST))
    throw new Error(`"${text}" is no duration from 1m to 24h, such as 30m or 2h`);
  return duration;
}

function readFamily(text: string): string {
  if (text !== 'try' && text !== 'no') throw new Error(`"${text}" is neither try nor no`);
  return text;
}

function readLink(text: string): string {
  if (!/^(?:https?:\/\/|mailto:)[\x21-\x7e]+$/.test(text))
    throw new Error(`"${text}" begins neither with https:// nor with mailto:`);
  return text;
}

function readDay(text: string): string {
  if (Number.isNaN(Date.parse(text)) || !/^\d{4}-\d\d-\d\d$/.test(text))
    throw new Error(`"${text}" is no day such as 2026-11-28`);
  return text;
}

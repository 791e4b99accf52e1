/** The file of replies: one line for one reply of one provider. It is read once, and the operator's file before ours. */
import { readFileSync } from 'node:fs';
import { isReplyClass, PHASES, parseAction, type ReplyAction, type ReplyClass, type ReplyPhase } from './reply-class.ts';
import { PatternIndex, parsePattern, type ReplyPattern } from './reply-patterns.ts';

/** One line of a file. */
export type ReplyRow = {
  /** `*`: any. */
  readonly provider: string;
  /** The first digit of the code. */
  readonly digit: 4 | 5;
  /** The enhanced status without its first digit, `7.1`. Absent where the source has none. */
  readonly status?: string;
  readonly pattern: ReplyPattern;
  /** off: the line is there to disable later ones. */
  readonly class: ReplyClass | 'off';
  readonly action: ReplyAction;
  readonly sure: boolean;
  readonly phase?: ReplyPhase;
  /** A whole reply that the line is for. */
  readonly example: string;
  readonly source: string;
  readonly date: string;
  /** `replies.tsv:12`. */
  readonly origin: string;
};

/** Never changes. A reload makes another one. */
export type ReplyTable = {
  readonly rows: readonly ReplyRow[];
  readonly index: PatternIndex<ReplyRow>;
  /** Of the files, for the log: `2026-11-28`. */
  readonly version: string;
};

/** What is wrong in a file. The message is one line for each mistake: `FILE:LINE:COLUMN: …`. */
export class ReplyFileError extends Error {
  override readonly name = 'ReplyFileError';
}

const COLUMNS = [
  'provider',
  'code',
  'status',
  'pattern',
  'class',
  'action',
  'sure',
  'phase',
  'example',
  'source',
  'date',
] as const;
type Column = (typeof COLUMNS)[number];
type Cells = { readonly [column in Column]: string };
const MAX_PROBLEMS = 20;
const MAX_ROWS = 10_000;

type Parsed = { readonly rows: readonly ReplyRow[]; readonly version: string };

/** @param name of the file, for messages and origins. @throws ReplyFileError with every problem, at most 20. */
export function parseReplies(text: string, name: string): Parsed {
  const rows: ReplyRow[] = [];
  const problems: string[] = [];
  let version = '';
  let columns: readonly string[] | undefined;
  for (const [at, line] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const cells = line.replace(/\r$/, '');
    const place = `${name}:${at + 1}`;
    version ||= /^# version (\S+)$/.exec(cells)?.[1] ?? '';
    if (cells.trim() === '' || cells.startsWith('#')) continue;
    if (columns === undefined) {
      columns = cells.split('\t');
      const missing = COLUMNS.find((column, i) => columns![i] !== column);
      if (missing !== undefined)
        throw new ReplyFileError(`${place}:1: the first line has the columns ${COLUMNS.join(', ')}, separated by tabs`);
      continue;
    }
    const row = parseRow(cells.split('\t'), place);
    if ('problem' in row) problems.push(row.problem);
    else rows.push(row);
    if (rows.length > MAX_ROWS) problems.push(`${place}:1: more than ${MAX_ROWS} lines`);
    if (problems.length >= MAX_PROBLEMS) break;
  }
  if (problems.length > 0) throw new ReplyFileError(problems.join('\n'));
  if (columns === undefined) throw new ReplyFileError(`${name}:1:1: the file has no line with the names of the columns`);
  return { rows, version };
}

const isPhase = (word: string) => PHASES.includes(word as ReplyPhase);

function parseRow(cells: readonly string[], place: string): ReplyRow | { readonly problem: string } {
  const wrong = (column: Column, why: string) => {
    const before = cells.slice(0, COLUMNS.indexOf(column)).join('\t').length;
    return { problem: `${place}:${before === 0 ? 1 : before + 2}: ${column}: ${why}` };
  };
  if (cells.length !== COLUMNS.length)
    return { problem: `${place}:1: ${cells.length} columns, ${COLUMNS.length} are needed, separated by tabs` };
  const cell = Object.fromEntries(COLUMNS.map((column, i) => [column, cells[i]!.trim()])) as Cells;
  if (!/^(?:\*|[a-z0-9][a-z0-9-]*)$/.test(cell.provider))
    return wrong('provider', 'it is * or a key of lower case letters, digits and -');
  if (!/^[45](?:\d\d|xx)$/.test(cell.code)) return wrong('code', `${JSON.stringify(cell.code)} is no code: 421, 550, 4xx, 5xx`);
  const status = /^(?:-|[45]\.(\d{1,3}\.\d{1,3}))$/.exec(cell.status);
  if (status === null) return wrong('status', `${JSON.stringify(cell.status)} is no status: 5.7.1, or - for none`);
  const pattern = parsePattern(cell.pattern);
  if (typeof pattern === 'string') return wrong('pattern', pattern);
  if (cell.class !== 'off' && !isReplyClass(cell.class)) return wrong('class', `there is no class ${JSON.stringify(cell.class)}`);
  const action = parseAction(cell.action);
  if (action === undefined) return wrong('action', `there is no action ${JSON.stringify(cell.action)}`);
  if (cell.sure !== 'y' && cell.sure !== 'n') return wrong('sure', 'it is y or n');
  if (cell.phase !== 'any' && !isPhase(cell.phase)) return wrong('phase', `it is any, ${[...PHASES].join(', ')}`);
  if (!/^\d{4}-\d\d-\d\d$/.test(cell.date)) return wrong('date', 'it is a day as 2026-11-28');
  return {
    provider: cell.provider,
    digit: cell.code.startsWith('4') ? 4 : 5,
    ...(status[1] !== undefined && { status: status[1] }),
    pattern,
    class: cell.class,
    action,
    sure: cell.sure === 'y',
    ...(cell.phase !== 'any' && { phase: cell.phase as ReplyPhase }),
    example: cell.example,
    source: cell.source,
    date: cell.date,
    origin: place,
  };
}

/** @param files in the order in which they are asked. */
export function createReplyTable(files: readonly Parsed[]): ReplyTable {
  const rows = files.flatMap((file) => file.rows);
  const index = new PatternIndex(rows.map((row) => [row.pattern, row] as const));
  const version = files
    .map((file) => file.version)
    .filter((one) => one !== '')
    .join('+');
  return { rows, index, version };
}

let shipped: Parsed | undefined;
let plain: ReplyTable | undefined;

function shippedReplies(): Parsed {
  return (shipped ??= parseReplies(readFileSync(new URL('replies.tsv', import.meta.url), 'utf8'), 'replies.tsv'));
}

/** Nobody writes more, and more would be read at each reload. */
const MAX_FILE = 4 * 1024 * 1024;

/**
 * The replies of this release, and before them those of the operator's file.
 * @throws ReplyFileError with all mistakes of that file, or the error of reading it.
 */
export function loadReplies(local?: string): ReplyTable {
  if (local === undefined) return (plain ??= createReplyTable([shippedReplies()]));
  const text = readFileSync(local, 'utf8');
  if (text.length > MAX_FILE) throw new ReplyFileError(`${local}:1:1: the file is larger than 4 MB`);
  return createReplyTable([parseReplies(text, local), shippedReplies()]);
}

/** What is wrong with the operator's file, in lines for people: `FILE:LINE:COLUMN: …`. Empty: nothing. */
export function replyProblems(local: string): readonly string[] {
  try {
    loadReplies(local);
    return [];
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof ReplyFileError) return message.split('\n');
    return [code === 'ENOENT' ? `${local} does not exist` : `${local} cannot be read (${code ?? message})`];
  }
}

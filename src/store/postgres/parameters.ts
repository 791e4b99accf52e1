/** The parameters of statements, as they are sent: text, or bytes. */

/** One value of type bytea, sent from where its pieces are. */
export class Pieces {
  readonly all: readonly Uint8Array[];
  readonly byteLength: number;

  constructor(all: readonly Uint8Array[]) {
    this.all = all;
    this.byteLength = all.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
}

export type Parameter = string | Uint8Array | Pieces | null;
export type Cell = string | number | boolean | null;

/** The columns of rows, as parameters of `unnest`. */
export function columns(rows: readonly (readonly Cell[])[], count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    let text = '{';
    for (const row of rows) text += text.length > 1 ? `,${element(row[i])}` : element(row[i]);
    return `${text}}`;
  });
}

/** @throws TypeError for a value that has no one form in the database. */
export function parameterOf(value: unknown): Parameter {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `{${value.map(element).join()}}`;
  if (value instanceof Uint8Array || value instanceof Pieces) return value;
  throw new TypeError('A parameter of a statement is text, a number, a truth value, bytes, or an array of the first three');
}

function element(cell: unknown): string {
  if (cell === null || cell === undefined) return 'NULL';
  if (typeof cell === 'string') return `"${SPECIAL.test(cell) ? cell.replace(EACH_SPECIAL, '\\$&') : cell}"`;
  if (typeof cell === 'number') return numberText(cell);
  if (typeof cell === 'boolean') return String(cell);
  throw new TypeError('An array of a statement has text, numbers, truth values and nothing else');
}

/** Milliseconds since 1973. No other number with a fraction is as large. */
const LEAST_TIME = 1e11;

/** A part of a pause may end between two milliseconds. SQLite would keep such a time, and the columns here take none. */
function numberText(value: number): string {
  return String(value < LEAST_TIME ? value : Math.ceil(value));
}

const SPECIAL = /["\\]/;
const EACH_SPECIAL = /["\\]/g;

/**
 * Statements that are sent in one write and answered in one piece: one message of the server's event loop and one of ours, whatever their
 * number. They are prepared once in a session. The driver brings the connection and reads the answers; how we ask is our own, because its
 * way costs several writes and copies for each statement.
 */
import { type Connection, Query } from 'pg';
import { type Parameter, type Pieces, parameterOf } from './parameters.ts';

export type Rows<T> = { readonly rows: T[]; readonly count: number; readonly command: string };
export type Statement = {
  readonly text: string;
  readonly values: readonly unknown[];
  resolve(result: Rows<never>): void;
  reject(error: Error): void;
};
type Column = { readonly name: string; readonly parse: (text: string) => unknown };
type Known = { readonly name: string; readonly columns: readonly Column[] };
type Field = { readonly name: string; readonly dataTypeID: number };
type Sent = { readonly name: string; readonly isNew: boolean; columns: readonly Column[] | undefined };

/** The statements that the server of one session has prepared, and how their rows are read. */
export class PreparedStatements {
  readonly #known = new Map<string, Known>();
  readonly #parserOf: (type: number) => Column['parse'];
  readonly #doubtful: string[] = [];
  #last = 0;

  constructor(parserOf: (type: number) => Column['parse']) {
    this.#parserOf = parserOf;
  }

  get(text: string): Known | undefined {
    return this.#known.get(text);
  }

  newName(): string {
    return `s${++this.#last}`;
  }

  confirm(text: string, known: Known): void {
    this.#known.set(text, known);
  }

  /** A name that was not confirmed is not used again: the server may have it, or not. The next batch says that it may forget it. */
  doubt(name: string): void {
    this.#doubtful.push(name);
  }

  takeDoubtful(): readonly string[] {
    return this.#doubtful.splice(0);
  }

  columnsOf(fields: readonly Field[]): readonly Column[] {
    return fields.map(({ name, dataTypeID }) => ({ name, parse: this.#parserOf(dataTypeID) }));
  }
}

/** A result counts when the server has ended the batch: outside of a transaction it commits only then. An error is that of all statements. */
export class StatementBatch extends Query {
  readonly #statements: readonly Statement[];
  readonly #parameters: readonly (readonly Parameter[])[];
  readonly #prepared: PreparedStatements;
  readonly #ended: () => void;
  readonly #sent: Sent[] = [];
  readonly #results: Rows<unknown>[] = [];
  #rows: unknown[] = [];
  #isEnded = false;

  /** @param ended called before the statements get their results. @throws TypeError for a value that has no form in the database. */
  constructor(statements: readonly Statement[], prepared: PreparedStatements, ended: () => void) {
    super({ text: '' });
    this.#statements = statements;
    this.#parameters = statements.map(({ values }) => values.map(parameterOf));
    this.#prepared = prepared;
    this.#ended = ended;
  }

  /** Bytes of its values, or a little less. */
  get size(): number {
    let size = 0;
    for (const values of this.#parameters)
      for (const value of values) size += typeof value === 'string' ? value.length : (value?.byteLength ?? 0);
    return size;
  }

  /** Called by the driver, as all methods below. */
  override submit = ({ stream }: Connection): void => {
    const chunks = this.#chunks();
    stream.cork();
    for (const chunk of chunks) stream.write(chunk);
    stream.uncork();
  };

  #chunks(): readonly Uint8Array[] {
    const here = new Map<string, Sent>();
    const messages = this.#statements.map(({ text }, i) => {
      const known = here.get(text) ?? this.#prepared.get(text);
      const sent: Sent = { name: known?.name ?? this.#prepared.newName(), isNew: known === undefined, columns: known?.columns };
      if (known === undefined) here.set(text, sent);
      this.#sent.push(sent);
      return new Message(sent, text, this.#parameters[i]!);
    });
    const doubtful = this.#prepared.takeDoubtful();
    const forgotten = doubtful.reduce((sum, name) => sum + 7 + name.length, 0);
    const frames = new Frames(messages.reduce((sum, { length }) => sum + length, SYNC.length + forgotten));
    // The server has no objection to a name that it does not know.
    for (const name of doubtful)
      frames
        .byte(CLOSE)
        .int32(6 + name.length)
        .byte(STATEMENT)
        .string(name);
    for (const message of messages) message.write(frames);
    frames.add(SYNC);
    return frames.chunks();
  }

  handleRowDescription({ fields }: { readonly fields: readonly Field[] }): void {
    this.#sent[this.#results.length]!.columns = this.#prepared.columnsOf(fields);
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    const columns = this.#sent[this.#results.length]!.columns!;
    const row: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i++) {
      const { name, parse } = columns[i]!;
      const text = fields[i]!;
      row[name] = text === null ? null : parse(text);
    }
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const at = this.#results.length;
    const { name, columns = [] } = this.#sent[at]!;
    this.#prepared.confirm(this.#statements[at]!.text, { name, columns });
    const words = text.split(' ');
    const count = words.length > 1 ? Number(words.at(-1)) : 0;
    this.#results.push({ rows: this.#rows, command: words[0]!, count: Number.isNaN(count) ? 0 : count });
    this.#rows = [];
  }

  handleReadyForQuery(): void {
    if (this.#results.length < this.#statements.length) this.handleError(new Error('The server has not answered all statements'));
    if (this.#isEnded) return;
    this.#end();
    for (const [i, { resolve }] of this.#statements.entries()) resolve(this.#results[i] as Rows<never>);
  }

  handleError(error: Error): void {
    if (this.#isEnded) return;
    this.#end();
    for (const { name, isNew } of this.#sent.slice(this.#results.length)) if (isNew) this.#prepared.doubt(name);
    for (const { reject } of this.#statements) reject(error);
  }

  #end(): void {
    this.#isEnded = true;
    this.#ended();
  }
}

const PARSE = 0x50;
const BIND = 0x42;
const DESCRIBE = 0x44;
const CLOSE = 0x43;
const STATEMENT = 0x53;
const PORTAL = 0x50;
const NULL = -1;
/** Of the portal without a name, all rows. */
const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);
/** Bytes that are at least as many are not copied. */
const LARGE = 2048;

/** The messages of the protocol for one statement: Parse if it is new, Bind, Describe if its columns are not known, Execute. */
class Message {
  /** Without bytes that are not copied. */
  readonly length: number;
  readonly #sent: Sent;
  readonly #text: string;
  readonly #values: readonly Parameter[];
  readonly #lengths: readonly number[];
  readonly #parse: number;
  readonly #bind: number;

  constructor(sent: Sent, text: string, values: readonly Parameter[]) {
    this.#sent = sent;
    this.#text = text;
    this.#values = values;
    this.#lengths = values.map(lengthOf);
    const name = sent.name.length + 1;
    this.#parse = 4 + name + Buffer.byteLength(text) + 1 + 2;
    this.#bind = 4 + 1 + name + 2 + 2 * values.length + 2 + 4 * values.length + 2;
    let copied = 1 + this.#bind + EXECUTE.length;
    for (const [i, value] of values.entries()) {
      this.#bind += this.#lengths[i]!;
      copied += this.#lengths[i]!;
      if (value !== null && typeof value !== 'string')
        for (const { byteLength } of piecesOf(value)) if (byteLength >= LARGE) copied -= byteLength;
    }
    if (sent.isNew) copied += 1 + this.#parse;
    if (sent.columns === undefined) copied += 7;
    this.length = copied;
  }

  write(frames: Frames): void {
    const { name, isNew, columns } = this.#sent;
    if (isNew) frames.byte(PARSE).int32(this.#parse).string(name).string(this.#text).int16(0);
    frames.byte(BIND).int32(this.#bind).string('').string(name).int16(this.#values.length);
    for (const value of this.#values) frames.int16(value === null || typeof value === 'string' ? 0 : 1);
    frames.int16(this.#values.length);
    for (const [i, value] of this.#values.entries()) {
      frames.int32(value === null ? NULL : this.#lengths[i]!);
      if (typeof value === 'string') frames.text(value);
      else if (value !== null) for (const piece of piecesOf(value)) frames.add(piece);
    }
    frames.int16(0);
    if (columns === undefined) frames.byte(DESCRIBE).int32(6).byte(PORTAL).byte(0);
    frames.add(EXECUTE);
  }
}

const piecesOf = (value: Uint8Array | Pieces) => (value instanceof Uint8Array ? [value] : value.all);

function lengthOf(value: Parameter): number {
  if (value === null) return 0;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.byteLength;
}

/** Memory of a known size, in which large bytes have their place without being copied. */
class Frames {
  readonly #buffer: Buffer;
  readonly #chunks: Uint8Array[] = [];
  #from = 0;
  #at = 0;

  constructor(length: number) {
    this.#buffer = Buffer.allocUnsafe(length);
  }

  byte(value: number): this {
    this.#buffer[this.#at++] = value;
    return this;
  }

  int16(value: number): this {
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
    return this;
  }

  int32(value: number): this {
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
    return this;
  }

  text(value: string): this {
    this.#at += this.#buffer.write(value, this.#at);
    return this;
  }

  /** With the zero at its end. */
  string(value: string): this {
    return this.text(value).byte(0);
  }

  add(bytes: Uint8Array): void {
    if (bytes.byteLength >= LARGE) {
      this.#cut();
      this.#chunks.push(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.byteLength;
  }

  chunks(): readonly Uint8Array[] {
    this.#cut();
    return this.#chunks;
  }

  #cut(): void {
    if (this.#at > this.#from) this.#chunks.push(this.#buffer.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}

/** One connection to a PostgreSQL server. It has one job, its own clock, and a memory of warnings. `Link` opens it again when it is lost. */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Client, types } from 'pg';
import { SECOND } from '../../system/clock.ts';
import { PreparedStatements, type Rows, type Statement, StatementBatch } from './statement-batch.ts';

/** Of a host name and a port. */
export type DatabaseHost = { readonly host: string; readonly port: number };

export type ServerOptions = {
  /** All servers of the cluster. One of them is the primary. */
  readonly hosts: readonly DatabaseHost[];
  readonly database: string;
  readonly user: string;
  /** undefined: the server asks for none. */
  readonly password?: string | undefined;
  /** Read at each connect, so that a password may be changed while a relay runs. */
  readonly passwordFile?: string | undefined;
  /** `verify`: the certificate must be of the host, and from a trusted authority (or from the one in `ca`). */
  readonly tls: 'none' | 'encrypt' | 'verify';
  /** PEM. */
  readonly ca?: string | undefined;
  readonly caFile?: string | undefined;
  /** `two`: a commit is on two machines before it counts. `one`: on the disk of one. */
  readonly durability: 'two' | 'one';
};

type Row = Record<string, unknown>;

const CONNECT_TIMEOUT = 5 * SECOND;
/** No answer for so long: the server, or the way to it, is dead. A commit waits for its standby in this time. */
const ANSWER_TIMEOUT = 10 * SECOND;
/** Bytes that the slowest way to the server takes in a millisecond: 8 Mbit/s. */
const SLOWEST = 1024;
const LOOK_INTERVAL = 250;

/** The settings of each session. */
const SETTINGS: Readonly<Record<string, string>> = {
  synchronous_commit: 'on',
  search_path: 'smarthost,pg_catalog',
  // The locks of a machine that lost its power end.
  idle_in_transaction_session_timeout: '5s',
  lock_timeout: '5s',
  tcp_keepalives_idle: '5',
  tcp_keepalives_interval: '2',
  tcp_keepalives_count: '3',
  tcp_user_timeout: '10s',
  // The role, the database or the server may have other values. Without warnings, a wait for the standby that was cancelled would look
  // like a commit; bytes in another form look damaged, and a rounded time is years away.
  client_min_messages: 'warning',
  bytea_output: 'hex',
  extra_float_digits: '1',
  array_nulls: 'on',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read committed',
  statement_timeout: '0', // our own clock is one for the session, and may wait for a standby
  idle_session_timeout: '0',
  jit: 'off', // no statement runs long enough for it
};

/**
 * How a session plans what it has prepared. The server itself decides after five runs, by the sizes that tables have then, and may keep a
 * plan that reads tables from end to end because they were empty, until somebody analyzes them.
 */
const PLANS = {
  /** Anew each time, by the values and sizes of now: for reads and commands. */
  fresh: { plan_cache_mode: 'force_custom_plan' },
  /** Once, and by indexes whatever the sizes: for what each message asks. */
  kept: {
    ...{ plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off' },
    ...{ enable_hashjoin: 'off', enable_mergejoin: 'off' },
  },
} as const;
export type DatabaseSessionOptions = {
  /** Milliseconds until a server without an answer counts as dead. */
  readonly answerTimeout?: number | undefined;
  /** Absent: `fresh`. */
  readonly plans?: keyof typeof PLANS | undefined;
};

const INT8 = 20;
const BYTEA = 17;
const INT8_ARRAY = 1016;
const parsers = new Map<number, (text: string) => unknown>([
  [INT8, Number],
  [BYTEA, bytesOf],
  [INT8_ARRAY, (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number))],
]);
const parserOf = (oid: number) => parsers.get(oid) ?? (types.getTypeParser(oid, 'text') as (text: string) => unknown);

/** Each value has its own memory, because it is transferred to another thread. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.allocUnsafeSlow((text.length - 2) / 2);
  bytes.write(text.slice(2), 'hex');
  return bytes;
}

/** The connection is gone, so that nothing is known of what it was asked last. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export class DatabaseSession {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #prepared = new PreparedStatements(parserOf);
  readonly #watch: NodeJS.Timeout;
  readonly #answerTimeout: number;
  /** Of the server's certificate. undefined: it was not verified. */
  readonly certificateEndsAt: number | undefined;
  #waiting = 0;
  /** Bytes of what has no answer. */
  #sent = 0;
  #read = 0;
  #askedAt = 0;
  #lost: Error | undefined;
  #warned = false;
  #silent = false;

  private constructor(client: Client, socket: Socket, answerTimeout: number, certificateEndsAt: number | undefined) {
    this.certificateEndsAt = certificateEndsAt;
    this.#client = client;
    this.#socket = socket;
    this.#answerTimeout = answerTimeout;
    client.on('error', (error) => this.#end(error));
    client.on('end', () => this.#end(new Error('the server ended the connection')));
    // 01000 is the class of "the wait for the standby was cancelled": what was committed may be on one machine only.
    client.on('notice', ({ code }) => {
      if (code === '01000') this.#warned = true;
    });
    this.#watch = setInterval(() => this.#look(), LOOK_INTERVAL).unref();
  }

  /** @param name shown by the server, for its operator. @throws Error with the reason of the server or of the network. */
  static async open(
    server: ServerOptions,
    at: DatabaseHost,
    name: string,
    { answerTimeout = ANSWER_TIMEOUT, plans = 'fresh' }: DatabaseSessionOptions = {},
  ): Promise<DatabaseSession> {
    const socket = new Socket();
    let endsAt: number | undefined;
    const onVerified = (certificate: PeerCertificate) => {
      endsAt = Date.parse(certificate.valid_to);
    };
    const client = new Client({
      ...{ host: at.host, port: at.port, database: server.database, user: server.user, pipeline: true },
      ...{ password: () => textNow(server.passwordFile, server.password)?.trim() ?? '', stream: () => socket },
      ssl: tlsOf(server, at.host, onVerified),
      ...{ keepAlive: true, keepAliveInitialDelayMillis: 5 * SECOND, connectionTimeoutMillis: CONNECT_TIMEOUT },
      application_name: name,
      options: Object.entries({ ...SETTINGS, ...PLANS[plans] })
        .map(([key, value]) => `-c ${key}=${value.replaceAll(' ', '\\ ')}`)
        .join(' '),
    });
    client.on('error', () => {}); // before the session listens, `connect` rejects with it
    try {
      await client.connect();
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return new DatabaseSession(client, socket, answerTimeout, endsAt);
  }

  /** The process that serves it, as the server said at the connect. A connection pooler says another number. */
  get processId(): number {
    return (this.#client as Client & { readonly processID: number }).processID;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** It was given up because the server gave no answer. */
  get wasSilent(): boolean {
    return this.#silent;
  }

  /** A warning came since the last call: the last commit does not count as acknowledged. */
  takeWarning(): boolean {
    const warned = this.#warned;
    this.#warned = false;
    return warned;
  }

  /** Sends the statement behind those that have no answer yet. Each text is prepared once. @throws DatabaseError, ConnectionLost */
  ask<T = Row>(text: string, values: readonly unknown[] = []): Promise<Rows<T>> {
    return new Promise((resolve, reject) => this.askAll([{ text, values, resolve, reject }]));
  }

  /**
   * The same for statements that need not wait for each other, as one piece. An error is that of all of them. The server must begin
   * to answer in its time, and the more of it the larger they are. @throws TypeError for a value that has no form in the database.
   */
  askAll(statements: readonly Statement[]): void {
    const errorOf = (error: Error) => {
      const isAnswer = this.#lost === undefined && sqlStateOf(error) !== undefined;
      return isAnswer ? error : new ConnectionLost(error.message, { cause: error });
    };
    if (this.#lost !== undefined) {
      for (const { reject } of statements) reject(errorOf(this.#lost));
      return;
    }
    const all = statements.map((one) => ({ ...one, reject: (error: Error) => one.reject(errorOf(error)) }));
    const batch = new StatementBatch(all, this.#prepared, () => {
      this.#waiting--;
      this.#sent -= size;
      this.#askedAt = performance.now();
    });
    const { size } = batch;
    this.#sent += size;
    if (this.#waiting++ === 0) this.#askedAt = performance.now();
    this.#client.query(batch);
  }

  /** Ends it at once. What was asked and has no answer rejects. */
  destroy(reason: string): void {
    this.#end(new Error(reason));
  }

  async close(): Promise<void> {
    if (this.#lost !== undefined) return;
    clearInterval(this.#watch);
    const late = setTimeout(() => this.destroy('it did not close in time'), SECOND);
    await this.#client.end().catch(() => {});
    clearTimeout(late);
  }

  /** A long answer that is coming is no silence. A long question must first get there, which is not seen here. */
  #look(): void {
    const read = this.#socket.bytesRead;
    if (read !== this.#read) this.#askedAt = performance.now();
    this.#read = read;
    const patience = this.#answerTimeout + this.#sent / SLOWEST;
    if (this.#waiting === 0 || performance.now() - this.#askedAt <= patience) return;
    this.#silent = true;
    this.destroy(`the server gave no answer for ${this.#answerTimeout / SECOND} s`);
  }

  #end(error: Error): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    clearInterval(this.#watch);
    this.#socket.destroy(error);
  }
}

/** Files may have changed since the start. What was read then counts if one has nothing now, as in the middle of a change. */
function textNow(file: string | undefined, before: string | undefined): string | undefined {
  try {
    const now = file === undefined ? '' : readFileSync(file, 'utf8');
    return now.trim() === '' ? before : now;
  } catch {
    return before;
  }
}

function tlsOf({ tls, ca: before, caFile }: ServerOptions, host: string, onVerified: (certificate: PeerCertificate) => void) {
  if (tls === 'none') return false;
  if (tls === 'encrypt') return { rejectUnauthorized: false };
  const ca = textNow(caFile, before);
  const isOfHost = (name: string, certificate: PeerCertificate) => {
    onVerified(certificate);
    return checkServerIdentity(name, certificate);
  };
  return { ...(ca === undefined ? {} : { ca }), rejectUnauthorized: true, host, checkServerIdentity: isOfHost };
}

/** The SQLSTATE of a server's error: five characters. undefined: not an error of the server. */
export function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && (error as { severity?: unknown }).severity !== undefined
    ? code
    : undefined;
}

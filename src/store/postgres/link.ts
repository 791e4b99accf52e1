/**
 * A connection that comes back: it tries the hosts in turn, stays only at the primary, checks that the server keeps what it commits, and
 * waits longer after each round that found none. After a failover the next statement is at the new primary.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND } from '../../system/clock.ts';
import {
  type DatabaseHost,
  DatabaseSession,
  type DatabaseSessionOptions,
  type ServerOptions,
  sqlStateOf,
} from './database-session.ts';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5 * SECOND;
/** While clients may wait for the end of a failover. */
const LONGEST_EARLY_PAUSE = SECOND;
const EARLY = 30 * SECOND;
const OLDEST_VERSION = 150_000;

/** The server answers, and must not be used as it is. */
class UnfitServer extends Error {
  override readonly name = 'UnfitServer';
}

type Facts = {
  readonly version: number;
  readonly recovering: boolean;
  readonly fsync: string;
  readonly pages: string;
  readonly commit: string;
  readonly standbys: string;
  readonly encoding: string;
  readonly readOnly: string;
  readonly pid: number;
};
const FACTS = `
  SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS recovering,
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
    current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS standbys,
    current_setting('server_encoding') AS encoding, current_setting('default_transaction_read_only') AS "readOnly", pg_backend_pid() AS pid`;

/** The reason why mail must not be accepted now. undefined: there is none. */
export function laxness(durability: ServerOptions['durability'], commit: string, standbys: string): string | undefined {
  if (commit === 'off') return 'the database answers before its disk has the data (synchronous_commit is off)';
  if (durability === 'one') return undefined;
  if (standbys.trim() === '') return 'no synchronous standby is named (synchronous_standby_names), and store.durability is two';
  return commit === 'local' ? 'the database does not wait for its standby (synchronous_commit is local)' : undefined;
}

function faultOf({ version, fsync, pages, encoding, readOnly }: Facts): string | undefined {
  if (version < OLDEST_VERSION) return `is PostgreSQL ${Math.floor(version / 10_000)}: 15 or newer is needed`;
  if (fsync !== 'on') return 'has fsync off: a power cut would lose mail';
  if (pages !== 'on') return 'has full_page_writes off: a power cut could damage its tables';
  if (encoding !== 'UTF8')
    return `has the database in the encoding ${encoding}, which cannot keep all mail: make it with ENCODING 'UTF8' TEMPLATE template0`;
  if (readOnly !== 'off')
    return 'lets this user only read (default_transaction_read_only is on for the user, the database or the server)';
  return undefined;
}

/** A pooler loses what a session has: its settings, its prepared statements, and what it listens to. */
const POOLED = 'is a connection pooler (such as pgbouncer): name the servers themselves in store.postgres';

type LinkOptions = DatabaseSessionOptions & {
  readonly server: ServerOptions;
  /** What the connection is for; the server shows it. */
  readonly name: string;
  /** Runs in each new session before all else. */
  readonly greet?: (session: DatabaseSession) => Promise<void>;
  /** Called when a session has been opened. */
  readonly onFound?: (at: DatabaseHost) => void;
  /** 0 to 1, for the pauses. */
  readonly random?: () => number;
};

export class Link {
  readonly #options: LinkOptions;
  #session: DatabaseSession | undefined;
  #at: DatabaseHost | undefined;
  #opening: Promise<DatabaseSession> | undefined;
  #pause = FIRST_PAUSE;
  /** The host that answered last is asked first. */
  #next = 0;
  #closed = false;
  #resting: AbortController | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** The session of now, or a new one. Callers share it. @param until by `performance.now()`. @throws Error with the reasons of all hosts. */
  async session(until: number): Promise<DatabaseSession> {
    if (this.#session !== undefined && !this.#session.isLost) return this.#session;
    // A primary that was replaced and does not know it lets commits wait for ever: the others are asked before it.
    if (this.#session?.wasSilent === true) this.#next++;
    this.#session = undefined;
    this.#opening ??= this.#open(until).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** The primary was found: looks for it at once, and leaves another server, which may be the primary of before and not know it. */
  follow(primary: DatabaseHost): void {
    if (this.#at === primary && this.#session?.isLost === false) return;
    this.#next = this.#options.server.hosts.indexOf(primary);
    this.#session?.destroy('another server is the primary');
    this.#resting?.abort();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#resting?.abort();
    await this.#session?.close();
  }

  async #open(until: number): Promise<DatabaseSession> {
    const begun = performance.now();
    for (;;) {
      if (this.#closed) throw new Error('the store is closed');
      const problems: string[] = [];
      for (const host of this.#hosts()) {
        try {
          const session = await this.#enter(host);
          if (this.#closed) await session.close();
          this.#pause = FIRST_PAUSE;
          this.#session = session;
          this.#at = host;
          this.#options.onFound?.(host);
          return session;
        } catch (error) {
          problems.push(`${placeName(host)} ${reasonOf(error)}`);
          if (error instanceof UnfitServer && this.#options.server.hosts.length === 1) throw new UnfitServer(problems[0]);
        }
      }
      const { random = Math.random } = this.#options;
      const longest = performance.now() - begun < EARLY ? LONGEST_EARLY_PAUSE : LONGEST_PAUSE;
      const pause = Math.min(this.#pause, longest) * random(); // full jitter, so that many relays do not come back at one moment
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
      if (performance.now() + pause >= until) throw new Error(`No primary of the database: ${problems.join('; ')}`);
      this.#resting = new AbortController();
      await sleep(pause, undefined, { signal: this.#resting.signal }).catch(() => {}); // in a hurry
    }
  }

  *#hosts(): Generator<DatabaseHost> {
    const { hosts } = this.#options.server;
    for (let i = 0; i < hosts.length; i++) {
      const at = this.#next;
      yield hosts[at % hosts.length]!; // an answer ends the loop here, so that this host stays the first one
      if (this.#next === at) this.#next++;
      else i = -1; // the primary was found meanwhile: it is next
    }
  }

  async #enter(host: DatabaseHost): Promise<DatabaseSession> {
    const { server, name, greet, answerTimeout, plans } = this.#options;
    const session = await DatabaseSession.open(server, host, name, { answerTimeout, plans });
    try {
      const [facts] = (await session.ask<Facts>(FACTS)).rows;
      if (facts!.recovering) throw new Error('is a standby');
      const fault = facts!.pid === session.processId ? faultOf(facts!) : POOLED;
      if (fault !== undefined) throw new UnfitServer(fault);
      await greet?.(session);
      return session;
    } catch (error) {
      session.destroy('it is not used');
      throw error;
    }
  }
}

/** What the words of the server do not say, by SQLSTATE or the code of Node. */
const HINTS: Readonly<Record<string, string>> = {
  '28P01': 'look at store.user and store.passwordFile',
  '28000': 'look at store.user, and at pg_hba.conf of the server',
  '3D000': 'make it with createdb, or look at store.database',
  '53300': 'a relay needs five connections',
  CERT_HAS_EXPIRED: 'renew that of the database',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'name its authority in store.ca',
  SELF_SIGNED_CERT_IN_CHAIN: 'name its authority in store.ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'name its authority in store.ca',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'name its authority in store.ca',
};

/** A server answers, and refuses this user, or its certificate or its lack of TLS is in the way. */
export function isRefusal(error: unknown): boolean {
  const { message, code = '' } = error as Error & { readonly code?: string };
  return sqlStateOf(error) !== undefined || /CERT|^UNABLE_TO_/.test(code) || message.includes('does not support SSL');
}

/** One line, without the password: the driver has none in its errors. */
export function reasonOf(error: unknown): string {
  const errors = (error as AggregateError).errors as readonly Error[] | undefined;
  const { message, code = '' } = (errors?.[0] ?? error) as Error & { code?: string };
  const words = message.replace(/; if the root CA .*/, '').replace(/\s+/g, ' '); // an advice on options of Node
  return HINTS[code] === undefined ? words : `${words} (${HINTS[code]})`;
}

/** As it stands in the configuration. */
export const placeName = ({ host, port }: DatabaseHost) => `${host.includes(':') ? `[${host}]` : host}:${port}`;

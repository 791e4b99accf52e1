/** The tables in PostgreSQL, and how a database gets them. They stand in the schema `smarthost` of the database. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreError } from '../opening.ts';
import { type DatabaseSession, sqlStateOf } from './database-session.ts';

/** Names are compared byte by byte, whatever the database's language is. */
const NAME = 'text COLLATE "C" NOT NULL';
const OFTEN = 'autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0';

/**
 * Each version has one step. The number of steps is the version. A released step never changes. The tables are those of the store in
 * files (`store/sqlite/schema.ts` explains them), except these:
 *
 * - `contents` is keyed by the message. `chunks` has large bodies in rows of 256 KiB, by the name in `open.spool`.
 * - `usage` has one row for each user, with all windows: start and use for each kind and unit. Its lock makes limits exact.
 * - `nodes` has the processes that have the store open. The number of a process is the node in its queue ids.
 * - `life` has one row: the last sign of life of any relay, so that a database that went back in time is found, a random name,
 *   and a random name of its last restore, by which all relays hear of it.
 * - `writers` has one row for each connection that writes: `mark` is the number of its last transaction, so that a commit whose answer was
 *   lost can be asked for, and `s0` to `s4` are what its transactions added to the recipients in each state. No row is shared, because each
 *   commit would hold it until the standby has answered.
 * - `changes` has the last change of each topic by each process, with the number of its transaction.
 * - `nodes.config_digest` is of the settings of a relay; a command has none. Relays compare it.
 * - `slots` has the connections of each process to upstreams whose accounts have a limit, see `slots.ts`.
 * - `tried_by` is the relay of the last attempt, whose the next one is.
 * - `time_ms()` is the clock by which windows, leases of work and failures are judged, so that machines with other clocks judge alike.
 * - `paces`, `shaping` and `sender_verdicts` are kept by machine, because a host judges the address that it sees, and `behaviour` and
 *   `known_findings` too.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE FUNCTION time_ms() RETURNS bigint LANGUAGE sql AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint';
  CREATE TABLE messages (
    id ${NAME} PRIMARY KEY, user_name text, reverse_path text NOT NULL, message_id text NOT NULL, size bigint NOT NULL,
    accepted_at bigint NOT NULL, expires_at bigint NOT NULL, flags integer NOT NULL, envid text, signatures text NOT NULL, about text,
    verify bigint NOT NULL, token bigint, client_ip text, client_tls text, mechanism text, subject text
  );
  CREATE TABLE refused (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at bigint NOT NULL, until bigint NOT NULL, count integer NOT NULL,
    session text NOT NULL, ip text NOT NULL, user_name text, verb text NOT NULL, code integer NOT NULL, status text NOT NULL,
    reply text NOT NULL, reverse_path text, recipient text
  );
  CREATE TABLE history (
    hour integer NOT NULL, subject smallint NOT NULL, name text NOT NULL COLLATE "C", outcome smallint NOT NULL, count bigint NOT NULL,
    bytes bigint NOT NULL, PRIMARY KEY (hour, subject, name, outcome)
  );
  CREATE TABLE recipients (
    message ${NAME}, n integer NOT NULL, address text NOT NULL, destination ${NAME}, notify integer, orcpt text, verify bigint NOT NULL,
    state smallint NOT NULL, attempts integer NOT NULL DEFAULT 0, next_attempt bigint, owner text, last_reply text,
    delay_reported integer NOT NULL DEFAULT 0, excused integer NOT NULL DEFAULT 0, held_by text, tried_by text,
    PRIMARY KEY (message, n)
  ) WITH (fillfactor = 70, ${OFTEN});
  CREATE INDEX recipients_due ON recipients (destination, next_attempt, message, n) WHERE next_attempt IS NOT NULL;
  CREATE INDEX recipients_held ON recipients (held_by, message, n) WHERE held_by IS NOT NULL;
  CREATE TABLE attempts (
    message ${NAME}, n integer NOT NULL, attempt integer NOT NULL, at bigint NOT NULL, mx text, ip text, tls text, outcome smallint NOT NULL,
    code integer NOT NULL, status text NOT NULL, reply text NOT NULL, seconds double precision NOT NULL, conversation text, assurance text,
    proof text, policy_id text, judged text, via text, PRIMARY KEY (message, n, attempt)
  );
  CREATE TABLE open (
    id ${NAME} PRIMARY KEY, length integer NOT NULL, verify bigint NOT NULL, spool text, spool_size bigint, spool_verify bigint
  ) WITH (${OFTEN});
  CREATE TABLE contents (message ${NAME} PRIMARY KEY, bytes bytea NOT NULL) WITH (toast_tuple_target = 8160, ${OFTEN});
  ALTER TABLE contents ALTER COLUMN bytes SET STORAGE EXTERNAL;
  CREATE TABLE chunks (
    spool ${NAME}, seq integer NOT NULL, bytes bytea NOT NULL, written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (spool, seq)
  );
  ALTER TABLE chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;
  CREATE TABLE nodes (
    id integer PRIMARY KEY, incarnation text NOT NULL, seen_at timestamptz NOT NULL, started_at timestamptz NOT NULL, machine text NOT NULL,
    pid integer NOT NULL, version text NOT NULL, name text NOT NULL DEFAULT '', config_digest text
  ) WITH (fillfactor = 50, ${OFTEN});
  CREATE TABLE life (database text NOT NULL, at bigint NOT NULL, restored text NOT NULL DEFAULT '') WITH (fillfactor = 50, ${OFTEN});
  INSERT INTO life VALUES (gen_random_uuid()::text, time_ms());
  CREATE TABLE writers (
    node integer NOT NULL, kind integer NOT NULL, mark bigint NOT NULL, s0 bigint NOT NULL DEFAULT 0, s1 bigint NOT NULL DEFAULT 0,
    s2 bigint NOT NULL DEFAULT 0, s3 bigint NOT NULL DEFAULT 0, s4 bigint NOT NULL DEFAULT 0, PRIMARY KEY (node, kind)
  ) WITH (fillfactor = 20, ${OFTEN});
  CREATE TABLE usage (user_key ${NAME} PRIMARY KEY, windows bigint[] NOT NULL) WITH (fillfactor = 30, ${OFTEN});
  CREATE TABLE known_recipients (user_key ${NAME}, address ${NAME}, used_on integer NOT NULL, PRIMARY KEY (user_key, address));
  CREATE TABLE over_limit (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message text NOT NULL UNIQUE, user_key ${NAME});
  CREATE INDEX over_limit_user ON over_limit (user_key, seq);
  CREATE TABLE credentials (
    key ${NAME} PRIMARY KEY, name text NOT NULL, hash text NOT NULL, senders text NOT NULL, mail_server boolean NOT NULL, limits text,
    disabled boolean NOT NULL, expires_at bigint, rewrite text, created_at bigint NOT NULL, generation text NOT NULL, revision integer NOT NULL
  );
  CREATE TABLE failures (
    key ${NAME} PRIMARY KEY, in_minute integer NOT NULL, minute_ends_at bigint NOT NULL, in_day integer NOT NULL, day_ends_at bigint NOT NULL
  );
  CREATE INDEX failures_end ON failures (day_ends_at);
  CREATE TABLE dkim_keys (
    domain ${NAME}, selector ${NAME}, algorithm text NOT NULL, private_key text NOT NULL, state text NOT NULL, created_at bigint NOT NULL,
    PRIMARY KEY (domain, selector)
  );
  CREATE TABLE certificates (
    key_type ${NAME} PRIMARY KEY, certificate text NOT NULL, key text NOT NULL, source text NOT NULL, created_at bigint NOT NULL
  );
  CREATE TABLE paces (
    machine ${NAME}, key ${NAME}, concurrency double precision NOT NULL, blocked_until bigint NOT NULL, reason text NOT NULL,
    failures integer NOT NULL, PRIMARY KEY (machine, key)
  );
  CREATE TABLE shaping (
    machine ${NAME}, provider ${NAME}, source ${NAME}, family integer NOT NULL, state text NOT NULL, since bigint NOT NULL,
    until bigint NOT NULL, step integer NOT NULL, sessions integer NOT NULL, rate double precision NOT NULL, learned_cap integer,
    evidence text NOT NULL, PRIMARY KEY (machine, provider, source, family)
  );
  CREATE TABLE feedback_sums (
    day integer NOT NULL, domain ${NAME}, source ${NAME}, sender ${NAME}, dkim ${NAME}, spf ${NAME}, disposition ${NAME},
    messages bigint NOT NULL, verified text NOT NULL, PRIMARY KEY (day, domain, source, sender, dkim, spf, disposition)
  );
  CREATE TABLE feedback_reports (key ${NAME} PRIMARY KEY, day integer NOT NULL);
  CREATE TABLE suppression (
    address ${NAME} PRIMARY KEY, provider ${NAME}, hits text NOT NULL, suppressed_at bigint, over_bound integer NOT NULL, class text NOT NULL,
    reply text NOT NULL
  );
  CREATE INDEX suppression_by_provider ON suppression (provider, suppressed_at);
  CREATE TABLE sender_verdicts (
    machine ${NAME}, domain ${NAME}, envelope ${NAME}, signatures text NOT NULL, verdict text NOT NULL, since bigint NOT NULL,
    at bigint NOT NULL, refresh_at bigint NOT NULL, used_at bigint NOT NULL, detail text NOT NULL, PRIMARY KEY (machine, domain, envelope)
  );
  CREATE TABLE notices (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event text NOT NULL, message text NOT NULL, recipient text NOT NULL
  );
  CREATE TABLE small_values (name ${NAME} PRIMARY KEY, value text NOT NULL);
  CREATE TABLE untold (
    message ${NAME}, n integer NOT NULL, action ${NAME}, sender text NOT NULL, at bigint NOT NULL, due_at bigint NOT NULL,
    summary integer NOT NULL DEFAULT 0, held integer NOT NULL DEFAULT 0, reply text NOT NULL, mx text, ip text, PRIMARY KEY (message, n, action)
  );
  CREATE INDEX untold_due ON untold (due_at);
  CREATE INDEX untold_summaries ON untold (sender, due_at) WHERE summary = 1;
  CREATE TABLE report_windows (sender ${NAME} PRIMARY KEY, started_at bigint NOT NULL, used integer NOT NULL);
  CREATE TABLE owners (name ${NAME} PRIMARY KEY, beat_at bigint NOT NULL);
  CREATE TABLE changes (topic ${NAME}, writer ${NAME}, xid xid8 NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (topic, writer)) WITH (${OFTEN});
  CREATE INDEX changes_new ON changes (xid);
  CREATE TABLE sts_policies (
    domain ${NAME} PRIMARY KEY, id text NOT NULL, mode text NOT NULL, max_age bigint NOT NULL, mx text NOT NULL, text text NOT NULL,
    fetched_at bigint NOT NULL, expires_at bigint NOT NULL, used_at bigint NOT NULL, refresh_at bigint, failures integer NOT NULL,
    failed_at bigint, last_error text, retry_at bigint, retry_id text
  );
  CREATE INDEX sts_policies_refresh ON sts_policies (refresh_at) WHERE refresh_at IS NOT NULL;
  CREATE TABLE tls_results (
    day integer NOT NULL, domain ${NAME}, policy ${NAME}, type text NOT NULL, policy_domain ${NAME}, ok bigint NOT NULL,
    failed bigint NOT NULL, PRIMARY KEY (day, domain, policy)
  );
  CREATE INDEX tls_results_by_base ON tls_results (day, policy_domain) WHERE type = 'tlsa';
  CREATE TABLE tls_policies_seen (policy ${NAME} PRIMARY KEY, text text NOT NULL, mx text NOT NULL);
  CREATE TABLE tls_failures (
    day integer NOT NULL, domain ${NAME}, policy ${NAME}, key ${NAME}, type text NOT NULL, sending_ip text, mx text, helo text,
    receiving_ip text, reason text, count bigint NOT NULL, PRIMARY KEY (day, domain, policy, key)
  );
  CREATE TABLE tls_reports (
    day integer NOT NULL, domain ${NAME}, rua ${NAME}, report_id text NOT NULL, state text NOT NULL, queue_id text,
    attempts integer NOT NULL, next_at bigint, last_error text, created_at bigint NOT NULL, PRIMARY KEY (day, domain, rua)
  );
  CREATE INDEX tls_reports_due ON tls_reports (next_at) WHERE next_at IS NOT NULL;
  CREATE INDEX tls_reports_queued ON tls_reports (queue_id) WHERE state = 'queued';
  CREATE INDEX tls_reports_by_rua ON tls_reports (rua, day);
  CREATE TABLE behaviour (
    machine ${NAME}, user_key ${NAME}, sender ${NAME}, record text NOT NULL, written_at bigint NOT NULL,
    PRIMARY KEY (machine, user_key, sender)
  );
  CREATE INDEX behaviour_written ON behaviour (written_at);
  `,
  `
  CREATE TABLE console_accounts (
    key ${NAME} PRIMARY KEY, name text NOT NULL, role text NOT NULL, credentials text, password_hash text, password_set_at bigint,
    totp_secret text, totp_step bigint NOT NULL, recovery_codes text NOT NULL, disabled integer NOT NULL, created_at bigint NOT NULL
  );
  CREATE TABLE console_links (
    id ${NAME} PRIMARY KEY, hash text NOT NULL, account ${NAME}, expires_at bigint NOT NULL, tries_left integer NOT NULL
  );
  CREATE TABLE console_sessions (
    hash ${NAME} PRIMARY KEY, account ${NAME}, created_at bigint NOT NULL, last_seen_at bigint NOT NULL, ip text NOT NULL,
    agent text NOT NULL, confirmed_at bigint NOT NULL
  );
  CREATE INDEX console_sessions_account ON console_sessions (account, created_at);
  CREATE TABLE console_tokens (
    id ${NAME} PRIMARY KEY, hash ${NAME} UNIQUE, name text NOT NULL, account ${NAME}, scopes text NOT NULL, credential text,
    networks text NOT NULL, created_at bigint NOT NULL, expires_at bigint, last_used_at bigint, last_used_ip text
  );
  CREATE TABLE console_requests (
    owner ${NAME}, key ${NAME}, hash text NOT NULL, at bigint NOT NULL, changed integer NOT NULL, status integer, body text,
    PRIMARY KEY (owner, key)
  );
  CREATE INDEX console_requests_at ON console_requests (at);
  CREATE TABLE muted_findings (
    finding ${NAME}, subject ${NAME}, reason text NOT NULL, muted_by text NOT NULL, at bigint NOT NULL, until bigint,
    PRIMARY KEY (finding, subject)
  );
  CREATE TABLE known_findings (
    machine ${NAME}, finding ${NAME}, subject ${NAME}, result text NOT NULL, since bigint NOT NULL, detail text NOT NULL,
    PRIMARY KEY (machine, finding, subject)
  );
  CREATE TABLE audit (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, action_id ${NAME} UNIQUE, at bigint NOT NULL, actor text NOT NULL,
    way text NOT NULL, address text, action text NOT NULL, target text NOT NULL, was text NOT NULL, became text NOT NULL, recipients integer
  );
  CREATE INDEX audit_at ON audit (at);
  CREATE INDEX messages_about ON messages (about, id) WHERE about IS NOT NULL;
  CREATE TABLE slots (
    upstream ${NAME}, incarnation ${NAME}, held integer NOT NULL, waiting integer NOT NULL, since bigint NOT NULL,
    asked_at bigint NOT NULL, PRIMARY KEY (upstream, incarnation)
  ) WITH (fillfactor = 50, ${OFTEN});
  `,
];

/** The format of the tables that this version knows. */
export const FORMAT = MIGRATIONS.length;
/** The oldest version that works on tables of `FORMAT`. A step that its predecessor cannot work with raises it. */
const OLDEST = 1;

/** "SmHo": the lock of migrations, and of whoever takes a node. */
export const ADVISORY_LOCK = 0x536d486f;
/** "SmHM": held alone while a whole store is carried into the database or out of it, and shared for a moment by whoever opens it. */
export const MOVE_LOCK = 0x536d484d;

/** `filled`: by a move that has not ended. `moved`: the data are elsewhere. null: in use. `note` belongs to the move. */
export type Format = { version: number; min_version: number; state: 'filled' | 'moved' | null; note: string | null };

type Steps = {
  /** The steps to the format of this version. */
  readonly migrations?: readonly string[];
  readonly oldest?: number;
};

/**
 * Brings the database to this version. Several processes may call it at once: one of them does the work, the others wait for it. An older
 * relay goes on working beside a newer one as long as the newer tables allow it. @throws StoreError with one sentence for the operator.
 */
export async function migrateDatabase(
  session: DatabaseSession,
  { migrations = MIGRATIONS, oldest = OLDEST }: Steps = {},
): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (!areUsable(await formatOf(session), migrations.length)) await migrate(session, migrations, oldest);
      return await needRights(session);
    } catch (error) {
      await session.ask('ROLLBACK').catch(() => {});
      const state = sqlStateOf(error);
      if (state === '42501') throw await lacksRights(session, error as Error);
      // A relay works on the tables. Its next statements must not wait long for this one.
      if (state !== LOCK_NOT_AVAILABLE || tries === MOST_TRIES) throw error;
      await sleep(FIRST_PAUSE * tries * Math.random());
    }
  }
}

const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'].map((right) => `has_table_privilege(c.oid, '${right}')`).join(' AND ');
const LACKING = `
  SELECT current_user AS "user", string_agg(c.relname, ', ' ORDER BY c.relname) AS tables FROM pg_class c
  WHERE c.relnamespace = 'smarthost'::regnamespace AND c.relkind = 'r' AND NOT (${RIGHTS})`;

/** The tables that the user may not read and write, as after a restore by another one. null: there is none. */
export async function lackingTables(session: DatabaseSession): Promise<{ user: string; tables: string | null }> {
  return (await session.ask<{ user: string; tables: string | null }>(LACKING)).rows[0]!;
}

/** @throws StoreError */
async function needRights(session: DatabaseSession): Promise<void> {
  const { user, tables } = await lackingTables(session);
  if (tables !== null)
    throw new StoreError(
      `The user ${user} may not read and write these tables of the schema smarthost: ${tables}. As their owner: GRANT ALL ON ALL TABLES IN SCHEMA smarthost TO ${user}`,
    );
}

async function lacksRights(session: DatabaseSession, { message }: Error): Promise<StoreError> {
  const sql = `
    SELECT pg_get_userbyid(nspowner) AS owner, current_user AS "user" FROM pg_namespace
    WHERE nspname = 'smarthost' AND NOT pg_has_role(nspowner, 'USAGE')`;
  const found = (await session.ask<{ owner: string; user: string }>(sql)).rows[0];
  return new StoreError(
    found === undefined
      ? `The user of the database may not make tables: make it the owner of the database (${message})`
      : `The schema smarthost belongs to ${found.owner}: ALTER SCHEMA smarthost OWNER TO ${found.user}, and its tables too (${message})`,
  );
}

const LOCK_NOT_AVAILABLE = '55P03';
const MOST_TRIES = 10;
const FIRST_PAUSE = 500;

/** @throws StoreError if only a newer version can work with these tables. */
function areUsable(found: Format | undefined, known: number): boolean {
  if (found === undefined || found.version < known) return false;
  if (found.min_version > known)
    throw new StoreError(
      `The database was written by a newer smarthost (format ${found.version}, which needs ${found.min_version}, and this one knows ${known}): install that version`,
    );
  return true;
}

async function migrate(session: DatabaseSession, migrations: readonly string[], oldest: number): Promise<void> {
  await session.ask('BEGIN');
  await session.ask('SET LOCAL lock_timeout = 0'); // whoever works on it ends
  await session.ask('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
  await session.ask(`SET LOCAL lock_timeout = '2s'`);
  await session.ask('CREATE SCHEMA IF NOT EXISTS smarthost');
  await session.ask(
    'CREATE TABLE IF NOT EXISTS smarthost.format (version integer NOT NULL, min_version integer NOT NULL, state text, note text)',
  );
  const found = await formatOf(session);
  if (!areUsable(found, migrations.length)) {
    for (const step of migrations.slice(found?.version ?? 0))
      for (const one of step.split(';')) if (one.trim() !== '') await session.ask(one);
    await session.ask('DELETE FROM smarthost.format');
    const row = [migrations.length, oldest, found?.state ?? null, found?.note ?? null];
    await session.ask('INSERT INTO smarthost.format (version, min_version, state, note) VALUES ($1, $2, $3, $4)', row);
  }
  await session.ask('COMMIT');
}

/** undefined: the database is empty. */
export async function formatOf(session: DatabaseSession): Promise<Format | undefined> {
  const { rows } = await session.ask<{ found: boolean }>(`SELECT to_regclass('smarthost.format') IS NOT NULL AS found`);
  if (!rows[0]!.found) return undefined;
  return (await session.ask<Format>('SELECT version, min_version, state, note FROM smarthost.format')).rows[0];
}

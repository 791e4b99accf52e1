/** Looks at the servers of a cluster and at the processes that share it, without taking part. */

import { DAY } from '../../system/clock.ts';
import type { ClusterLook, PrimaryFacts, ServerFacts, StandbyFacts, StoreCluster, StoreNode } from '../cluster.ts';
import { StoreError } from '../opening.ts';
import { type DatabaseHost, DatabaseSession, type ServerOptions } from './database-session.ts';
import { isRefusal, placeName, reasonOf } from './link.ts';
import { isLivingRelay } from './nodes.ts';
import { FORMAT, formatOf, lackingTables } from './postgres-schema.ts';
import { backupDatabase, restoreDatabase } from './store-move.ts';

/** A person waits. */
const ANSWER_TIMEOUT = 5000;
const NAME = 'smarthost/look';

type Looked = { readonly server: ServerFacts; readonly primary: PrimaryFacts | undefined };
type Load = Pick<
  PrimaryFacts,
  'connections' | 'hidden' | 'free' | 'encoding' | 'isReadOnly' | 'oldestTransaction' | 'slots' | 'size'
>;
type Role = { version: number; words: string; recovering: boolean; system: string; pid: number };

const ROLE = `
  SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS words,
    pg_is_in_recovery() AS recovering, (SELECT system_identifier::text FROM pg_control_system()) AS system, pg_backend_pid() AS pid`;
const SETTINGS = `
  SELECT name, CASE WHEN vartype = 'integer' AND unit IS NOT NULL AND setting::bigint >= 0 AND name LIKE '%size%'
    THEN pg_size_bytes(current_setting(name))::text ELSE setting END AS setting
  FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names', 'max_connections',
    'wal_keep_size', 'max_slot_wal_keep_size', 'autovacuum', 'track_activities')`;
const MAY_SEE = `SELECT pg_has_role(current_user, 'pg_monitor', 'USAGE') AS all`;
const STANDBYS = `
  SELECT application_name AS name, state, sync_state AS sync,
    greatest(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn), 0)::bigint AS behind
  FROM pg_stat_replication ORDER BY application_name`;
/** @param now a database without our tables has no clock of ours. */
const load = (now: 'clock_timestamp()' | 'to_timestamp(time_ms() / 1000.0)') => `
  WITH clients AS ( -- what others do is hidden from a plain user, also what kind of process they are
    SELECT datname, usename, backend_type FROM pg_stat_activity
    WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend')
  SELECT (SELECT count(*) FROM clients)::int AS connections,
    (SELECT count(*) FROM clients WHERE backend_type IS NULL)::int AS hidden,
    least(
      (SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END) FROM pg_settings
       WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')) - (SELECT count(*) FROM clients),
      (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user)
        - (SELECT count(*) FROM clients WHERE usename = current_user),
      (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
        - (SELECT count(*) FROM clients WHERE datname = current_database()))::int AS free,
    current_setting('server_encoding') AS encoding, current_setting('default_transaction_read_only') = 'on' AS "isReadOnly",
    (SELECT extract(epoch FROM ${now} - min(xact_start))::float8 FROM pg_stat_activity
     WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND backend_type = 'client backend' AND pid <> pg_backend_pid()) AS "oldestTransaction",
    (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical')::int AS slots,
    pg_database_size(current_database()) AS size`;

/** An owner of claims and of leases is named by machine, process and a random part. */
const NODES = `
  WITH claimed AS (
      SELECT regexp_replace(r.owner, '/[^/]*$', '') AS process, count(*)::int AS n
      FROM open o JOIN recipients r ON r.message = o.id WHERE r.owner IS NOT NULL GROUP BY 1),
    leased AS (
      SELECT regexp_replace(substr(value, strpos(value, ' ') + 1), '/[^/]*$', '') AS process, array_agg(substr(name, 7) ORDER BY name) AS names
      FROM small_values WHERE name >= 'lease.' AND name < 'lease/'
        AND split_part(value, ' ', 1)::bigint > extract(epoch FROM clock_timestamp()) * 1000 GROUP BY 1)
  SELECT n.id, n.machine, n.pid, n.version, n.config_digest AS digest, (extract(epoch FROM n.started_at) * 1000)::bigint AS "startedAt",
    (extract(epoch FROM n.seen_at) * 1000)::bigint AS "seenAt", n.seen_at > clock_timestamp() - interval '30 s' AS "isAlive",
    EXISTS (SELECT 1 FROM owners o WHERE starts_with(o.name, n.machine || '/' || n.pid || '/')) AS "isRelay",
    coalesce(c.n, 0) AS claims, coalesce(l.names, '{}') AS leases
  FROM nodes n LEFT JOIN claimed c ON c.process = n.machine || '/' || n.pid LEFT JOIN leased l ON l.process = n.machine || '/' || n.pid
  ORDER BY n.id`;

const RELAYS = `SELECT n.name, n.config_digest AS digest FROM nodes n WHERE ${isLivingRelay('n')} ORDER BY n.name, n.id`;

export function postgresCluster(server: ServerOptions, machine: string): StoreCluster {
  const lookAll = () => Promise.all(server.hosts.map((host) => lookAt(server, host)));
  return {
    backup: (file) => backupDatabase(server, machine, file),
    restore: (request) => restoreDatabase(server, machine, request),
    async nodes() {
      const looked = await lookAll();
      const at = looked.findIndex(({ primary }) => primary !== undefined);
      const primary = looked[at]?.primary;
      if (primary === undefined)
        throw new StoreError(
          `No primary of the database: ${looked.map(({ server: { place, problem } }) => `${place} ${problem ?? 'is a standby'}`).join('; ')}`,
        );
      if (primary.format === null || primary.format < FORMAT)
        throw new StoreError(
          `The tables of the database have format ${primary.format ?? 'none'}, and this version knows ${FORMAT}: use the command of the relay that runs`,
        );
      const { rows } = await withSession(server, server.hosts[at]!, (session) => session.ask<StoreNode>(NODES));
      return rows;
    },
    async look(): Promise<ClusterLook> {
      const looked = await lookAll();
      return {
        durability: server.durability,
        servers: looked.map((one) => one.server),
        primary: looked.find(({ primary }) => primary !== undefined)?.primary,
        wantedFormat: FORMAT,
      };
    },
  };
}

async function withSession<T>(server: ServerOptions, host: DatabaseHost, run: (session: DatabaseSession) => Promise<T>) {
  const session = await DatabaseSession.open(server, host, NAME, { answerTimeout: ANSWER_TIMEOUT });
  try {
    return await run(session);
  } finally {
    await session.close();
  }
}

async function lookAt(server: ServerOptions, host: DatabaseHost): Promise<Looked> {
  const place = placeName(host);
  let found: ServerFacts = {
    place,
    problem: null,
    isRunning: false,
    role: null,
    version: null,
    system: null,
    certificateDays: null,
  };
  try {
    return await withSession(server, host, async (session) => {
      const role = (await session.ask<Role>(ROLE)).rows[0]!;
      const { recovering, words, system } = role;
      const endsAt = server.tls === 'verify' ? session.certificateEndsAt : undefined;
      const certificateDays = endsAt === undefined ? null : Math.floor((endsAt - Date.now()) / DAY);
      found = { ...found, isRunning: true, role: recovering ? 'standby' : 'primary', version: words, system, certificateDays };
      return { server: found, primary: recovering ? undefined : await primaryFacts(session, place, role) };
    });
  } catch (error) {
    const isRunning = found.isRunning || isRefusal(error);
    return { server: { ...found, isRunning, problem: reasonOf(error) }, primary: undefined };
  }
}

async function primaryFacts(session: DatabaseSession, place: string, { version, pid }: Role): Promise<PrimaryFacts> {
  const settings = (await session.ask<{ name: string; setting: string }>(SETTINGS)).rows;
  const maySee = (await session.ask<{ all: boolean }>(MAY_SEE)).rows[0]!.all;
  const format = (await formatOf(session))?.version ?? null;
  const sql = load(format === null ? 'clock_timestamp()' : 'to_timestamp(time_ms() / 1000.0)');
  const facts = (await session.ask<Load>(sql)).rows[0]!;
  const asked = Date.now();
  const { at } = (await session.ask<{ at: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at'))
    .rows[0]!;
  return {
    ...{
      place,
      version,
      ...facts,
      format,
      lacking: format === null ? null : (await lackingTables(session)).tables,
      ahead: Math.round(at - (asked + Date.now()) / 2),
    },
    relays: format === FORMAT ? (await session.ask<PrimaryFacts['relays'][number]>(RELAYS)).rows : [],
    settings: Object.fromEntries(settings.map(({ name, setting }) => [name, setting])),
    standbys: maySee ? (await session.ask<StandbyFacts>(STANDBYS)).rows : null,
    isPooled: pid !== session.processId,
  };
}

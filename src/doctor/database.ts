/** Checks a database that several relays share: whether it keeps accepted mail as it must, and what would make it slow or stop it. */
import type { ClusterLook, PrimaryFacts, ServerFacts } from '../store/store.ts';
import { data, phrase } from '../system/phrase.ts';
import { about, enumerated, type Finding, listed } from './finding.ts';

const CHECK = 'database';
/** Milliseconds. */
const MOST_SKEW = 2000;
const MIB = 1024 ** 2;
/** A standby that is away for some minutes under load needs so much of the log. */
const LEAST_LOG = 1024 * MIB;
/** Seconds. An old transaction keeps dead rows, which slow every look for due mail. */
const OLD_TRANSACTION = 300;
const LEAST_CERTIFICATE_DAYS = 14;
/** Each relay needs five connections, and a failover brings all of them back at once. */
const LEAST_FREE_CONNECTIONS = 10;

/** @returns one finding for each thing that is looked at, servers first. */
export function checkDatabase({ durability, servers, primary, wantedFormat }: ClusterLook): readonly Finding[] {
  const each = servers.flatMap((server) => checkServer(server, servers.length > 1 && primary !== undefined));
  const findings = [...each, ...checkRoles(servers)];
  if (primary === undefined) return findings;
  return [
    ...findings,
    checkFormat(primary, wantedFormat),
    ...checkUse(primary),
    checkDurability(durability, primary),
    ...checkStandbys(durability, primary),
    checkPooler(primary),
    checkLog(primary),
    checkTransaction(primary),
    checkConnections(primary),
    checkSkew(primary),
    ...checkConfigurations(primary),
  ];
}

function checkServer(
  { place, problem, isRunning, role, version, certificateDays }: ServerFacts,
  isSpare: boolean,
): readonly Finding[] {
  const say = about(CHECK, place);
  const wanted = phrase`answers`;
  if (problem !== null && isRunning) return [say('error', data(problem), wanted, phrase`It runs: mend what it refuses.`)];
  if (problem !== null)
    return [say(isSpare ? 'warning' : 'error', data(problem), wanted, phrase`Start it, or take it out of \`store.postgres\`.`)];
  const found = [say('ok', phrase`${role ?? ''}, PostgreSQL ${version ?? ''}`, wanted)];
  if (certificateDays !== null && certificateDays < LEAST_CERTIFICATE_DAYS)
    found.push(
      say(
        'warning',
        phrase`its certificate ends in ${certificateDays} days`,
        phrase`at least ${LEAST_CERTIFICATE_DAYS} days`,
        phrase`Renew it: once it has ended, relays stay connected until the next failover, and then find no database.`,
      ),
    );
  return found;
}

function checkRoles(servers: ClusterLook['servers']): readonly Finding[] {
  const say = about(CHECK, 'primary');
  const primaries = servers.filter(({ role }) => role === 'primary').map(({ place }) => place);
  const systems = new Set(servers.flatMap(({ system }) => system ?? []));
  const found: Finding[] = [];
  if (primaries.length === 0)
    found.push(
      say(
        'error',
        phrase`no server that answers is one`,
        phrase`exactly one`,
        servers.every(({ role }) => role === 'standby')
          ? phrase`Promote a standby: until then no mail is accepted.`
          : phrase`Look at the servers without an answer first: one of them may be the primary. Promote a standby only when that one is stopped for certain.`,
      ),
    );
  else if (primaries.length > 1)
    found.push(
      say(
        'error',
        listed(primaries),
        phrase`exactly one`,
        phrase`Stop the one that was the primary before, and make it a standby again: what was written there alone is not in the cluster.`,
      ),
    );
  else found.push(say('ok', data(primaries[0]!), phrase`exactly one`));
  if (systems.size > 1)
    found.push(
      about(CHECK, 'cluster')(
        'error',
        phrase`${systems.size} different clusters`,
        phrase`the servers of one cluster`,
        phrase`Name only servers that follow one primary in \`store.postgres\`: relays that find different ones would not share their queue.`,
      ),
    );
  return found;
}

function checkFormat({ format }: PrimaryFacts, wanted: number): Finding {
  const say = about(CHECK, 'tables');
  const right = phrase`format ${wanted}`;
  if (format === null) return say('ok', phrase`none yet`, right);
  if (format === wanted) return say('ok', right, right);
  if (format > wanted)
    return say('error', phrase`format ${format}`, right, phrase`A newer relay made them: install its version here.`);
  return say(
    'warning',
    phrase`format ${format}`,
    right,
    phrase`The next start of a relay of this version brings them up to date.`,
  );
}

/** What this user may do there. */
function checkUse({ encoding, isReadOnly, lacking }: PrimaryFacts): readonly Finding[] {
  const say = about(CHECK, 'use');
  const found: Finding[] = [];
  if (encoding !== 'UTF8')
    found.push(
      say(
        'error',
        phrase`the database has the encoding ${encoding}`,
        phrase`UTF8`,
        phrase`Make the database anew with ENCODING 'UTF8' TEMPLATE template0: another one cannot keep all mail.`,
      ),
    );
  if (isReadOnly)
    found.push(
      say(
        'error',
        phrase`this user may only read`,
        phrase`reads and writes`,
        phrase`Set default_transaction_read_only = off for the user, the database and the server.`,
      ),
    );
  if (lacking !== null)
    found.push(
      say(
        'error',
        phrase`this user may not read and write ${lacking}`,
        phrase`reads and writes`,
        phrase`As their owner: GRANT ALL ON ALL TABLES IN SCHEMA smarthost TO the user of the relay.`,
      ),
    );
  return found;
}

function checkDurability(durability: ClusterLook['durability'], { settings }: PrimaryFacts): Finding {
  const say = about(CHECK, 'durability');
  const { fsync, full_page_writes: pages, synchronous_commit: commit, synchronous_standby_names: names = '' } = settings;
  const wanted = durability === 'two' ? phrase`on the disks of two machines before the 250` : phrase`on the disk before the 250`;
  if (fsync !== 'on') return say('error', phrase`fsync is off`, wanted, phrase`Set fsync = on: a power cut would lose mail.`);
  if (pages !== 'on')
    return say(
      'error',
      phrase`full_page_writes is off`,
      wanted,
      phrase`Set full_page_writes = on: a power cut could damage the tables.`,
    );
  if (commit === 'off' || (commit === 'local' && durability === 'two'))
    return say(
      'error',
      phrase`synchronous_commit is ${commit}`,
      wanted,
      phrase`Set synchronous_commit = on: until then mail is refused.`,
    );
  if (durability === 'one')
    return say(
      'warning',
      names.trim() === '' ? phrase`one machine` : phrase`one machine is enough, ${names} would be there`,
      phrase`two machines`,
      phrase`With three servers, remove \`durability: one\`: mail that was accepted is lost with the disk of the database.`,
    );
  if (names.trim() === '')
    return say(
      'error',
      phrase`no synchronous standby is named`,
      wanted,
      phrase`Set synchronous_standby_names, such as 'ANY 1 (db2, db3)': until then mail is refused with 451.`,
    );
  return say('ok', phrase`synchronous_standby_names = ${names}`, wanted);
}

function checkStandbys(durability: ClusterLook['durability'], { standbys, settings }: PrimaryFacts): readonly Finding[] {
  const say = about(CHECK, 'standbys');
  if (durability === 'one' && (settings['synchronous_standby_names'] ?? '').trim() === '') return [];
  const wanted = phrase`two that follow`;
  if (standbys === null)
    return [
      say(
        'unknown',
        phrase`this user may not see them`,
        wanted,
        phrase`GRANT pg_monitor TO the user of the relay, or look yourself.`,
      ),
    ];
  const following = standbys.filter(({ state, sync }) => state === 'streaming' && (sync === 'sync' || sync === 'quorum'));
  const found =
    standbys.length === 0
      ? phrase`none is connected`
      : enumerated(standbys.map(({ name, state, sync, behind }) => phrase`${name} (${sync}, ${state}, ${mib(behind)} behind)`));
  if (following.length === 0)
    return [say('error', found, wanted, phrase`Start a standby: until then each commit waits for it, and mail gets 451.`)];
  if (following.length === 1)
    return [say('warning', found, wanted, phrase`With one alone, a restart of it stops all mail: add a second one.`)];
  return [say('ok', found, wanted)];
}

function checkPooler({ isPooled }: PrimaryFacts): Finding {
  const say = about(CHECK, 'connection');
  const wanted = phrase`straight to the server`;
  if (!isPooled) return say('ok', wanted, wanted);
  return say(
    'error',
    phrase`a connection pooler is in between`,
    wanted,
    phrase`Name the servers themselves in \`store.postgres\`: locks, settings and prepared statements of a session are lost behind pgbouncer.`,
  );
}

function checkLog({ settings, slots }: PrimaryFacts): Finding {
  const say = about(CHECK, 'wal_keep_size');
  const kept = Number(settings['wal_keep_size'] ?? 0);
  const wanted = phrase`at least ${mib(LEAST_LOG)}, or a slot for each standby`;
  if (slots > 0) return say('ok', slots > 1 ? phrase`${slots} replication slots` : phrase`1 replication slot`, wanted);
  if (kept >= LEAST_LOG) return say('ok', data(mib(kept)), wanted);
  return say(
    'warning',
    phrase`${mib(kept)}, and no slot`,
    wanted,
    phrase`Set wal_keep_size = 4GB or make slots: a standby that was away for minutes could not follow any more, and all mail would wait.`,
  );
}

function checkTransaction({ oldestTransaction, hidden, settings }: PrimaryFacts): Finding {
  const say = about(CHECK, 'oldest transaction');
  const wanted = phrase`younger than 5 minutes`;
  if (oldestTransaction !== null && oldestTransaction >= OLD_TRANSACTION)
    return say(
      'warning',
      phrase`open for ${Math.floor(oldestTransaction / 60)} min`,
      wanted,
      phrase`End it (pg_stat_activity shows it): dead rows stay as long as it is open, and the queue gets slower.`,
    );
  if (settings['track_activities'] === 'off')
    return say(
      'unknown',
      phrase`track_activities is off`,
      wanted,
      phrase`Set track_activities = on: an old transaction slows the queue.`,
    );
  if (hidden > 0)
    return say(
      'unknown',
      phrase`this user may not see ${hidden} sessions of others`,
      wanted,
      phrase`GRANT pg_monitor TO the user of the relay, or look yourself.`,
    );
  return say('ok', wanted, wanted);
}

function checkConnections({ connections, free, settings }: PrimaryFacts): Finding {
  const say = about(CHECK, 'connections');
  const wanted = phrase`${LEAST_FREE_CONNECTIONS} free`;
  const found = phrase`${connections} of ${settings['max_connections'] ?? ''}, ${free} free for this user`;
  if (free >= LEAST_FREE_CONNECTIONS) return say('ok', found, wanted);
  return say(
    'warning',
    found,
    wanted,
    phrase`Raise max_connections, or the limit of the user or of the database: each relay needs five, and a command some more.`,
  );
}

function checkSkew({ ahead }: PrimaryFacts): Finding {
  const say = about(CHECK, 'clock');
  const wanted = phrase`within 2 s of this machine`;
  if (Math.abs(ahead) <= MOST_SKEW) return say('ok', wanted, wanted);
  const seconds = Math.round(Math.abs(ahead) / 1000);
  const by = ahead > 0 ? phrase`${seconds} s ahead` : phrase`${seconds} s behind`;
  return say(
    'warning',
    by,
    wanted,
    phrase`Set both clocks by NTP: mail gets the times of the database, and the log those of this machine.`,
  );
}

/** Some settings must be equal, because what happens to a message would depend on the relay that its client reached. */
function checkConfigurations({ relays }: PrimaryFacts): readonly Finding[] {
  const [first, ...others] = relays;
  if (first === undefined || others.length === 0) return [];
  const say = about(CHECK, 'configurations');
  const wanted = phrase`equal on all relays`;
  const known = new Set(first.digest.split(' '));
  const odd = others.flatMap(({ name, digest }) => {
    const parts = digest.split(' ').flatMap((part) => (known.has(part) ? [] : part.slice(0, part.indexOf(':'))));
    return parts.length === 0 ? [] : [phrase`${name} has other ${listed(parts)} than ${first.name}`];
  });
  if (odd.length === 0) return [say('ok', phrase`those of ${relays.length} relays`, wanted)];
  return [
    say(
      'warning',
      odd.reduce((all, one) => phrase`${all}; ${one}`),
      wanted,
      phrase`Make these sections equal and reload: waiting mail follows new routes only when all relays have them.`,
    ),
  ];
}

const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;

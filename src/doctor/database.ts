/** Checks a database that several relays share: whether it keeps accepted mail as it must, and what would make it slow or stop it. */
import type { ClusterLook, PrimaryFacts } from '../store/store.ts';
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
/** Each relay needs five connections, and a failover brings all of them back at once. */
const LEAST_FREE_CONNECTIONS = 10;

/** @returns one finding for each thing that is looked at, servers first. */
export function checkDatabase({ durability, servers, primary, wantedFormat }: ClusterLook): readonly Finding[] {
  const each = servers.map(({ place, problem, role, version }) => {
    const say = about(CHECK, place);
    return problem === null
      ? say('ok', phrase`${role ?? ''}, PostgreSQL ${version ?? ''}`, phrase`answers`)
      : say(
          servers.length > 1 && primary !== undefined ? 'warning' : 'error',
          data(problem),
          phrase`answers`,
          phrase`Start it, or take it out of \`store.postgres\`.`,
        );
  });
  const findings = [...each, ...checkRoles(servers)];
  if (primary === undefined) return findings;
  return [
    ...findings,
    checkFormat(primary, wantedFormat),
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
        phrase`Promote a standby: until then no mail is accepted.`,
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

function checkTransaction({ oldestTransaction }: PrimaryFacts): Finding {
  const say = about(CHECK, 'oldest transaction');
  const wanted = phrase`younger than 5 minutes`;
  if (oldestTransaction === null || oldestTransaction < OLD_TRANSACTION) return say('ok', wanted, wanted);
  return say(
    'warning',
    phrase`open for ${Math.floor(oldestTransaction / 60)} min`,
    wanted,
    phrase`End it (pg_stat_activity shows it): dead rows stay as long as it is open, and the queue gets slower.`,
  );
}

function checkConnections({ connections, settings }: PrimaryFacts): Finding {
  const say = about(CHECK, 'connections');
  const most = Number(settings['max_connections'] ?? 0);
  const wanted = phrase`${LEAST_FREE_CONNECTIONS} free`;
  const found = phrase`${connections} of ${most}`;
  if (most - connections >= LEAST_FREE_CONNECTIONS) return say('ok', found, wanted);
  return say('warning', found, wanted, phrase`Raise max_connections: each relay needs five, and a command some more.`);
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

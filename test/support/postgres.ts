/** PostgreSQL servers in temporary folders: a primary, and standbys that it waits for. They listen on loopback and end with the test. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { ServerOptions } from '../../src/store/postgres/database-session.ts';
import { insideOf, onSmallDisk } from './namespace.ts';
import { hasCommand, isRoot } from './peers.ts';

const run = promisify(execFile);
export const BIN = ['18', '17', '16', '15']
  .map((version) => `/usr/lib/postgresql/${version}/bin`)
  .find((path) => existsSync(path));

/** For `describe.skipIf(!requirePeer('postgresql', hasPostgres))`. */
export const hasPostgres = BIN !== undefined && hasCommand('setpriv');

/** The server refuses to run as root. It ends with the process of the tests, however that ends. */
function asServer(program: string, args: readonly string[]): [string, string[]] {
  const user = isRoot ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  return ['setpriv', [...user, '--pdeathsig=QUIT', join(BIN!, program), ...args]];
}

/** An ordinary user, who must give the password. */
export const OWNER = 'smarthost';
export const OWNER_PASSWORD = 'geheim';

/** In memory where there is such a folder. */
const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

type Settings = Readonly<Record<string, string>>;
const QUICK: Settings = {
  ...{ listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '60', shared_buffers: '32MB' },
  ...{ dynamic_shared_memory_type: 'mmap', wal_level: 'replica', max_wal_senders: '8', wal_keep_size: '256MB' },
  ...{ log_min_messages: 'warning', logging_collector: 'off', hot_standby: 'on' },
  autovacuum_naptime: '10min', // of all databases together: with one for each test, seconds would start a process every few milliseconds
};

export class PostgresServer {
  readonly folder: string;
  readonly port: number;
  #process: ChildProcess | undefined;
  /** Keeps the disk of its own. */
  #disk: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  /** @param parent of the folder with its files. */
  static async create(settings: Settings = {}, parent = TEMPORARY): Promise<PostgresServer> {
    const server = new PostgresServer(newFolder(parent), await freePort());
    await unpack(await (freshData ??= makeData()), server.folder);
    server.#configure({ ...QUICK, ...settings });
    const rules = join(server.folder, 'pg_hba.conf');
    const others = readFileSync(rules, 'utf8');
    writeFileSync(rules, `host all ${OWNER} 127.0.0.1/32 scram-sha-256\n${others}`);
    await server.start();
    await server.sql(`CREATE ROLE ${OWNER} LOGIN PASSWORD '${OWNER_PASSWORD}'`);
    return server;
  }

  /** A standby that follows this server, by the name in `synchronous_standby_names`. */
  async standby(name: string): Promise<PostgresServer> {
    const standby = new PostgresServer(newFolder(dirname(this.folder)), await freePort());
    await standby.#copy(this, name);
    return standby;
  }

  /** With the data of the primary of now, as its standby, on the same port as before. The server must have been killed. */
  async rebuild(primary: PostgresServer, name: string): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    makeFolder(this.folder);
    await this.#copy(primary, name);
  }

  /** A standby follows another primary from now on. */
  async follow(primary: PostgresServer, name: string): Promise<void> {
    this.#configure({ primary_conninfo: wayTo(primary, name) });
    await this.sql('SELECT pg_reload_conf()');
  }

  async #copy(primary: PostgresServer, name: string): Promise<void> {
    const from = wayTo(primary, name);
    await run(...asServer('pg_basebackup', ['-D', this.folder, '-d', from, '-X', 'stream', '-c', 'fast']));
    writeFileSync(join(this.folder, 'standby.signal'), '');
    this.#configure({ primary_conninfo: from, wal_receiver_status_interval: '1s' });
    await this.start();
  }

  #configure(settings: Settings): void {
    const lines = Object.entries({ ...settings, port: String(this.port) }).map(([key, value]) => `${key} = '${value}'`);
    const path = join(this.folder, 'postgresql.conf');
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n${lines.join('\n')}\n`);
  }

  /** A file in its folder, which the server may read alone. @returns its path. */
  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    if (isRoot) chownSync(path, ...postgresIds());
    return path;
  }

  async start(): Promise<void> {
    const [command, args] = asServer('postgres', ['-D', this.folder]);
    const [first, ...rest] = [...(this.#disk === undefined ? [] : insideOf(this.#disk.pid!)), command, ...args];
    const process = spawn(first!, rest, { stdio: 'ignore' });
    this.#process = process;
    for (let i = 0; i < 400; i++) {
      if (process.exitCode !== null) throw new Error(`PostgreSQL in ${this.folder} ended with ${process.exitCode}`);
      if (await this.answers()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`PostgreSQL in ${this.folder} did not start`);
  }

  async answers(): Promise<boolean> {
    return this.sql('SELECT 1').then(
      () => true,
      () => false,
    );
  }

  /** One statement, by a connection of its own, as the superuser. */
  async sql(text: string, database = 'postgres', values: unknown[] = []): Promise<Record<string, any>[]> {
    const client = new Client({ host: '127.0.0.1', port: this.port, user: 'postgres', database, connectionTimeoutMillis: 5000 });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Changes settings of the running server. */
  async set(settings: Settings): Promise<void> {
    for (const [key, value] of Object.entries(settings)) await this.sql(`ALTER SYSTEM SET ${key} = '${value}'`);
    await this.sql('SELECT pg_reload_conf()');
    for (const [key, value] of Object.entries(settings))
      while ((await this.sql('SELECT setting FROM pg_settings WHERE name = $1', 'postgres', [key]))[0]?.['setting'] !== value)
        await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Starts it again with its files on a disk of this size, which only it sees. */
  async moveToDisk(size: string): Promise<void> {
    await this.kill();
    const [command, ...args] = [...onSmallDisk(this.folder, size), 'sh', '-c', 'echo ready && exec sleep 600'];
    const disk = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#disk = disk;
    await new Promise((resolve) => disk.stdout!.once('data', resolve));
    await this.start();
  }

  /** Takes the free room of its own disk, or gives it back. */
  async fillDisk(full: boolean): Promise<void> {
    const file = join(this.folder, 'ballast');
    const script = full ? `dd if=/dev/zero of=${file} bs=64K 2>/dev/null; true` : `rm -f ${file}`;
    const [command, ...args] = [...insideOf(this.#disk!.pid!), 'sh', '-c', script];
    await run(command!, args);
  }

  async promote(): Promise<void> {
    await this.sql('SELECT pg_promote(true)');
  }

  /** All its processes end at once, as in a power cut; the disk keeps what was synced. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined || process.exitCode !== null) return;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    for (const pid of [...this.#children(), process.pid!]) signal(pid, 'SIGKILL');
    await ended;
  }

  /** As its operator stops it: connections are ended, and the disk gets what it needs. */
  async stop(): Promise<void> {
    const process = this.#process!;
    this.#process = undefined;
    const ended = new Promise((resolve) => process.once('exit', resolve));
    signal(process.pid!, 'SIGINT');
    await ended;
  }

  async pause(): Promise<void> {
    for (const pid of [this.#process!.pid!, ...this.#children()]) signal(pid, 'SIGSTOP');
  }

  async resume(): Promise<void> {
    for (const pid of [this.#process!.pid!, ...this.#children()]) signal(pid, 'SIGCONT');
  }

  /** The processor time of all its processes, those that have ended too. */
  cpuSeconds(): number {
    const { pid } = this.#process!;
    const ticks = [pid!, ...this.#children()].map((one) => {
      const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ')[1]!.split(' ').map(Number);
      return fields[11]! + fields[12]! + (one === pid ? fields[13]! + fields[14]! : 0);
    });
    return ticks.reduce((sum, one) => sum + one, 0) / 100;
  }

  #children(): number[] {
    const path = `/proc/${this.#process?.pid}/task/${this.#process?.pid}/children`;
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split(' ').filter(Boolean).map(Number) : [];
  }

  async remove(): Promise<void> {
    await this.kill();
    this.#disk?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** For a store in a database of its own. */
  options(database: string, change: Partial<ServerOptions> = {}): ServerOptions {
    const hosts = [{ host: '127.0.0.1', port: this.port }];
    return { hosts, database, user: 'postgres', tls: 'none', durability: 'one', ...change };
  }
}

/** The data folder of a new server, as a tar archive: `initdb` takes seconds. All servers of a file have its system identifier. */
let freshData: Promise<Buffer> | undefined;

async function makeData(): Promise<Buffer> {
  const folder = newFolder(TEMPORARY);
  try {
    await run(...asServer('initdb', ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N']));
    const packed = await run('tar', ['-C', folder, '-c', '.'], { encoding: 'buffer', maxBuffer: 2 ** 28 });
    return packed.stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function unpack(data: Buffer, folder: string): Promise<void> {
  const unpacking = run('tar', ['-C', folder, '-xp']);
  unpacking.child.stdin!.end(data);
  await unpacking;
}

let databases = 0;
/** An empty database of this user. @returns its name. */
export async function newDatabase(server: Pick<PostgresServer, 'sql'>, owner = 'postgres'): Promise<string> {
  const name = `mail${++databases}`;
  await server.sql(`CREATE DATABASE ${name} OWNER ${owner}`);
  return name;
}

const wayTo = ({ port }: PostgresServer, name: string) => `host=127.0.0.1 port=${port} user=postgres application_name=${name}`;

const LONGEST_RUN = 15 * 60_000;

function newFolder(parent: string): string {
  removeForgotten(parent);
  return makeFolder(mkdtempSync(join(parent, `postgres-test-${process.pid}-`)));
}

/** What a killed run left: it would fill the memory. A process may have another number where it runs, so that age decides too. */
function removeForgotten(parent: string): void {
  for (const name of readdirSync(parent)) {
    const owner = /^postgres-test-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    const path = join(parent, name);
    const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - changed > LONGEST_RUN) rmSync(path, { recursive: true, force: true });
  }
}

function makeFolder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o700);
  if (isRoot) chownSync(folder, ...postgresIds());
  return folder;
}

export function postgresIds(): [number, number] {
  const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith('postgres:'))!
    .split(':');
  return [Number(uid), Number(gid)];
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
}

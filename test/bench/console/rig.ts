/** A relay as a process of its own with a console and a long trace, a destination that takes all, and what is measured of it. */
import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { secretHash } from '../../../src/console/access/cookie.ts';
import { hashPassword } from '../../../src/credentials/credentials.ts';
import { DATABASE_FILE } from '../../../src/store/embedded/data-dir.ts';
import { storeFiles } from '../../../src/store/embedded/embedded.ts';
import { openDatabase } from '../../../src/store/sqlite/database.ts';
import type { StoreData } from '../../../src/store/store.ts';
import { addAccount, fieldsOf, ROLES, type Role } from '../../support/console-session.ts';
import { credentialWith } from '../../support/credential.ts';
import { type DnsServer, startDnsServer } from '../../support/dns-server.ts';
import { fillWithEnded } from '../../support/ended-mail.ts';
import { type MxServer, startMxServer } from '../../support/mx-server.ts';
import { freePort, loopbackAddress } from '../../support/program.ts';
import { prepareRelay, type RelayProcess } from '../../support/relay-process.ts';
import { row } from '../rows.ts';

export const PASSWORD = 'correct horse battery staple';
/** Each may send as anyone in sender.test; `user0` and so on. */
const USERS = 400;
const TOKENS = 4;

export type Rig = {
  readonly relay: RelayProcess;
  readonly mx: MxServer;
  /** The id of a message in the middle. */
  readonly middle: string;
  /** Of the console. */
  readonly port: number;
  /** Asks as somebody who has logged in. @returns milliseconds. @throws unless the answer is 200. */
  ask(path: string, role?: Role): Promise<number>;
  /** The start of a request whose answer is left alone. @param by a role that has logged in, or the number of a token that reads mail. */
  open(path: string, by?: Role | number): ReturnType<typeof request>;
  /** Milliseconds of processor, all threads. */
  cpu(): number;
  /** Octets of resident memory: all, and what no file gives. */
  memory(): { readonly all: number; readonly own: number };
  /** Octets of the log of the database. */
  walSize(): number;
  close(): Promise<void>;
};

export type RigOptions = {
  readonly messages: number;
  readonly console?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Besides the messages. Runs in the form of the tables that is in use. */
  readonly fill?: (dataDir: string) => Promise<void>;
  readonly onMessage?: (data: Buffer) => void;
};

export const MIB = 2 ** 20;

/** One line of the table. */
export const note = (what: string, figure: number, unit: string) => row('console', what, figure, unit);

export async function startRig({ messages, console: withConsole = true, env = {}, fill, onMessage }: RigOptions): Promise<Rig> {
  const mx = await startMxServer({
    ...{ hostname: 'mx.dest.test', address: loopbackAddress(), keep: 10 },
    onMessage: ({ data }) => onMessage?.(data),
  });
  const dns = await startDns(mx);
  const port = await freePort('127.0.0.1');
  const relay = await prepareRelay({
    ...{ dns: dns.server, deliveryPort: mx.port, env },
    settings: {
      listen: { console: withConsole ? [`127.0.0.1:${port}`] : [] },
      trace: { keep: '3650d', maxSize: '100GiB' },
      delivery: { warmUp: 'off' },
    },
  });
  const close = async () => {
    await relay.close();
    await Promise.all([mx.close(), dns.close()]);
  };
  try {
    const dataDir = join(relay.folder, 'data');
    const middle = await fillStore(dataDir, messages);
    await fill?.(dataDir);
    await relay.start();
    return {
      ...{ relay, mx, middle, port, close },
      ask: (path, role = 'admin') => ask(port, path, fieldsOf(role, port)),
      open: (path, by = 'admin') => {
        const headers = typeof by === 'number' ? { authorization: `Bearer ${tokenOf(by)}` } : fieldsOf(by, port);
        return request({ ...{ host: '127.0.0.1', port, path, agent: false }, headers });
      },
      cpu: () => cpuOf(relay.pid()),
      memory: () => memoryOf(relay.pid()),
      walSize: () => sizeOf(join(dataDir, `${DATABASE_FILE}-wal`)),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function startDns(mx: MxServer): Promise<DnsServer> {
  const names = Array.from({ length: 100 }, (_, i) => [`t${i}.test`, { MX: ['10 mx.dest.test'] }] as const);
  return startDnsServer({ zone: { ...Object.fromEntries(names), 'mx.dest.test': { A: [mx.address] } } });
}

async function fillStore(dataDir: string, messages: number): Promise<string> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = join(dataDir, DATABASE_FILE);
  const db = openDatabase(file, 1000);
  chmodSync(file, 0o600);
  const middle = fillWithEnded(db, messages, Date.now());
  db.close();
  const store = await storeFiles(dataDir).open();
  const hash = await hashPassword(PASSWORD);
  for (const role of ROLES) await addAccount(store, role, hash);
  for (let i = 0; i < TOKENS; i++) await addToken(store, i);
  for (let i = 0; i < USERS; i++)
    await store.credentials.add(credentialWith({ name: `user${i}@sender.test`, hash, senders: ['@sender.test'], limits: [] }));
  await store.close();
  return middle;
}

const tokenOf = (number: number) => `token-${number}`;

async function addToken({ console: accounts }: Pick<StoreData, 'console'>, number: number): Promise<void> {
  const [name, hash] = [tokenOf(number), secretHash(tokenOf(number))];
  const use = { createdAt: Date.now(), expiresAt: null, lastUsedAt: null, lastUsedIp: null };
  await accounts.addToken({
    id: name,
    name,
    hash,
    account: 'admin',
    scopes: ['messages:read'],
    credential: null,
    networks: [],
    ...use,
  });
}

function ask(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: `/api/v1${path}`, headers, agent: false }, (response) => {
      response.resume().once('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - began);
        else reject(new Error(`${path}: ${response.statusCode}`));
      });
    });
    asked.once('error', reject).end();
  });
}

/** The kernel counts in hundredths of a second. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memoryOf(pid: number) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { all: kib('VmRSS') * 1024, own: kib('RssAnon') * 1024 };
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}

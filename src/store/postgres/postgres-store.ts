/** Opens the store on PostgreSQL: a database that several machines share, behind a thread of this process. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import { continueQueueIds } from '../../smtp/queue-id.ts';
import { HOUR, MINUTE, SECOND } from '../../system/clock.ts';
import { type OpenOptions, StoreError } from '../opening.ts';
import { StoreClient } from '../sqlite/client.ts';
import { JoinedClient } from '../sqlite/joined-client.ts';
import { dataOf } from '../sqlite/sqlite-store.ts';
import type { JoinedStore, OpenedStore, OtherRelay } from '../store.ts';
import { ChunkSpool } from './chunks.ts';
import type { ServerOptions } from './database-session.ts';
import { restoredStore } from './forgotten-mail.ts';
import { ownRequest } from './postgres-context.ts';
import type { PostgresWorkerOptions } from './postgres-worker.ts';
import { slotStore } from './slots.ts';

/** As the configuration has it. What is absent has its default here. */
export type PostgresSettings = {
  /** `host`, `host:port` or `[address]:port`. */
  readonly postgres: readonly string[];
  readonly database?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly tls?: ServerOptions['tls'];
  readonly ca?: string;
  readonly durability?: ServerOptions['durability'];
  readonly node?: string;
  /** Bytes. */
  readonly maxSize?: number;
};

/** Clocks that differ by more are not the fault of the way to the database. */
const MOST_SKEW = 2 * SECOND;
/** Dead rows stay as long as it is open, so that each look for due mail gets slower. */
const OLD_TRANSACTION = 5 * MINUTE;
const NAME = 'smarthost';
const PORT = 5432;

/** Reads the files that the settings name. @throws StoreError */
export function serverOf(settings: PostgresSettings): ServerOptions {
  const { postgres, database = NAME, user = NAME, passwordFile, tls = 'verify', ca, durability = 'two' } = settings;
  return {
    ...{ hosts: postgres.map(placeOf), database, user, tls, durability },
    ...(passwordFile === undefined ? {} : { passwordFile, password: textOf(passwordFile, 'passwordFile').trim() }),
    ...(ca === undefined ? {} : { caFile: ca, ca: textOf(ca, 'ca') }),
  };
}

function placeOf(text: string): { host: string; port: number } {
  const [, six, name, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text) ?? [];
  return { host: six ?? name ?? text, port: port === undefined ? PORT : Number(port) };
}

function textOf(file: string, name: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new StoreError(`store.${name}: ${file} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}

type PostgresOptions = OpenOptions & {
  readonly server: ServerOptions;
  /** The name of this relay among those that share the database. Default: that of the machine. */
  readonly node?: string | undefined;
  /** Bytes of the database above which no mail is accepted. Default: no limit. */
  readonly maxSize?: number | undefined;
  /** A file of this relay: what it knows of the database's past. */
  readonly pastFile?: string | undefined;
};

/** @throws StoreError with one sentence for the operator, without the password. */
export async function openPostgres(options: PostgresOptions): Promise<OpenedStore> {
  const { server, node = hostname(), maxSize = Number.POSITIVE_INFINITY, pastFile, ...told } = options;
  const skew = tellSeldom(told.onSkew, MOST_SKEW / SECOND);
  const age = tellSeldom(told.onOldTransaction, OLD_TRANSACTION / SECOND);
  const listeners: (() => void)[] = [];
  const client = new StoreClient({
    ...told,
    thread: new URL('./postgres-worker.ts', import.meta.url),
    worker: { server, name: node, maxSize, pastFile } satisfies PostgresWorkerOptions,
    onClock: () => skew((Date.now() - client.now()) / SECOND),
    onMeasure: ({ oldestTransaction }) => age(oldestTransaction),
    onRestored: () => {
      for (const listener of listeners) listener();
    },
    unlink: () => {},
  });
  await client.start();
  try {
    continueQueueIds(await client.call('queueIds', undefined));
  } catch (cause) {
    await client.close();
    throw new StoreError((cause as Error).message, { cause });
  }
  const data = dataOf(client, new ChunkSpool(client));
  return {
    ...data,
    forPeople: data, // its reads have a connection of their own
    now: client.now,
    onChange: (listener) => client.onChange(listener),
    ping: async () => void (await client.call('ping', Date.now())),
    condition: () => client.condition(),
    announce: (digest) => client.announce(digest),
    relays: () => client.relays(),
    relaysNow: ownRequest<void, readonly OtherRelay[]>(client, 'othersNow'),
    database: () => client.database(),
    slots: slotStore(client),
    restored: restoredStore(client, (listener) => void listeners.push(listener)),
    share: (give) => client.share(give),
    close: () => client.close(),
  };
}

/** Tells a number of seconds above `most` when it begins, and each hour. */
function tellSeldom(tell: ((seconds: number) => void) | undefined, most: number): (seconds: number) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return (seconds) => {
    if (Math.abs(seconds) <= most) toldAt = Number.NEGATIVE_INFINITY;
    else if (performance.now() - toldAt >= HOUR) {
      toldAt = performance.now();
      tell?.(Math.round(seconds));
    }
  };
}

/** @param port of `share`, in another thread of the process that has the store open. */
export function joinPostgres(port: MessagePort): JoinedStore {
  const client = new JoinedClient(port);
  return {
    ...dataOf(client, new ChunkSpool(client)),
    now: client.now,
    onChange: (listener) => client.onChange(listener),
    renew: (next) => client.renew(next),
    close: () => client.close(),
  };
}

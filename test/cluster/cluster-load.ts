/** A cluster of three PostgreSQL servers and two relays under load, whose parts are killed one after the other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresServer } from '../support/postgres.ts';
import { type SharingRelays, startSharingRelays } from '../support/postgres-relays.ts';
import { until } from '../support/program.ts';
import { openClient } from '../support/relay.ts';

const NAMES = ['a', 'b', 'c'];
export type Part = 'relay' | 'primary' | 'standby';
export type Kill = { readonly part: Part; readonly at: number };

/** mulberry32: small, even enough, and the same everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type ClusterOptions = {
  readonly random: () => number;
  /** A relay that was killed counts as dead after 30 s. False: at once. */
  readonly inRealTime: boolean;
};
type Server = { readonly name: string; readonly server: PostgresServer };

export class Cluster {
  readonly kills: Kill[] = [];
  readonly #random: () => number;
  readonly #inRealTime: boolean;
  #primary: Server;
  #standbys: Server[];
  #sharing: SharingRelays | undefined;

  private constructor(primary: Server, standbys: Server[], { random, inRealTime }: ClusterOptions) {
    this.#inRealTime = inRealTime;
    this.#primary = primary;
    this.#standbys = standbys;
    this.#random = random;
  }

  /** Ends with the test, by `close`. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const primary = { name: NAMES[0]!, server: await PostgresServer.create() };
    const standbys: Server[] = [];
    const cluster = new Cluster(primary, standbys, options);
    try {
      const setting = { synchronous_standby_names: `ANY 1 (${NAMES.join(', ')})` };
      for (const name of NAMES.slice(1)) standbys.push({ name, server: await primary.server.standby(name) });
      for (const { server } of [primary, ...standbys]) await server.set(setting);
      await cluster.#whole();
      const servers = [primary, ...standbys].map(({ server }) => server);
      cluster.#sharing = await startSharingRelays(primary.server, { servers, store: { durability: 'two' } });
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  get sharing(): SharingRelays {
    return this.#sharing!;
  }

  /** Both standbys follow, so that any one server may go. */
  #whole(): Promise<unknown> {
    const sql = `SELECT count(*)::int AS n FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'`;
    return until('both standbys follow', async () => (await this.#primary.server.sql(sql))[0]!['n'] === 2, { deadline: 60_000 });
  }

  /** Kills one part by SIGKILL, and brings it back. Resolves when the cluster is whole again. */
  async kill(part: Part): Promise<void> {
    this.kills.push({ part, at: Date.now() });
    if (part === 'relay') {
      const relay = this.sharing.relays[Math.floor(this.#random() * this.sharing.relays.length)]!;
      const died = relay.pid();
      await relay.stop('SIGKILL');
      if (!this.#inRealTime) await this.#age(died);
      await relay.start();
    } else if (part === 'standby') {
      const { server } = this.#standbys[Math.floor(this.#random() * this.#standbys.length)]!;
      await server.kill();
      await sleep(this.#random() * 500);
      await server.start();
    } else await this.#failOver();
    await this.#whole();
  }

  /** As if this process had been silent for a minute: the next relay that starts takes what it held. */
  #age(pid: number): Promise<unknown> {
    const sql = `UPDATE smarthost.owners SET beat_at = beat_at - 60000 WHERE beat_at > 0 AND name LIKE '%/${pid}/%'`;
    return this.#primary.server.sql(sql, this.sharing.database);
  }

  /** What an agent such as Patroni does: the standby with most of the log becomes the primary, the other one follows it. */
  async #failOver(): Promise<void> {
    const old = this.#primary;
    await old.server.kill();
    const received = await Promise.all(
      this.#standbys.map(async (standby) => {
        const [row] = await standby.server.sql(`SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::float8 AS at`);
        return { standby, at: row!['at'] as number };
      }),
    );
    const [best, other] = received.sort((x, y) => y.at - x.at).map(({ standby }) => standby);
    await best!.server.promote();
    this.#primary = best!;
    await other!.server.follow(best!.server, other!.name);
    await old.server.rebuild(best!.server, old.name);
    this.#standbys = [other!, old];
  }

  async close(): Promise<void> {
    for (const { server } of [...this.#standbys, this.#primary]) await server.remove();
  }
}

export type Load = {
  /** Tokens of the messages that were answered 250. */
  readonly accepted: ReadonlySet<string>;
  /** Replies 4yz and 5yz. */
  readonly refused: readonly string[];
  /** No client sends any more, and each has its reply. */
  stop(): Promise<void>;
};

type Clients = {
  readonly clients: number;
  /** Milliseconds between two messages of one client. */
  readonly pause: number;
  /** Where they connect, in turn. Default: to the relays. */
  readonly ports?: readonly number[];
};

let sent = 0;
/** Each client sends one message after the other. A message without a reply is not sent again. */
export function startLoad(
  { relays }: SharingRelays,
  { clients, pause, ports = relays.map((relay) => relay.ports.submissions) }: Clients,
): Load {
  const accepted = new Set<string>();
  const refused: string[] = [];
  let running = true;

  async function run(first: number): Promise<void> {
    for (let i = first; running; i++) {
      const client = await openClient(ports[i % ports.length]!, { tls: true });
      for (let reply = await client.login(); running && /^2/.test(reply); await sleep(pause)) {
        const token = `cluster-${++sent}`;
        reply = await client.message({ text: `From: app@sender.test\r\nSubject: ${token}\r\n\r\nGood morning\r\n` });
        if (reply.startsWith('250 ')) accepted.add(token);
        else if (/^[45]/.test(reply)) refused.push(reply);
      }
      client.close();
      await sleep(100);
    }
  }

  const ended = Promise.all(Array.from({ length: clients }, (_, i) => run(i)));
  return {
    accepted,
    refused,
    async stop() {
      running = false;
      await ended;
    },
  };
}

/** When each message arrived, by its token. */
export function arrivalsOf({ mx }: SharingRelays): ReadonlyMap<string, readonly number[]> {
  const seen = new Map<string, number[]>();
  for (const { data, receivedAt } of mx.messages) {
    const token = /^Subject: (\S+)/m.exec(data.toString('latin1', 0, 4096))?.[1] ?? '';
    seen.set(token, [...(seen.get(token) ?? []), receivedAt]);
  }
  return seen;
}

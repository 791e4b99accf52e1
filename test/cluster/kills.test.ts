/** Two relays, a primary and two synchronous standbys under load, and `kill -9` of one of them again and again: nothing is lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres } from '../support/postgres.ts';
import { until } from '../support/program.ts';
import { arrivalsOf, Cluster, type Load, type Part, randomFrom, startLoad } from './cluster-load.ts';

const WHOLE = process.env['CLUSTER'] === '1';
const ROUNDS = Number(process.env['CLUSTER_ROUNDS'] ?? (WHOLE ? 50 : 6));
const STANDBY_ROUNDS = WHOLE ? 10 : 2;
/** Set it to see a run again: moments depend on the machine, the plan does not. */
const SEED = Number(process.env['CLUSTER_SEED'] ?? Date.now() % 1_000_000);
/** Clients, and milliseconds between two messages of one: some 200 messages a second where the machine can. */
const LOAD = { clients: 10, pause: WHOLE ? 50 : 100 };
/** A relay counts as dead after 30 s; then others look for its mail, and their sessions must begin. */
const TAKEN_OVER = 75_000;
const LIMIT = (ROUNDS + STANDBY_ROUNDS) * 30_000 + 300_000;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('a cluster whose parts are killed', () => {
  test(
    `each message that was answered 250 arrives, through ${STANDBY_ROUNDS} kills of a standby, which make no duplicates, and ${ROUNDS} kills of any part`,
    async () => {
      console.info(`CLUSTER_SEED=${SEED}`);
      const random = randomFrom(SEED);
      const cluster = await Cluster.start({ random, inRealTime: WHOLE });
      onTestFinished(() => cluster.close());
      const { sharing, kills } = cluster;

      const calm = startLoad(sharing, LOAD);
      onTestFinished(() => calm.stop());
      await until('load', () => calm.accepted.size > 50);
      for (let i = 0; i < STANDBY_ROUNDS; i++) {
        await cluster.kill('standby');
        await sleep(random() * 1000);
      }
      await drained(calm);
      expect([...arrivalsOf(sharing)].filter(([, times]) => times.length > 1)).toEqual([]);

      const load = startLoad(sharing, LOAD);
      onTestFinished(() => load.stop());
      const parts: readonly Part[] = ['relay', 'primary', 'standby'];
      const plan = Array.from({ length: ROUNDS }, (_, i) => (i < parts.length ? parts[i]! : parts[Math.floor(random() * 3)]!));
      for (const part of plan) {
        await sleep(500 + random() * 1500);
        await cluster.kill(part);
      }
      await drained(load);

      const seen = arrivalsOf(sharing);
      const twice = [...seen].filter(([, times]) => times.length > 1);
      const explained = (at: number) =>
        kills.some((kill) => kill.part !== 'standby' && kill.at < at && at - kill.at < TAKEN_OVER);
      const counted = parts.map((part) => `${kills.filter((kill) => kill.part === part).length} × ${part}`).join(', ');
      const accepted = calm.accepted.size + load.accepted.size;
      console.info(
        `killed: ${counted}; ${accepted} messages answered 250, ${load.refused.length} with 4yz; ${twice.length} arrived twice`,
      );
      for (const [token, times] of twice)
        for (const at of times.slice(1)) expect(explained(at), `${token} at ${times}`).toBe(true);
      for (const reply of [...calm.refused, ...load.refused]) expect(reply).toMatch(/^45[14] 4\./);

      async function drained(one: Load): Promise<void> {
        await one.stop();
        const missing = () => {
          const seen = arrivalsOf(sharing);
          return [...one.accepted].filter((token) => !seen.has(token));
        };
        await until('every message at the destination', () => missing().length === 0, {
          deadline: 180_000,
          context: () => `missing: ${missing().join(' ')}`,
        });
      }
    },
    LIMIT,
  );
});

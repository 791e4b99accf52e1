/** What several relays on one database do together, each a process of its own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, PostgresServer } from '../support/postgres.ts';
import { startSharingRelays } from '../support/postgres-relays.ts';

const messageOf = (token: string) => `From: app@sender.test\r\nSubject: ${token}\r\n\r\nGood morning\r\n`;
const idOf = (reply: string) => /queued as (\w+)/.exec(reply)![1]!;
/** After so long without a sign of life a relay is dead. */
const DEAD = 30_000;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('relays that share a database', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  test('greylisted mail is tried again from the same address, and from another one when that relay has died', async () => {
    const tries: { address: string; remote: string }[] = [];
    const settings = { queue: { retry: ['3s', '3s', '1m'] } };
    const { relays, sources, send } = await startSharingRelays(server, {
      settings,
      script: {
        RCPT({ address, remote }) {
          const before = tries.filter((one) => one.address === address);
          tries.push({ address, remote });
          // Greylisting: an address that comes again is welcome. `later` is for those that wait until its relay has died.
          const isKnown = before.some((one) => one.remote === remote);
          return isKnown && !address.startsWith('later')
            ? undefined
            : before.some((one) => one.remote !== remote)
              ? undefined
              : '451 4.7.1 Greylisted';
        },
      },
    });
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push(idOf(await send(relays[i % 2]!, messageOf(`one ${i}`), [`a${i}@dest.test`])));
    for (const [i, queueId] of ids.entries()) await relays[i % 2]!.event('relayed', (event) => event['queueId'] === queueId);
    for (let i = 0; i < 6; i++)
      expect(tries.filter(({ address }) => address === `a${i}@dest.test`).map(({ remote }) => remote)).toEqual(
        Array(2).fill(sources[i % 2]),
      );

    const late = idOf(await send(relays[0]!, messageOf('two'), ['later@dest.test']));
    await relays[0]!.event('delayed', (event) => event['queueId'] === late);
    const killedAt = performance.now();
    await relays[0]!.stop('SIGKILL');
    await relays[1]!.event('relayed', (event) => event['queueId'] === late, 60_000);
    expect(performance.now() - killedAt).toBeGreaterThan(DEAD / 2);
    const froms = tries.filter(({ address }) => address === 'later@dest.test').map(({ remote }) => remote);
    expect(froms.at(-1)).toBe(sources[1]);
    expect(froms.slice(0, -1)).toEqual(froms.slice(0, -1).map(() => sources[0]));
  });
});

/** What several relays on one database do together, each a process of its own. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openPostgres } from '../../src/store/postgres/postgres-store.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostgres, newDatabase, PostgresServer } from '../support/postgres.ts';
import { startSharingRelays } from '../support/postgres-relays.ts';
import { until } from '../support/program.ts';
import { sized } from '../support/size.ts';
import { delay, newMessage, put } from '../support/store-rig.ts';

const messageOf = (token: string) => `From: app@sender.test\r\nSubject: ${token}\r\n\r\nGood morning\r\n`;
function idOf(reply: string): string {
  const id = /queued as (\w+)/.exec(reply)?.[1];
  if (id === undefined) throw new Error(`Not accepted: ${reply}`);
  return id;
}
const ROUNDS = sized(3, 1);
/** A retry that a look at the database has missed is found by the next one, up to 30 s later. */
const FOUND_IN = 90_000;

describe.skipIf(!requirePeer('postgresql', hasPostgres))('relays that share a database', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.create();
  });
  afterAll(() => server?.remove());

  test('a retry is left to a relay that has joined since the last look at the others', async () => {
    const database = await newDatabase(server);
    const join = async (node: string) => {
      const store = await openPostgres({ server: server.options(database), node });
      onTestFinished(() => store.close());
      store.announce(`all:${node}`);
      const told = 'SELECT 1 FROM smarthost.nodes WHERE name = $1 AND config_digest IS NOT NULL';
      await until(`${node} is there`, async () => (await server.sql(told, database, [node])).length > 0);
      return store;
    };
    const [first, second] = [await join('first'), await join('second')]; // the first looks again in five seconds
    const { id } = await put(second, newMessage({ to: ['anna@dest.test'] }), { claim: [0] });
    const now = second.now();
    await delay(second, id, now);
    const claimed = (by: typeof first) => by.messages.claim({ destination: 'dest.test', now, limit: 1, lease: 'any#1' });
    expect(await claimed(first)).toEqual([]);
    expect((await claimed(second)).map(({ message }) => message.id)).toEqual([id]);
  });

  test('greylisted mail is tried again from the same address, and from another one when that relay has died', {
    timeout: 240_000,
  }, async () => {
    const tries: { address: string; remote: string }[] = [];
    const settings = { queue: { retry: ['3s', '3s', '1m'] } };
    const { relays, sources, send, database } = await startSharingRelays(server, {
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
    const relayed = () => relays.flatMap((relay) => relay.events('relayed').map((event) => event['queueId']));
    await until('one of them has relayed each', () => ids.every((id) => relayed().includes(id)), { deadline: FOUND_IN });
    for (let i = 0; i < 6; i++)
      expect(tries.filter(({ address }) => address === `a${i}@dest.test`).map(({ remote }) => remote)).toEqual(
        Array(2).fill(sources[i % 2]),
      );

    const late = idOf(await send(relays[0]!, messageOf('two'), ['later@dest.test']));
    await relays[0]!.event('delayed', (event) => event['queueId'] === late);
    await relays[0]!.stop('SIGKILL');
    const froms = () => tries.filter(({ address }) => address === 'later@dest.test').map(({ remote }) => remote);
    const isDue = `SELECT 1 FROM smarthost.recipients WHERE message = '${late}' AND next_attempt < smarthost.time_ms()`;
    await until('it is due', async () => (await server.sql(isDue, database)).length > 0);
    const before = froms();
    expect(before).toEqual(before.map(() => sources[0]));
    // As if the relay had been silent for a minute.
    await server.sql(`UPDATE smarthost.nodes SET seen_at = seen_at - interval '1 min' WHERE name = 'relay0'`, database);
    await relays[1]!.event('relayed', (event) => event['queueId'] === late, FOUND_IN);
    expect(froms()).toEqual([...before, sources[1]]);
  });

  test('a relay that stood still in the middle of attempts changes nothing that another has done meanwhile, but mail that it relayed has ended', {
    timeout: 300_000,
  }, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const kinds = ['relayed twice', 'delayed there, relayed here', 'relayed there, delayed here'] as const;
      const held = new Map<string, () => void>();
      const { relays, sources, send, database } = await startSharingRelays(server, {
        settings: { queue: { retry: ['1h'] } },
        script: {
          async message({ message }) {
            const kind = kinds[Number(message!.recipients[0]!.address[0])]!;
            if (message!.remoteAddress === sources[1]) return kind === kinds[1] ? '451 4.2.0 Not now' : undefined;
            await new Promise<void>((resolve) => held.set(kind, resolve));
            return kind === kinds[2] ? '451 4.2.0 Not now' : undefined;
          },
        },
      });
      const ids: string[] = [];
      for (const i of kinds.keys()) ids.push(idOf(await send(relays[0]!, messageOf(kinds[i]!), [`${i}@${i}.dest.test`])));
      await until('all have sent their final dot', () => held.size === kinds.length);
      process.kill(relays[0]!.pid(), 'SIGSTOP');
      // As if it had stood still for a minute. The other one looks for the dead at its start, and then every 30 s.
      await relays[1]!.stop();
      await server.sql('UPDATE smarthost.owners SET beat_at = beat_at - 60000 WHERE beat_at > 0', database);
      await relays[1]!.start();
      const states = async () => {
        const rows = await server.sql(
          'SELECT r.message, r.state, r.attempts, (SELECT count(*) FROM smarthost.attempts a WHERE a.message = r.message)::int AS traced FROM smarthost.recipients r',
          database,
        );
        return ids.map((id) => rows.find(({ message }) => message === id)!).map(({ state, traced }) => [state, traced]);
      };
      const [delayed, relayed] = [1, 5];
      await until('the other relay has done their work', async () => (await states()).every(([, traced]) => traced === 1), {
        deadline: 90_000,
      });
      expect(await states()).toEqual([
        [relayed, 1],
        [delayed, 1],
        [relayed, 1],
      ]);
      for (const answer of held.values()) answer();
      process.kill(relays[0]!.pid(), 'SIGCONT');
      await until('its late outcomes are traced', async () => (await states()).every(([, traced]) => traced === 2));
      expect(await states()).toEqual([
        [relayed, 2],
        [relayed, 2],
        [relayed, 2],
      ]);
      const [open] = await server.sql('SELECT count(*)::int AS n FROM smarthost.open', database);
      expect(open).toEqual({ n: 0 });
      for (const relay of relays) await relay.stop();
    }
  });
});

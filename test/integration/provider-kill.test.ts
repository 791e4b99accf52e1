/** A relay that is killed while a provider refuses its address stays away from it, and its operator hears of it once. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDnsServer } from '../support/dns-server.ts';
import { type MxServer, startMxServer } from '../support/mx-server.ts';
import { loopbackAddress, temporaryFolder, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { sized } from '../support/size.ts';
import { submit } from '../support/smtp-send.ts';

/** Each has a provider of its own, and two kills. */
const ROUNDS = sized(15, 3, 4);
/** Set it to see a run again: moments depend on the machine, the plan does not. */
const SEED = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
const OPERATOR = 'ops@dest.test';
const PASSWORD = 'green meadow 27/+=';
const LATEST_KILL = 150;

let [relay, mx]: [RelayProcess, MxServer] = [undefined!, undefined!];
const closers: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

beforeAll(async () => {
  const folder = temporaryFolder('provider-kill');
  closers.push(() => folder.remove());
  mx = await startMxServer({
    ...{ hostname: 'mx.dest.test', address: loopbackAddress() },
    script: {
      MAIL: ({ address }) =>
        address === '' ? undefined : '550 5.7.1 Our list blocks your IP address [127.0.0.1], see example.org',
    },
  });
  closers.push(() => mx.close());
  const names = Array.from({ length: ROUNDS }, (_, i) => `p${i}`);
  const zone = Object.fromEntries(
    [...names, 'dest'].flatMap((name) => [
      [`${name}.test`, { MX: [`10 mx.${name}.test`] }],
      [`mx.${name}.test`, { A: [mx.address] }],
    ]),
  );
  const dns = await startDnsServer({ zone });
  closers.push(() => dns.close());
  const providers = join(folder.path, 'providers.local.tsv');
  writeFileSync(providers, names.map((name) => `${name}\tmx.${name}.test\n`).join(''));
  relay = await prepareRelay({
    ...{ dns: dns.server, deliveryPort: mx.port },
    settings: {
      operator: OPERATOR,
      delivery: { port: mx.port, allowPrivate: ['127.0.0.0/8'], providers },
    },
  });
  closers.push(() => relay.close());
  await relay.addUser('app@sender.test', PASSWORD, '--sender', '@sender.test');
  await relay.start();
}, 120_000);

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @returns whether the relay has accepted it. */
function send(name: string): Promise<boolean> {
  const from = `${name}@sender.test`;
  const message = Buffer.from(`From: <${from}>\r\nTo: <u@${name}.test>\r\nSubject: ${name}\r\n\r\nHello\r\n`);
  const { address, ports } = relay;
  return submit({
    ...{ address, port: ports.submissions, user: 'app@sender.test', password: PASSWORD, from, to: [`u@${name}.test`], message },
  }).then(
    () => true,
    () => false,
  );
}

async function killAfter(ms: number): Promise<void> {
  await sleep(ms);
  expect(await relay.stop('SIGKILL')).toBe('SIGKILL');
  await relay.start();
}

const tries = (name: string) => mx.commands.filter((line) => line.includes(`MAIL FROM:<${name}@sender.test>`)).length;
/** A notice whose settlement a kill prevented comes again, as any message does. It has the same Message-ID. */
const different = (texts: readonly string[]) => new Set(texts.map((text) => /^Message-ID: (.*)$/im.exec(text)?.[1])).size;
const arrived = () => mx.messages.map(({ data }) => data.toString());
const notices = (name: string) =>
  different(arrived().filter((text) => new RegExp(`^Subject: \\S+ ${name} refuses mail`, 'm').test(text)));
type Shown = { readonly addresses: readonly { readonly state: string }[]; readonly held: number };
const shown = async (name: string) => JSON.parse(await relay.command(['provider', 'show', name, '--json'])) as Shown;

test(`a block survives ${2 * ROUNDS} kills: nobody connects before the probe, nothing is returned, and the operator hears once`, {
  timeout: 60_000 + ROUNDS * 30_000,
}, async () => {
  console.info(`KILL_SEED=${SEED}`);
  const random = randomFrom(SEED);
  for (let round = 0; round < ROUNDS; round++) {
    const name = `p${round}`;
    expect(await send(name)).toBe(true);
    await killAfter(Math.floor(random() * LATEST_KILL));
    const isHeld = async () => (await shown(name)).held === 1;
    await until(`${name} held`, isHeld, { deadline: 30_000, context: () => relay.output().slice(-3000) });
    const before = tries(name);
    expect(before).toBeLessThanOrEqual(2); // the first reply may not have been stored

    const more = Array.from({ length: 5 }, () => send(name));
    await killAfter(Math.floor(random() * LATEST_KILL));
    const accepted = 1 + (await Promise.all(more)).filter(Boolean).length + Number(await send(name));
    const allHeld = async () => (await shown(name)).held >= accepted;
    await until(`${accepted} held for ${name}`, allHeld, { deadline: 30_000, context: () => relay.output().slice(-3000) });
    expect((await shown(name)).addresses).toMatchObject([{ state: 'blocked' }]);
    expect(tries(name)).toBe(before);
    const told = () => notices(name) > 0;
    await until(`a notice about ${name}`, told, { deadline: 30_000, context: () => relay.output().slice(-3000) });
  }
  const all = Array.from({ length: ROUNDS }, (_, i) => `p${i}`);
  expect(all.map(notices)).toEqual(all.map(() => 1));
  expect(all.map(tries).every((count) => count <= 2)).toBe(true);
  const told = mx.messages.flatMap(({ recipients }) => recipients.map(({ address }) => address));
  expect(new Set(told)).toEqual(new Set([OPERATOR])); // nothing but notices: no report to a sender
});

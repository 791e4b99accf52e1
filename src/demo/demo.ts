/**
 * The demo: a relay with the embedded store and its own certificate, a small DNS and a destination. It submits real messages,
 * shows what happened to each, and keeps running so that the reader can send more. Nothing leaves this machine.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../store/store.ts';
import { DAY, SECOND } from '../system/clock.ts';
import { indent, showBlock } from './block.ts';
import { type DemoLogin, MESSAGES, submit } from './letters.ts';
import { type RelayProcess, type Site, smarthost, startRelayProcess } from './relay-process.ts';
import { judgeSignatures } from './verification.ts';
import { POLICY, startWorld, type World } from './world.ts';

const USER = 'app@customer.test';
const DOMAIN = 'customer.test';
const OPERATOR = 'operator@alpha.test';
const say = (text = '') => console.log(text);

type Wish = {
  /** Ends after the first part, for readers who only want to see that it works. */
  readonly once: boolean;
  /** Shows a provider that refuses the relay's address instead, and ends. */
  readonly block: boolean;
};

async function demo({ once, block }: Wish): Promise<void> {
  const began = performance.now();
  const took = () => `That took ${((performance.now() - began) / 1000).toFixed(1)} s.`;
  const interruption = interrupted(); // before anything is started that must be stopped
  const folder = await mkdtemp(join(tmpdir(), 'smarthost-demo-'));
  const world = await startWorld();
  let relay: RelayProcess | undefined;
  try {
    say('smarthost demo: a relay, a DNS and a destination, all on this machine. Nothing leaves it.\n');
    const config = join(folder, 'smarthost.yaml');
    await writeFile(join(folder, 'authority.pem'), world.authority);
    await writeFile(config, await configuration(world, folder));
    await keepPolicy(join(folder, 'data'));
    const clock = join(folder, 'clock');
    await writeFile(clock, '0');
    const site: Site = { config, ...(block && { clock }) };
    const { password } = JSON.parse(await smarthost(site, 'user', 'add', USER, '--sender', `@${DOMAIN}`, '--json')) as {
      password: string;
    };
    await smarthost(site, 'domain', 'add', DOMAIN);
    relay = await startRelayProcess(site);
    for (const domain of [DOMAIN, 'relay.test'])
      world.publish(JSON.parse(await smarthost(site, 'domain', 'records', domain, '--json')));
    const login = { user: USER, password, ports: relay.ports };
    if (block) {
      await Promise.race([showBlock({ say, world, site: { config, clock }, login }), interruption]);
      return interruption.happened() ? undefined : say(took());
    }
    for (const [index, letter] of MESSAGES.entries()) {
      await Promise.race([show({ number: index + 1, letter, login, world, site }), interruption]);
      if (interruption.happened()) return;
    }
    say(
      `${took()} ${once ? 'Without --once the relay keeps running, and can be tried like this' : 'The relay keeps running; try it'}:\n`,
    );
    invite(login);
    if (once) return;
    say(`The same in a browser, until the demo ends:\n\n   ${(await smarthost(site, 'console', 'setup')).trim()}\n`);
    say('Every address below .test has a mailbox, except nobody@. Ctrl-C ends the demo.\n');
    watch(relay, world);
    await Promise.race([interruption, relay.ended]);
  } finally {
    await relay?.stop();
    await world.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function configuration(world: World, folder: string): Promise<string> {
  return `# Configuration of the demo: high ports on loopback, and destinations on loopback too
hostname: relay.test
operator: ${OPERATOR}
dataDir: ${join(folder, 'data')}
listen: { submissions: ['127.0.0.1:${await portLike(10465)}'], submission: ['127.0.0.1:${await portLike(10587)}'], admin: [], console: ['127.0.0.1:${await portLike(18026)}'] }
tls: { mode: self-signed }
delivery: { port: ${world.mxPort}, allowPrivate: [127.0.0.0/8], ip: v4-only, ca: authority.pem }
dns: { servers: ['${world.dns}'] }
queue: { minFree: 16MiB }
`;
}

async function keepPolicy(dataDir: string): Promise<void> {
  const store = await openStore({ store: 'sqlite', dataDir });
  const now = Date.now();
  const fetched = { fetchedAt: now, expiresAt: now + POLICY.maxAge * SECOND, usedAt: now, refreshAt: now + DAY };
  const healthy = { failures: 0, failedAt: null, lastError: null, retryAt: null, retryId: null };
  await store.tlsPolicies.putStsPolicy({ ...POLICY, ...fetched, ...healthy }, 'relay');
  await store.close();
}

/** @returns the wished port, or any free one if another program uses it. */
function portLike(wished: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', () => (wished === 0 ? reject(new Error('no free port')) : resolve(portLike(0))));
    server.listen(wished, '127.0.0.1', () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound !== null ? bound.port : wished));
    });
  });
}

type Exhibit = {
  readonly number: number;
  readonly letter: (typeof MESSAGES)[number];
  readonly login: DemoLogin;
  readonly world: World;
  readonly site: Site;
};

async function show({ number, letter, login, world, site }: Exhibit): Promise<void> {
  const began = performance.timeOrigin + performance.now();
  const reply = await submit(letter, login);
  const id = / queued as (\S+)/.exec(reply)?.[1] ?? '';
  say(`${number}  ${letter.title}`);
  say(`   the client heard   ${reply}`);
  const { data, receivedAt, recipients, tls } = await world.message((message) => message.data.includes(letter.proof(id)));
  for (const host of await hostsOf(site, id)) say(`   it went to         ${host}`);
  say(`   what arrived       for ${recipients.join(', ')} with ${tls ?? 'no TLS'}`);
  for (const judged of await judgeSignatures(data, world)) say(`   a verifier found   ${judged}`);
  say(`   it took            ${Math.max(0, receivedAt - began).toFixed(0)} ms from submission to delivery`);
  say(`   smarthost trace ${id}`);
  say(indent(await smarthost(site, 'trace', id)));
}

type Traced = {
  readonly recipients: readonly {
    readonly attempts: readonly {
      readonly mx: string;
      readonly ip: string;
      readonly tls: string | null;
      readonly assurance?: string;
    }[];
  }[];
};

/** @returns the hosts of the attempts. Waits for the record that the relay is about to write. */
async function hostsOf(site: Site, id: string): Promise<readonly string[]> {
  for (let tries = 0; tries < 20; tries++) {
    const [{ recipients } = { recipients: [] }] = JSON.parse(await smarthost(site, 'trace', id, '--json')) as Traced[];
    const attempts = recipients.flatMap((recipient) => recipient.attempts);
    if (attempts.length > 0)
      return [
        ...new Set(
          attempts.map((one) => `${one.mx} [${one.ip}] with ${one.tls ?? 'no TLS'}${PROOFS[one.assurance ?? ''] ?? ''}`),
        ),
      ];
  }
  return [];
}

const PROOFS: Readonly<Record<string, string>> = {
  dane: ', verified by its TLSA record (DANE)',
  sts: ', verified as its policy demands (MTA-STS)',
};

function invite({ user, password, ports }: DemoLogin): void {
  say(`   user      ${user}\n   password  ${password}`);
  say(
    `   ports     127.0.0.1:${ports.submissions} (implicit TLS), 127.0.0.1:${ports.submission} (STARTTLS); the certificate is self-signed`,
  );
  say(`\n   swaks --server 127.0.0.1:${ports.submission} --tls --auth PLAIN --auth-user ${user} --auth-password ${password} \\`);
  say(`     --from ${user} --to you@alpha.test\n`);
}

/** Shows the messages that the reader sends. */
function watch(relay: RelayProcess, world: World): void {
  relay.onLog((line) => {
    if (line.event === 'accepted')
      say(`   accepted   ${line['queueId']} from ${line['reversePath'] || '<>'}, ${line['size']} bytes`);
    if (line.event === 'relayed' || line.event === 'failed' || line.event === 'delayed')
      say(
        `   ${line.event.padEnd(10)} ${line['queueId']} ${line['recipient']} at ${line['mx'] ?? '-'} with ${line['tls'] ?? 'no TLS'}: ${line['reply']}`,
      );
    if (line.event === 'refused') say(`   refused    ${line['verb']}: ${line['reply']}`);
  });
  world.onMessage(async ({ data }) => {
    for (const judged of await judgeSignatures(data, world)) say(`   arrived    ${judged}`);
  });
}

/** Resolves on Ctrl-C or another signal to stop. The demo then stops everything it has started, at any moment. */
function interrupted(): Promise<void> & { happened(): boolean } {
  let happened = false;
  const signal = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        happened = true;
        resolve();
      });
    }
  });
  return Object.assign(signal, { happened: () => happened });
}

process.stdout.on('error', () => process.exit(0)); // the reader has closed the pipe, as `| head` does
await demo({ once: process.argv.includes('--once'), block: process.argv.includes('--block') });
process.exit(); // does not wait for a message that is still under way

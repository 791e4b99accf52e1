/** The relay with minimal rights: its own user, low ports and no other right, and data that only this user can read. */
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDns } from '../support/dns.ts';
import { type MxServer, startMxServer } from '../support/mx-server.ts';
import { hasCommand, hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { loopbackAddress, run, temporaryFolder, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { submit } from '../support/smtp-send.ts';

const CHECKOUT = new URL('../..', import.meta.url).pathname;
const present = requirePeer('setpriv, unshare and ip, as root', hasMountNamespaces() && hasCommand('setpriv', 'ip'));
const FROM = 'app@sender.test';
const PASSWORD = 'green meadow 27';
/** Nobody on any machine. */
const USER = 60_123;
const NET_BIND_SERVICE = 1n << 10n;

/** A command to run the relay under: as that user, with these capabilities, the program at a place that all can read. */
function asUser(place: string, capabilities: '' | ',+net_bind_service', own: readonly string[] = []): string[] {
  const setpriv = [
    `setpriv --reuid=${USER} --regid=${USER} --clear-groups --no-new-privs`,
    `--inh-caps=-all${capabilities} --ambient-caps=-all${capabilities} --bounding-set=-all${capabilities}`,
  ].join(' ');
  return atPlace(place, setpriv, own);
}

/** The same, as root. */
function atPlace(place: string, setpriv: string, own: readonly string[]): string[] {
  const steps = [...own, 'mount --bind "$0" "$1"', 'at=$1'].join(' && ');
  // What it would have run without us is another program's place.
  const script = `${steps} && until [ "$1" = --config ]; do shift; done && exec ${setpriv} "$at/node_modules/.bin/node" "$at/src/smarthost.ts" "$@"`;
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, CHECKOUT, place];
}

describe.skipIf(!present)('a relay that runs as an unprivileged user', () => {
  const address = loopbackAddress();
  const folder = temporaryFolder('privileges');
  const place = join(folder.path, 'program');
  let relay: RelayProcess;
  let mx: MxServer;
  let dns: Awaited<ReturnType<typeof startDns>>;
  let data: string;
  let gate: Promise<void> | undefined;

  beforeAll(async () => {
    mkdirSync(place);
    const script = {
      MAIL: async () => {
        await gate;
        return undefined;
      },
    };
    mx = await startMxServer({ hostname: 'mx.dest.test', script });
    dns = await startDns({ 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: [mx.address] } });
    const listen = { submissions: [`${address}:465`], submission: [`${address}:587`] };
    relay = await prepareRelay({ dns: dns.server, deliveryPort: mx.port, settings: { listen } });
    data = join(relay.folder, 'data');
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, USER, USER);
    await relay.addUser(FROM, PASSWORD, '--sender', '@sender.test'); // by root, who leaves nothing of his own
    await relay.addDomain('sender.test');
  });
  afterAll(async () => {
    await relay?.close();
    await Promise.all([mx?.close(), dns?.close()]);
    folder.remove();
  });

  const send = (size: number) =>
    submit({
      ...{ address, port: 465, user: FROM, password: PASSWORD, from: FROM, to: ['anna@dest.test'] },
      message: `From: <${FROM}>\r\nTo: <anna@dest.test>\r\nSubject: x\r\n\r\n${`${'x'.repeat(78)}\r\n`.repeat(size / 80)}`,
    });

  test('is refused low ports where it may not open them, with a sentence', async () => {
    const own = ['ip link set lo up']; // a network of its own, where ports below 1024 are closed as ever
    const [, ...under] = asUser(place, '', own);
    const file = join(relay.folder, 'smarthost.yaml');
    const args = ['--net', ...under, 'node', 'smarthost.ts', '--config', file, 'serve'];
    const { code, stdout, stderr } = await run('unshare', args, { timeout: 60_000 });
    expect(code, stdout + stderr).toBe(1);
    expect(stderr).toContain(`listen.submissions: ${address}:465 cannot be opened (this user may not open it, EACCES)`);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test('opens 465 and 587 with only that right, delivers, and only its user can read its files', async () => {
    await relay.start(asUser(place, ',+net_bind_service'));
    const status = readFileSync(`/proc/${relay.pid()}/status`, 'utf8');
    const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/);
    expect(field('Uid')).toEqual(Array(4).fill(String(USER)));
    expect(field('Gid')).toEqual(Array(4).fill(String(USER)));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect([set, BigInt(`0x${field(set)}`)]).toEqual([set, NET_BIND_SERVICE]);
    expect(field('NoNewPrivs')).toEqual(['1']);

    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await send(800);
    await send(400_000);
    expect(readdirSync(join(data, 'spool'))).toHaveLength(1); // it waits in a file of its own
    const backup = join(data, 'copy.db');
    await relay.command(['backup', backup]);
    expect((statSync(backup).mode & 0o777).toString(8)).toBe('600');
    const names = readdirSync(data, { recursive: true, encoding: 'utf8' });
    expect(names).toEqual(expect.arrayContaining(['smarthost.db', 'smarthost.db-wal', 'smarthost.db-shm', 'spool']));
    for (const name of ['.', ...names]) {
      const stats = statSync(join(data, name));
      expect([name, (stats.mode & 0o7777).toString(8)]).toEqual([name, stats.isDirectory() ? '700' : '600']);
      expect([name, stats.uid, stats.gid]).toEqual([name, USER, USER]);
    }
    open();
    await until('the deliveries', () => mx.messages.length === 2, { context: relay.output });
    expect(await relay.stop()).toBe(0);
    expect(existsSync(backup)).toBe(true);
  });

  test('begun by root, is that user too, with that one right', async () => {
    const [command, ...rest] = atPlace(place, '', ['ip link set lo up']); // as above;
    await relay.start([command!, '--net', ...rest]);
    const [child] = readFileSync(`/proc/${relay.pid()}/task/${relay.pid()}/children`, 'utf8').trim().split(' ');
    const status = readFileSync(`/proc/${child}/status`, 'utf8');
    expect(status).toMatch(new RegExp(`^Uid:(\\s+${USER}){4}$`, 'm'));
    expect(status).toMatch(new RegExp(`^CapEff:\\s+${NET_BIND_SERVICE.toString(16).padStart(16, '0')}$`, 'm'));
    expect(await relay.stop()).toBe(0);
    expect(existsSync(`/proc/${child}`)).toBe(false);
  });
});

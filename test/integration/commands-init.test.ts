/** `smarthost init` with a person who answers, or with all values on the command line. */
import { spawnSync } from 'node:child_process';
import { chmod, chown, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandBench, createCommandBench } from '../support/command.ts';
import { startDns } from '../support/dns.ts';
import type { DnsServer } from '../support/dns-server.ts';
import { isRoot } from '../support/peers.ts';

let bench: CommandBench;
let dns: DnsServer;
beforeEach(async () => {
  bench = await createCommandBench('-');
  dns = await startDns({
    'relay.example.net': { A: ['203.0.113.5'] },
    '203.0.113.5': { PTR: ['relay.example.net'] },
    'shop.test': { TXT: ['v=spf1 mx -all'] },
    '_dmarc.shop.test': { TXT: ['v=DMARC1; p=reject'] },
    'new.test': { MX: ['10 mx.new.test'] },
  });
});
afterEach(() => Promise.all([bench.close(), dns.close()]));

const ENTER = '\r';
const CTRL_C = '\x03';

/** Types an answer when its question is on the screen. */
async function answer(dialog: readonly (readonly [question: RegExp, keys: string])[], args: readonly string[] = []) {
  const terminal = { input: new PassThrough(), output: new PassThrough() };
  let screen = '';
  let asked = 0;
  let from = 0;
  terminal.output.on('data', (chunk) => {
    screen += stripVTControlCharacters(String(chunk));
    const [question, keys] = dialog[asked] ?? [];
    if (question === undefined || !question.test(screen.slice(from))) return;
    asked++;
    from = screen.length;
    // After the prompt has drawn itself, key by key as a terminal has it.
    setImmediate(() => {
      for (const key of keys!) terminal.input.write(key);
    });
  });
  const result = await bench.run(['init', '--dir', '.', ...args], { terminal, env: { SMARTHOST_DNS_SERVERS: dns.server } });
  return { ...result, screen, asked };
}

test('asks, compares the answers with the DNS, and prints the records to set', async () => {
  const { code, out, err, screen, asked } = await answer(
    [
      [/Full host name/, `relay.example.net${ENTER}`],
      [/Domains that send/, `shop.test new.test${ENTER}`],
      [/Your mail address/, `admin@example.net${ENTER}`],
      [/accept the terms/, 'y'],
      [/first user/, 'y'],
      [/Its name/, `anna@shop.test${ENTER}`],
    ],
    ['--address', '203.0.113.5'],
  );
  expect([code, asked]).toEqual([0, 6]);
  expect(screen).toMatch(/A of relay\.example\.net: 203\.0\.113\.5/);
  expect(screen).toMatch(/PTR of 203\.0\.113\.5: relay\.example\.net\./);
  expect(screen).toMatch(/shop\.test has an SPF record, to be extended, and a DMARC record, which stays/);
  expect(screen).toMatch(/new\.test has no SPF record, and no DMARC record/);
  expect(out).toMatch(/^relay\.example\.net\. 3600 IN A 203\.0\.113\.5$/m);
  expect(out).toMatch(/^5\.113\.0\.203\.in-addr\.arpa\. 3600 IN PTR relay\.example\.net\.$/m);
  expect(out).toMatch(/^shop\.test\. 3600 IN TXT "v=spf1 mx a:relay\.example\.net -all"$/m);
  expect(out).toMatch(/^new\.test\. 3600 IN TXT "v=spf1 a:relay\.example\.net ~all"$/m);
  expect(out).not.toMatch(/^_dmarc\.shop\.test/m);
  expect(out).toMatch(/^_dmarc\.new\.test\. 3600 IN TXT "v=DMARC1; p=none"$/m);
  expect(err).toMatch(/Password of anna@shop\.test, not shown again: \S{16,}/);
  expect(err).toMatch(/smarthost serve\n.*\n +smarthost doctor --watch/);
  expect(await readFile(join(bench.folder, 'smarthost.yaml'), 'utf8')).toMatch(/^hostname: relay\.example\.net$/m);
  expect((await bench.run(['config', 'check'])).code).toBe(0);
  expect(await bench.json('user', 'list')).toMatchObject([{ name: 'anna@shop.test', senders: ['anna@shop.test'] }]);
});

test('lets the person correct an error at once, and asks only for missing values', async () => {
  const { code, screen, asked } = await answer(
    [
      [/Domains that send/, `org${ENTER}`],
      [/It must be/, `.test${ENTER}`],
      [/accept the terms/, 'n'],
      [/first user/, 'n'],
    ],
    ['--hostname', 'relay.example.net', '--address', '203.0.113.9', '--email', 'admin@example.net'],
  );
  expect([code, asked]).toEqual([0, 4]);
  expect(screen).not.toMatch(/Full host name|Your mail address/);
  expect(screen).toMatch(/Mail is sent from 203\.0\.113\.9 too/);
  expect((await bench.json('domain', 'list')).map(({ domain }: { domain: string }) => domain)).toContain('org.test');
});

test('writes nothing if the person cancels', async () => {
  const { code, err } = await answer([[/Full host name/, CTRL_C]]);
  expect([code, err]).toEqual([1, 'Cancelled; nothing was written.\n']);
  await expect(stat(join(bench.folder, 'smarthost.yaml'))).rejects.toThrow('ENOENT');
  await expect(stat(join(bench.folder, 'data'))).rejects.toThrow('ENOENT');
});

test('does the same without questions', async () => {
  const args = [
    'init',
    '--dir',
    '.',
    '--yes',
    '--hostname',
    'relay.example.net',
    '--domain',
    'shop.test',
    '--domain',
    'new.test',
  ];
  const made = await bench.json(...args, '--address', '203.0.113.5', '--address', '2001:db8::5', '--user', 'shop');
  expect(made.user).toEqual({ name: 'shop', password: expect.stringMatching(/^\S{16,}$/) });
  expect(made.next).toBe('smarthost serve');
  expect(made.records.slice(0, 4).map(({ type, value }: { type: string; value: string }) => [type, value])).toEqual([
    ['A', '203.0.113.5'],
    ['AAAA', '2001:db8::5'],
    ['PTR', 'relay.example.net.'],
    ['PTR', 'relay.example.net.'],
  ]);
  expect(await bench.json('user', 'list')).toMatchObject([{ name: 'shop', senders: ['@shop.test', '@new.test'] }]);
  expect((await bench.run([...args, '--force', '--user', 'shop'])).err).toContain('shop exists already.');
  expect((await bench.run([...args, '--force', '--address', 'here'])).code).toBe(2);
});

test('writes the resolvers of the command line, or none if the system’s should be asked', async () => {
  const rest = ['--force', '--yes', '--hostname', 'relay.example.net', '--domain', 'shop.test'];
  const written = async (...resolvers: string[]) => {
    const { code } = await bench.run(['init', '--dir', '.', ...rest, ...resolvers.flatMap((server) => ['--resolver', server])]);
    expect(code).toBe(0);
    return /^.*dns: .*$/m.exec(await readFile(join(bench.folder, 'smarthost.yaml'), 'utf8'))?.[0];
  };
  expect(await written('127.0.0.1', '[::1]:5300')).toBe("dns: { servers: ['127.0.0.1', '[::1]:5300'] }");
  expect(await written('system')).toBe('# dns: { servers: [127.0.0.1] }');
  const { code, err } = await bench.run(['init', '--dir', '.', ...rest, '--resolver', 'dns.example.net']);
  expect([code, err]).toEqual([2, expect.stringContaining('dns.servers')]);
});

test('names the file in the next commands if it is not found without that', async () => {
  const dir = join(bench.folder, 'elsewhere');
  const { err } = await bench.run([
    'init',
    '--dir',
    'elsewhere',
    '--yes',
    '--hostname',
    'relay.example.net',
    '--domain',
    'shop.test',
  ]);
  for (const words of ['user add anna@shop.test', 'serve', 'doctor --watch'])
    expect(err).toContain(`\n  smarthost ${words} --config ${dir}/smarthost.yaml\n`);
});

test('writes the file that --config names, as every other command would read it', async () => {
  const rest = ['--yes', '--hostname', 'relay.example.net', '--domain', 'shop.test'];
  const { err, code } = await bench.run(['--config', 'own/relay.yaml', 'init', ...rest]);
  expect(code).toBe(0);
  const file = join(bench.folder, 'own/relay.yaml');
  expect(err).toContain(`smarthost serve --config ${file}\n`);
  expect((await bench.run(['--config', file, 'config', 'check'])).code).toBe(0);
  expect((await stat(join(bench.folder, 'own/data'))).isDirectory()).toBe(true);
  expect((await bench.run(['--config', file, 'init', '--dir', '.', ...rest])).err).toContain('--dir or --config, not both');
});

/** Runs as with sudo: in a separate process, because it becomes another user. */
function initAsRoot(...more: string[]) {
  const args = [join(import.meta.dirname, '../../src/smarthost.ts'), 'init', '--dir', 'conf', '--yes', ...more];
  const given = [...args, '--hostname', 'relay.example.net', '--address', '203.0.113.5'];
  const { status, stderr } = spawnSync(process.execPath, given, { cwd: bench.folder, encoding: 'utf8', timeout: 30_000 });
  return { status, stderr };
}

describe.skipIf(!isRoot)('as root, where the data belong to another user', () => {
  const OWNER = 65_534;
  const conf = (...path: string[]) => join(bench.folder, 'conf', ...path);
  const whose = async (path: string) => {
    const { uid, gid, mode } = await stat(path);
    return [uid, gid, (mode & 0o777).toString(8)];
  };
  beforeEach(async () => {
    await chmod(bench.folder, 0o755);
    await mkdir(conf('data'), { recursive: true });
    await chown(conf('data'), OWNER, OWNER);
    await chmod(conf('data'), 0o700);
  });

  test("the configuration is root's and readable by that user, the keys are that user's, and it says so", async () => {
    const { status, stderr } = initAsRoot();
    expect([status, stderr]).toEqual([0, expect.stringContaining(`root's and readable by the group`)]);
    expect(stderr).toMatch(/keys are in \S+\/conf\/data, \w+'s\.\n/);
    expect(stderr).not.toMatch(/may not enter/);
    expect(await whose(conf('smarthost.yaml'))).toEqual([0, OWNER, '640']);
    expect((await whose(conf('data', 'smarthost.db')))[0]).toBe(OWNER);
  });

  test('names a folder that this user may not enter', async () => {
    await chmod(conf(), 0o700);
    await chown(conf('data'), 0, 0);
    const elsewhere = join(bench.folder, 'data');
    await mkdir(elsewhere, { mode: 0o700 });
    await chown(elsewhere, OWNER, OWNER);
    process.env['SMARTHOST_DATA_DIR'] = elsewhere;
    try {
      const { status, stderr } = initAsRoot();
      expect([status, stderr]).toEqual([0, expect.stringMatching(/may not enter \S+\/conf, .*chgrp \w+ \S+\/conf; chmod g\+x/)]);
    } finally {
      delete process.env['SMARTHOST_DATA_DIR'];
    }
  });

  test('names the written file if the keys cannot be made', async () => {
    await writeFile(conf('data', 'smarthost.db'), 'no database at all, but long enough to be looked at as one'.repeat(100));
    await chown(conf('data', 'smarthost.db'), OWNER, OWNER);
    await chmod(conf('data', 'smarthost.db'), 0o600);
    const { status, stderr } = initAsRoot();
    expect(status).toBe(1);
    expect(stderr).toMatch(/smarthost\.db is damaged.*\n.*smarthost\.yaml is written, keys are not: .* init with --force/);
  });

  test('replaces a link in place of the configuration, and does not change its target', async () => {
    const victim = join(bench.folder, 'victim');
    await writeFile(victim, 'precious');
    await symlink(victim, conf('smarthost.yaml'));
    expect(initAsRoot()).toMatchObject({ status: 1, stderr: expect.stringContaining('exists already') });
    expect(initAsRoot('--force').status).toBe(0);
    expect(await readFile(victim, 'utf8')).toBe('precious');
    expect((await whose(victim))[1]).toBe(0);
    expect((await lstat(conf('smarthost.yaml'))).isSymbolicLink()).toBe(false);
  });

  test("root's own data keep their owner, and the output says what that means", async () => {
    await chown(conf('data'), 0, 0);
    const { status, stderr } = initAsRoot();
    expect([status, stderr]).toEqual([0, expect.stringMatching(/Both belong to root.*\n {2}useradd --system/)]);
    expect((await whose(conf('smarthost.yaml')))[0]).toBe(0);
  });
});

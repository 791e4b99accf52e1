/** The configuration over the API, with a file and an environment as they are for a relay. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Config, loadConfig } from '../../../src/config/config.ts';
import { createConfiguration, type Reloaded } from '../../../src/control/control.ts';
import { startTestConsole } from '../../support/console.ts';

const FILE = `hostname: relay.example.net
tls: { mode: self-signed }
queue:
  lifetime: 3d

# the way out
routes:
  - { recipientDomain: x.test, hosts: ['smtp.x.test:587'], login: { user: u, password: hunter2 } }
`;

async function rig(reload: () => Promise<Reloaded> = async () => ({ result: 'reloaded', restartNeeded: [] })) {
  const folder = await mkdtemp(join(tmpdir(), 'smarthost-config-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'smarthost.yaml');
  await writeFile(file, FILE, { mode: 0o600 });
  const source = { file, cwd: folder, env: { SMARTHOST_DATA_DIR: folder, SMARTHOST_LOG_LEVEL: 'warn' } };
  const { config } = (await loadConfig(source)) as { config: Config };
  const configuration = createConfiguration({ source, running: () => config, signingDomains: async () => [], reload });
  const console = await startTestConsole({ configuration });
  const settings = async () => {
    const { body } = await console.ask('GET', '/config');
    return { body, of: (path: string) => body.settings.find((one: any) => one.path === path) };
  };
  return { console, file, settings, [Symbol.asyncDispose]: () => console[Symbol.asyncDispose]() };
}

test('each setting says what is in effect, and where it comes from', async () => {
  await using rigged = await rig();
  const { body, of } = await rigged.settings();
  expect(body).toMatchObject({ file: rigged.file, problems: [] });
  expect(of('queue.lifetime')).toMatchObject({ value: '3d', default: '5d', from: 'file', where: 4, needsRestart: false });
  expect(of('log.level')).toMatchObject({ value: 'warn', from: 'environment', where: 'SMARTHOST_LOG_LEVEL' });
  expect(of('queue.delayWarning')).toMatchObject({ from: 'default', where: null, changed: false, next: null });
  expect(of('routes')).toMatchObject({ from: 'file', where: 7 });
  expect(of('listen.console').needsRestart).toBe(true);
});

test('secrets are shown as ***, also those that have changed', async () => {
  await using rigged = await rig();
  await writeFile(rigged.file, FILE.replace('hunter2', 'hunter3'));
  const { body, of } = await rigged.settings();
  expect(of('routes')).toMatchObject({
    changed: true,
    value: [{ login: { password: '***' } }],
    next: [{ login: { password: '***' } }],
  });
  expect(JSON.stringify(body)).not.toContain('hunter');
});

test('the file as it is now is compared with what runs', async () => {
  await using rigged = await rig();
  await writeFile(rigged.file, FILE.replace('3d', '4d'));
  expect((await rigged.settings()).of('queue.lifetime')).toMatchObject({ value: '3d', changed: true, next: '4d' });
  await writeFile(rigged.file, FILE.replace('lifetime', 'lifetme').replace('routes', 'route'));
  const { body, of } = await rigged.settings();
  expect(body.problems.map(({ path }: any) => path)).toEqual(['queue.lifetme', 'route']);
  expect(of('queue.lifetime')).toMatchObject({ value: '3d', changed: false });
});

test('a check lists all problems and changes nothing', async () => {
  await using rigged = await rig();
  const { console, file } = rigged;
  expect((await console.ask('POST', '/config/check', {})).body.works).toBe(true);
  await writeFile(file, FILE.replace('3d', 'long').replace('hostname:', 'hostnme:'));
  const { body } = await console.ask('POST', '/config/check', {});
  expect(body.works).toBe(false);
  expect(body.problems.map(({ path }: any) => path).sort()).toEqual(['hostname', 'hostnme', 'queue.lifetime']);
});

test('a reload says what only a restart takes over, and a refused one why', async () => {
  const results: Reloaded[] = [
    { result: 'reloaded', restartNeeded: ['hostname'] },
    { result: 'refused', problems: ['a: one', 'b: two'] },
    { result: 'failed', error: 'disk full' },
  ];
  await using rigged = await rig(async () => results.shift()!);
  const { console } = rigged;
  const reload = (as: 'admin' | 'operator' = 'admin') => console.ask('POST', '/config/reload', {}, { as });
  expect((await reload('operator')).status).toBe(403);
  expect((await reload()).body).toEqual({ restartNeeded: ['hostname'] });
  const [row] = await console.store.audit.changes({ limit: 9 });
  expect(row).toMatchObject({ action: 'configuration.reload', way: 'session', after: { restartNeeded: ['hostname'] } });
  const refused = await reload();
  expect(refused.status).toBe(409);
  expect(refused.body.errors.map(({ detail }: any) => detail)).toEqual(['a: one', 'b: two']);
  expect((await reload()).status).toBe(500);
});

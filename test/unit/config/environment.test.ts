/** What the machine must provide. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSelfSigned } from '../../../src/certificates/self-signed.ts';
import { checkEnvironment, listSettings, loadConfig } from '../../../src/config/config.ts';

let dir: string;
const now = Date.now();
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'environment-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function check(yaml: string, at = now) {
  const file = join(dir, 'smarthost.yaml');
  writeFileSync(file, `hostname: relay.example.net\ndataDir: data\n${yaml}`);
  const loaded = await loadConfig({ file, env: {}, cwd: dir });
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems));
  return (await checkEnvironment(loaded.config, { file, now: at })).map(
    ({ path, level, message }) => `${level} ${path} ${message}`,
  );
}

/** The same look, taken by a process that sees the folder mounted read-only. */
async function checkReadOnly(data: string): Promise<unknown> {
  const file = join(dir, 'smarthost.yaml');
  writeFileSync(file, 'hostname: relay.example.net\ndataDir: data\ntls: { mode: self-signed }\n');
  const code = `
    const { checkEnvironment, loadConfig } = await import(${JSON.stringify(new URL('../../../src/config/config.ts', import.meta.url).href)});
    const { config } = await loadConfig({ file: ${JSON.stringify(file)}, env: {} });
    const problems = await checkEnvironment(config, {});
    console.log(JSON.stringify(problems.map(({ path, level, message }) => level + ' ' + path + ' ' + message)));`;
  const mounted = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" --input-type=module -e "$3"';
  const { stdout } = await promisify(execFile)('unshare', ['--mount', 'sh', '-c', mounted, 'sh', data, process.execPath, code]);
  return JSON.parse(stdout);
}

describe('the data directory', () => {
  test('may be missing where it can be made', async () => {
    expect(await check('')).toEqual([]);
  });
  test('must be a directory', async () => {
    writeFileSync(join(dir, 'data'), '');
    expect(await check('')).toEqual([`error dataDir ${join(dir, 'data')} is not a directory`]);
  });
  test('must be writable', async () => {
    const data = join(dir, 'data');
    mkdirSync(data, { mode: 0o500 });
    // Nothing is closed to root but a read-only file system.
    const root = process.getuid?.() === 0;
    const why = root ? 'lies on a file system that can only be read' : 'cannot be written by this user';
    expect(root ? await checkReadOnly(data) : await check('')).toEqual([`error dataDir ${data} ${why}`]);
  });
});

describe('certificate files', () => {
  const files = 'tls: { mode: files, files: [{ certificate: cert.pem, key: key.pem }] }';
  async function write(names: readonly string[]) {
    const { certificate, key } = await createSelfSigned('ecdsa', names, now);
    writeFileSync(join(dir, 'cert.pem'), certificate);
    writeFileSync(join(dir, 'key.pem'), key);
  }

  test('that match are accepted', async () => {
    await write(['relay.example.net']);
    expect(await check(files)).toEqual([]);
  });
  test('must exist', async () => {
    expect(await check(files)).toEqual([
      `error tls.files[0].certificate ${join(dir, 'cert.pem')} does not exist`,
      `error tls.files[0].key ${join(dir, 'key.pem')} does not exist`,
    ]);
  });
  test('must be PEM', async () => {
    writeFileSync(join(dir, 'cert.pem'), 'x');
    writeFileSync(join(dir, 'key.pem'), 'y');
    expect(await check(files)).toEqual([
      expect.stringMatching(/certificate .* holds no PEM certificate/),
      expect.stringMatching(/key .* holds no PEM private key/),
    ]);
  });
  test('must belong together', async () => {
    await write(['relay.example.net']);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(join(dir, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(await check(files)).toEqual([
      expect.stringMatching(/^error tls.files\[0\].key .* does not belong to the certificate/),
    ]);
  });
  test('for another name or out of date cause a warning', async () => {
    await write(['other.example.net']);
    expect(await check(files, now + 50 * 365 * 86_400_000)).toEqual([
      expect.stringMatching(/^warning tls.files\[0\].certificate .* ended on/),
      expect.stringMatching(/^warning tls.files\[0\].certificate .* is not for relay.example.net/),
    ]);
  });
});

test('a password in a file that every user can read causes a warning', async () => {
  const yaml = "routes: [{ hosts: ['smtp.example.com:587'], login: { user: a, password: b } }]";
  expect(await check(yaml)).toEqual([
    expect.stringMatching(/^warning routes\[0\].login is in a file that every user can read: chmod 0640/),
  ]);
  chmodSync(join(dir, 'smarthost.yaml'), 0o640);
  expect(await check(yaml)).toEqual([]);
});

describe('certificate authorities', () => {
  test.each([
    ['delivery.ca', 'delivery: { ca: ca.pem }'],
    ['tls.acme.ca', 'tls: { acme: { ca: ca.pem } }'],
  ])('%s must be there, and hold certificates that can be read', async (path, yaml) => {
    const file = join(dir, 'ca.pem');
    const about = async () => (await check(yaml)).filter((line) => line.includes(path));
    expect(await about()).toEqual([`error ${path} ${file} does not exist`]);
    writeFileSync(file, 'no certificate');
    expect(await about()).toEqual([`error ${path} ${file} holds no PEM certificate`]);
    const { certificate } = await createSelfSigned('ecdsa', ['ca.test'], now);
    writeFileSync(file, `# a comment\n${certificate}${certificate.replace(/\nMII.{30}/, '\n')}`);
    expect(await about()).toEqual([`error ${path} ${file}: its certificate number 2 cannot be read`]);
    writeFileSync(file, certificate + certificate);
    expect(await about()).toEqual([]);
  });

  test('every setting that names a file is checked', () => {
    const paths = listSettings().filter(({ setting }) => setting.type.name === 'path');
    expect(paths.map(({ path }) => path)).toEqual([
      'dataDir',
      'tls.acme.ca',
      'delivery.ca',
      'delivery.providers',
      'delivery.replies',
    ]);
  });
});

test('the password of a database must be there, and only for its reader', async () => {
  const store = 'store: { postgres: [db.example], passwordFile: secret, ca: secret }\ntls: { mode: self-signed }\n';
  const secret = join(dir, 'secret');
  expect(await check(store)).toEqual([
    `error store.ca ${secret} does not exist`,
    `error store.passwordFile ${secret} does not exist`,
  ]);
  writeFileSync(secret, '\n');
  chmodSync(secret, 0o644);
  expect(await check(store)).toEqual([
    `error store.ca ${secret} holds no PEM certificate`,
    `error store.passwordFile ${secret} is empty`,
    `warning store.passwordFile ${secret} can be read by every user: chmod 0640 ${secret}`,
  ]);
});

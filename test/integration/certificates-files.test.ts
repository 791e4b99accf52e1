/** `tls.mode: files`: pairs are watched, and an invalid one is not served until it is valid (T09). */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSelfSigned, describeCertificates, requestRenewal } from '../../src/certificates/certificates.ts';
import { DAY } from '../../src/system/clock.ts';
import { type CertificateRig, type RigOptions, shownTo, startCertificateRig } from '../support/certificate-rig.ts';
import { until } from '../support/program.ts';

let folder: string;
let rig: CertificateRig | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'certificate-files-'));
});
afterEach(async () => {
  await rig?.close();
  rig = undefined;
  rmSync(folder, { recursive: true });
});

type KeyType = 'ecdsa' | 'rsa';
const filesOf = (keyType: KeyType) => ({ certificate: join(folder, `${keyType}.crt`), key: join(folder, `${keyType}.key`) });
async function write(keyType: KeyType, { at = Date.now(), name = 'relay.test' } = {}) {
  const pair = await createSelfSigned(keyType, [name], at);
  writeFileSync(filesOf(keyType).certificate, pair.certificate);
  writeFileSync(filesOf(keyType).key, pair.key);
  return pair;
}
async function start(keyTypes: readonly KeyType[] = ['ecdsa'], options: RigOptions = {}): Promise<CertificateRig> {
  rig = await startCertificateRig({ mode: 'files', files: keyTypes.map(filesOf), ...options });
  return rig;
}
async function served(port: number, keyType: KeyType = 'ecdsa'): Promise<string> {
  const socket = await shownTo(keyType, port);
  const { serialNumber } = socket.getPeerX509Certificate()!;
  socket.destroy();
  return serialNumber;
}
const isServed = (given: CertificateRig, pair: { certificate: string }) =>
  given.certificates.current().cert.includes(pair.certificate);

test('a new pair is served without a command, and open sessions continue', async () => {
  await write('ecdsa');
  const { port, certificates, logged } = await start();
  const session = await shownTo('ecdsa', port);
  const before = await served(port);
  const next = await write('ecdsa');
  await until('the new pair', () => certificates.current().cert[0] === next.certificate);
  await logged('loaded');
  expect(await served(port)).not.toBe(before);
  expect(session.write('still here')).toBe(true);
  expect(session.destroyed).toBe(false);
  session.destroy();
});

test('one of two pairs is renewed, and each client gets the pair that it can use', async () => {
  await Promise.all([write('ecdsa'), write('rsa')]);
  const given = await start(['ecdsa', 'rsa']);
  const before = [await served(given.port, 'ecdsa'), await served(given.port, 'rsa')];
  const next = await write('rsa');
  await until('the new pair', () => isServed(given, next));
  expect(await served(given.port, 'ecdsa')).toBe(before[0]);
  expect(await served(given.port, 'rsa')).not.toBe(before[1]);
});

describe('an invalid pair is not served, is reported once, and is served as soon as it is valid', () => {
  test.each([
    [
      'a certificate whose key has not come yet',
      (pair) => writeFileSync(filesOf('ecdsa').certificate, pair.certificate),
      /does not belong/,
    ],
    ['a key whose certificate has not come yet', (pair) => writeFileSync(filesOf('ecdsa').key, pair.key), /does not belong/],
    ['half a certificate', (pair) => writeFileSync(filesOf('ecdsa').certificate, pair.certificate.slice(0, 300)), /not whole/],
    ['an empty file', () => writeFileSync(filesOf('ecdsa').certificate, ''), /no PEM certificate/],
    ['a file that is gone', () => rmSync(filesOf('ecdsa').key), /cannot be read \(ENOENT\)/],
  ] as [string, (pair: { certificate: string; key: string }) => void, RegExp][])('%s', async (_, spoil, reason) => {
    const old = await write('ecdsa');
    const given = await start();
    const next = await createSelfSigned('ecdsa', ['relay.test'], Date.now());
    spoil(next);
    expect(await given.logged('kept')).toMatchObject({ level: 'warn', keyType: 'ecdsa', error: expect.stringMatching(reason) });
    expect(isServed(given, old)).toBe(true);
    await until('word of it', async () => {
      const [status] = await describeCertificates(given.store.operation, Date.now());
      return status?.lastError?.match(reason);
    });
    expect(given.certificates.warnings()).toEqual([expect.stringMatching(reason)]);
    expect(given.certificates.problems(Date.now())).toEqual([]);
    await requestRenewal(given.store.operation); // two checks with the same error
    given.certificates.look();
    await until('the request to be over', async () => (await given.store.operation.value('certificate.request')) === undefined);
    expect(given.log.filter(({ action }) => action === 'kept')).toHaveLength(1);
    writeFileSync(filesOf('ecdsa').certificate, next.certificate);
    writeFileSync(filesOf('ecdsa').key, next.key);
    await until('the new pair', () => isServed(given, next));
    await until('no word of it', () => given.certificates.warnings().length === 0);
  });

  test('an expired certificate does not replace a valid one', async () => {
    const old = await write('ecdsa');
    const given = await start();
    await write('ecdsa', { at: Date.now() - 400 * DAY });
    expect((await given.logged('kept'))['error']).toMatch(/ended on/);
    expect(isServed(given, old)).toBe(true);
  });

  test('an invalid pair does not delay the other one', async () => {
    await Promise.all([write('ecdsa'), write('rsa')]);
    const given = await start(['ecdsa', 'rsa']);
    writeFileSync(filesOf('ecdsa').certificate, 'half');
    const next = await write('rsa');
    await given.logged('kept');
    await until('the good pair', () => isServed(given, next));
    expect(given.certificates.current().cert).toHaveLength(2);
  });
});

test('links that renewal tools point to another folder are followed', async () => {
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  for (const at of [one, two]) {
    mkdirSync(at);
    await write('ecdsa');
    for (const name of ['ecdsa.crt', 'ecdsa.key']) renameSync(join(folder, name), join(at, name));
  }
  symlinkSync(one, join(folder, 'live'));
  const live = { certificate: join(folder, 'live/ecdsa.crt'), key: join(folder, 'live/ecdsa.key') };
  const given = await start([], { files: [live] });
  symlinkSync(two, join(folder, 'next'));
  renameSync(join(folder, 'next'), join(folder, 'live'));
  const certificate = readFileSync(join(two, 'ecdsa.crt'), 'utf8');
  await until('the other folder’s pair', () => isServed(given, { certificate }));
});

test('a pair is read again even if size and time are the same', async () => {
  await write('ecdsa');
  const given = await start();
  const next = await write('ecdsa'); // perhaps within the tick of the first check
  await until('the new pair', () => isServed(given, next));
});

test('a reload reads other paths; if those pairs are not valid, the old pairs stay', async () => {
  const old = await write('ecdsa');
  const given = await start();
  const other = { certificate: join(folder, 'other.crt'), key: join(folder, 'other.key') };
  await expect(given.certificates.reload({ files: [other] })).rejects.toThrow(
    /certificate \S+other\.crt cannot be read \(ENOENT\); .*the key \S+other\.key cannot be read \(ENOENT\)/,
  );
  expect(isServed(given, old)).toBe(true);
  const next = await createSelfSigned('rsa', ['relay.test'], Date.now());
  writeFileSync(other.certificate, next.certificate);
  writeFileSync(other.key, next.key);
  expect(await given.certificates.reload({ files: [other] })).toBe(true);
  expect(given.certificates.current().cert).toEqual([next.certificate]);
  expect(await describeCertificates(given.store.operation, Date.now())).toMatchObject([{ keyType: 'rsa', renewAt: null }]);
});

test('an invalid pair at the start is reported in one clear sentence', async () => {
  await write('ecdsa');
  copyFileSync(filesOf('ecdsa').certificate, filesOf('rsa').certificate);
  await write('rsa', { name: 'x.test' });
  const mixed = { certificate: filesOf('ecdsa').certificate, key: filesOf('rsa').key };
  await expect(start([], { files: [mixed] })).rejects.toThrow(
    `tls.files: ${mixed.certificate} and ${mixed.key}: the key does not belong to the certificate`,
  );
});

test('a pair that expires soon and is not renewed causes an alarm in the log', async () => {
  await write('ecdsa', { at: Date.now() - 355 * DAY });
  const given = await start();
  expect(await given.logged('ending')).toMatchObject({ level: 'warn', error: expect.stringMatching(/nothing has renewed it/) });
  expect(given.certificates.problems(Date.now() + 11 * DAY)).toEqual([expect.stringMatching(/ended on/)]);
});

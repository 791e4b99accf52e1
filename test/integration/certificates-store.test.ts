/** The certificates in the store: self-signed pairs, those of an authority, and the lease for renewals. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSelfSigned, describeCertificates, requestRenewal } from '../../src/certificates/certificates.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { DAY, SECOND } from '../../src/system/clock.ts';
import { type CertificateRig, type RigOptions, startCertificateRig } from '../support/certificate-rig.ts';
import { until } from '../support/program.ts';

let dataDir: string;
const open: { close(): Promise<void> }[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'certificate-store-'));
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  rmSync(dataDir, { recursive: true, force: true });
});
async function start(options: RigOptions = {}): Promise<CertificateRig> {
  const rig = await startCertificateRig({ mode: 'self-signed', dataDir, ...options });
  open.push({ close: () => rig.stop() });
  return rig;
}
const stop = async () => open.pop()!.close();

describe('the lease for renewals', () => {
  async function twoStores() {
    const stores = [await storeFiles(dataDir).open(), await storeFiles(dataDir).open()] as const;
    open.push(...stores);
    return stores.map(({ operation }) => operation) as [(typeof stores)[0]['operation'], (typeof stores)[0]['operation']];
  }

  test('goes to one of many that ask at the same time, also in different processes', async () => {
    const [one, two] = await twoStores();
    const asked = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).takeLease('work', `worker ${i}`, 1000, 0));
    expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1);
  });

  test('is kept by its owner, is free after its end or return, and concerns only its name', async () => {
    const [one, two] = await twoStores();
    expect(await one.takeLease('work', 'a', 1000, 0)).toBe(true);
    expect(await two.takeLease('work', 'b', 1000, 999)).toBe(false);
    expect(await two.takeLease('other', 'b', 1000, 0)).toBe(true);
    expect(await one.takeLease('work', 'a', 2000, 900)).toBe(true);
    expect(await two.takeLease('work', 'b', 3000, 1999)).toBe(false);
    expect(await two.takeLease('work', 'b', 3000, 2000)).toBe(true);
    expect(await one.takeLease('work', 'a', 0, 2500)).toBe(false); // what it has lost it cannot give back
    expect(await two.takeLease('work', 'b', 0, 2500)).toBe(true);
    expect(await one.takeLease('work', 'an owner with spaces', 4000, 2500)).toBe(true);
    expect(await two.takeLease('work', 'an owner', 4000, 2600)).toBe(false);
  });
});

describe('self-signed pairs', () => {
  test('are made at the first start, for all names, and kept', async () => {
    const rig = await start({ names: ['smtp.relay.test'] });
    const made = rig.certificates.current();
    expect(made.cert).toHaveLength(2);
    const told = await describeCertificates(rig.store.operation, Date.now());
    expect(told).toMatchObject([
      { keyType: 'ecdsa', names: ['relay.test', 'smtp.relay.test'], issuer: 'CN=relay.test', lastError: null },
      { keyType: 'rsa', names: ['relay.test', 'smtp.relay.test'] },
    ]);
    expect(told[0]!.renewAt).toBe(told[0]!.notAfter - 30 * DAY);
    await stop();
    expect((await start({ names: ['smtp.relay.test'] })).certificates.current()).toEqual(made);
  });

  test('are replaced if the names change, at their end, if they are damaged, and on request', async () => {
    const rig = await start();
    const made = rig.certificates.current();
    await stop();
    const renamed = await start({ names: ['smtp.relay.test'] });
    expect(renamed.certificates.current().cert).not.toEqual(made.cert);
    await stop();
    const later = await start({ names: ['smtp.relay.test'], now: () => Date.now() + 340 * DAY });
    const fresh = later.certificates.current();
    expect(fresh.cert[0]).not.toBe(renamed.certificates.current().cert[0]);
    await later.store.operation.putCertificate({ ...(await createSelfSigned('rsa', ['x'], 0)), key: 'damaged' });
    await requestRenewal(later.store.operation);
    later.certificates.look();
    await until('new pairs', () => later.certificates.current().cert.every((one) => !fresh.cert.includes(one)));
  });

  test('do not replace an authority’s pair, which is still there when it is wanted again', async () => {
    const rig = await start();
    const signed = { ...(await createSelfSigned('ecdsa', ['relay.test'], Date.now())), source: 'acme' as const };
    await rig.store.operation.putCertificate(signed);
    await stop();
    const own = await start();
    expect(own.certificates.current().cert).not.toContain(signed.certificate);
    expect(await own.store.operation.certificates()).toContainEqual(signed);
    await stop();
    const acme = await start({ mode: 'acme', acme: { acceptTerms: false } });
    expect(acme.certificates.current().cert).toContain(signed.certificate);
  });
});

test('an authority’s certificate is served even after its end, because a self-signed one is trusted no more', async () => {
  const rig = await start();
  const signed = { ...(await createSelfSigned('ecdsa', ['relay.test'], Date.now() - 400 * DAY)), source: 'acme' as const };
  await rig.store.operation.putCertificate(signed);
  await stop();
  const acme = await start({ mode: 'acme', acme: { acceptTerms: false } });
  expect(acme.certificates.current().cert).toContain(signed.certificate);
  expect(acme.certificates.problems(Date.now())[0]).toMatch(/ecdsa certificate ended on/);
});

test('an authority that does not answer delays neither the start nor the stop', async () => {
  const began = Date.now();
  const rig = await start({ mode: 'acme', acme: { directory: 'https://127.0.0.1:9/dir' } });
  expect(rig.certificates.current().cert).toHaveLength(2);
  await stop();
  expect(Date.now() - began).toBeLessThan(60 * SECOND); // some milliseconds; what it would wait for takes minutes
  expect(rig.log.filter(({ action }) => action === 'failed')).toEqual([]); // a stop is no failure
});

test('an authority that cannot be reached is one clear event with its reason', async () => {
  const rig = await start({ mode: 'acme', acme: { directory: 'https://127.0.0.1:9/dir' } });
  expect(await rig.logged('failed')).toMatchObject({
    keyType: 'all',
    error: 'https://127.0.0.1:9 cannot be reached (ECONNREFUSED)',
    nextAttemptAt: expect.any(String),
  });
});

/** Certificates from Pebble, a real authority of RFC 8555: both challenges, a troubled authority, failures, restarts. */
import { X509Certificate } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { describeCertificates, requestRenewal } from '../../src/certificates/certificates.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/system/clock.ts';
import { type AcmeProxy, startAcmeProxy } from '../support/acme-proxy.ts';
import { type CertificateRig, type RigOptions, shownTo, startCertificateRig, towards } from '../support/certificate-rig.ts';
import { type Pebble, startPebble } from '../support/pebble.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { run, until } from '../support/program.ts';

describe.skipIf(!requirePeer('pebble', hasCommand('pebble')))('pebble', () => {
  let pebble: Pebble;
  let proxy: AcmeProxy;
  const rigs: CertificateRig[] = [];
  beforeAll(async () => {
    pebble = await startPebble({ refusedNonces: 50 });
  });
  afterAll(() => pebble.close());
  beforeEach(async () => {
    proxy = await startAcmeProxy(pebble);
  });
  afterEach(async () => {
    for (const rig of rigs.splice(0)) await rig.close();
    await proxy.close();
    pebble.reachable(true);
  });

  async function startRig({ acme, ...options }: RigOptions = {}): Promise<CertificateRig> {
    const base = towards(pebble, proxy);
    const rig = await startCertificateRig({ ...base, ...options, acme: { ...base.acme, pauses: [100], ...acme } });
    rigs.push(rig);
    return rig;
  }

  describe.each(['http-01', 'tls-alpn-01'] as const)('%s', (challenge) => {
    test('signs an ECDSA P-256 and an RSA-2048 certificate for all names, and each client gets the one it can use', async () => {
      const rig = await startRig({ names: ['smtp.relay.test'], acme: { challenge } });
      expect(rig.certificates.problems(Date.now())).toHaveLength(2); // a self-signed one from the first second on
      await rig.signed();
      for (const [kind, type] of [
        ['ecdsa', { namedCurve: 'prime256v1' }],
        ['rsa', { modulusLength: 2048 }],
      ] as const) {
        const socket = await shownTo(kind, rig.port);
        const leaf = socket.getPeerX509Certificate()!;
        expect(leaf.publicKey.asymmetricKeyDetails).toMatchObject(type);
        expect(leaf.subjectAltName).toBe('DNS:relay.test, DNS:smtp.relay.test');
        expect(leaf.issuerCertificate?.subject).toMatch(/^CN=Pebble Intermediate/); // the full chain
        socket.destroy();
      }
      expect(await rig.store.operation.values('acme.challenge.')).toEqual([]);
      expect(await rig.store.operation.values('acme.order.')).toEqual([]);
    });
  });

  test('openssl s_client verifies what is served, without SNI too, and RSA-only gets RSA', async () => {
    const rig = await startRig();
    await rig.signed();
    const root = join(rig.dataDir, 'root.pem');
    writeFileSync(root, await pebble.root());
    const ask = async (...more: string[]) =>
      (await run('openssl', ['s_client', '-connect', `127.0.0.1:${rig.port}`, '-CAfile', root, '-verify_return_error', ...more]))
        .stdout;
    expect(await ask('-noservername', '-verify_hostname', 'relay.test')).toMatch(/Verification: OK/);
    const old = await ask('-tls1_2', '-cipher', 'ECDHE-RSA-AES256-GCM-SHA384', '-verify_hostname', 'relay.test');
    expect(old).toMatch(/Verification: OK/);
    expect(old).toMatch(/Cipher is ECDHE-RSA-AES256-GCM-SHA384/);
    expect(old).toMatch(/Server public key is 2048 bit/);
    expect(await ask('-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384')).toMatch(/Verification: OK/);
  });

  test('secrets are only in files that the service alone can read, and never in the log', async () => {
    const rig = await startRig({ acme: { email: 'admin@relay.test' } });
    await rig.signed();
    for (const file of readdirSync(rig.dataDir)) expect(statSync(join(rig.dataDir, file)).mode & 0o077, file).toBe(0);
    expect(rig.text()).not.toMatch(/PRIVATE KEY/);
    const { key } = (await rig.store.operation.certificates())[0]!;
    expect(rig.text()).not.toContain(key.split('\n')[1]);
  });

  test('an authority that answers 500 and 429 for a while, and loses answers, is asked again soon enough', async () => {
    proxy.fail({ match: /GET \/dir/, times: 1, status: 503 });
    proxy.fail({ match: /POST \/order-plz/, times: 1, status: 429, retryAfter: '1' });
    proxy.fail({ match: /HEAD/, times: 1, status: 500 });
    proxy.fail({ match: /POST \/authZ/, times: 1, status: 502, body: '<html>' });
    proxy.fail({ match: /POST \/chalZ/, times: 1, status: 0, afterwards: true });
    proxy.fail({ match: /POST \/finalize-order/, times: 1, status: 0, afterwards: true });
    proxy.fail({ match: /POST \/certZ/, times: 1, status: 500 });
    const rig = await startRig();
    await rig.signed();
    expect(rig.log.filter(({ action }) => action === 'failed')).toEqual([]);
  });

  test('a rate limit is respected: no request before Retry-After, not even for cert renew, and it is reported', async () => {
    const body = JSON.stringify({ type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many certificates' });
    proxy.fail({ match: /POST \/order-plz/, times: 1, status: 429, retryAfter: '7200', body });
    const before = Date.now();
    const rig = await startRig();
    const event = await rig.logged('failed');
    expect(event).toMatchObject({
      level: 'warn',
      keyType: 'all',
      error: expect.stringMatching(/429 rateLimited.*too many certificates/),
    });
    expect(Date.parse(event['nextAttemptAt'])).toBeGreaterThanOrEqual(before + 2 * HOUR);
    const asked = proxy.requests.length;
    await requestRenewal(rig.store.operation);
    rig.certificates.look();
    await until('the plan to be told', async () => {
      const [status] = await describeCertificates(rig.store.operation, Date.now());
      return status?.lastError?.includes('rateLimited') && status.renewAt! >= before + 2 * HOUR;
    });
    expect(proxy.requests.length).toBe(asked);
    expect(proxy.orders).toEqual([]);
    expect(rig.certificates.problems(Date.now())[0]).toMatch(/rateLimited/);
    expect(rig.certificates.facts()).toMatchObject([{ failures: 1 }, { failures: 1 }]);
  });

  test('a failed challenge keeps the served pair, is reported once, and is tried again with growing pauses', async () => {
    pebble.reachable(false);
    const rig = await startRig({ acme: { pauses: [SECOND / 10, 300 * MINUTE] } });
    const first = await rig.logged('failed');
    expect(first['error']).toMatch(/could not check relay\.test by http-01/);
    const second = await rig.logged('failed', (line) => line !== first);
    expect(Date.parse(second['nextAttemptAt'])).toBeGreaterThan(Date.now() + 299 * MINUTE);
    expect(rig.log.filter(({ action }) => action === 'failed')).toHaveLength(2);
    (await shownTo('rsa', rig.port)).destroy(); // the self-signed pair is served all the while
    pebble.reachable(true);
    await requestRenewal(rig.store.operation);
    rig.certificates.look();
    await rig.signed();
    await until('the error to be forgotten', async () =>
      (await describeCertificates(rig.store.operation, Date.now())).every(({ lastError }) => lastError === null),
    );
  });

  test('a failed renewal keeps the old certificates, and says so where operators look', async () => {
    const rig = await startRig({ acme: { pauses: [DAY] } });
    await rig.signed();
    const before = rig.certificates.current();
    // a new account has nothing proven: one in a hundred times Pebble takes an old proof, told never to as it is
    await rig.store.operation.setValue(`acme.account.${proxy.directory}`, null);
    pebble.reachable(false);
    await requestRenewal(rig.store.operation);
    rig.certificates.look();
    await rig.logged('failed');
    await until('the failure to be told', () => rig.certificates.warnings().length === 2);
    expect(rig.certificates.current()).toEqual(before);
    expect(rig.certificates.problems(Date.now())).toEqual([]); // clients may come
    expect(rig.certificates.facts()).toMatchObject([{ failures: 1 }, { failures: 1 }]);
    const [status] = await describeCertificates(rig.store.operation, Date.now());
    expect(status).toMatchObject({
      names: ['relay.test'],
      issuer: expect.stringMatching(/Pebble/),
      lastError: expect.stringMatching(/relay\.test/),
    });
  });

  test('cert renew renews both at once, and open sessions continue', async () => {
    const rig = await startRig();
    await rig.signed();
    const session = await shownTo('ecdsa', rig.port);
    const before = session.getPeerX509Certificate()!.serialNumber;
    await requestRenewal(rig.store.operation);
    rig.certificates.look();
    for (const keyType of ['ecdsa', 'rsa']) await rig.logged('renewed', (line) => line['keyType'] === keyType);
    await until('the request to be over', async () => (await rig.store.operation.value('certificate.request')) === undefined);
    const next = await shownTo('ecdsa', rig.port);
    expect(next.getPeerX509Certificate()!.serialNumber).not.toBe(before);
    expect(session.write('still here')).toBe(true);
    expect(session.destroyed).toBe(false);
    session.destroy();
    next.destroy();
  });

  test('the account is kept, found by its key, and made again if the authority has forgotten it', async () => {
    const rig = await startRig();
    await rig.signed();
    const name = `acme.account.${proxy.directory}`;
    const account = async () => JSON.parse((await rig.store.operation.value(name))!);
    const { key, url } = await account();
    const renewed = (): Promise<unknown> => {
      const seen = rig.log.length;
      return until('renewal', () => rig.log.slice(seen).filter(({ action }) => action === 'renewed').length === 2, {
        context: rig.text,
      });
    };
    const renew = async () => {
      const done = renewed();
      await requestRenewal(rig.store.operation);
      rig.certificates.look();
      await done;
    };
    await rig.store.operation.setValue(name, JSON.stringify({ key })); // the answer to newAccount was lost
    await renew();
    expect(await account()).toMatchObject({ key, url });
    await pebble.restart(); // it keeps nothing
    await renew();
    expect((await account()).key).toBe(key);
    expect((await account()).url).not.toBe(url);
    expect(rig.log.filter(({ event }) => event === 'acmeAccount')).toHaveLength(3);
  });

  test.each([
    ['the order is placed', /POST \/authZ/],
    ['the challenge is answered', /POST \/chalZ/],
    ['the order is ready', /POST \/finalize-order/],
    ['the certificate waits to be fetched', /POST \/certZ/],
  ])('a restart when %s takes the order up where it was', async (_, match) => {
    const held = proxy.hold(match);
    const rig = await startRig();
    await held.reached;
    const [order] = await rig.store.operation.values('acme.order.');
    await rig.stop();
    held.release();
    rigs.splice(rigs.indexOf(rig), 1);
    const next = await startRig({ dataDir: rig.dataDir });
    await next.signed();
    expect(proxy.orders).toHaveLength(2); // one for each key
    const { key } = (await next.store.operation.certificates()).find(({ keyType }) => keyType === 'ecdsa')!;
    expect(key).toBe(JSON.parse(order!.value).key);
  });

  test('one of two processes renews, and both serve the certificate', async () => {
    const first = await startRig({ owner: 'one' });
    const other = await startRig({ owner: 'two', dataDir: first.dataDir, listen: { http: [], alpn: [] } });
    await Promise.all([
      first.signed(),
      until('the other worker to serve it', () => {
        other.certificates.look();
        return other.certificates.problems(Date.now()).length === 0;
      }),
    ]);
    expect(proxy.orders).toHaveLength(2);
    expect(other.certificates.current()).toEqual(first.certificates.current());
  });

  test('another authority and more names take effect at the next start, and the old certificate is served until then', async () => {
    const rig = await startRig();
    await rig.signed();
    const before = rig.certificates.current();
    await rig.stop();
    rigs.splice(rigs.indexOf(rig), 1);
    const direct = await startRig({ dataDir: rig.dataDir, names: ['smtp.relay.test'], ...towards(pebble) });
    expect(direct.certificates.current()).toEqual(before);
    await direct.logged('renewed', ({ keyType }) => keyType === 'rsa');
    expect(new X509Certificate(direct.certificates.current().cert[0]!).subjectAltName).toContain('smtp.relay.test');
  });

  test.each([
    ['6 days', 6 * DAY],
    ['45 days', 45 * DAY],
    ['64 days', 64 * DAY],
    ['90 days', 90 * DAY],
  ])('a certificate of %s is renewed about two thirds through', async (_, lifetime) => {
    proxy.setLifetime(lifetime);
    const rig = await startRig();
    await rig.signed();
    await until('the plan', async () => {
      const plans = await describeCertificates(rig.store.operation, Date.now());
      return plans.every(({ renewReason }) => renewReason === 'two thirds of its lifetime');
    });
    for (const { renewAt, notBefore } of await describeCertificates(rig.store.operation, Date.now())) {
      expect((renewAt! - notBefore) / lifetime).toBeGreaterThan(0.63);
      expect((renewAt! - notBefore) / lifetime).toBeLessThan(0.67);
    }
    expect(proxy.orders).toHaveLength(2); // and not again and again, as a rule of thirty days would
  });

  test('certificates of some seconds are renewed again and again by themselves', async () => {
    proxy.setLifetime(12 * SECOND);
    const rig = await startRig();
    await until('three generations', () => rig.log.filter(({ action }) => action === 'renewed').length >= 4, {
      deadline: 60 * SECOND,
    });
    expect(rig.log.filter(({ action }) => action === 'failed')).toEqual([]);
  }, 90_000);

  describe('renewal information (RFC 9773)', () => {
    const answer = (start: number, end: number, retryAfter = '3600') => ({
      status: 200,
      retryAfter,
      body: JSON.stringify({
        suggestedWindow: { start: new Date(start).toISOString(), end: new Date(end).toISOString() },
        explanationURL: 'https://authority.test/why',
      }),
    });

    test('decides the time, is asked for by the certificate’s id, and the new order names what it replaces', async () => {
      proxy.setLifetime(90 * DAY);
      const [start, end] = [Date.now() + 10 * DAY, Date.now() + 12 * DAY];
      const ids: string[] = [];
      proxy.setRenewalInfo((id) => {
        ids.push(id);
        return answer(start, end);
      });
      const rig = await startRig();
      await rig.signed();
      const [status] = await until('the plan', async () => {
        const plans = await describeCertificates(rig.store.operation, Date.now());
        return plans.every(({ renewReason }) => renewReason.includes('9773')) && plans;
      });
      expect(status!.renewAt).toBeGreaterThanOrEqual(start);
      expect(status!.renewAt).toBeLessThanOrEqual(end);
      expect(status!.renewReason).toContain('https://authority.test/why');
      expect(ids).toHaveLength(2);
      expect(proxy.orders.map(({ replaces }) => replaces)).toEqual([undefined, undefined]);
      await requestRenewal(rig.store.operation);
      rig.certificates.look();
      await rig.logged('renewed', ({ keyType }) => keyType === 'rsa');
      expect(proxy.orders.slice(2).map(({ replaces }) => replaces)).toEqual(ids.slice(0, 2));
    });

    test('a renewal that is requested during a renewal is carried out once', async () => {
      proxy.setRenewalInfo(() => answer(Date.now() + 10 * DAY, Date.now() + 12 * DAY));
      const held = proxy.hold(/renewal-info/);
      const rig = await startRig();
      await rig.signed();
      await held.reached;
      await requestRenewal(rig.store.operation);
      held.release();
      await until('the request to be over', async () => (await rig.store.operation.value('certificate.request')) === undefined);
      expect(proxy.orders).toHaveLength(4);
    });

    test('an authority that does not know the replaced certificate gets the order without it', async () => {
      proxy.setRenewalInfo(() => answer(Date.now() + 10 * DAY, Date.now() + 12 * DAY));
      const rig = await startRig();
      await rig.signed();
      await until('the plan', async () =>
        (await describeCertificates(rig.store.operation, Date.now()))[1]?.renewReason.includes('9773'),
      );
      const body = JSON.stringify({ type: 'urn:ietf:params:acme:error:alreadyReplaced', detail: 'another order replaces it' });
      proxy.fail({ match: /POST \/order-plz/, times: 1, status: 409, body });
      await requestRenewal(rig.store.operation);
      rig.certificates.look();
      await rig.logged('renewed', ({ keyType }) => keyType === 'rsa');
      expect(rig.log.filter(({ action }) => action === 'failed')).toEqual([]);
    });

    test.each([
      ['answers 500', { status: 500, body: '' }],
      ['answers nonsense', { status: 200, body: '[' }],
      ['suggests a window that ends before it starts', answer(2 * DAY, DAY)],
    ])('an authority that %s leaves two thirds of the lifetime', async (_, given) => {
      proxy.setRenewalInfo(() => given);
      const rig = await startRig();
      await rig.signed();
      await until('the plan', async () => {
        const plans = await describeCertificates(rig.store.operation, Date.now());
        return plans.every(({ renewReason }) => renewReason === 'two thirds of its lifetime');
      });
      expect(rig.log.filter(({ action }) => action === 'failed')).toEqual([]);
      expect(proxy.requests.filter((name) => name.startsWith('GET /renewal-info')).length).toBeLessThanOrEqual(2);
    });
  });

  test('without acceptTerms there is no request and no open port, and one warning names the setting', async () => {
    const rig = await startRig({ acme: { acceptTerms: false } });
    expect(rig.certificates.listening).toEqual([]);
    expect(await rig.logged('waiting')).toMatchObject({ level: 'warn', error: expect.stringMatching(/tls\.acme\.acceptTerms/) });
    expect(rig.log.filter(({ action }) => action === 'waiting')).toHaveLength(1);
    expect(rig.certificates.problems(Date.now())[0]).toMatch(/tls\.acme\.acceptTerms/);
    expect(proxy.requests).toEqual([]);
  });

  test('an authority with an untrusted certificate gets no request, and the setting is named', async () => {
    const rig = await startRig({ acme: { ca: undefined } });
    expect((await rig.logged('failed'))['error']).toMatch(
      /cannot be reached \(\w*(?:CERT|SIGNATURE|ISSUER)\w*\); .*tls\.acme\.ca/,
    );
    expect(proxy.requests).toEqual([]);
  });

  test('a missing trust file is reported in one clear sentence', async () => {
    const missing = '/nonexistent/ca.pem';
    await expect(startRig({ acme: { ca: missing } })).rejects.toThrow(`tls.acme.ca: ${missing} cannot be read (ENOENT)`);
  });
});

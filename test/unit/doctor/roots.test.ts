/** What the doctor connects to is verified with the same roots as all other hosts. */
import { createServer } from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { createSelfSigned } from '../../../src/certificates/certificates.ts';
import { httpTime, probeSmtp } from '../../../src/doctor/doctor.ts';
import { startMx } from '../../support/mx.ts';

const { getCACertificates } = tls;
const trustOfTheSystem = (pem: string) => replace((origin) => (origin === 'system' ? [pem] : []));
function replace(read: typeof getCACertificates): void {
  Object.assign(tls, { getCACertificates: read });
  syncBuiltinESMExports();
}
afterEach(() => replace(getCACertificates));

/** A server's pair, and one of the operator, which is another one in each test: contexts are kept by it. */
async function pairs() {
  const [server, operator] = await Promise.all(
    ['relay.test', 'ca.test'].map((name) => createSelfSigned('rsa', [name], Date.now())),
  );
  return { key: server!.key, cert: server!.certificate, ca: operator!.certificate };
}

test.each([true, false])(
  'a server whose root only the system has is trusted by the probe of SMTP, RSA only: %s',
  async (rsaOnly) => {
    const { key, cert, ca } = await pairs();
    const mx = await startMx({ tls: { key, cert } });
    onTestFinished(() => mx.close());
    const target = {
      address: '127.0.0.1',
      port: mx.port,
      hostname: 'relay.test',
      tls: 'starttls',
      timeout: 60_000,
      rsaOnly,
    } as const;
    trustOfTheSystem(cert);
    const { certificate } = await probeSmtp({ ...target, ca });
    expect(certificate).toMatchObject({ length: 1 });
    expect(certificate).not.toHaveProperty('untrusted');
  },
);

test('a server whose root only the system has tells the time', async () => {
  const { key, cert, ca } = await pairs();
  const server = createServer({ key, cert }, (_, response) => response.end());
  onTestFinished(() => void server.close());
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `https://relay.test:${(server.address() as AddressInfo).port}/`;
  trustOfTheSystem(cert);
  expect(await httpTime({ url, address: '127.0.0.1', ca, timeout: 60_000 })).toMatchObject({ name: 'relay.test' });
});

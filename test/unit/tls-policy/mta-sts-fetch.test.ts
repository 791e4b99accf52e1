/** Policies fetched from a real host over HTTPS, and every way in which that fails. RFC 8461 §3.3 */
import { createServer } from 'node:net';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Dns, DnsAnswer } from '../../../src/dns/dns.ts';
import { createAddressGuard } from '../../../src/net/address-guard.ts';
import { SECOND } from '../../../src/system/clock.ts';
import { data } from '../../../src/system/phrase.ts';
import { fetchPolicy, type PolicyFetchOptions } from '../../../src/tls-policy/mta-sts-fetch.ts';
import { type Certified, type HostOptions, makeAuthority, makeHost, served } from '../../support/chains.ts';
import { saying } from '../../support/phrases.ts';
import { type PolicyHost, startPolicyHost } from '../../support/policy-host.ts';

const POLICY = 'version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n';
const HOST = 'mta-sts.example.org';

let authority: Certified;
let good: Certified;
let host: PolicyHost;

beforeAll(async () => {
  authority = await makeAuthority('root');
  good = await makeHost({ names: [HOST], issuer: authority });
  host = await startPolicyHost(served(good));
});
afterAll(() => host.close());
beforeEach(() => {
  host.present(served(good));
  host.answer = POLICY;
});

const found = (...values: string[]): DnsAnswer<string> => ({ kind: 'found', values });
const zone = (a: DnsAnswer<string>, aaaa: DnsAnswer<string> = { kind: 'none' }): Pick<Dns, 'a' | 'aaaa'> => ({
  a: async () => a,
  aaaa: async () => aaaa,
});

function fetching(options: Partial<PolicyFetchOptions> = {}) {
  return fetchPolicy('example.org', {
    dns: zone(found('127.0.0.1')),
    guard: createAddressGuard(['127.0.0.0/8'], () => []),
    secureContext: createSecureContext({ minVersion: 'TLSv1.2', ca: [authority.pem] }),
    signal: new AbortController().signal,
    port: host.port,
    ...options,
  });
}

const problem = (type: string, detail: RegExp) => ({
  problem: { type: expect.stringMatching(type), why: saying(detail) },
});
const withType =
  (type: string | undefined): PolicyHost['answer'] =>
  (_, response) => {
    if (type !== undefined) response.setHeader('content-type', type);
    response.end(POLICY);
  };
const withStatus =
  (status: number, headers: Record<string, string> = {}): PolicyHost['answer'] =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(status === 204 ? undefined : POLICY);

test('a policy is fetched from the host and the path that the standard names, by the name of the host', async () => {
  const before = [host.asked.length, host.named.length];
  expect(await fetching()).toEqual({
    file: { mode: 'enforce', maxAge: 86_400, mx: ['mx.example.org'], text: POLICY.trimEnd() },
  });
  expect(host.asked.slice(before[0])).toEqual([`${HOST}/.well-known/mta-sts.txt`]);
  expect(host.named.slice(before[1])).toEqual([HOST]);
});

test.each<[what: string, answer: PolicyHost['answer']]>([
  ['with a charset', withType('text/plain; charset=utf-8')],
  ['with its type in capitals', withType('Text/Plain;charset=us-ascii')],
  ['without a type', withType(undefined)],
  [
    'in pieces',
    (_, response) => {
      response.write(POLICY.slice(0, 30));
      setImmediate(() => response.end(POLICY.slice(30)));
    },
  ],
  [
    'after an interim answer',
    (_, response) => {
      response.writeProcessing();
      response.end(POLICY);
    },
  ],
])('a policy is taken %s', async (_, answer) => {
  host.answer = answer as PolicyHost['answer'];
  expect(await fetching()).toMatchObject({ file: { mode: 'enforce' } });
});

const FETCH = 'sts-policy-fetch-error';
const INVALID = 'sts-policy-invalid';

test.each<[what: string, answer: PolicyHost['answer'], type: string, detail: RegExp]>([
  ['redirects', withStatus(301, { location: `https://${HOST}/other` }), FETCH, /status 301$/],
  ['has no content', withStatus(204), FETCH, /status 204$/],
  ['is not found', withStatus(404), FETCH, /status 404$/],
  ['is not modified', withStatus(304), FETCH, /status 304$/],
  ['fails', withStatus(503), FETCH, /status 503$/],
  ['is a page', withType('text/html; charset=utf-8'), INVALID, /it is text\/html, not text\/plain$/],
  ['has another type of text', withType('text/plaintext'), INVALID, /it is text\/plaintext/],
  ['is compressed', withStatus(200, { 'content-encoding': 'gzip' }), INVALID, /compressed \(gzip\)$/],
  ['is malformed', 'version: STSv1\nmode: enforce\nmax_age: 1\n', INVALID, /it names no mx$/],
  ['is empty', '', INVALID, /no version$/],
  ['is too large', `${POLICY}${'x: y\n'.repeat(14_000)}`, INVALID, /larger than 64 KiB$/],
  ['never ends', (_, response) => void response.write(POLICY), FETCH, /does not answer in time$/],
  ['never begins', () => {}, FETCH, /does not answer in time$/],
  [
    'comes drop by drop',
    (_, response) => {
      const drip = setInterval(() => response.write('a'), 10);
      response.once('close', () => clearInterval(drip));
    },
    FETCH,
    /does not answer in time$/,
  ],
  [
    'is cut',
    (_, response) => {
      response.setHeader('content-length', 1000);
      response.write(POLICY);
      setImmediate(() => response.destroy());
    },
    FETCH,
    /closed the connection within its answer$/,
  ],
  [
    'switches to another protocol',
    (request) => void request.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    FETCH,
    /status 101$/,
  ],
  ['is not HTTP', (request) => void request.socket.end('220 mail.example.org ESMTP\r\n'), FETCH, /cannot be reached: HPE_/],
  ['has endless headers', (request) => void request.socket.end(`HTTP/1.1 200 Ok\r\n${'x: y\r\n'.repeat(9000)}`), FETCH, /HPE_/],
])('an answer that %s is no policy', async (_, answer, type, detail) => {
  host.answer = answer;
  // An answer that comes is not hurried.
  const within = detail.source.includes('in time') ? { fetchWithin: 400 } : {};
  expect(await fetching(within)).toEqual(problem(type, detail));
});

test.each<[what: string, names: string[], more: HostOptions, ok: boolean | RegExp]>([
  ['for the whole label', ['*.example.org'], {}, true],
  ['in capitals', ['MTA-STS.Example.ORG'], {}, true],
  ['beside other names', ['a.example', HOST], {}, true],
  ['for another name', ['www.example.org'], {}, /none of its DNS names is the host$/],
  ['for the domain alone', ['example.org'], {}, /none of its DNS names/],
  ['for a part of the label', ['mta-*.example.org'], {}, /none of its DNS names/],
  ['for any name below', ['*.org'], {}, /none of its DNS names/],
  ['with a common name only', [], { commonName: HOST }, /none of its DNS names/],
  ['that has expired', [HOST], { expired: true }, /CERT_HAS_EXPIRED$/],
])('a certificate %s', async (_, names, more, ok) => {
  host.present(served(await makeHost({ names, issuer: authority, ...more })));
  expect(await fetching()).toMatchObject(ok === true ? { file: {} } : problem('sts-webpki-invalid', ok as RegExp));
});

test('a certificate of an unknown authority, and a self-signed one, is not accepted', async () => {
  const other = await makeAuthority('other');
  host.present(served(await makeHost({ names: [HOST], issuer: other })));
  expect(await fetching()).toEqual(problem('sts-webpki-invalid', /not accepted: UNABLE_TO_/));
  expect(host.asked).toEqual(host.asked.filter((asked) => asked.startsWith(HOST)));
});

test('a host that speaks nothing newer than TLS 1.1 is no policy host', async () => {
  const old = await startPolicyHost(served(good), {
    tls: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  });
  expect(await fetching({ port: old.port })).toEqual(problem(FETCH, /cannot be reached: /));
  await old.close();
});

test('if an address does not answer, the next one is asked, also of the other family', async () => {
  const guard = createAddressGuard(['127.0.0.0/8', '::1'], () => []);
  expect(await fetching({ guard, dns: zone(found('127.0.0.99', '127.0.0.1'), found('::1')) })).toMatchObject({ file: {} });
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(host.port, '127.0.0.77', resolve));
  const slow = await fetching({ connectWithin: 3 * SECOND, dns: zone(found('127.0.0.77', '127.0.0.1')) });
  expect(slow).toMatchObject({ file: {} });
  expect(await fetching({ connectWithin: 200, dns: zone(found('127.0.0.77')) })).toEqual(problem(FETCH, /connected to in time$/));
  silent.close();
});

test('if one address has a wrong certificate and the other does not answer, the certificate is reported', async () => {
  host.present(served(await makeHost({ names: ['other.example'], issuer: authority })));
  expect(await fetching({ dns: zone(found('127.0.0.1', '127.0.0.99')) })).toEqual(problem('sts-webpki-invalid', /./));
  expect(await fetching({ dns: zone(found('127.0.0.99', '127.0.0.1')) })).toEqual(problem('sts-webpki-invalid', /./));
});

test('an answer of the host itself is not asked for again at its other addresses', async () => {
  host.answer = withStatus(404);
  const before = host.asked.length;
  expect(await fetching({ dns: zone(found('127.0.0.1', '127.0.0.1')) })).toEqual(problem(FETCH, /404/));
  expect(host.asked.length - before).toBe(1);
});

test('a refused port, a name without an address and a failed look-up have different reasons', async () => {
  expect(await fetching({ dns: zone(found('127.0.0.99')) })).toEqual(
    problem(FETCH, /\[127\.0\.0\.99\] cannot be reached: ECONNREFUSED$/),
  );
  expect(await fetching({ dns: zone({ kind: 'nxdomain' }, { kind: 'nxdomain' }) })).toEqual(problem(FETCH, /has no address$/));
  const failing: DnsAnswer<string> = { kind: 'temporary', why: data('SERVFAIL') };
  expect(await fetching({ dns: zone(failing, { kind: 'none' }) })).toEqual(problem(FETCH, /look-up of \S+ failed: SERVFAIL$/));
  expect(await fetching({ dns: zone(found('127.0.0.1'), failing) })).toMatchObject({ file: {} });
});

test('private addresses are not connected to unless the operator allows them', async () => {
  const guard = createAddressGuard([], () => []);
  const before = host.named.length;
  expect(await fetching({ guard })).toEqual(problem(FETCH, /addresses that are not connected to: 127\.0\.0\.1/));
  expect(await fetching({ guard, dns: zone({ kind: 'none' }, found('::ffff:127.0.0.1')) })).toEqual(
    problem(FETCH, /not connected/),
  );
  expect(host.named.length).toBe(before);
});

test('a stop ends a fetch at once', async () => {
  host.answer = () => {};
  const stop = new AbortController();
  const running = fetching({ signal: stop.signal });
  while (host.asked.length === 0) await new Promise(setImmediate);
  stop.abort();
  expect(await running).toEqual(problem(FETCH, /the relay was stopped$/));
});

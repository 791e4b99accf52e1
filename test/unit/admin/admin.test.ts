import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startAdmin } from '../../../src/admin/admin.ts';
import type { TlsPageFacts } from '../../../src/admin/tls-page.ts';

const LINKED = { name: 'anna@example.net', sender: '<b>&@example.net' };
let releases = 0;
const release = {
  linked: async (token: string) => (token === 'good-token' && releases === 0 ? LINKED : undefined),
  release: async (token: string) => (token === 'good-token' && releases++ === 0 ? LINKED : undefined),
};

async function start(facts: TlsPageFacts = { policies: [], failures: [] }) {
  const admin = await startAdmin({
    listen: [{ address: '127.0.0.1', port: 0 }],
    names: ['relay.example.net'],
    metrics: async () => ({ body: 'm 1\n', contentType: 'text/plain' }),
    unready: async () => [],
    release,
    tls: { policies: async () => facts.policies, failures: async () => facts.failures },
  });
  onTestFinished(() => admin.close());
  return admin.listening[0]!.port;
}

/** @param host as it stands in the request. */
async function statusFor(port: number, host: string): Promise<number | undefined> {
  const asking = request({ host: '127.0.0.1', port, path: '/metrics', agent: false, headers: { host } });
  asking.end();
  const [response] = await once(asking, 'response');
  response.resume();
  return response.statusCode;
}

describe('the page only answers requests for the names of the relay', () => {
  test.each([
    ['localhost:8025', 200],
    ['127.0.0.1:8025', 200],
    ['[::1]:8025', 200],
    ['192.0.2.7', 200],
    ['smarthost:8025', 200],
    ['Relay.Example.Net.:8025', 200],
    ['x.localhost', 200],
    ['evil.example.org', 421],
    ['evil.example.org:8025', 421],
    ['relay.example.net.evil.example.org', 421],
    ['127.0.0.1.evil.example.org', 421],
    ['[evil.example.org]', 421],
  ])('%s: %i', async (host, status) => {
    expect(await statusFor(await start(), host)).toBe(status);
  });
});

test('more connections than the limit are not accepted until others close', async () => {
  const port = await start();
  const sockets: Socket[] = [];
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()));
  for (let i = 0; i < 64; i++) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
  }
  await expect(statusFor(port, 'localhost')).rejects.toThrow();
  for (const socket of sockets.splice(0, 8)) socket.destroy();
  await expect.poll(() => statusFor(port, 'localhost').catch(() => 0)).toBe(200);
});

describe('the page about TLS', () => {
  const failure = { day: '2026-11-26', policy: 'sts', type: 'certificate-expired', mx: 'mx.bad.example', reason: null } as const;

  test('shows each domain with a policy or with failures once, those with the most failures first', async () => {
    const policy = { state: 'holds', mode: 'enforce', expiresAt: '2026-12-24T00:00:00.000Z', lastError: null } as const;
    const response = await fetch(
      `http://127.0.0.1:${await start({
        policies: [
          { ...policy, domain: 'good.example' },
          { ...policy, domain: 'bad.example', lastError: 'the host answers 404' },
        ],
        failures: [
          { ...failure, domain: 'bad.example', sessions: 4 },
          { ...failure, day: '2026-11-25', domain: 'bad.example', sessions: 3 },
          { ...failure, domain: 'worse.example', policy: 'tlsa', type: 'validation-failure', sessions: 9 },
        ],
      })}/tls`,
    );
    const html = await response.text();
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const rows = [...html.matchAll(/<tr><th scope="row">.*<\/tr>/g)].map(([row]) => row.replace(/<[^>]+>/g, '|'));
    expect(rows).toEqual([
      '||worse.example||||9||2026-11-26||9 × tlsa validation-failure, mx.bad.example||',
      '||bad.example||enforce, until 2026-12-24||7||2026-11-26||7 × sts certificate-expired, mx.bad.example|The policy could not be fetched again: the host answers 404||',
      '||good.example||enforce, until 2026-12-24||||||||',
    ]);
  });

  test('shows what a foreign server has said as text, and lets nothing run', async () => {
    const domain = `"><script>alert('x')</script>&amp;`;
    const response = await fetch(
      `http://127.0.0.1:${await start({ policies: [], failures: [{ ...failure, domain, sessions: 1, reason: '<img src=x>' }] })}/tls`,
    );
    const html = await response.text();
    expect(html).toContain('&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;');
    expect(html).not.toMatch(/<(script|img)/);
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'unsafe-inline'; /);
  });

  test('lists at most 1000 domains, and says how many are left', async () => {
    const failures = Array.from({ length: 1002 }, (_, i) => ({ ...failure, domain: `d${i}.example`, sessions: 1 }));
    const html = await (await fetch(`http://127.0.0.1:${await start({ policies: [], failures })}/tls`)).text();
    expect(html.match(/<th scope="row">/g)).toHaveLength(1000);
    expect(html).toContain('<p>2 more: ');
  });

  test('says so where there is no such domain', async () => {
    expect(await (await fetch(`http://127.0.0.1:${await start()}/tls`)).text()).toContain('There are none.');
  });
});

test('a one-time link does nothing when it is followed, and releases once when its form is sent', async () => {
  const port = await start();
  const ask = (method: string, path = '/release/good-token') => fetch(`http://127.0.0.1:${port}${path}`, { method });
  for (const method of ['GET', 'HEAD', 'GET']) expect((await ask(method)).status).toBe(200);
  const page = await (await ask('GET')).text();
  expect(page).toContain('<form method="post">');
  expect(page).toContain('&#60;b&#62;&#38;@example.net');
  expect(releases).toBe(0);
  for (const path of ['/release/other', '/release/', '/release/good-token/x', '/release/good%2Dtoken'])
    expect((await ask('POST', path)).status).toBeGreaterThanOrEqual(404);
  expect((await ask('PUT')).status).toBe(405);
  const released = await ask('POST');
  expect([released.status, await released.text()]).toEqual([200, expect.stringContaining('leaves again')]);
  expect(released.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect((await ask('POST')).status).toBe(404);
  expect((await ask('GET')).status).toBe(404);
});

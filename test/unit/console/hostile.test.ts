/** What no honest client sends: all of it is refused in the form of all answers, and the console goes on. */
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { consoleHeaders } from '../../../src/console/headers.ts';
import { askOnce, startTestConsole } from '../../support/console.ts';

/** The fields that every answer has, whatever it answers. */
const FIELDS = Object.keys(consoleHeaders()).filter((name) => !['cache-control', 'content-security-policy'].includes(name));

/** Sends bytes as they are, and returns all that comes back before the connection ends. */
function send(origin: string, ...pieces: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.setEncoding('latin1').on('data', (piece) => {
      text += piece;
    });
    socket
      .once('close', () => resolve(text))
      .once('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
      });
    for (const piece of pieces) socket.write(piece, 'latin1');
  });
}

const HEAD = 'Host: 127.0.0.1\r\nConnection: close\r\n';

function parsed(text: string) {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const [first = '', ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  );
  return { status: Number(first.split(' ')[1]), headers, body };
}

test('every answer has all header fields: good ones, refusals, pages, what the parser refuses', async () => {
  await using console = await startTestConsole();
  const { origin } = console;
  const etag = (await console.ask('GET', '/accounts/reader')).headers.get('etag')!;
  const answers = [
    await console.ask('GET', '/session'),
    await console.ask('HEAD', '/session'),
    await console.ask('GET', '/accounts/reader', undefined, { headers: { 'if-none-match': etag } }),
    await console.ask('GET', '/status', undefined, { as: 'none' }),
    await console.ask('GET', '/accounts', undefined, { as: 'reader' }),
    await console.ask('GET', '/nothing'),
    await console.ask('POST', '/status', {}),
    await console.ask('POST', '/accounts', { name: 1 }),
    await console.ask('DELETE', '/sessions/none'),
    await console.ask('GET', '/status', undefined, { headers: { host: 'evil.example' } }),
    await askOnce(`${origin}/`, 'GET', {}),
    await askOnce(`${origin}/no-such-file.js`, 'GET', {}),
    await askOnce(`${origin}/api/openapi.json`, 'GET', {}),
  ];
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 304, 401, 403, 404, 404, 404, 405, 421, 422]);
  for (const { status, headers } of answers) {
    for (const name of FIELDS) expect(headers.get(name), `${status} ${name}`).toBe(consoleHeaders()[name]);
    const policy = headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    for (const name of ['server', 'x-powered-by', 'access-control-allow-origin']) expect(headers.get(name)).toBeNull();
  }
  for (const raw of ['NONSENSE\r\n\r\n', `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx: ${'y'.repeat(9000)}\r\n\r\n`]) {
    const { status, headers, body } = parsed(await send(origin, raw));
    expect([400, 431]).toContain(status);
    for (const [name, value] of Object.entries(consoleHeaders())) expect(headers.get(name), name).toBe(value);
    expect(JSON.parse(body)).toMatchObject({ status, type: 'about:blank' });
  }
});

test('odd paths, methods and heads are refused', async () => {
  await using console = await startTestConsole();
  const status = async (line: string, head = HEAD) => parsed(await send(console.origin, `${line}\r\n${head}\r\n`)).status;
  for (const path of [
    '/api/v1/../v1/status',
    '/api/v1/%2e%2e/v1/status',
    '/api//v1/status',
    '//evil.example/api/v1/status',
    '/api/v1\\status',
    '/api/v1/accounts/%00',
    '/api/v1/accounts/%zz',
    '/api/v1/accounts/%ff',
    `/api/v1/accounts/${'x'.repeat(5000)}`,
    'http://evil.example/api/v1/status',
    '*',
  ])
    expect([400, 404, 421], path).toContain(await status(`GET ${path} HTTP/1.1`));
  expect(await status('GET /api/v1/accounts/a%2fb HTTP/1.1')).toBe(401);
  for (const method of ['TRACE', 'OPTIONS', 'PUT', 'PROPFIND'])
    expect(await status(`${method} /api/v1/status HTTP/1.1`), method).toBe(405);
  expect(await status('GET /api/v1/status HTTP/1.1', 'Connection: close\r\n')).toBe(400);
  expect(await status('GET /api/v1/status HTTP/1.1', `Host: evil.example\r\n${HEAD}`)).toBe(400);
  expect(await status('GET /api/v1/status HTTP/1.1', 'Host: \r\nConnection: close\r\n')).toBe(421);
  expect(await status('GET /api/v1/status HTTP/1.0', 'Connection: close\r\n')).toBe(400);
  expect((await console.ask('GET', '/status')).status).toBe(200);
});

test('a refused request is answered before its body has come, and its body is never read', async () => {
  await using console = await startTestConsole();
  const { port } = new URL(console.origin);
  const cookie = `Cookie: smarthost-${port}=session of admin\r\n`;
  const json = 'Content-Type: application/json\r\nContent-Length: 50\r\n';
  const refused = [
    ['Host: evil.example\r\n', 421],
    ['Host: 127.0.0.1\r\n', 403],
    ['Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n', 403],
    ['Host: 127.0.0.1\r\nSec-Fetch-Site: same-site\r\n', 403],
    ['Host: 127.0.0.1\r\nSec-Fetch-Site: none\r\n', 403],
    ['Host: 127.0.0.1\r\nOrigin: null\r\n', 403],
    ['Host: 127.0.0.1\r\nOrigin: http://evil.example\r\n', 403],
    ['Host: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\nOrigin: http://evil.example\r\n', 403],
    ['Host: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\nx-smarthost-csrf: wrong\r\n', 403],
    ['Host: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\nAuthorization: Bearer x\r\n', 400],
  ] as const;
  // The connections end, although not one octet of the body was sent.
  for (const [head, wanted] of refused) {
    const answer = await send(console.origin, `POST /api/v1/accounts HTTP/1.1\r\n${head}${cookie}${json}\r\n`);
    expect(parsed(answer).status, head).toBe(wanted);
  }
  const big = `POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\n`;
  expect(parsed(await send(console.origin, `${big}Content-Length: 70000\r\n\r\n`)).status).toBe(413);
  const chunk = `ffff\r\n${'x'.repeat(0xffff)}\r\n`;
  expect(parsed(await send(console.origin, `${big}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`)).status).toBe(
    413,
  );
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
    expect((await console.ask('POST', '/session', {}, { headers: { 'content-type': type } })).status, type).toBe(415);
});

test('an own origin is taken where the browser sends no Sec-Fetch-Site', async () => {
  await using console = await startTestConsole();
  const headers = { 'sec-fetch-site': undefined, origin: console.origin };
  expect((await console.ask('DELETE', '/sessions', undefined, { headers })).status).toBe(200);
  const { port } = new URL(console.origin);
  const other = { ...headers, origin: `http://localhost:${port}` };
  expect((await console.ask('DELETE', '/sessions', undefined, { headers: other })).status).toBe(403);
});

test('a name that was pointed at this machine reads nothing', async () => {
  await using console = await startTestConsole();
  const { port } = new URL(console.origin);
  const rebound = { host: `evil.example:${port}`, origin: `http://evil.example:${port}`, 'sec-fetch-site': 'same-origin' };
  for (const path of ['/', '/api/v1/session', '/api/openapi.json', '/api/v1/setup/look']) {
    const { status, body } = await askOnce(`${console.origin}${path}`, 'GET', rebound);
    expect([status, Object.keys(body).sort()], path).toEqual([421, ['detail', 'instance', 'status', 'title', 'type']]);
  }
});

test('behind a trusted proxy the client is the one that the proxy names; nobody else can name one', async () => {
  const origin = 'https://mail.example.net';
  await using proxied = await startTestConsole({}, { origin, proxyTrust: ['127.0.0.0/8'] });
  const logIn = (console: typeof proxied, headers: Record<string, string>) =>
    console.ask('POST', '/session', { name: 'x', password: 'y' }, { as: 'none', headers });
  await logIn(proxied, { host: 'mail.example.net', 'x-forwarded-for': '192.0.2.66, 198.51.100.7, 127.0.0.1' });
  await logIn(proxied, { host: 'mail.example.net', 'x-forwarded-for': '<script>' });
  expect(proxied.failures.map(({ ip }) => ip)).toEqual(['198.51.100.7', '127.0.0.1']);
  await using plain = await startTestConsole();
  await logIn(plain, { 'x-forwarded-for': '198.51.100.7', 'remote-user': 'admin', forwarded: 'for=198.51.100.7' });
  expect(plain.failures.map(({ ip }) => ip)).toEqual(['127.0.0.1']);
});

test('requests of one session are slowed to 20 a second after 60, and the answer says how long to wait', async () => {
  await using console = await startTestConsole();
  const answers = [];
  for (let batch = 0; batch < 4; batch++)
    answers.push(...(await Promise.all(Array.from({ length: 100 }, () => console.ask('GET', '/session')))));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  for (const { headers } of refused) expect(headers.get('retry-after')).toBe('1');
  expect((await console.ask('GET', '/session', undefined, { as: 'reader' })).body.signedIn).toBe(true);
});

test('reports about the policy are logged, at most ten a minute', async () => {
  await using console = await startTestConsole();
  const report = (path: string, type: string, body: unknown) =>
    askOnce(`${console.origin}${path}`, 'POST', { 'content-type': type, 'sec-fetch-site': 'same-origin' }, JSON.stringify(body));
  const old = {
    'csp-report': { 'violated-directive': 'script-src', 'blocked-uri': 'inline\u202e', 'document-uri': 'http://x/#setup=AAAA' },
  };
  expect((await report('/api/csp-reports', 'application/csp-report', old)).status).toBe(204);
  for (let i = 0; i < 20; i++) await report('/api/csp-reports', 'application/reports+json', [{ body: { blockedURL: 'x' } }]);
  const logged = console.events.filter(({ event }) => event === 'consolePolicy');
  expect(logged[0]).toMatchObject({ directive: 'script-src', blocked: 'inline', document: 'http://x/' });
  expect(logged.length).toBeLessThan(15);
});

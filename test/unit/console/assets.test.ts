/** What a browser loads: names, codings, policies, sizes. */
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { ConsoleParts } from '../../../src/console/console.ts';
import { startTestConsole } from '../../support/console.ts';

const BROTLI = { 'accept-encoding': 'br' };

/** `fetch` decodes by itself and does not say how large the coded body was. */
async function load(origin: string, path: string, headers: Record<string, string> = BROTLI) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; headers: Record<string, string>; body: Buffer }>();
  const asked = request(origin + path, { headers }, async (response) => {
    const pieces: Buffer[] = [];
    for await (const piece of response) pieces.push(piece as Buffer);
    resolve({ status: response.statusCode!, headers: response.headers as Record<string, string>, body: Buffer.concat(pieces) });
  });
  asked.once('error', reject).end();
  return promise;
}

const text = ({ headers, body }: { headers: Record<string, string>; body: Buffer }) =>
  (headers['content-encoding'] === 'br' ? brotliDecompressSync(body) : body).toString();
const assetsOf = (html: string) => [...new Set([...html.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!))];

test('the shell of a page is never kept, and its policy lets only our files and its import map run', async () => {
  await using console = await startTestConsole();
  const shell = await load(console.origin, '/');
  expect(shell.status).toBe(200);
  expect(shell.headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  const html = text(shell);
  const inline = [...html.matchAll(/<script(?![^>]*src)[^>]*>(.*?)<\/script>/gs)].map(([, script]) => script!);
  expect(inline).toHaveLength(1);
  const hash = createHash('sha256').update(inline[0]!).digest('base64');
  const policy = shell.headers['content-security-policy']!;
  expect(policy).toContain(`script-src 'self' 'sha256-${hash}';`);
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).not.toContain('unsafe');
  expect(html).not.toMatch(/ style=| on\w+=/);
  expect(html).toContain('<meta name="smarthost-relay" content="relay.example.net">');
  expect(html).toMatch(/<noscript>[\s\S]*relay\.example\.net[\s\S]*smarthost doctor[\s\S]*<\/noscript>/);
});

test('a file is named by its hash, kept for ever, and never sent twice', async () => {
  await using console = await startTestConsole();
  for (const path of assetsOf(text(await load(console.origin, '/')))) {
    const file = await load(console.origin, path);
    expect(file.status, path).toBe(200);
    expect(file.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect(path).toContain(createHash('sha256').update(text(file)).digest('base64url').slice(0, 12));
    const again = await load(console.origin, path, { ...BROTLI, 'if-none-match': file.headers['etag']! });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  }
});

test('a browser gets the best coding that it takes', async () => {
  await using console = await startTestConsole();
  const style = assetsOf(text(await load(console.origin, '/'))).find((path) => path.endsWith('.css'))!;
  const plain = await load(console.origin, style, {});
  const zipped = await load(console.origin, style, { 'accept-encoding': 'gzip, deflate' });
  const brotli = await load(console.origin, style, { 'accept-encoding': 'gzip, deflate, br, zstd' });
  const refused = await load(console.origin, style, { 'accept-encoding': 'br;q=0, gzip' });
  expect([plain, zipped, brotli, refused].map(({ headers }) => headers['content-encoding'])).toEqual([
    undefined,
    'gzip',
    'br',
    'gzip',
  ]);
  expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true);
  expect(brotliDecompressSync(brotli.body).equals(plain.body)).toBe(true);
  expect(plain.body.length).toBeLessThanOrEqual(20 * 1024);
});

test('until its modules have come the document shows where a reader is, in their language', async () => {
  await using console = await startTestConsole();
  const cookie = `smarthost-${new URL(console.origin).port}=any`;
  const shown = async (path: string, headers: Record<string, string>) => {
    const html = text(await load(console.origin, path, headers));
    return {
      html,
      main: /<main id="main">(.*?)<\/main>/s
        .exec(html)![1]!
        .replace(/<[^>]*>/g, '')
        .replace(/\s+/g, ' ')
        .trim(),
    };
  };
  const login = await shown('/messages', {});
  expect(login.main).toMatch(/^smarthost relay\.example\.net Loading … This page should be here by now\..* smarthost help$/);
  expect(login.html).toContain('<div class="frame bare">');
  expect(login.html).toMatch(/<link rel="modulepreload" href="\/assets\/pages\/login\./);
  expect(login.html).not.toMatch(/rel="modulepreload" href="\/assets\/pages\/messages\./);
  const french = await shown('/queue', { cookie, 'accept-language': 'de-CH,fr;q=0.9,en;q=0.8' });
  expect(french.main).toMatch(/^File d’attente Chargement … /);
  expect(french.html).toContain('<html lang="fr">');
  expect(french.html).toMatch(/<link rel="modulepreload" href="\/assets\/pages\/queue\./);
  expect(french.html).toMatch(/<link rel="modulepreload" href="\/assets\/texts\/fr-mail\./);
  expect(french.html).not.toMatch(/rel="modulepreload" href="\/assets\/texts\/en-/);
  const chosen = await shown('/queue', { cookie: `${cookie}; smarthost-language=en`, 'accept-language': 'fr' });
  expect(chosen.main).toMatch(/^Queue Loading … /);
  const unknown = await shown('/queue', { cookie: `${cookie}; smarthost-language=de`, 'accept-language': 'it' });
  expect(unknown.main).toMatch(/^Queue Loading … /);
  expect((await shown('/no/such/page', { cookie })).main).toMatch(/^There is no such page /);
});

test('before there is a configuration the document promises no page', async () => {
  const firstRun = { answered: () => {} } as unknown as NonNullable<ConsoleParts['firstRun']>;
  await using console = await startTestConsole({ firstRun });
  const html = text(await load(console.origin, '/', { cookie: `smarthost-${new URL(console.origin).port}=any` }));
  expect(html).toContain('<div class="frame bare">');
  expect(html).toMatch(/<link rel="modulepreload" href="\/assets\/pages\/first-run\./);
});

test('the first load has at most 30 requests and 70 KB, and all that a reader of one language can load has 150 KB', async () => {
  await using console = await startTestConsole();
  const shell = await load(console.origin, '/');
  const paths = assetsOf(text(shell));
  const files = await Promise.all(paths.map((path) => load(console.origin, path)));
  const octets = files.reduce((sum, { body }) => sum + body.length, shell.body.length);
  // The shell, and the API: the session, the state of the relay, its history. The texts of the page are among the files.
  expect(paths.length + 1 + 3).toBeLessThanOrEqual(30);
  expect(octets).toBeLessThanOrEqual(70_000);
  const { imports } = JSON.parse(/<script type="importmap">(.*?)<\/script>/s.exec(text(shell))![1]!) as {
    imports: Record<string, string>;
  };
  for (const other of ['en', 'fr']) {
    const paths = [...new Set(Object.values(imports))].filter((path) => !path.includes(`/texts/${other}-`));
    const all = await Promise.all(paths.map((path) => load(console.origin, path)));
    expect(all.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(150_000);
  }
});

test('a page that does not exist has the shell with 404, a file that does not exist has nothing', async () => {
  await using console = await startTestConsole();
  const page = await load(console.origin, '/no/such/page');
  expect(page.status).toBe(404);
  expect(text(page)).toContain('<div id="app">');
  for (const path of ['/assets/main.ts', '/assets/..%2fassets.ts', '/assets/']) {
    const file = await load(console.origin, path);
    expect([file.status, file.body.length], path).toEqual([404, 0]);
  }
  const posted = await fetch(`${console.origin}/`, { method: 'POST' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  const head = await fetch(`${console.origin}/`, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
});

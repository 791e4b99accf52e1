/** Files for browsers are made once for all starts with the same sources. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { preparePages } from '../../../src/console/page-child.ts';
import { keepPages, keptPages, readPageSources } from '../../../src/console/page-sources.ts';
import { until } from '../../support/program.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'smarthost-pages-'));
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(path, { recursive: true, force: true });
  });
  vi.stubEnv('NODE_COMPILE_CACHE', path);
  return path;
}

test('what was made is kept for the same sources, and for no others', async () => {
  const path = folder();
  const sources = await readPageSources();
  expect(await keptPages(sources)).toBeUndefined();
  await keepPages(sources, () => ({ files: [new Uint8Array([1, 2])] }));
  expect(await keptPages(sources)).toEqual({ files: [new Uint8Array([1, 2])] });
  expect(readdirSync(path), 'nothing half written stays').toEqual(['console-pages']);
  expect(statSync(join(path, 'console-pages')).mode & 0o777).toBe(0o600);
  for (const name of ['main.ts', 'style.css', 'preact', '//page-build.ts'])
    expect(await keptPages(new Map([...sources, [name, `${sources.get(name)} `]])), name).toBeUndefined();
  writeFileSync(join(path, 'console-pages'), 'damaged');
  expect(await keptPages(sources)).toBeUndefined();
});

test('without a folder that can be written nothing is kept, and nothing fails', async () => {
  const sources = await readPageSources();
  vi.stubEnv('NODE_COMPILE_CACHE', '/proc/none');
  onTestFinished(() => void vi.unstubAllEnvs());
  await keepPages(sources, () => 1);
  expect(await keptPages(sources)).toBeUndefined();
});

test('a process of its own makes them before somebody asks, and does nothing where they are kept', async () => {
  const path = join(folder(), 'console-pages');
  const { signal } = new AbortController();
  await preparePages(signal);
  const kept = await keptPages<{ readonly files: readonly { readonly brotli?: Uint8Array }[] }>(await readPageSources());
  expect(kept!.files.every(({ brotli }) => brotli !== undefined)).toBe(true);
  const { mtimeMs } = statSync(path);
  await preparePages(signal);
  expect(statSync(path).mtimeMs).toBe(mtimeMs);
});

test('it ends with the console, and where nothing can be kept it ends by itself', async () => {
  const path = folder();
  const stopped = new AbortController();
  const ended = preparePages(stopped.signal);
  stopped.abort();
  await ended;
  expect(readdirSync(path)).not.toContain('console-pages');
  writeFileSync(join(path, 'file'), '');
  vi.stubEnv('NODE_COMPILE_CACHE', join(path, 'file', 'none'));
  await preparePages(new AbortController().signal);
  expect(await keptPages(await readPageSources())).toBeUndefined();
});

test('a machine that lets no process be started is no error of the relay', async () => {
  folder();
  const { execPath } = process;
  onTestFinished(() => void (process.execPath = execPath));
  process.execPath = 'no\0program'; // Node throws, as it does without memory for another process
  await preparePages(new AbortController().signal);
  expect(await keptPages(await readPageSources())).toBeUndefined();
});

test('the first request of all makes the files and keeps them packed, as they are sent', async () => {
  folder();
  vi.resetModules(); // test files share modules, and another one may have made the files already
  const { assetAnswer } = await import('../../../src/console/assets.ts');
  const shell = await assetAnswer({ path: '/', headers: {}, hostname: 'relay.example.net', sight: 'page' });
  const name = /\/assets\/style\.[^"]+/.exec(Buffer.from(shell.body).toString())![0];
  const sources = await readPageSources();
  type Kept = { readonly files: readonly { readonly name: string; readonly brotli: Uint8Array }[] };
  const kept = await until('the files are kept', () => keptPages<Kept>(sources));
  const style = kept.files.find((file) => `/assets/${file.name}` === name)!;
  const sent = await assetAnswer({
    path: name,
    headers: { 'accept-encoding': 'br' },
    hostname: 'relay.example.net',
    sight: 'page',
  });
  expect(Buffer.from(sent.body).equals(style.brotli)).toBe(true);
});

/** What a browser gets that is no answer of the API: the shell of each page, and the files that it names. All of it is made at the first request. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { brotliCompress, gzip } from 'node:zlib';
import { consoleHeaders } from './headers.ts';
import { BROTLI } from './packing.ts';
import type { PageBuild } from './page-build.ts';
import { keptPages, readPageSources } from './page-sources.ts';
import { shellOf } from './shell.ts';

type Asked = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
} & Pick<Parameters<typeof shellOf>[1], 'hostname' | 'sight'>;

type AssetAnswer = {
  readonly status: 200 | 304 | 404;
  /** Besides those of all answers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

type Coding = 'br' | 'gzip' | 'identity';

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);
const NOTHING = new Uint8Array();
/** The name of a file has its hash, so that what it holds never changes. */
const FOR_EVER = 'public, max-age=31536000, immutable';

let built: Promise<PageBuild> | undefined;
/** Coding and hash → the bytes. There are as many as files, and as shells. */
const packed = new Map<string, Promise<Uint8Array>>();

/** Answers GET and HEAD for each path outside of the API. */
export async function assetAnswer({ path, headers, ...shown }: Asked): Promise<AssetAnswer> {
  const build = await pageBuild();
  const coding = codingOf(headers['accept-encoding']);
  if (!path.startsWith('/assets/')) {
    const { status, html } = shellOf(build, { path, ...shown, language: languageOf(headers, Object.keys(build.plans.words)) });
    const body = await pack(Buffer.from(html), hashOf(html), coding);
    const kept = consoleHeaders([build.importMap]);
    return { status, headers: { ...kept, ...described('text/html; charset=utf-8', coding) }, body };
  }
  const file = build.files.find(({ name }) => `/assets/${name}` === path);
  if (file === undefined) return { status: 404, headers: {}, body: NOTHING };
  const kept = { 'cache-control': FOR_EVER, etag: `"${file.hash}"` };
  if (headers['if-none-match'] === kept.etag)
    return { status: 304, headers: { ...kept, vary: 'accept-encoding' }, body: NOTHING };
  return { status: 200, headers: { ...described(file.type, coding), ...kept }, body: await pack(file.bytes, file.hash, coding) };
}

function pageBuild(): Promise<PageBuild> {
  built ??= keptOrMade().catch((error) => {
    built = undefined;
    throw error;
  });
  return built;
}

/** A start after the first one with these sources makes nothing. */
async function keptOrMade(): Promise<PageBuild> {
  const kept = await keptPages<PageBuild>(await readPageSources());
  if (kept === undefined) return make();
  for (const { hash, brotli } of kept.files) if (brotli !== undefined) packed.set(`br ${hash}`, Promise.resolve(brotli));
  return kept;
}

function make(): Promise<PageBuild> {
  const { promise, resolve, reject } = Promise.withResolvers<PageBuild>();
  // The flags replace those of this process: some of them forbid a thread from a file.
  const thread = new Worker(new URL('./page-build.ts', import.meta.url), { execArgv: ['--disable-warning=ExperimentalWarning'] });
  thread.once('message', resolve);
  thread.on('error', reject);
  thread.unref();
  return promise;
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('base64url');

const described = (type: string, coding: Coding) => ({
  'content-type': type,
  vary: 'accept-encoding',
  ...(coding === 'identity' ? {} : { 'content-encoding': coding }),
});

function codingOf(accepted: string | string[] | undefined): Coding {
  const names = String(accepted ?? '')
    .split(',')
    .filter((one) => !/;\s*q=0(\.0*)?\s*$/.test(one))
    .map((one) => one.split(';')[0]!.trim().toLowerCase());
  return (['br', 'gzip'] as const).find((name) => names.includes(name)) ?? 'identity';
}

/** What its user chose, then the first one of the list, as the pages decide it themselves. Browsers send what they like best first. */
function languageOf(
  { cookie = '', 'accept-language': accepted = '' }: IncomingHttpHeaders,
  languages: readonly string[],
): string {
  const chosen = /(?:^|;\s*)smarthost-language=(\w\w)/.exec(cookie)?.[1];
  const asked = accepted.split(',').map((tag) => tag.trim().slice(0, 2).toLowerCase());
  return [chosen, ...asked].find((tag) => tag !== undefined && languages.includes(tag)) ?? languages[0]!;
}

function pack(bytes: Uint8Array, hash: string, coding: Coding): Promise<Uint8Array> {
  if (coding === 'identity') return Promise.resolve(bytes);
  const key = `${coding} ${hash}`;
  const found = packed.get(key) ?? (coding === 'br' ? brotli(bytes, BROTLI) : zip(bytes, { level: 9 }));
  packed.set(key, found);
  return found;
}

/** The configuration file: which one it is, and what it says, unjudged. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Document, Scalar } from 'yaml';
import type { Problem } from './problems.ts';

export type ConfigFile = { readonly path: string; readonly text: string };
export type Environment = Readonly<Record<string, string | undefined>>;

type Found = { readonly file: ConfigFile | undefined } | { readonly problem: Problem };

/** The first found of `--config`, SMARTHOST_CONFIG, ./smarthost.yaml, /etc/smarthost/smarthost.yaml. A named one must exist. */
export async function findFile(options: {
  file?: string | undefined;
  env: Environment;
  cwd: string;
  system?: string;
}): Promise<Found> {
  const named = options.file ?? options.env['SMARTHOST_CONFIG'];
  if (named !== undefined && named !== '') return readConfigFile(resolve(options.cwd, named), true);
  const here = await readConfigFile(resolve(options.cwd, 'smarthost.yaml'), false);
  if (!('file' in here && here.file === undefined)) return here;
  return readConfigFile(options.system ?? '/etc/smarthost/smarthost.yaml', false);
}

async function readConfigFile(path: string, required: boolean): Promise<Found> {
  try {
    return { file: { path, text: await readFile(path, 'utf8') } };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!required && (code === 'ENOENT' || code === 'ENOTDIR')) return { file: undefined };
    const message =
      code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'cannot be read by this user' : `cannot be read (${code})`;
    return { problem: { path: '', message, level: 'error', source: path } };
  }
}

/** Loads the YAML reader only where there is a file. */
export async function parseFile({
  path,
  text,
}: ConfigFile): Promise<{ values: Readonly<Record<string, unknown>>; problems: Problem[] }> {
  const yaml = await import('yaml');
  // uniqueKeys compares each key with all before it: seconds for a map of thousands, in a relay that reads its file again
  const lineCounter = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { prettyErrors: true, logLevel: 'error', uniqueKeys: false, lineCounter });
  const problem = (message: string): Problem => ({ path: '', message, level: 'error', source: path });
  if (document.errors.length > 0) {
    return {
      values: {},
      problems: document.errors.map((error) => problem(`is not YAML: ${error.message.split('\n\n')[0]!.replace(/:$/, '')}`)),
    };
  }
  const again = keyGivenTwice(yaml, document);
  if (again !== undefined) {
    const { line, col } = lineCounter.linePos(again.range?.[0] ?? 0);
    return { values: {}, problems: [problem(`is not YAML: ${again.value} is given twice, at line ${line}, column ${col}`)] };
  }
  let values: unknown;
  try {
    values = document.toJS();
  } catch (error) {
    // an alias of nothing, or aliases that multiply, are found only here
    return { values: {}, problems: [problem(`is not YAML: ${(error as Error).message}`)] };
  }
  if (values === null || values === undefined) return { values: {}, problems: [] };
  if (typeof values !== 'object' || Array.isArray(values))
    return { values: {}, problems: [problem('must be a mapping such as "hostname: relay.example.net"')] };
  return { values: values as Record<string, unknown>, problems: [] };
}

/** The first key that its map has already: YAML 1.2 §3.2.1.3. */
function keyGivenTwice({ visit, isScalar }: typeof import('yaml'), document: Document): Scalar | undefined {
  let found: Scalar | undefined;
  visit(document, {
    Map(_, map) {
      const keys = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) found = key;
        if (found !== undefined) return visit.BREAK;
        keys.add(key.value);
      }
      return undefined;
    },
  });
  return found;
}

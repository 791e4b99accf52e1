/** Finds the configuration file and reads its values, without checking them. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Document } from 'yaml';
import type { Problem } from './problems.ts';
import { isRootsAlone } from './trusted-file.ts';

export type ConfigFile = { readonly path: string; readonly text: string };
export type Environment = Readonly<Record<string, string | undefined>>;

/** Most syntax errors that are reported for a file: one mistake causes many, and each costs time. */
const MOST_ERRORS = 10;

/** Characters. Thousands of routes need less, and for this length of brackets alone the parser needs about 8 s. */
const MAX_LENGTH = 1024 * 1024;

/** `notice` is one line that tells root which file was chosen. */
type Found = ({ readonly file: ConfigFile | undefined } | { readonly problem: Problem }) & { readonly notice?: string };

/**
 * Takes the first of `--config`, SMARTHOST_CONFIG, ./smarthost.yaml, /etc/smarthost/smarthost.yaml. A named file must exist.
 * For root, ./smarthost.yaml counts only if root alone may write it.
 */
export async function findFile(options: {
  file?: string | undefined;
  env: Environment;
  cwd: string;
  system?: string;
  isRoot?: boolean;
}): Promise<Found> {
  const named = options.file ?? options.env['SMARTHOST_CONFIG'];
  if (named !== undefined && named !== '') return readConfigFile(resolve(options.cwd, named), true);
  const system = options.system ?? '/etc/smarthost/smarthost.yaml';
  const near = resolve(options.cwd, 'smarthost.yaml');
  const { isRoot = process.getuid?.() === 0 } = options;
  const trusted = !isRoot || near === system || (await isRootsAlone(near).catch(() => undefined));
  if (trusted === false) {
    const notice = `${near} is not used: others than root may write it, or a folder above it. If it is yours, name it with --config.`;
    return { ...(await readConfigFile(system, false)), notice };
  }
  const here = trusted ? await readConfigFile(near, false) : { file: undefined };
  if ('file' in here && here.file === undefined) return readConfigFile(system, false);
  return isRoot && near !== system ? { ...here, notice: `The configuration is ${near}.` } : here;
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

/** Never rejects. */
export async function parseFile({
  path,
  text,
}: ConfigFile): Promise<{ values: Readonly<Record<string, unknown>>; problems: Problem[] }> {
  const problem = (message: string): Problem => ({ path: '', message, level: 'error', source: path });
  if (text.length > MAX_LENGTH) return { values: {}, problems: [problem('is longer than 1 MiB: is it the configuration?')] };
  const { values, wrong } = await readYaml(text);
  if (wrong.length > 0) return { values: {}, problems: wrong.map((message) => problem(`is not YAML: ${message}`)) };
  if (values === null || values === undefined) return { values: {}, problems: [] };
  if (typeof values !== 'object' || Array.isArray(values))
    return { values: {}, problems: [problem('must be a mapping such as "hostname: relay.example.net"')] };
  return { values: values as Record<string, unknown>, problems: [] };
}

/** Loads the YAML parser, which only a file and a mapping need. @returns `wrong`: sentences with the place */
export async function readYaml(text: string): Promise<{ values?: unknown; wrong: readonly string[] }> {
  const yaml = await import('yaml');
  const lineCounter = new yaml.LineCounter();
  try {
    // `uniqueKeys` compares each key with all before it. A map of thousands would stop a running relay for seconds.
    const document = yaml.parseDocument(text, { prettyErrors: false, logLevel: 'error', uniqueKeys: false, lineCounter });
    const wrong = document.errors.slice(0, MOST_ERRORS).map(({ message, pos }) => {
      const { line, col } = lineCounter.linePos(pos[0]);
      return plain(`${message} at line ${line}, column ${col}`);
    });
    if (document.errors.length > MOST_ERRORS) wrong.push(`and ${document.errors.length - MOST_ERRORS} more`);
    if (wrong.length > 0) return { wrong };
    const bad = wrongKey(yaml, document);
    if (bad === undefined) return { values: document.toJS(), wrong };
    const { line, col } = lineCounter.linePos(bad.offset);
    return { wrong: [`${bad.what}, at line ${line}, column ${col}`] };
  } catch (error) {
    return { wrong: [plain((error as Error).message)] }; // an alias without an anchor, or too many aliases
  }
}

/** The parser is recursive, so deep nesting overflows its stack. */
function plain(message: string): string {
  return message.replace('Maximum call stack size exceeded', 'it is nested too deeply');
}

/**
 * Finds the first key that is twice in its map (YAML 1.2 §3.2.1.3) or is not a plain word. No setting has such a name, and the
 * parser takes seconds to turn a nested key into text.
 */
function wrongKey(
  { visit, isScalar, isNode }: typeof import('yaml'),
  document: Document,
): { readonly what: string; readonly offset: number } | undefined {
  let what: string | undefined;
  let offset = 0;
  visit(document, {
    Map(_, map) {
      const keys = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) what = 'a key must be a word';
        else if (keys.has(key.value)) what = `${key.value} is given twice`;
        else keys.add(key.value);
        if (what === undefined) continue;
        offset = (isNode(key) ? key.range?.[0] : undefined) ?? 0;
        return visit.BREAK;
      }
      return undefined;
    },
  });
  return what === undefined ? undefined : { what, offset };
}

/** Settings from the environment. The name is SMARTHOST_ and the path in upper case. With _FILE at the end, the variable names a file with the value. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Environment, readYaml } from './file.ts';
import type { Problem } from './problems.ts';
import { environmentName, listSettings } from './settings.ts';
import { suggest } from './suggest.ts';
import type { ValueType } from './types.ts';

/** A value and the name of its variable. */
export type Given = { readonly value: unknown; readonly source: string };

const PREFIX = 'SMARTHOST_';
const FILE_SUFFIX = '_FILE';
/** Known variables that are no settings. */
const OTHERS = ['SMARTHOST_CONFIG'];

/** @returns values by setting path. Relative paths count from `cwd`. */
export async function readEnvironment(env: Environment, cwd: string, problems: Problem[]): Promise<ReadonlyMap<string, Given>> {
  const settings = new Map(listSettings().map(({ path, setting }) => [environmentName(path), { path, setting }]));
  const given = new Map<string, Given>();
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || OTHERS.includes(name) || raw === undefined) continue;
    const fromFile = !settings.has(name) && name.endsWith(FILE_SUFFIX);
    const found = settings.get(fromFile ? name.slice(0, -FILE_SUFFIX.length) : name);
    const report = (message: string) => problems.push({ path: found?.path ?? '', message, level: 'error', source: name });
    if (found === undefined) {
      report(`is not a setting${hint(name, [...settings.keys(), ...OTHERS])}`);
    } else if (found.setting.type.form === 'records') {
      report('cannot be set in the environment: write it in the configuration file');
    } else if (fromFile && env[name.slice(0, -FILE_SUFFIX.length)]) {
      report(`is given twice: as ${name.slice(0, -FILE_SUFFIX.length)} too`);
    } else {
      const text = fromFile ? await readValue(resolve(cwd, raw), report) : raw;
      const value = text === undefined ? undefined : await toValue(text.trim(), found.setting.type, report);
      if (value !== undefined) given.set(found.path, { value, source: name });
    }
  }
  return given;
}

/** An empty scalar counts as absent (compose files write those), an empty list is an empty list. A mapping stands in braces, as YAML has it. */
async function toValue(text: string, { form, fields }: ValueType<unknown>, report: (message: string) => void): Promise<unknown> {
  if (form === 'scalar' && fields !== undefined && text.startsWith('{')) {
    const { values, wrong } = await readYaml(text);
    for (const message of wrong) report(`is not a mapping: ${message}`);
    return values;
  }
  if (form === 'scalar') return text === '' ? undefined : text;
  const items = text.replace(/^\[\]$/, '').split(',');
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

async function readValue(path: string, report: (message: string) => void): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    report(`names ${path}, which cannot be read (${(error as NodeJS.ErrnoException).code})`);
    return undefined;
  }
}

function hint(name: string, known: readonly string[]): string {
  const bare = name.endsWith(FILE_SUFFIX) ? name.slice(0, -FILE_SUFFIX.length) : name;
  const meant = suggest(
    bare.slice(PREFIX.length),
    known.map((one) => one.slice(PREFIX.length)),
  );
  return meant === undefined ? '' : `; did you mean ${PREFIX}${meant}${bare === name ? '' : FILE_SUFFIX}?`;
}

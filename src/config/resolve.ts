/** Turns the written values into the values of all settings, and collects all problems. */
import { dirname } from 'node:path';
import type { Given } from './environment-variables.ts';
import { createPlace, type Problem } from './problems.ts';
import { type Config, isSetting, listSettings, SETTINGS, type Setting } from './settings.ts';
import { suggest } from './suggest.ts';
import { unknownKey, type ValuePlace } from './types.ts';

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
const LETS_ENCRYPT_STAGING = 'https://acme-staging-v02.api.letsencrypt.org/directory';

type Node = { readonly [key: string]: unknown };
type Written = {
  /** The values of the file, not checked yet. */
  readonly values: Node;
  readonly file: string | undefined;
  /** The values of the environment by path. They win over the file. */
  readonly given: ReadonlyMap<string, Given>;
  readonly cwd: string;
};

/** @returns the configuration as far as it could be read. It is complete only if no error was added to `problems`. */
export function resolveSettings(written: Written, problems: Problem[]): Config {
  const inFile = createPlace(problems, written.file ?? '', written.file === undefined ? written.cwd : dirname(written.file));
  reportUnknown(SETTINGS, written.values, inFile);
  const read = (node: Node, values: unknown, prefix: string): Node =>
    Object.fromEntries(
      Object.entries(node).map(([key, child]) => {
        const value = isMapping(values) && Object.hasOwn(values, key) ? values[key] : undefined;
        const path = prefix + key;
        return [key, isSetting(child) ? readSetting(child, path, value) : read(child as Node, value, `${path}.`)];
      }),
    );
  const readSetting = (setting: Setting<unknown>, path: string, inTheFile: unknown): unknown => {
    const fromEnvironment = written.given.get(path);
    if (fromEnvironment !== undefined) {
      return setting.type.read(fromEnvironment.value, { ...createPlace(problems, fromEnvironment.source, written.cwd), path });
    }
    if (inTheFile !== undefined && inTheFile !== null) return setting.type.read(inTheFile, { ...inFile, path });
    return readFallback(setting);
  };
  return complete(read(SETTINGS, written.values, '') as Config);
}

function readFallback({ type, fallback }: Setting<unknown>): unknown {
  if (fallback === undefined || fallback === REPORTS_FROM) return undefined;
  const broken = (path: string, message: string) => {
    throw new Error(`default ${path} ${message}`);
  };
  return type.read(fallback, { path: '', base: '/', report: broken });
}

const REPORTS_FROM = SETTINGS.reports.from.fallback;

/** Fills in the defaults that depend on other settings. */
function complete(config: Config): Config {
  const { acme } = config.tls;
  return {
    ...config,
    tls: { ...config.tls, acme: { ...acme, directory: acme.directory ?? (acme.staging ? LETS_ENCRYPT_STAGING : LETS_ENCRYPT) } },
    reports: {
      ...config.reports,
      from: config.reports.from ?? `postmaster@${config.hostname}`,
      tlsFrom: config.reports.tlsFrom ?? `postmaster@${config.hostname}`,
    },
  };
}

function reportUnknown(node: Node, values: Node, place: ValuePlace, prefix = ''): void {
  for (const [key, value] of Object.entries(values)) {
    const child = Object.hasOwn(node, key) ? node[key] : undefined;
    const path = prefix + key;
    if (child === undefined) place.report(path, unknownKey(meantBy(key, prefix, node)));
    else if (isSetting(child) || value === null) continue;
    else if (isMapping(value)) reportUnknown(child as Node, value, place, `${path}.`);
    else place.report(path, `must be a mapping with ${Object.keys(child as Node).join(', ')}`);
  }
}

/** Suggests a key at the same level with a similar spelling, or the same word at another place. */
function meantBy(key: string, prefix: string, node: Node): string | undefined {
  const near = suggest(key, Object.keys(node));
  if (near !== undefined) return prefix + near;
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1).toLowerCase();
  return listSettings().find(({ path }) => last(path) === key.toLowerCase())?.path;
}

function isMapping(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

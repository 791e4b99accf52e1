/** Loads the configuration and reports all problems at once. The environment wins over the file, the file over the defaults. */

import type { Limit } from '../smtp/limit.ts';
import { checkConfig } from './checks.ts';
import { readEnvironment } from './environment-variables.ts';
import { type ConfigFile, type Environment, findFile, parseFile } from './file.ts';
import type { Problem } from './problems.ts';
import { resolveSettings } from './resolve.ts';
import type { Config } from './settings.ts';

export { checkReports } from './checks.ts';
export { checkEnvironment } from './environment.ts';
export { findFile } from './file.ts';
export { readOrigins, type SettingOrigin } from './origins.ts';
export { formatProblem, type Problem } from './problems.ts';
export { renderReference } from './reference.ts';
export { type Config, listSettings } from './settings.ts';
export { formatConfig, showConfig } from './show.ts';
export {
  formatDuration,
  formatSize,
  parseAddress,
  parseDomain,
  parseDomainPattern,
  parseDuration,
  parseHostAndPort,
  parseHostname,
  parseLimit,
  parseListenAddress,
  parseMailAddress,
  parseNetwork,
  parseSenderRule,
  parseSize,
} from './values.ts';

export type Loaded = {
  readonly config: Config;
  /** The file that was read; absent if only the environment was read. */
  readonly file?: string;
  readonly warnings: readonly Problem[];
  /** A notice for root: the file is not the system's, or a file was ignored. */
  readonly notice?: string;
};
type LoadResult = Loaded | { readonly problems: readonly Problem[]; readonly notice?: string };

export type LoadOptions = { readonly file?: string | undefined; readonly env?: Environment; readonly cwd?: string };

/** @returns the configuration, or all its problems (warnings too). Never rejects because of what an operator wrote. */
export async function loadConfig({ file, env = process.env, cwd = process.cwd() }: LoadOptions = {}): Promise<LoadResult> {
  const found = await findFile({ file, env, cwd });
  const notice = found.notice === undefined ? {} : { notice: found.notice };
  if ('problem' in found) return { problems: [found.problem], ...notice };
  return { ...(await parseConfig(found.file, { env, cwd })), ...notice };
}

/** Does the same for a text that need not be on disk. */
export async function parseConfig(
  file: ConfigFile | undefined,
  { env, cwd }: { env: Environment; cwd: string },
): Promise<LoadResult> {
  const { values, problems } = file === undefined ? { values: {}, problems: [] } : await parseFile(file);
  const unreadable = problems.length > 0;
  const given = await readEnvironment(env, cwd, problems);
  if (unreadable) return { problems };
  const config = resolveSettings({ values, file: file?.path, given, cwd }, problems);
  if (config.hostname === undefined && !problems.some(({ path }) => path === 'hostname')) problems.push(hostnameMissing(file));
  if (problems.length > 0) return { problems };
  checkConfig(config, (level, path, message) =>
    problems.push({ path, message, level, source: given.get(path)?.source ?? file?.path ?? '' }),
  );
  if (problems.some(({ level }) => level === 'error')) return { problems };
  return { config, warnings: problems, ...(file === undefined ? {} : { file: file.path }) };
}

function hostnameMissing(file: ConfigFile | undefined): Problem {
  const message =
    file === undefined
      ? 'is not known: there is no smarthost.yaml here or in /etc/smarthost, and SMARTHOST_HOSTNAME is not set. `smarthost init` makes one'
      : 'is required: the full host name of this machine, such as relay.example.net';
  return { path: 'hostname', message, level: 'error', source: file?.path ?? '' };
}

/** The limits of a credential without limits of its own. */
export function defaultLimits({ limits }: Config): readonly Limit[] {
  return [...limits.messages, ...limits.recipients, ...limits.newRecipients];
}

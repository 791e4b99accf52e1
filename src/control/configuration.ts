/** The configuration of the running relay: what is in effect and where from, the file as it is now, and taking it over. */
import type { Config, Loaded, LoadOptions, Problem, SettingOrigin } from '../config/config.ts';

/** What a reload did. `restartNeeded`: changed settings that only a restart takes over. */
export type Reloaded =
  | { readonly result: 'reloaded'; readonly restartNeeded: readonly string[] }
  | { readonly result: 'refused'; readonly problems: readonly string[] }
  | { readonly result: 'failed'; readonly error: string };

/** Values as an operator writes them, secrets as ***. */
type ShownSetting = {
  readonly path: string;
  readonly about: string;
  /** In effect. null: none. */
  readonly value: unknown;
  readonly default: unknown;
  readonly from: SettingOrigin['from'];
  /** The line of the file, or the name of the variable. */
  readonly where: number | string | null;
  /** Only a restart changes it. */
  readonly needsRestart: boolean;
  /** What the file and the environment say now differs from what is in effect. */
  readonly changed: boolean;
  readonly next: unknown;
};

type ShownConfiguration = {
  /** null: only the environment. */
  readonly file: string | null;
  readonly problems: readonly Problem[];
  readonly settings: readonly ShownSetting[];
};

export type Configuration = {
  show(): Promise<ShownConfiguration>;
  /** All problems of the file and the environment as they are now. */
  check(): Promise<readonly Problem[]>;
  reload(): Promise<Reloaded>;
};

type ConfigurationParts = {
  readonly source: LoadOptions;
  readonly running: () => Config;
  /** The domains with an active key. */
  readonly signingDomains: () => Promise<readonly string[]>;
  readonly reload: () => Promise<Reloaded>;
};

export function createConfiguration({ source, running, signingDomains, reload }: ConfigurationParts): Configuration {
  return {
    reload,
    check: async () => (await checkConfiguration(source, signingDomains)).problems,
    async show() {
      const { listSettings, loadConfig, readOrigins } = await import('../config/config.ts');
      const [loaded, originOf] = await Promise.all([loadConfig(source), readOrigins(source)]);
      const now = running();
      const next = 'config' in loaded ? loaded.config : undefined;
      const settings = listSettings().map(({ path, setting }): ShownSetting => {
        const [value, coming] = [valueAt(now, path), next && valueAt(next, path)];
        const write = (one: unknown) => (one === undefined ? null : setting.type.write(one));
        const changed = next !== undefined && JSON.stringify(value) !== JSON.stringify(coming);
        const { from, where } = originOf(path);
        return {
          ...{ path, about: setting.about, value: write(value), default: setting.fallback ?? null, from, where },
          ...{ needsRestart: !setting.live, changed, next: changed ? write(coming) : null },
        };
      });
      const file = 'file' in loaded && loaded.file !== undefined ? loaded.file : (source.file ?? null);
      return { file, problems: 'problems' in loaded ? loaded.problems : loaded.warnings, settings };
    },
  };
}

function valueAt(config: Config, path: string): unknown {
  return path.split('.').reduce<any>((node, key) => node?.[key], config);
}

type Checked = { readonly problems: readonly Problem[]; readonly notice?: string };

/** `config check`. @param signingDomains asked only if its answer matters. undefined: they cannot be read. */
export async function checkConfiguration(
  source: LoadOptions,
  signingDomains: (config: Config) => Promise<readonly string[] | undefined>,
): Promise<Checked> {
  const { checkEnvironment, loadConfig } = await import('../config/config.ts');
  const loaded = await loadConfig(source);
  const notice = loaded.notice === undefined ? {} : { notice: loaded.notice };
  if ('problems' in loaded) return { problems: loaded.problems, ...notice };
  const problems = [
    ...loaded.warnings,
    ...(await checkEnvironment(loaded.config, loaded)),
    ...(await checkTables(loaded)),
    ...(await checkKeys(loaded, signingDomains)),
  ];
  return { problems, ...notice };
}

/** Checks that depend on the keys in the store. */
async function checkKeys(
  { config, file = '' }: Loaded,
  signingDomains: (config: Config) => Promise<readonly string[] | undefined>,
): Promise<readonly Problem[]> {
  const { checkReports } = await import('../config/config.ts');
  if (checkReports(config, []) === undefined) return [];
  const domains = await signingDomains(config);
  const message = domains && checkReports(config, domains);
  return message === undefined ? [] : [{ path: 'reports.from', message, level: 'warning', source: file }];
}

/** The mistakes in files of the operator's own lines, each with line and column. */
export async function checkTables({ config, file = '' }: { config: Config; file?: string }): Promise<readonly Problem[]> {
  const { providers, replies, fallback } = config.delivery;
  const named = fallback.flatMap(({ providers: keys = [] }, i) => keys.map((key) => ({ key, i })));
  if (providers === undefined && replies === undefined && named.length === 0) return [];
  const { loadProviders, providerProblems, replyProblems } = await import('../delivery/delivery.ts');
  const problem = (path: string) => (message: string) => ({ path, message, level: 'error', source: file }) as const;
  const mistakes = providers === undefined ? [] : providerProblems(providers);
  const { byKey } = loadProviders(mistakes.length === 0 ? providers : undefined);
  const unknown = mistakes.length > 0 ? [] : named.filter(({ key }) => !byKey.has(key));
  return [
    ...mistakes.map(problem('delivery.providers')),
    ...unknown.map(({ key, i }) =>
      problem(`delivery.fallback[${i}].providers`)(`names ${key}, which is no provider: see \`smarthost provider list --all\``),
    ),
    ...(replies === undefined ? [] : replyProblems(replies).map(problem('delivery.replies'))),
  ];
}

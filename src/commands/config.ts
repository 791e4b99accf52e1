/** `smarthost config check` and `show`: all problems at once, and the effective values. */

import type { Loaded, Problem } from '../config/config.ts';
import { checkTables, readConfig } from './context.ts';
import { define, group, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { several } from './text.ts';

export const registerConfig: Register = (program, io) => {
  const config = group(program, 'config', 'Check and show the configuration.');

  define(
    config,
    {
      usage: 'check',
      about: 'List all problems at once; exit 1 if there is an error.',
      examples: ['config check', 'config check --config ./smarthost.yaml --json'],
    },
    async (_, options) => {
      const { checkEnvironment, formatProblem, loadConfig } = await import('../config/config.ts');
      const loaded = await loadConfig({ file: options.config, env: io.env, cwd: io.cwd });
      if (loaded.notice !== undefined) io.err(loaded.notice);
      const problems =
        'problems' in loaded
          ? loaded.problems
          : [
              ...loaded.warnings,
              ...(await checkEnvironment(loaded.config, loaded)),
              ...(await checkTables(loaded)),
              ...(await checkKeys(loaded)),
            ];
      const errors = problems.filter(({ level }) => level === 'error').length;
      if (options.json) await printJson(io, problems);
      else await io.out(problems.map((problem) => `${formatProblem(problem)}\n`).join(''));
      if (errors > 0) throw new CommandError(`${several(errors, 'error')} in the configuration.`);
      io.err(
        problems.length > 0
          ? `The configuration works, with ${several(problems.length, 'warning')}.`
          : 'The configuration is good.',
      );
    },
  );

  define(
    config,
    { usage: 'show', about: 'Print the effective values, secrets as ***.', examples: ['config show', 'config show --json'] },
    async (_, options) => {
      const { formatConfig, showConfig } = await import('../config/config.ts');
      const { config: effective, file } = await readConfig(io, options);
      if (options.json) return printJson(io, showConfig(effective, 'json'));
      io.err(file === undefined ? 'From the environment; there is no file.' : `From ${file} and the environment.`);
      await io.out(await formatConfig(effective));
    },
  );
};

/** Checks that depend on the keys in the store. It only reads the store, which may belong to a relay of another version. */
async function checkKeys({ config, file = '' }: Loaded): Promise<readonly Problem[]> {
  const { checkReports } = await import('../config/config.ts');
  if (checkReports(config, []) === undefined) return [];
  const { filesOf } = await import('../store/store.ts');
  const files = filesOf(config);
  files?.becomeOwner();
  const domains = files?.peekSigningDomains();
  const message = domains && checkReports(config, domains);
  return message === undefined ? [] : [{ path: 'reports.from', message, level: 'warning', source: file }];
}

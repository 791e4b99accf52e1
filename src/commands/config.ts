/** `smarthost config check` and `show`: all problems at once, and the effective values. */

import type { Config } from '../config/config.ts';
import { checkConfiguration } from '../control/control.ts';
import { readConfig } from './context.ts';
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
      const { formatProblem } = await import('../config/config.ts');
      const source = { file: options.config, env: io.env, cwd: io.cwd };
      const { problems, notice } = await checkConfiguration(source, domainsOf);
      if (notice !== undefined) io.err(notice);
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

/** It only reads the store, which may belong to a relay of another version. */
async function domainsOf(config: Config): Promise<readonly string[] | undefined> {
  const { filesOf } = await import('../store/store.ts');
  const files = filesOf(config);
  files?.becomeOwner();
  return files?.peekSigningDomains();
}

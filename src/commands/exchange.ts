/** `smarthost exchange`: the Send connector for Exchange Server. */
import { printSettings } from './client-settings.ts';
import { withControl } from './context.ts';
import { define, type Register } from './define.ts';

export const registerExchange: Register = (program, io) => {
  define(
    program,
    {
      usage: 'exchange [name]',
      about: 'The Send connector for Exchange Server, as a PowerShell command.',
      examples: ['exchange', 'exchange mail@example.org'],
    },
    ([name], options) =>
      withControl(io, options, async ({ config, control }) => {
        const user = name === undefined ? undefined : await control.users.show(name);
        await printSettings(io, options, { config, user, exchange: true });
      }),
  );
};

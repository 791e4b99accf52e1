/** `smarthost exchange`: the Send connector for Exchange Server. */
import { printSettings } from './client-settings.ts';
import { withStore } from './context.ts';
import { define, type Register } from './define.ts';
import { existing } from './user.ts';

export const registerExchange: Register = (program, io) => {
  define(
    program,
    {
      usage: 'exchange [name]',
      about: 'The Send connector for Exchange Server, as a PowerShell command.',
      examples: ['exchange', 'exchange mail@example.org'],
    },
    ([name], options) =>
      withStore(io, options, async ({ config, store }) => {
        const credential = name === undefined ? undefined : await existing(store, name);
        await printSettings(io, options, { config, credential, exchange: true });
      }),
  );
};

/** `smarthost client NAME`: what to type in at the other end. */

import { printSettings } from './client-settings.ts';
import { withStore } from './context.ts';
import { define, type Register } from './define.ts';
import { existing } from './user.ts';

export const registerClient: Register = (program, io) => {
  define(
    program,
    {
      usage: 'client <name>',
      about:
        'Settings to type in for a mail program or a device, and lines to copy for Postfix, msmtp and common applications; `client exchange` prints those for Exchange Server.',
      examples: ['client anna@example.org', 'client anna@example.org --json', 'client exchange'],
    },
    ([name], options) =>
      withStore(io, options, async ({ config, store }) => {
        const isExchange = name!.toLowerCase() === 'exchange';
        const credential = isExchange ? await store.credentials.get('exchange') : await existing(store, name!);
        await printSettings(io, options, { config, credential, exchange: isExchange });
      }),
  );
};

/** `smarthost client NAME`: the settings for a client. */

import { printSettings } from './client-settings.ts';
import { withControl } from './context.ts';
import { define, type Register } from './define.ts';

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
      withControl(io, options, async ({ config, control: { users } }) => {
        const isExchange = name!.toLowerCase() === 'exchange';
        const user = await (isExchange ? users.find('exchange') : users.show(name!));
        await printSettings(io, options, { config, user, exchange: isExchange });
      }),
  );
};

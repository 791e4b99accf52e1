/** `smarthost backup`: queue, keys, credentials and certificates in one file, while the relay runs. */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readConfig } from './context.ts';
import { define, type Register } from './define.ts';
import { printJson } from './io.ts';
import { roundSize } from './message-text.ts';
import { several } from './text.ts';

export const registerBackup: Register = (program, io) => {
  define(
    program,
    {
      usage: 'backup <file>',
      about:
        'Write queue, trace, DKIM keys, credentials and certificates into one file, while the relay runs, and check it. Keep it secret: it holds private keys.',
      examples: ['backup /var/backups/smarthost-2027-01-31.db'],
    },
    async ([name], options) => {
      const { clusterOf, filesOf } = await import('../store/store.ts');
      const { config } = await readConfig(io, options);
      const files = filesOf(config);
      const file = resolve(io.cwd, name!);
      // Unlike other commands, this one stays root if root runs it: it writes where root wants, and opens the data as their owner.
      // Root writes nothing into a folder of that owner, because the owner could place a link there.
      const folder = await stat(dirname(file)).catch(() => undefined); // if the folder is missing, the store reports it
      if (folder !== undefined && folder.uid === files?.owner()?.uid) files?.becomeOwner();
      const counts = (await files?.backup({ file })) ?? (await clusterOf(config)!.backup(file));
      const { size } = await stat(file);
      if (options.json) return printJson(io, { file, size, ...counts });
      const { messages, waiting, users, keys } = counts;
      io.err(
        `${file}: ${roundSize(size)}, checked. ${several(messages, 'message')}, ${waiting} of them waiting; ${several(users, 'user')}, ${several(keys, 'DKIM key')}. The configuration file is not in it.`,
      );
    },
  );
};

/** `smarthost restore`: a backup becomes the data of a relay that does not run. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readConfig } from './context.ts';
import { define, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { printJson } from './io.ts';
import { several } from './text.ts';

export const registerRestore: Register = (program, io) => {
  define<{ readonly force?: boolean }>(
    program,
    {
      usage: 'restore <file>',
      about:
        'Put a backup into an empty data directory while the relay is stopped. What waited then is held until `queue release`.',
      examples: ['restore /var/backups/smarthost-2027-01-31.db', 'queue release --all'],
      options: (command) => command.option('--force', 'give up what is in the data directory'),
    },
    async ([name], options) => {
      const { needFiles } = await import('../store/store.ts');
      const { config } = await readConfig(io, options);
      const files = needFiles(config);
      const file = resolve(io.cwd, name!);
      const source = await openBackup(file); // before the user changes: a backup may be root's
      try {
        files.becomeOwner();
        const restored = await files.restore({ source, name: file, force: options.force ?? false });
        if (options.json) return await printJson(io, { dataDir: config.dataDir, ...restored });
        const { held, messages, users, keys } = restored;
        io.err(`${config.dataDir}: ${several(messages, 'message')}, ${several(users, 'user')}, ${several(keys, 'DKIM key')}.`);
        io.err(
          held.messages === 0
            ? 'Nothing waited. Start the relay: smarthost serve'
            : `${several(held.messages, 'message')} that waited ${held.messages === 1 ? 'is' : 'are'} on hold (${several(held.recipients, 'recipient')}), because some may have been sent since the backup. See them: smarthost queue list. Send them: smarthost queue release --all`,
        );
      } finally {
        await source.close();
      }
    },
  );
};

/** A pipe that nobody writes to must not keep the command waiting. */
async function openBackup(file: string): Promise<FileHandle> {
  let source: FileHandle;
  try {
    source = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new CommandError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, { cause });
  }
  if ((await source.stat()).isFile()) return source;
  await source.close();
  throw new CommandError(`${file} is no file: a backup is one.`);
}

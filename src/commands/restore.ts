/** `smarthost restore`: replaces the data of a stopped relay by a backup. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readConfig } from './context.ts';
import { define, type Register } from './define.ts';
import { CommandError } from './errors.ts';
import { nextCommands } from './init-write.ts';
import { printJson } from './io.ts';
import { several } from './text.ts';

export const registerRestore: Register = (program, io) => {
  define<{ readonly force?: boolean }>(
    program,
    {
      usage: 'restore <file>',
      about:
        'Put a backup into an empty data directory or database while the relay is stopped. Mail that waited at that time is held until `queue release`.',
      examples: ['restore /var/backups/smarthost-2027-01-31.db', 'queue release --all'],
      options: (command) => command.option('--force', 'replace what is in the data directory; make a backup of it before'),
    },
    async ([name], options) => {
      const { clusterOf, filesOf } = await import('../store/store.ts');
      const { config, file: configuration = 'smarthost.yaml' } = await readConfig(io, options);
      const files = filesOf(config);
      const file = resolve(io.cwd, name!);
      const source = await openBackup(file); // before the process changes its user: the backup may belong to root
      try {
        files?.becomeOwner();
        const request = { source, name: file, force: options.force ?? false };
        const restored = (await files?.restore(request)) ?? (await clusterOf(config)!.restore(request));
        if (options.json)
          return await printJson(io, { ...(files === undefined ? {} : { dataDir: config.dataDir }), ...restored });
        const { held, messages, users, keys } = restored;
        io.err(
          `${files?.dataDir ?? 'The database'}: ${several(messages, 'message')}, ${several(users, 'user')}, ${several(keys, 'DKIM key')}.`,
        );
        io.err(
          held.messages === 0
            ? `Nothing waited. Start the relay: ${nextCommands(io, resolve(io.cwd, configuration)).start}`
            : `${several(held.messages, 'message')} that waited ${held.messages === 1 ? 'is' : 'are'} on hold (${several(held.recipients, 'recipient')}), because some may have been sent since the backup. See them: smarthost queue list. Send them: smarthost queue release --all`,
        );
      } finally {
        await source.close();
      }
    },
  );
};

/** Accepts regular files only: a pipe without a writer would block the command. */
async function openBackup(file: string): Promise<FileHandle> {
  let source: FileHandle;
  try {
    source = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new CommandError(`${file} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, { cause });
  }
  if ((await source.stat()).isFile()) return source;
  await source.close();
  throw new CommandError(`${file} is not a regular file.`);
}

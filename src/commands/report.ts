/** `smarthost report …`: what receivers report about mail of our domains. */
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { ReadReports, ReportSource } from '../control/control.ts';
import { withControl } from './context.ts';
import { type CommonOptions, collect, define, group, type Register } from './define.ts';
import { CommandError, domainTyped, UsageError } from './errors.ts';
import { type Io, printJson } from './io.ts';
import { describeDomains, describeReports } from './report-text.ts';
import { clean, several } from './text.ts';

type ReadOptions = { readonly address?: readonly string[]; readonly store?: boolean };
type DomainsOptions = { readonly days: string };

/** All are opened before the first is read. */
const MOST_FILES = 500;
/** Octets that are asked for at a time. */
const READ = 1024 * 1024;

export const registerReport: Register = (program, io) => {
  const report = group(program, 'report', 'Reports: what receivers say about mail of your domains.');
  define<ReadOptions>(
    report,
    {
      usage: 'read <files...>',
      about:
        'Who sends mail as your domains, and does it pass: sums of DMARC aggregate reports, and complaints (ARF). A file is XML, gzip, zip, or a whole mail with one of them; - reads one from stdin. No relay has to run. Exit 1 if a file cannot be read.',
      examples: [
        "report read 'google.com!example.org!1795651200!1795737599.zip'",
        'report read reports/*',
        'report read - --json < complaint.eml',
      ],
      options: (command) =>
        command
          .option('--address <ip>', 'an address that you send from besides those of this relay; may be repeated', collect)
          .option('--store', 'add the sums to those in the store, for report domains; each report counts once'),
    },
    (files, options) => read(io, files, options),
  );
  define<DomainsOptions>(
    report,
    {
      usage: 'domains [domain]',
      about: 'Who sends as your domains, and does your signature pass: sums of the reports that `report read --store` has kept.',
      examples: ['report domains', 'report domains example.org --days 90'],
      options: (command) => command.option('--days <n>', 'of so many days', '30'),
    },
    ([name], options) => domains(io, name, options),
  );
};

async function read(io: Io, files: readonly string[], options: ReadOptions & CommonOptions): Promise<void> {
  if (files.length > MOST_FILES) throw new UsageError(`at most ${MOST_FILES} files at a time, not ${files.length}`);
  const { isIP } = await import('node:net');
  const wrong = options.address?.find((address) => isIP(address) === 0);
  if (wrong !== undefined) throw new UsageError(`--address is an IP address, not "${wrong}"`);
  // Opened before the process changes its user, because the new user may not be allowed to. Read after that, because strangers wrote them.
  const opened = await openAll(io, files);
  try {
    const found = await summed(io, opened.sources, options);
    await (options.json ? printJson(io, found) : io.out(describeReports(found)));
    for (const { file, reason } of found.refused) io.err(`${clean(file)}: ${reason}`);
    if (found.refused.length > 0)
      throw new CommandError(
        `${several(found.refused.length, 'file')} of ${files.length} ${found.refused.length === 1 ? 'was' : 'were'} not read.`,
      );
  } finally {
    for (const handle of opened.handles) await handle.close();
  }
}

async function domains(io: Io, name: string | undefined, options: DomainsOptions & CommonOptions): Promise<void> {
  const days = /^\d{1,4}$/.test(options.days) ? Number(options.days) : 0;
  if (days < 1) throw new UsageError(`--days is a number from 1 to 9999, not "${options.days}"`);
  const domain = name === undefined ? undefined : domainTyped(name);
  await withControl(io, options, async ({ control }) => {
    const found = await control.reports.domains(days, domain);
    await (options.json ? printJson(io, found) : io.out(describeDomains(found)));
  });
}

async function openAll(io: Io, files: readonly string[]) {
  const handles: FileHandle[] = [];
  const sources: ReportSource[] = [];
  try {
    for (const file of files) {
      if (file === '-') sources.push({ name: 'stdin', read: (most) => streamBytes(io.stdin, most) });
      else {
        const handle = await open(resolve(io.cwd, file));
        handles.push(handle);
        if ((await handle.stat()).isDirectory())
          throw new UsageError(`${file} is a folder: name the files in it, as in ${file}/*`);
        sources.push({ name: file, read: (most) => fileBytes(handle, most) });
      }
    }
  } catch (cause) {
    for (const handle of handles) await handle.close();
    const { code, path } = cause as NodeJS.ErrnoException;
    throw code === undefined || path === undefined ? cause : new CommandError(`${path} cannot be opened (${code}).`, { cause });
  }
  return { handles, sources };
}

/** All octets, or the first ones with one more than `most`. Memory that nothing is written to costs nothing, so there is no second copy. */
async function fileBytes(handle: FileHandle, most: number): Promise<Buffer> {
  const bytes = Buffer.alloc(most + 1);
  let size = 0;
  for (;;) {
    const { bytesRead } = await handle.read(bytes, size, Math.min(READ, bytes.length - size), null);
    size += bytesRead;
    if (bytesRead === 0 || size === bytes.length) return bytes.subarray(0, size);
  }
}

async function streamBytes(stream: Io['stdin'], most: number): Promise<Buffer> {
  const bytes = Buffer.alloc(most + 1);
  let size = 0;
  for await (const piece of stream) {
    size += Buffer.from(piece as Uint8Array).copy(bytes, size);
    if (size > most) break;
  }
  return bytes.subarray(0, size);
}

/** A relay may be configured, or not: without one, only the addresses that were typed are known to be ours. */
async function summed(io: Io, sources: readonly ReportSource[], options: ReadOptions & CommonOptions): Promise<ReadReports> {
  const config = await configOf(io, options);
  const { controlOf, withStoreOf } = await import('./context.ts');
  if (config !== undefined)
    return withStoreOf(config, (store) =>
      controlOf(io, config, store).reports.read(sources, options.address, options.store === true),
    );
  if (options.store === true) throw new UsageError('--store needs a relay: there is no configuration here');
  const { createReportControl } = await import('../control/control.ts');
  return createReportControl().read(sources, options.address);
}

async function configOf(io: Io, options: CommonOptions): Promise<Config | undefined> {
  const { readConfig } = await import('./context.ts');
  try {
    return (await readConfig(io, options)).config;
  } catch (error) {
    if (!(error instanceof CommandError) || options.config !== undefined) throw error;
    io.err('There is no configuration here, so nothing is known to be yours but what --address says.');
    return undefined;
  }
}

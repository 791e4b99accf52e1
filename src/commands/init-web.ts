/** `smarthost init --web`: the first configuration, asked in the browser, and then the relay. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CommandError, UsageError } from './errors.ts';
import { askInBrowser } from './first-run.ts';
import type { InitAnswers } from './init-dialog.ts';
import { chooseFile, isOfService } from './init-write.ts';
import type { Io } from './io.ts';
import { untilStopped } from './stop.ts';

type WebOptions = InitAnswers & {
  readonly config?: string;
  readonly dir?: string;
  readonly force?: boolean;
  readonly webListen?: string;
};

/** Flags that answer what the browser asks. */
const ANSWERS = ['hostname', 'domain', 'email', 'address', 'user', 'resolver', 'acceptTerms', 'force'] as const;

export async function initInBrowser(io: Io, options: WebOptions): Promise<void> {
  const answered = ANSWERS.find((name) => options[name] !== undefined);
  if (answered !== undefined)
    throw new UsageError(`--${answered.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} does not go with --web`);
  const file = await chooseFile(io, options);
  const start = isOfService(file) && process.getuid?.() === 0 ? 'service' : 'here';
  const stopped = untilStopped();
  if (!(await askInBrowser(io, { file, listen: options.webListen, start, cwd: io.cwd }, stopped)))
    throw new CommandError('Interrupted. To go on where you were, begin again.');
  if (start === 'service') return startService(io);
  io.err(`${file} is written. The relay runs in this terminal, until Ctrl-C; later: smarthost serve --config ${file}`);
  const { serveRelay } = await import('./serve.ts');
  await serveRelay(io, { config: file }, stopped);
}

/** The browser finds the console of the service at the same address. */
async function startService(io: Io): Promise<void> {
  await promisify(execFile)('systemctl', ['enable', '--now', 'smarthost']).catch((cause: Error) => {
    throw new CommandError('The configuration is written, but the service does not start: systemctl status smarthost', { cause });
  });
  io.err('The relay runs as a service. Go on in the browser. Its log: journalctl -u smarthost');
}

/** The questions of `init`. Each answer is compared at once with the DNS and the machine. */
import { hostname as machineName } from 'node:os';
import * as prompts from '@clack/prompts';
import { parseAddress, parseDomain, parseHostname, parseMailAddress } from '../config/config.ts';
import { publicAddresses } from '../net/addresses.ts';
import { type Existing, openSetupLooks, type SetupLooks } from '../setup/setup.ts';
import { CommandError } from './errors.ts';
import type { Io } from './io.ts';

/** The input of `init`. Missing values are asked for, or have a default. */
export type InitAnswers = {
  readonly hostname?: string;
  readonly domain?: readonly string[];
  readonly email?: string;
  readonly acceptTerms?: boolean;
  readonly address?: readonly string[];
  /** The first user. */
  readonly user?: string;
  /** Addresses of resolvers; `system`: those of the system. */
  readonly resolver?: readonly string[];
};

type Answered = { readonly answers: InitAnswers; readonly existing: ReadonlyMap<string, Existing> };

/** Asks only for values that the command line lacks. @throws CommandError if the person cancels. */
export async function askForAnswers(io: Io, given: InitAnswers): Promise<Answered> {
  const dialog = openDialog(io);
  const looks = await openSetupLooks(io);
  prompts.intro('smarthost: a relay for your mail', dialog.at);
  const hostname = given.hostname ?? (await askHostname(dialog, looks));
  const machine = publicAddresses();
  const address = given.address ?? (machine.length > 0 ? machine : await askAddresses(dialog, looks, hostname));
  await dialog.while('Asking the DNS about it', async (say) => {
    for (const { result, sentence } of await looks.host(hostname, address)) say(result, sentence);
  });
  const domain = given.domain ?? (await askDomains(dialog));
  const existing = new Map<string, Existing>();
  await dialog.while('Asking the DNS about your domains', async (say) => {
    for (const name of domain.map(parseDomain)) {
      const found = await looks.domain(name, parseHostname(hostname));
      if (found.existing !== undefined) existing.set(name, found.existing);
      say(found.result, found.sentence);
    }
  });
  const email = given.email ?? (await askEmail(dialog));
  const acceptTerms =
    given.acceptTerms ??
    (await dialog.confirm("Do you accept the terms of Let's Encrypt, which signs the certificate? (letsencrypt.org/repository)"));
  const user = given.user ?? (await askUser(dialog, domain));
  prompts.outro('That is all.', dialog.at);
  return {
    answers: { ...given, hostname, address, domain, acceptTerms, ...(email && { email }), ...(user && { user }) },
    existing,
  };
}

type Say = (result: 'ok' | 'warning' | 'unknown', sentence: string) => void;
type Dialog = {
  readonly at: { readonly input: NodeJS.ReadStream; readonly output: NodeJS.WriteStream };
  text(question: {
    message: string;
    placeholder?: string;
    initialValue?: string;
    check: (answer: string) => void;
  }): Promise<string>;
  confirm(message: string): Promise<boolean>;
  while(message: string, run: (say: Say) => Promise<void>): Promise<void>;
};

function openDialog(io: Io): Dialog {
  const at = { input: io.terminal?.input ?? process.stdin, output: io.terminal?.output ?? process.stderr } as Dialog['at'];
  /** Throws on Ctrl-C and Escape. */
  const answered = <T>(answer: T): Exclude<T, symbol> => {
    if (prompts.isCancel(answer)) throw new CommandError('Cancelled; nothing was written.');
    return answer as Exclude<T, symbol>;
  };
  return {
    at,
    async text({ check, ...question }) {
      const validate = (answer: string | undefined) => sentenceOf(() => check((answer ?? '').trim()));
      return answered(await prompts.text({ ...question, ...at, validate })).trim();
    },
    async confirm(message) {
      return answered(await prompts.confirm({ message, ...at }));
    },
    async while(message, run) {
      const words: [Parameters<Say>[0], string][] = [];
      const spinner = prompts.spinner({ output: at.output });
      spinner.start(message);
      await run((...word) => void words.push(word));
      spinner.stop(message);
      for (const [result, sentence] of words) prompts.log[result === 'ok' ? 'success' : 'warn'](sentence, { output: at.output });
    },
  };
}

/** @returns the sentence of the configuration's parser if the value is wrong, else undefined. */
function sentenceOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return `It ${(error as Error).message}`;
  }
}

const words = (text: string) => text.split(/[\s,]+/).filter((word) => word !== '');

async function askHostname(dialog: Dialog, looks: SetupLooks): Promise<string> {
  const known = machineName().includes('.') ? machineName() : await looks.nameOf(publicAddresses()[0]);
  return dialog.text({
    message: 'Full host name of this machine, as the public DNS has it',
    placeholder: 'relay.example.net',
    ...(known === undefined ? {} : { initialValue: known }),
    check: parseHostname,
  });
}

async function askAddresses(dialog: Dialog, looks: SetupLooks, hostname: string): Promise<readonly string[]> {
  const known = await looks.addressesOf(hostname);
  const text = await dialog.text({
    message: 'This machine has no public address of its own. Which addresses does its mail leave from?',
    placeholder: '192.0.2.1 2001:db8::1, or nothing',
    initialValue: known.join(' '),
    check: (answer) => words(answer).forEach(parseAddress),
  });
  return words(text);
}

async function askDomains(dialog: Dialog): Promise<readonly string[]> {
  const text = await dialog.text({
    message: 'Domains that send through it, separated by spaces',
    placeholder: 'example.org example.com',
    check: (answer) => words(answer).forEach(parseDomain),
  });
  return words(text);
}

function askEmail(dialog: Dialog): Promise<string> {
  return dialog.text({
    message: 'Your mail address: for warnings, and for the certificate authority',
    placeholder: 'admin@example.org, or nothing',
    check: (answer) => void (answer === '' || parseMailAddress(answer)),
  });
}

async function askUser(dialog: Dialog, domains: readonly string[]): Promise<string | undefined> {
  if (!(await dialog.confirm('Add the first user now? The password is shown once.'))) return undefined;
  const first = domains[0] === undefined ? undefined : `anna@${domains[0]}`;
  return dialog.text({
    message: 'Its name: the mail address that it sends as',
    ...(first === undefined ? {} : { placeholder: first }),
    check: parseMailAddress,
  });
}

/** How every command is declared: usage, explanation, examples, and the options that all of them have. */
import type { Command } from 'commander';
import type { Io } from './io.ts';

export type CommonOptions = { readonly config?: string; readonly json?: boolean };

type Spec = {
  /** `add <name>` */
  readonly usage: string;
  readonly about: string;
  /** Without the leading `smarthost`. */
  readonly examples: readonly string[];
  /** Adds the command's own options. */
  readonly options?: (command: Command) => Command;
};

/** @param run gets the arguments in one list, in their order, without those that were not typed. */
export function define<O extends object>(
  parent: Command,
  spec: Spec,
  run: (args: readonly string[], options: O & CommonOptions) => Promise<void>,
): Command {
  const command = parent.command(spec.usage).description(spec.about);
  spec.options?.(command);
  command.option('--config <file>', 'the configuration file').option('--json', 'print one JSON document');
  command.addHelpText(
    'after',
    `\nExample${spec.examples.length === 1 ? '' : 's'}:\n${spec.examples.map((one) => `  smarthost ${one}\n`).join('')}`,
  );
  return command.action(async (...given: unknown[]) => {
    const args = given
      .slice(0, -2)
      .flat()
      .filter((arg) => arg !== undefined) as string[];
    await run(args, command.optsWithGlobals() as O & CommonOptions);
  });
}

/** A command that only has subcommands: `smarthost user …`. */
export function group(parent: Command, name: string, about: string): Command {
  return parent.command(name).description(about).usage('<command> [options]');
}

/** For options that may be given more than once. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export type Register = (program: Command, io: Io) => void;

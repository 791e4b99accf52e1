/** Gives the console what it shows and does: the actions of an operator, and what the running parts know. */
import type { Config } from '../config/config.ts';
import { type Console, startConsole } from '../console/console.ts';
import type { Control } from '../control/control.ts';
import { VERSION } from '../system/version.ts';
import type { ClientWatch } from './client-watch.ts';

type Parts = {
  readonly current: { readonly config: Config };
  readonly control: Control;
  readonly clients: ClientWatch;
};

/** @throws ClosedPort if a port cannot be opened. */
export function openConsole({ current, control, clients }: Parts): Promise<Console> {
  return startConsole({
    listen: current.config.listen.console,
    version: VERSION,
    startedAt: Date.now(),
    clientEvents: clients.look,
    hostname: () => current.config.hostname,
    control: () => control,
  });
}

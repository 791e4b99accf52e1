/** Gives the console what it shows and does: the actions of an operator, and what the running parts know. */
import type { Certificates } from '../certificates/certificates.ts';
import type { Config } from '../config/config.ts';
import { type Console, type ConsoleParts, type ConsoleSettings, startConsole } from '../console/console.ts';
import type { Control } from '../control/control.ts';
import type { EventLog } from '../events/events.ts';
import type { Store } from '../store/store.ts';
import { tlsOptions } from '../system/tls-options.ts';
import { VERSION } from '../system/version.ts';
import type { ClientWatch } from './client-watch.ts';

type Parts = {
  readonly current: { readonly config: Config };
  readonly control: Control;
  readonly certificates: Certificates;
  readonly clients: ClientWatch;
  readonly events: EventLog;
  readonly store: Store;
};

/** No account can be made yet. */
const NOBODY: ConsoleParts['access'] = {
  session: async () => undefined,
  seeSession: async () => {},
  endSession: async () => false,
  token: async () => undefined,
  seeToken: async () => {},
};

/** @throws ClosedPort if a port cannot be opened. */
export function openConsole({ current, control, certificates, clients, events, store }: Parts): Promise<Console> {
  return startConsole({
    listen: current.config.listen.console,
    version: VERSION,
    startedAt: Date.now(),
    clientEvents: clients.look,
    hostname: () => current.config.hostname,
    control: () => control,
    access: NOBODY,
    settings: () => consoleSettings(current.config),
    tls: { current: () => tlsOptions(certificates.current()), onChange: (listener) => certificates.onChange(listener) },
    ...{ log: events, now: store.now },
  });
}

function consoleSettings({
  hostname,
  tls,
  console: { origin, proxyTrust, secondFactor, idle, lifetime },
}: Config): ConsoleSettings {
  return { names: [hostname, ...tls.names], origin, proxyTrust, secondFactor, idle, lifetime };
}

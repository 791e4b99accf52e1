/** Gives the console what it shows and does: the actions of an operator, and what the running parts know. */
import type { Certificates } from '../certificates/certificates.ts';
import type { Config, LoadOptions } from '../config/config.ts';
import { type Console, type ConsoleParts, type ConsoleSettings, startConsole } from '../console/console.ts';
import {
  type Actor,
  type Control,
  createConfiguration,
  createDoctor,
  createWorks,
  lookAtRelay,
  type Reloaded,
} from '../control/control.ts';
import { createConsolePasswords } from '../credentials/credentials.ts';
import type { EventLog } from '../events/events.ts';
import type { OpenedStore } from '../store/store.ts';
import type { ConsoleGuard } from '../submission/submission.ts';
import { tlsOptions } from '../system/tls-options.ts';
import { VERSION } from '../system/version.ts';
import type { ClientWatch } from './client-watch.ts';
import { type LiveParts, liveFacts } from './live-facts.ts';

type Parts = Omit<LiveParts, 'store' | 'certificates' | 'submission'> & {
  /** The actions of an operator, by somebody. */
  readonly controlAs: (by: Actor) => Control;
  readonly certificates: Certificates;
  readonly clients: ClientWatch;
  readonly events: EventLog;
  readonly store: OpenedStore;
  readonly submission: LiveParts['submission'] & { readonly consoleGuard: ConsoleGuard };
  readonly source: LoadOptions;
  readonly reload: () => Promise<Reloaded>;
};

/** @throws ClosedPort if a port cannot be opened. */
export function openConsole({ controlAs, clients, events, source, reload, ...parts }: Parts): Promise<Console> {
  const { current, certificates, store, submission } = parts;
  const running = () => current.config;
  const signingDomains = async () => {
    const keys = await store.operation.dkimKeys();
    return keys.filter(({ state }) => state === 'active').map(({ domain }) => domain);
  };
  const seen = { ...store.forPeople, ping: store.ping };
  return startConsole({
    works: createWorks(store.now),
    doctor: createDoctor(() => lookAtRelay({ config: current.config, store: seen }), store.console, store.now),
    configuration: createConfiguration({ source, running, signingDomains, reload }),
    listen: current.config.listen.console,
    version: VERSION,
    startedAt: Date.now(),
    clientEvents: clients.look,
    hostname: () => current.config.hostname,
    control: (by) => controlAs(by === undefined ? NO_CALLER : actorOf(by)),
    live: liveFacts(parts),
    store: store.forPeople,
    passwords: createConsolePasswords(),
    guard: submission.consoleGuard,
    settings: () => consoleSettings(current.config),
    tls: { current: () => tlsOptions(certificates.current()), onChange: (listener) => certificates.onChange(listener) },
    ...{ log: events, now: store.now },
  });
}

/** Of a route that anybody may ask. */
const NO_CALLER: Actor = { name: 'nobody', way: 'session' };

/** A token has the name of its account before its own. */
function actorOf({ name, account, way, address, request }: NonNullable<Parameters<ConsoleParts['control']>[0]>): Actor {
  return { name: way === 'token' ? `${account}/${name}` : name, way, address, request };
}

function consoleSettings({
  hostname,
  tls,
  console: { origin, proxyTrust, secondFactor, content, idle, lifetime },
}: Config): ConsoleSettings {
  return { names: [hostname, ...tls.names], origin, proxyTrust, secondFactor, content, idle, lifetime };
}

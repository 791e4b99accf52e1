/** The certificates that the listeners serve: signed by an authority, from files, or self-signed. RFC 8555, RFC 8314 §4. */
import { readFile } from 'node:fs/promises';
import type { EventLog } from '../events/events.ts';
import type { ListenAddress, OpenPort } from '../net/open-port.ts';
import type { OperationStore } from '../store/store.ts';
import { type Clock, MINUTE, SECOND, systemClock } from '../system/clock.ts';
import { startAlpn01 } from './alpn-01.ts';
import { type ChallengeType, createAnswers } from './challenges.ts';
import { type Circumstances, createAlarm, NO_TERMS, problemsOf, renewalStatusOf, warningsOf } from './condition.ts';
import { createFilePairs, type PairFiles } from './files.ts';
import { type ChallengeListener, startHttp01 } from './http-01.ts';
import { loadOwnPairs } from './own-pairs.ts';
import { CertificateError, type KeyType } from './pair.ts';
import type { PlannedStatus } from './plan.ts';
import { endRequest, renewalRequest } from './renewal-state.ts';
import { type Renewer, startRenewer } from './renewer.ts';
import { createServed, type TlsPairs } from './served.ts';
import { createPublisher } from './status.ts';

export { purposeOf } from './challenges.ts';
export { requestRenewal } from './renewal-state.ts';
export { createSelfSigned } from './self-signed.ts';
export { type CertificateStatus, describeCertificates } from './status.ts';

export type AcmeSettings = {
  /** URL of the authority's directory. */
  readonly directory: string;
  readonly email: string | undefined;
  /** If false, no authority is contacted. */
  readonly acceptTerms: boolean;
  readonly challenge: ChallengeType;
  /** PEM file of one more authority that is trusted for HTTPS to the directory. */
  readonly ca: string | undefined;
  /** Milliseconds before a failed renewal is tried again. The last pause repeats. The default fits the limits of public authorities. */
  readonly pauses?: readonly number[];
};

export type CertificateOptions = {
  /** `acme` serves a self-signed pair until an authority has signed one. */
  readonly mode: 'acme' | 'files' | 'self-signed';
  readonly hostname: string;
  /** More names of the certificate. */
  readonly names: readonly string[];
  /** One or two pairs, for `files`. */
  readonly files: readonly PairFiles[];
  readonly acme: AcmeSettings;
  /** Where challenges are answered. Only mode `acme` opens ports, and only the one that the challenge needs. */
  readonly listen: { readonly http: readonly ListenAddress[]; readonly alpn: readonly ListenAddress[] };
  /** Name of the process that renews. Two processes must not use the same name at a time. */
  readonly owner: string;
  readonly operation: OperationStore;
  readonly log: EventLog;
  readonly now?: Clock;
  readonly random?: () => number;
};

type CertificateFacts = {
  readonly keyType: KeyType;
  readonly notAfter: number;
  /** Failed renewals since the last success. */
  readonly failures: number;
};

export type Certificates = {
  /** Where challenges are answered. */
  readonly listening: readonly OpenPort[];
  current(): TlsPairs;
  /** One entry per pair, for metrics. */
  facts(): readonly CertificateFacts[];
  /** Reasons to send no clients here: a certificate has expired, or is self-signed although mode `acme` is set. */
  problems(now: number): readonly string[];
  /** Things that become a problem unless the operator acts. */
  warnings(): readonly string[];
  /** Called when another process has changed the store. */
  look(): void;
  /** Reads the files again. @returns true if the pairs changed. @throws CertificateError if new files cannot be served */
  reload(changes: Partial<Pick<CertificateOptions, 'files'>>): Promise<boolean>;
  onChange(listener: (pairs: TlsPairs) => void): void;
  close(): Promise<void>;
};

const FILES_POLL = SECOND;
const STORE_POLL = 10 * MINUTE;

/** @throws CertificateError if files cannot be served, or a listener for challenges cannot be opened. */
export async function startCertificates(options: CertificateOptions): Promise<Certificates> {
  const { mode, operation, log, acme } = options;
  const served = createServed(log);
  const asks = mode === 'acme' && acme.acceptTerms;
  const ca = asks && acme.ca !== undefined ? await readAuthority(acme.ca) : undefined;
  const challenges = asks ? await openChallenges(options) : undefined;
  const { source, circumstances, publish, setPlans } = prepare(options, served);
  try {
    await served.change(() => source.load(false));
    await publish();
  } catch (error) {
    await challenges?.close();
    throw error;
  }
  if (mode === 'acme' && !asks) log.certificate({ action: 'waiting', keyType: 'all', error: NO_TERMS });
  const changed = async () => void (await served.change(() => source.load(false)));
  const worker = asks
    ? startAsking(options, { ca, changed, planned: setPlans })
    : startWatching({ every: mode === 'files' ? FILES_POLL : STORE_POLL, operation, log }, async (force) => {
        await served.change(() => source.load(force));
        await publish();
      });
  return {
    listening: challenges?.listening ?? [],
    current: served.current,
    facts: () =>
      served.pairs().map(({ keyType, notAfter }) => {
        return { keyType, notAfter, failures: circumstances().plans.get(keyType)?.failures ?? 0 };
      }),
    problems: (at) => problemsOf(served.pairs(), circumstances(), at),
    warnings: () => warningsOf(served.pairs(), circumstances()),
    look: worker.look,
    async reload(changes) {
      const isChanged = await served.change(() => source.reload(changes.files));
      // The published status is only for people to read. If the store fails here, the pair is served all the same.
      await publish().catch((error: unknown) => log.emit('storeFailed', { operation: 'certificates', error }));
      return isChanged;
    },
    onChange: served.onChange,
    async close() {
      await worker.close();
      await challenges?.close();
    },
  };
}

/** Connects the source of the pairs with the places that report about them. */
function prepare(options: CertificateOptions, served: ReturnType<typeof createServed>) {
  const { mode, operation, log, now = systemClock } = options;
  const names = namesOf(options);
  const files = createFilePairs({ log, now });
  const alarm = createAlarm(log);
  const publisher = createPublisher(operation);
  let paths = options.files;
  let plans: ReadonlyMap<KeyType, PlannedStatus> = new Map();
  const circumstances = (): Circumstances => ({
    mode,
    acceptTerms: options.acme.acceptTerms,
    plans,
    fileError: files.errorOf,
  });
  const load = (force: boolean) =>
    mode === 'files'
      ? files.load(paths, { force })
      : loadOwnPairs({ mode, names, operation, log, now: now(), served: served.pairs(), force });
  const publish = async () => {
    if (mode === 'files' || options.acme.acceptTerms) alarm(served.pairs(), now());
    await publisher.publish(served.pairs().map((pair) => ({ pair, ...renewalStatusOf(pair, circumstances()) })));
  };
  return {
    source: {
      load,
      /** A pair from new paths must be valid. For known paths the old pair is kept if the new files are not valid. */
      async reload(next = paths) {
        const pairs = mode === 'files' ? await files.load(next, { force: true }) : await load(false);
        paths = next;
        return pairs;
      },
    },
    circumstances,
    publish,
    async setPlans(next: typeof plans) {
      plans = next;
      await publish();
    },
  };
}

const namesOf = ({ hostname, names }: CertificateOptions) => [...new Set([hostname, ...names])];

type Worker = { look(): void; close(): Promise<void> };

function startAsking(
  options: CertificateOptions,
  more: Pick<Parameters<typeof startRenewer>[0], 'ca' | 'changed' | 'planned'>,
): Renewer {
  const { operation, log, owner, now = systemClock, random = Math.random } = options;
  const { directory, email, challenge, pauses } = options.acme;
  const names = namesOf(options);
  return startRenewer({ operation, log, owner, now, random, names, directory, email, challenge, pauses, ...more });
}

/** Used without an authority. Files are checked often, the store rarely, and at once after a change. */
function startWatching(
  { every, operation, log }: { every: number; operation: OperationStore; log: EventLog },
  look: (force: boolean) => Promise<void>,
): Worker {
  let running: Promise<void> | undefined;
  let trouble = '';
  const once = async () => {
    const request = await renewalRequest(operation);
    await look(request !== undefined);
    if (request !== undefined) await endRequest(operation, request);
    trouble = '';
  };
  const start = () => {
    running ??= once()
      .catch((error: Error) => {
        if (error.message !== trouble) log.emit('certificateTrouble', { error });
        trouble = error.message;
      })
      .finally(() => {
        running = undefined;
      });
  };
  const timer = setInterval(start, every).unref();
  return {
    look: start,
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}

function openChallenges({ acme, listen, operation }: CertificateOptions): Promise<ChallengeListener> {
  const answers = createAnswers(operation, acme.challenge);
  return acme.challenge === 'http-01' ? startHttp01(listen.http, answers) : startAlpn01(listen.alpn, answers);
}

function readAuthority(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new CertificateError(`tls.acme.ca: ${path} cannot be read (${cause.code})`, { cause });
  });
}

/** The certificates that the listeners serve: signed by an authority, from files, or self-signed. RFC 8555, RFC 8314 §4. */
import { readFile } from 'node:fs/promises';
import type { OperationStore } from '../store/store.ts';
import { type Clock, DAY, MINUTE, SECOND, systemClock } from '../system/clock.ts';
import type { MailLog } from '../system/mail-log.ts';
import { startAlpn01 } from './alpn-01.ts';
import { type ChallengeType, createAnswers } from './challenges.ts';
import { createFilePairs, type PairFiles } from './files.ts';
import { type ChallengeListener, startHttp01 } from './http-01.ts';
import type { ListenAddress, Listening } from './listen.ts';
import { loadOwnPairs, RENEW_BEFORE } from './own-pairs.ts';
import { CertificateError, type KeyType, type Pair } from './pair.ts';
import type { PlannedStatus } from './plan.ts';
import { endsSoon } from './renewal.ts';
import { endRequest, renewalRequest } from './renewal-state.ts';
import { type Renewer, startRenewer } from './renewer.ts';
import { createPublisher, type RenewalStatus } from './status.ts';

export { CertificateError, toPair } from './pair.ts';
export { requestRenewal } from './renewal-state.ts';
export { createSelfSigned } from './self-signed.ts';
export { type CertificateStatus, describeCertificates } from './status.ts';

export type AcmeSettings = {
  /** URL of the authority's directory. */
  readonly directory: string;
  readonly email: string | undefined;
  /** Without it nothing is asked of an authority. */
  readonly acceptTerms: boolean;
  readonly challenge: ChallengeType;
  /** PEM file of a further authority that the directory's own certificate may come from. */
  readonly ca: string | undefined;
  /** Milliseconds before a failed renewal is tried again, the last one repeats; default: as public authorities allow. */
  readonly pauses?: readonly number[];
};

export type CertificateOptions = {
  /** acme serves a self-signed pair until an authority has signed one. */
  readonly mode: 'acme' | 'files' | 'self-signed';
  readonly hostname: string;
  /** Further names of the certificate. */
  readonly names: readonly string[];
  /** One or two pairs, for `files`. */
  readonly files: readonly PairFiles[];
  readonly acme: AcmeSettings;
  /** Where challenges are answered; opened only in mode `acme`, and only what the challenge needs. */
  readonly listen: { readonly http: readonly ListenAddress[]; readonly alpn: readonly ListenAddress[] };
  /** Who renews; only one process at a time may use the name. */
  readonly owner: string;
  readonly operation: OperationStore;
  readonly log: MailLog;
  readonly now?: Clock;
  readonly random?: () => number;
};

/** What a TLS listener takes: OpenSSL picks the pair that fits the client. */
export type TlsPairs = { readonly key: string[]; readonly cert: string[] };

export type CertificateFacts = {
  readonly keyType: KeyType;
  readonly notAfter: number;
  /** Failed renewals since the last success. */
  readonly failures: number;
};

export type Certificates = {
  /** Where challenges are answered. */
  readonly listening: readonly Listening[];
  current(): TlsPairs;
  /** One entry a pair, for metrics. */
  facts(): readonly CertificateFacts[];
  /** Why clients should not be sent here: a certificate has ended, or is self-signed where an authority's was wanted. */
  problems(now: number): readonly string[];
  /** What will become a problem if nobody acts. */
  warnings(): readonly string[];
  /** Another process has changed the store. */
  look(): void;
  /** Reads files again. True if the pairs changed. @throws CertificateError where new files do not fit */
  reload(changes: Partial<Pick<CertificateOptions, 'files'>>): Promise<boolean>;
  onChange(listener: (pairs: TlsPairs) => void): void;
  close(): Promise<void>;
};

const FILES_POLL = 2 * SECOND;
const STORE_POLL = 10 * MINUTE;

/** @throws CertificateError where files do not fit, or a listener for challenges cannot be opened. */
export async function startCertificates(options: CertificateOptions): Promise<Certificates> {
  const { mode, operation, log, acme, now = systemClock, random = Math.random } = options;
  const names = [...new Set([options.hostname, ...options.names])];
  const listeners: ((pairs: TlsPairs) => void)[] = [];
  const publisher = createPublisher(operation);
  const files = createFilePairs({ log, now });
  let paths = options.files;
  let plans: ReadonlyMap<KeyType, PlannedStatus> = new Map();
  let pairs: readonly Pair[] = [];
  let warnedAt = 0;

  const asks = mode === 'acme' && acme.acceptTerms;
  const ca = asks && acme.ca !== undefined ? await readAuthority(acme.ca) : undefined;
  const challenges = asks ? await openChallenges(options) : undefined;
  try {
    pairs = await load(false);
    await publish();
  } catch (error) {
    await challenges?.close();
    throw error;
  }

  function load(force: boolean): Promise<readonly Pair[]> {
    if (mode === 'files') return files.load(paths, { force });
    return loadOwnPairs({ mode, names, operation, log, now: now(), served: pairs, force });
  }
  /** One after the other, so that a slow one does not undo what came after it. */
  let turn: Promise<unknown> = Promise.resolve();
  function change(force = false): Promise<boolean> {
    const done = turn.then(async () => {
      const next = await load(force);
      const fresh = next.filter((pair) => pairs.every((old) => old.certificate !== pair.certificate));
      const changed = fresh.length > 0 || next.length !== pairs.length;
      pairs = next;
      if (changed) tell(fresh);
      return changed;
    });
    turn = done.catch(() => undefined);
    return done;
  }
  function tell(fresh: readonly Pair[]): void {
    for (const { keyType, notAfter } of fresh)
      log.certificate({ action: 'loaded', keyType, notAfter: new Date(notAfter).toISOString() });
    for (const listener of listeners) listener(current());
  }
  async function publish(): Promise<void> {
    warn();
    await publisher.publish(pairs.map((pair) => ({ pair, ...statusOf(pair) })));
  }
  function statusOf(pair: Pair): RenewalStatus {
    if (mode === 'files')
      return { renewAt: null, renewReason: 'comes from files: renewed by whoever writes them', lastError: files.errorOf(pair) };
    if (mode === 'self-signed')
      return {
        renewAt: pair.notAfter - RENEW_BEFORE,
        renewReason: 'self-signed: made again 30 days before its end',
        lastError: null,
      };
    if (!acme.acceptTerms) return { renewAt: null, renewReason: NO_TERMS, lastError: null };
    const { renewAt, renewReason, lastError } = plans.get(pair.keyType) ?? UNPLANNED;
    return { renewAt, renewReason, lastError };
  }
  /** Once a day, so that a log that someone reads says it in time. */
  function warn(): void {
    const ending = pairs.filter((pair) => !(mode === 'acme' && pair.selfSigned) && endsSoon(pair, now()));
    if (ending.length === 0 || now() - warnedAt < DAY) return;
    warnedAt = now();
    for (const { keyType, notAfter } of ending) {
      const end = new Date(notAfter).toISOString();
      log.certificate({
        action: 'ending',
        keyType,
        notAfter: end,
        error: `the certificate ends on ${end} and nothing has renewed it`,
      });
    }
  }

  /** Files are looked at often, the store now and then; with an authority the renewer does it. */
  async function watch(): Promise<void> {
    const request = mode === 'acme' ? undefined : await renewalRequest(operation);
    await change(request !== undefined);
    await publish();
    if (request !== undefined) await endRequest(operation, request);
  }
  let watching: Promise<void> | undefined;
  const watchOnce = () => {
    watching ??= watch()
      .catch((error: Error) => log.event.warn('certificateTrouble', { error }))
      .finally(() => {
        watching = undefined;
      });
  };
  const timer = setInterval(watchOnce, mode === 'files' ? FILES_POLL : STORE_POLL).unref();

  if (mode === 'acme' && !acme.acceptTerms) log.certificate({ action: 'waiting', keyType: 'all', error: NO_TERMS });
  const renewer: Renewer | undefined = asks
    ? startRenewer({
        ...{ operation, log, names, ca, now, random, owner: options.owner },
        ...{ directory: acme.directory, email: acme.email, challenge: acme.challenge, pauses: acme.pauses },
        changed: async () => void (await change()),
        planned: async (next) => {
          plans = next;
          await publish();
        },
      })
    : undefined;

  const current = (): TlsPairs => ({ key: pairs.map(({ key }) => key), cert: pairs.map(({ certificate }) => certificate) });
  return {
    listening: challenges?.listening ?? [],
    current,
    facts: () => pairs.map(({ keyType, notAfter }) => ({ keyType, notAfter, failures: plans.get(keyType)?.failures ?? 0 })),
    problems: (at) => pairs.flatMap((pair) => problemOf(pair, { mode, at, why: statusOf(pair) })),
    warnings: () =>
      pairs.flatMap((pair) => {
        const { lastError } = statusOf(pair);
        return lastError === null ? [] : [`certificate: ${pair.keyType}: ${lastError}`];
      }),
    look: () => (renewer === undefined ? watchOnce() : renewer.look()),
    async reload(changes) {
      const before = paths;
      paths = changes.files ?? paths;
      const changed = await change(true).catch((error: unknown) => {
        paths = before;
        throw error;
      });
      await publish();
      return changed;
    },
    onChange: (listener) => void listeners.push(listener),
    async close() {
      clearInterval(timer);
      await renewer?.close();
      await watching;
      await challenges?.close();
    },
  };
}

const NO_TERMS =
  'tls.acme.acceptTerms is not true: no authority is asked for a certificate, and clients see a self-signed one. Read the terms of the authority, then set it';
const UNPLANNED: RenewalStatus = { renewAt: null, renewReason: 'not looked at yet', lastError: null };

function problemOf(pair: Pair, { mode, at, why }: { mode: string; at: number; why: RenewalStatus }): readonly string[] {
  if (pair.notAfter <= at)
    return [`certificate: the ${pair.keyType} certificate ended on ${new Date(pair.notAfter).toISOString()}`];
  if (mode !== 'acme' || !pair.selfSigned) return [];
  return [`certificate: the ${pair.keyType} certificate is self-signed: ${why.lastError ?? why.renewReason}`];
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

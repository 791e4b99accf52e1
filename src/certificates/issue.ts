/** Orders the certificates that are due, one after the other, and stores the results. RFC 8555 §7.4. */

import type { EventLog } from '../events/events.ts';
import type { Led, OperationStore } from '../store/store.ts';
import { MINUTE } from '../system/clock.ts';
import { forgetAccountUrl, openAccount } from './account.ts';
import { AcmeError } from './acme-error.ts';
import { forgetOrder, obtainCertificate } from './acme-order.ts';
import type { AcmeSession } from './acme-session.ts';
import { certificateId } from './ari.ts';
import type { ChallengeType } from './challenges.ts';
import { CertificateError, coversNames, KEY_TYPES, toPair } from './pair.ts';
import { fingerprint, type PlanOptions, type RenewalPlan } from './plan.ts';
import { nextRenewalAttempt } from './renewal.ts';
import { FRESH, readState, writeState } from './renewal-state.ts';
import type { Transport } from './transport.ts';

export type IssueOptions = PlanOptions & {
  /** What one process may change at a time. */
  readonly operation: Led<OperationStore>;
  readonly email: string | undefined;
  readonly challenge: ChallengeType;
  readonly log: EventLog;
  readonly random: () => number;
  /** Milliseconds before the first, second, … new attempt. The default fits the limits of public authorities. */
  readonly pauses?: readonly number[] | undefined;
  /** Called when the store has a new certificate, so that it is served. */
  readonly changed: () => Promise<void>;
};

type Issuing = { readonly due: readonly RenewalPlan[]; readonly transport: Transport; readonly signal: AbortSignal };

/** The next attempt continues an order that takes longer. */
const ORDER_TIME = 5 * MINUTE;
/** Errors about one key type: the order for the other key type can still succeed. */
const ABOUT_THE_KEY = ['badCSR', 'badPublicKey'];

type Failed = { readonly one: RenewalPlan; readonly error: unknown };

/** Does not reject when the authority fails: failures are stored and logged. @param issuing its signal ends the work, and stores no failure */
export async function issueAll(options: IssueOptions, { due, transport, signal: stopped }: Issuing): Promise<void> {
  const late = AbortSignal.timeout(ORDER_TIME * due.length);
  const signal = AbortSignal.any([stopped, late]);
  const failed: Failed[] = [];
  const open = () => openAccount({ ...options, transport, signal });
  let session: AcmeSession | undefined;
  for (const one of due) {
    try {
      const before = failed.at(-1);
      // the other order would fail the same way, and use up more of the limit
      if (before !== undefined && !isAboutTheKey(before.error)) throw before.error;
      session ??= await open();
      await issue(options, { one, session, signal }).catch(async (error: unknown) => {
        if (!(error instanceof AcmeError) || error.type !== 'accountDoesNotExist') throw error;
        await forgetAccountUrl(options.operation, options.directory);
        session = await open();
        await issue(options, { one, session, signal });
      });
    } catch (error) {
      if (stopped.aborted) return; // the next attempt continues the order
      failed.push({
        one,
        error: late.aborted ? new AcmeError(`the authority needs more than ${ORDER_TIME / MINUTE} min`) : error,
      });
    }
  }
  await report(options, failed);
}

const isAboutTheKey = (error: unknown) => error instanceof AcmeError && ABOUT_THE_KEY.includes(error.type);

async function issue(
  options: IssueOptions,
  { one, session, signal }: { one: RenewalPlan; session: AcmeSession; signal: AbortSignal },
): Promise<void> {
  const { operation, directory, names, now, log } = options;
  const { keyType, stored, state } = one;
  // RFC 9773 §5: `replaces` is sent only to the authority that has answered for this certificate
  const known = stored !== undefined && state.information?.of === fingerprint(stored) && state.information.window !== undefined;
  const follows = known && state.directory === directory;
  const replaces = follows ? certificateId(stored.certificate) : undefined;
  const issued = await obtainCertificate({ ...options, session, keyType, replaces, signal });
  const pair = toPair(issued); // throws before the old pair is replaced, if the new one cannot be served
  if (pair.keyType !== keyType || !coversNames(issued.certificate, names) || pair.notAfter <= now()) {
    await forgetOrder(operation, keyType);
    throw new CertificateError('the authority issued another certificate than it was asked for');
  }
  await operation.putCertificate({ ...issued, keyType, source: 'acme', createdAt: now() });
  await writeState(operation, keyType, { ...FRESH, directory });
  await forgetOrder(operation, keyType);
  log.certificate({
    action: stored === undefined ? 'issued' : 'renewed',
    keyType,
    notAfter: new Date(pair.notAfter).toISOString(),
  });
  await options.changed();
}

/** Writes one event per error, even if it stopped both certificates. */
async function report({ operation, log, now, random, pauses }: IssueOptions, failed: readonly Failed[]): Promise<void> {
  const events = new Map<string, { keyTypes: string[]; nextAttemptAt: number }>();
  for (const { one, error } of failed) {
    const message = (error as Error).message;
    const known = error instanceof AcmeError || error instanceof CertificateError;
    if (!known) log.emit('certificateTrouble', { keyType: one.keyType, error });
    const state = await readState(operation, one.keyType);
    const failures = state.failures + 1;
    const retryAfter = error instanceof AcmeError ? error.retryAfter : undefined;
    const nextAttemptAt = nextRenewalAttempt({ failures, retryAfter, random: random(), pauses }, now());
    const waitUntil = Math.min(retryAfter ?? 0, nextAttemptAt);
    await writeState(operation, one.keyType, { ...state, failures, nextAttemptAt, waitUntil, lastError: message });
    const event = events.get(message);
    events.set(message, {
      keyTypes: [...(event?.keyTypes ?? []), one.keyType],
      nextAttemptAt: Math.min(event?.nextAttemptAt ?? nextAttemptAt, nextAttemptAt),
    });
  }
  for (const [error, { keyTypes, nextAttemptAt }] of events) {
    const keyType = keyTypes.length === KEY_TYPES.length ? 'all' : keyTypes.join();
    log.certificate({ action: 'failed', keyType, error, nextAttemptAt: new Date(nextAttemptAt).toISOString() });
  }
}

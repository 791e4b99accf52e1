/** Orders what is due, one certificate after the other, and remembers what came of it. RFC 8555 §7.4. */

import type { EventLog } from '../events/events.ts';
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
  readonly email: string | undefined;
  readonly challenge: ChallengeType;
  readonly log: EventLog;
  readonly random: () => number;
  /** Milliseconds before the first, second, … new attempt; default: as public authorities allow. */
  readonly pauses?: readonly number[] | undefined;
  /** A certificate in the store is new: serve it. */
  readonly changed: () => Promise<void>;
};

type Issuing = { readonly due: readonly RenewalPlan[]; readonly transport: Transport; readonly signal: AbortSignal };

/** An order that takes longer is taken up by the next attempt. */
const ORDER_TIME = 5 * MINUTE;
/** What an authority has against one kind of key says nothing about the other. */
const ABOUT_THE_KEY = ['badCSR', 'badPublicKey'];

type Failed = { readonly one: RenewalPlan; readonly error: unknown };

/** Never rejects for what the authority does: that is remembered and logged. @param issuing its signal ends it, without a trace */
export async function issueAll(options: IssueOptions, { due, transport, signal: stopped }: Issuing): Promise<void> {
  const late = AbortSignal.timeout(ORDER_TIME * due.length);
  const signal = AbortSignal.any([stopped, late]);
  const failed: Failed[] = [];
  const open = () => openAccount({ ...options, transport, signal });
  let session: AcmeSession | undefined;
  for (const one of due) {
    try {
      const before = failed.at(-1);
      // the other order would fail the same way, and count against us
      if (before !== undefined && !isAboutTheKey(before.error)) throw before.error;
      session ??= await open();
      await issue(options, { one, session, signal }).catch(async (error: unknown) => {
        if (!(error instanceof AcmeError) || error.type !== 'accountDoesNotExist') throw error;
        await forgetAccountUrl(options.operation, options.directory);
        session = await open();
        await issue(options, { one, session, signal });
      });
    } catch (error) {
      if (stopped.aborted) return; // the next attempt takes the order up where it is
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
  // RFC 9773 §5: only an authority that knows the certificate by its id is told which one it replaces
  const known = stored !== undefined && state.information?.of === fingerprint(stored) && state.information.window !== undefined;
  const follows = known && state.directory === directory;
  const replaces = follows ? certificateId(stored.certificate) : undefined;
  const issued = await obtainCertificate({ ...options, session, keyType, replaces, signal });
  const pair = toPair(issued); // the old one is replaced only by what can serve
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

/** One event for one trouble, whichever certificates it stopped. */
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

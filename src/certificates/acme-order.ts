/** One order at the authority, from the names to the certificate: RFC 8555 §7.4. An order under way continues after a restart. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Authorization, Order } from 'acme-client';
import type { OperationStore } from '../store/store.ts';
import { DAY, SECOND } from '../system/clock.ts';
import { AcmeError, isPassing, tidy } from './acme-error.ts';
import type { AcmeSession } from './acme-session.ts';
import { type ChallengeType, putChallenge, removeChallenges } from './challenges.ts';
import type { KeyType } from './pair.ts';

type OrderOptions = {
  readonly session: AcmeSession;
  readonly operation: OperationStore;
  readonly directory: string;
  readonly keyType: KeyType;
  readonly names: readonly string[];
  readonly challenge: ChallengeType;
  /** The id (RFC 9773 §5) of the certificate that the new one replaces. */
  readonly replaces: string | undefined;
  readonly signal: AbortSignal;
  readonly now: () => number;
};

/** What is kept of an order under way. */
type StoredOrder = {
  readonly url: string;
  readonly key: string;
  readonly names: readonly string[];
  readonly directory: string;
} & {
  readonly createdAt: number;
};

/** @throws AcmeError with the sentence for the operator. */
export async function obtainCertificate(options: OrderOptions): Promise<{ readonly certificate: string; readonly key: string }> {
  const { session, operation, signal } = options;
  const { order, key } = (await takeUp(options)) ?? (await placeOrder(options));
  try {
    if (order.status === 'pending') await authorize(options, order);
    const finished = await finalize(options, order, key);
    const certificate = await session.ask((client) => client.getCertificate(finished));
    return { certificate, key };
  } catch (error) {
    if (!isPassing(error) && !signal.aborted) await forgetOrder(operation, options.keyType);
    throw error;
  } finally {
    await removeChallenges(operation);
  }
}

const nameOf = (keyType: KeyType) => `acme.order.${keyType}`;

/** Called when the certificate is stored, or when the order cannot succeed any more. */
export function forgetOrder(operation: OperationStore, keyType: KeyType): Promise<void> {
  return operation.setValue(nameOf(keyType), null);
}

async function takeUp({ session, operation, directory, keyType, names, now }: OrderOptions) {
  const kept = JSON.parse((await operation.value(nameOf(keyType))) ?? 'null') as StoredOrder | null;
  if (kept === null || kept.directory !== directory || now() - kept.createdAt > DAY) return undefined;
  if (kept.names.join() !== names.join()) return undefined;
  try {
    const order = await session.ask((client) => client.getOrder({ url: kept.url } as Order));
    return order.status === 'invalid' ? undefined : { order, key: kept.key };
  } catch (error) {
    if (isPassing(error)) throw error;
    return undefined; // the authority no longer knows the order
  }
}

async function placeOrder({ session, operation, directory, keyType, names, replaces, now }: OrderOptions) {
  const { crypto } = session.library;
  const key = String(await (keyType === 'ecdsa' ? crypto.createPrivateEcdsaKey('P-256') : crypto.createPrivateRsaKey(2048)));
  const identifiers = names.map((value) => ({ type: 'dns', value }));
  const place = (more: object) => session.ask((client) => client.createOrder({ identifiers, ...more }));
  const order = await place(replaces === undefined ? {} : { replaces }).catch((error: unknown) => {
    // RFC 9773 §5: if the authority does not accept `replaces`, it still takes an order without it
    if (replaces === undefined || !(error instanceof AcmeError) || !['alreadyReplaced', 'malformed'].includes(error.type))
      throw error;
    return place({});
  });
  const kept: StoredOrder = { url: order.url, key, names, directory, createdAt: now() };
  await operation.setValue(nameOf(keyType), JSON.stringify(kept));
  return { order, key };
}

/** Proves control of each name by the chosen challenge: RFC 8555 §7.5.1. */
async function authorize(options: OrderOptions, order: Order): Promise<void> {
  const { session, challenge: type } = options;
  const challenges = [];
  for (const authorization of await session.ask((client) => client.getAuthorizations(order))) {
    if (authorization.status !== 'pending') continue;
    const challenge = authorization.challenges.find((one) => (one.type as string) === type);
    const name = authorization.identifier.value;
    if (challenge === undefined) throw new AcmeError(`the authority offers no ${type} for ${name}`, { status: 200 });
    const answer = await session.client.getChallengeKeyAuthorization(challenge);
    if (type === 'http-01') await putChallenge(options.operation, type, challenge.token, answer);
    else await putChallenge(options.operation, type, name.toLowerCase(), await alpnAnswer(session, authorization, answer));
    challenges.push(challenge);
  }
  let refusal: unknown;
  for (const challenge of challenges) {
    await session
      .ask((client) => client.completeChallenge(challenge))
      .catch((error: unknown) => {
        if (isPassing(error)) throw error;
        refusal = error; // perhaps the challenge was completed before a restart; the poll below shows its state
      });
  }
  await poll(options, async () => {
    const all = await session.ask((client) => client.getAuthorizations(order));
    const failed = all.find(({ status }) => status !== 'pending' && status !== 'valid');
    if (failed !== undefined) throw refused(failed, type);
    if (all.every(({ status }) => status === 'valid')) return true;
    if (refusal !== undefined) throw refusal;
    return undefined;
  });
}

async function alpnAnswer({ library }: AcmeSession, authorization: Authorization, keyAuthorization: string): Promise<string> {
  const key = await library.crypto.createPrivateEcdsaKey('P-256');
  const [, certificate] = await library.crypto.createAlpnCertificate(authorization, keyAuthorization, key);
  return JSON.stringify({ key: String(key), certificate: String(certificate) });
}

function refused({ identifier, status, challenges }: Authorization, type: ChallengeType): AcmeError {
  const error = challenges.find((one) => (one.type as string) === type)?.error as { type?: string; detail?: string } | undefined;
  const detail = tidy(String(error?.detail ?? `its authorization is ${status}`));
  const kind = error?.type?.split(':').at(-1) ?? '';
  const message = `the authority could not check ${identifier.value} by ${type}: ${detail}${kind === '' ? '' : ` (${kind})`}`;
  return new AcmeError(message, { type: kind, status: 200 });
}

/** Requests the certificate for the key and waits for it: RFC 8555 §7.4. */
async function finalize(options: OrderOptions, given: Order, key: string): Promise<Order> {
  const { session, names } = options;
  const look = () => session.ask((client) => client.getOrder(given));
  const checked = (order: Order): Order => {
    if (order.status !== 'invalid') return order;
    const { detail } = (order.error ?? {}) as { detail?: string };
    throw new AcmeError(`the authority has refused the order${detail === undefined ? '' : `: ${tidy(detail)}`}`, { status: 200 });
  };
  let order = given.status === 'pending' ? await poll(options, async () => unless(checked(await look()), 'pending')) : given;
  if (order.status === 'ready') {
    const first = names[0]!;
    const subject = { ...(first.length <= 64 ? { commonName: first } : {}), altNames: [...names] }; // ub-common-name, RFC 5280
    const [, csr] = await session.library.crypto.createCsr(subject, key);
    order = await session
      .ask((client) => client.finalizeOrder(order, csr))
      .catch(async (error: unknown) => {
        // the answer to the first request was lost; on the second request the order is no longer `ready`
        if (!(error instanceof AcmeError) || error.type !== 'orderNotReady') throw error;
        return unless(await look(), 'ready') ?? Promise.reject(error);
      });
  }
  return order.status === 'valid'
    ? order
    : poll(options, async () => unless(checked(await look()), 'processing', 'ready', 'pending'));
}

const unless = (order: Order, ...states: readonly string[]) => (states.includes(order.status) ? undefined : order);

/** Asks until `look` returns a value, with the pauses that the authority asks for: RFC 8555 §7.5.1. */
async function poll<T>({ session, signal, now }: OrderOptions, look: () => Promise<T | undefined>): Promise<T> {
  for (let wait = SECOND / 8; ; wait = Math.min(wait * 2, 5 * SECOND)) {
    const found = await look();
    if (found !== undefined) return found;
    const asked = (session.retryAfter() ?? 0) - now();
    await pause(Math.max(wait, Math.min(asked, 60 * SECOND)), undefined, { signal });
  }
}

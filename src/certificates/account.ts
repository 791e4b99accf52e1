/** Our account at an authority. Its key is made once and kept: RFC 8555 §7.3. */

import type { EventLog } from '../events/events.ts';
import type { OperationStore } from '../store/store.ts';
import { AcmeError } from './acme-error.ts';
import { type AcmeSession, openAcmeSession, type SessionOptions } from './acme-session.ts';

type AccountOptions = Pick<SessionOptions, 'transport' | 'signal' | 'now'> & {
  readonly directory: string;
  readonly email: string | undefined;
  readonly operation: OperationStore;
  readonly log: EventLog;
};

type StoredAccount = { readonly key: string; readonly url?: string; readonly email?: string | undefined };

/** @returns a session of the account. The account is registered first if the authority does not know it. */
export async function openAccount({ directory, email, operation, log, ...rest }: AccountOptions): Promise<AcmeSession> {
  const name = `acme.account.${directory}`;
  const read = async () => JSON.parse((await operation.value(name)) ?? 'null') as StoredAccount | null;
  let kept = await read();
  if (kept === null) {
    const { crypto } = await import('acme-client');
    kept = { key: String(await crypto.createPrivateEcdsaKey()) };
    await operation.setValue(name, JSON.stringify(kept)); // before the registration, so that the account is not lost if the answer gets lost
  }
  const open = (accountUrl?: string) =>
    openAcmeSession({
      directoryUrl: directory,
      accountKey: kept.key,
      ...(accountUrl === undefined ? {} : { accountUrl }),
      ...rest,
    });
  const contact = email === undefined ? [] : [`mailto:${email}`];

  if (kept.url !== undefined && kept.email === email) return open(kept.url);
  if (kept.url !== undefined) {
    const session = await open(kept.url);
    try {
      await session.ask((client) => client.updateAccount({ contact }));
      await operation.setValue(name, JSON.stringify({ ...kept, email }));
      return session;
    } catch (error) {
      if (!(error instanceof AcmeError) || error.type !== 'accountDoesNotExist') throw error;
    }
  }
  const session = await open();
  // if the account exists, acme-client finds it by its key and updates it
  await session.ask((client) => client.createAccount({ termsOfServiceAgreed: true, contact }));
  const terms = await session.ask((client) => client.getTermsOfServiceUrl());
  const url = session.client.getAccountUrl();
  await operation.setValue(name, JSON.stringify({ ...kept, url, email }));
  log.emit('acmeAccount', { directory, account: url, acceptedTerms: terms ?? undefined });
  return session;
}

/** For an authority that no longer knows the account. The key stays, and the next session registers it again. */
export async function forgetAccountUrl(operation: OperationStore, directory: string): Promise<void> {
  const name = `acme.account.${directory}`;
  const kept = JSON.parse((await operation.value(name)) ?? 'null') as StoredAccount | null;
  if (kept !== null) await operation.setValue(name, JSON.stringify({ key: kept.key }));
}

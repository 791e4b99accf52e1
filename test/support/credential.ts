/** A plain credential as the store keeps it, with the changes of a test. */
import type { Credential } from '../../src/store/store.ts';

export function credentialWith(fields: Pick<Credential, 'name' | 'hash'> & Partial<Credential>): Credential {
  return {
    senders: ['*'],
    mailServer: false,
    limits: null,
    disabled: false,
    expiresAt: null,
    rewrite: null,
    createdAt: 0,
    generation: 'first',
    revision: 0,
    ...fields,
  };
}

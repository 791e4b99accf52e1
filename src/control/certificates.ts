/** The certificates that clients see, from the status that the running relay writes to the store. */
import { ControlError } from './control-error.ts';
import type { Parts } from './parts.ts';
import { certificateShape, type ServedCertificate } from './shapes.ts';

export type CertificateSettings = {
  readonly tls: { readonly mode: 'acme' | 'files' | 'self-signed'; readonly acme: { readonly acceptTerms: boolean } };
};

export type CertificateControl = {
  /** Empty until the relay has started once. */
  list(): Promise<readonly ServedCertificate[]>;
  /** Asks the running relay, or the next one that starts, to renew them now. Rejects with `conflict` if no authority may be asked. */
  renew(): Promise<{ readonly requested: true }>;
};

export function createCertificateControl({
  store: { operation },
  settings,
  now,
  note,
}: Parts<CertificateSettings>): CertificateControl {
  return {
    async list() {
      const { describeCertificates } = await import('../certificates/certificates.ts');
      return (await describeCertificates(operation, now())).map(certificateShape);
    },
    async renew() {
      const { requestRenewal } = await import('../certificates/certificates.ts');
      const { mode, acme } = settings().tls;
      if (mode === 'acme' && !acme.acceptTerms) {
        const sentence = 'tls.acme.acceptTerms is not true: no authority is asked for a certificate.';
        throw new ControlError('conflict', 'certificate', sentence);
      }
      const done = { requested: true } as const;
      await requestRenewal(note({ action: 'certificate.renew', target: 'all', gives: done }).operation);
      return done;
    },
  };
}

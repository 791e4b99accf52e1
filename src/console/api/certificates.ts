/** The certificates that clients see. */
import * as v from 'valibot';
import { route } from '../route.ts';

export const CERTIFICATE_ROUTES = [
  route({
    method: 'GET',
    path: '/certificates',
    access: 'operator',
    scope: 'metrics:read',
    about: 'Names, issuer, validity, next renewal and its reason, last error, fingerprint.',
    answer: v.object({
      items: v.array(
        v.object({
          keyType: v.picklist(['ecdsa', 'rsa']),
          names: v.array(v.string()),
          issuer: v.string(),
          notBefore: v.string(),
          notAfter: v.string(),
          renewAt: v.nullable(v.string()),
          renewReason: v.string(),
          lastError: v.nullable(v.string()),
          sha256: v.pipe(v.string(), v.description('Of the certificate, in hex.')),
        }),
      ),
    }),
    handle: async ({ control }) => ({ items: await control.certificates.list() }),
  }),
  route({
    method: 'POST',
    path: '/certificates/renew',
    access: 'operator',
    scope: null,
    status: 202,
    about: 'Renews them now: asks the authority, reads the files again, or makes new ones.',
    answer: v.object({ requested: v.literal(true) }),
    handle: ({ control }) => control.certificates.renew(),
  }),
];

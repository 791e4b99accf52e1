/** The front door of signing: our own DKIM-Signature (RFC 6376, 8463), its keys, their records, their rotation. */
export { type BodyForm, type BodyHash, createBodyHash } from './body-hash.ts';
export { createDkimKeys, importDkimKey } from './keys.ts';
export { checkPublished, dkimRecord, lookUpRecord, type PublishedRecord, zoneLine } from './record.ts';
export { startRotation } from './rotation.ts';
export type * from './sign-request.ts';
export { createSigner } from './signer.ts';
export { parseTags } from './tags.ts';

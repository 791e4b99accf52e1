/** Judges the certificates of a host after the handshake: RFC 7672 §3, RFC 8461 §4.2, RFC 9525 §6. */

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { issuerProof, tlsaProof } from '../system/certificate-proof.ts';
import type { DaneCheck, PkixCheck } from './decision.ts';
import { type Anchor, anchorsIn, anchorsInDns, hasAnchors, matchOwn } from './tlsa.ts';

/** The result of a handshake. */
export type Peer = {
  /** The certificates in the order of sending. The first is the host's own, the others may be unrelated. Empty for a resumed session. */
  readonly chain: readonly X509Certificate[];
  /** OpenSSL's error code for the path to a trusted certificate. Absent if the path is valid. */
  readonly distrust?: string;
};

/** The certificates trusted in the handshake: none, the public and the operator's roots, or anchors of TLSA records. */
export type Trust = 'none' | 'roots' | readonly X509Certificate[];

export type Checks = { readonly pkix?: PkixCheck | undefined; readonly dane?: DaneCheck | undefined };

/** Result types for certificates: RFC 8460 §4.3. */
type CertificateFault = 'certificate-host-mismatch' | 'certificate-expired' | 'certificate-not-trusted' | 'validation-failure';

export type PeerFault = {
  readonly check: 'dane' | 'pkix';
  readonly type: CertificateFault;
  /** One word with hyphens, for logs and reports. */
  readonly reason: string;
  /** A text for people. */
  readonly detail: string;
};

type PeerJudgement =
  /** `proof` names the matching record or the issuer. */
  | { readonly kind: 'fits'; readonly proof: string }
  | ({ readonly kind: 'unfit' } & PeerFault)
  /** Another handshake must trust these anchors, to see if a valid path leads to them. */
  | { readonly kind: 'again'; readonly anchors: readonly X509Certificate[] };

/** What to trust in the first handshake with a host. @param known anchors that an earlier session has found for these records. */
export function firstTrust({ pkix, dane }: Checks, known: readonly X509Certificate[] | undefined): Trust {
  if (pkix !== undefined) return 'roots';
  if (dane === undefined || !hasAnchors(dane.records)) return 'none';
  if (known !== undefined) return known;
  const given = anchorsInDns(dane.records).map(({ certificate }) => certificate);
  return given.length > 0 ? given : 'none';
}

/** @param proven the host's certificate if an earlier handshake of this attempt has passed `pkix`. */
export function judgePeer({ pkix, dane }: Checks, peer: Peer, trust: Trust, proven?: X509Certificate): PeerJudgement {
  const [own] = peer.chain;
  if (own === undefined) return unfit('pkix', 'validation-failure', 'no-certificate', 'the host has shown no certificate');
  if (pkix !== undefined) {
    const fault = proven === undefined ? judgeByRoots(pkix, peer, own, trust) : sameAs(proven, own);
    if (fault !== undefined) return fault;
  }
  const issued = issuerProof(lastLine(own.issuer ?? ''));
  if (dane === undefined) return { kind: 'fits', proof: issued };
  const judgement = judgeByRecords(dane, peer, own, trust);
  if (judgement.kind !== 'fits' || pkix === undefined) return judgement;
  return { kind: 'fits', proof: `${judgement.proof}, ${issued}` };
}

function judgeByRoots(pkix: PkixCheck, peer: Peer, own: X509Certificate, trust: Trust): PeerJudgement | undefined {
  const { names, also = names } = pkix;
  const { distrust } = trust === 'roots' ? peer : { distrust: 'NOT_ASKED' };
  if (distrust !== undefined) return { kind: 'unfit', check: 'pkix', ...faultOf(distrust) };
  const missed = [names, also].find((wanted) => !wanted.some((name) => bears(own, name, 'never')));
  if (missed === undefined) return undefined;
  return unfit('pkix', 'certificate-host-mismatch', 'name-mismatch', `the certificate is not for ${missed.join(' or ')}`);
}

function sameAs(proven: X509Certificate, own: X509Certificate): PeerJudgement | undefined {
  return proven.raw.equals(own.raw)
    ? undefined
    : unfit('pkix', 'validation-failure', 'certificate-changed', 'the host shows another certificate in each connection');
}

/** One matching record is enough: RFC 7671 §4. */
function judgeByRecords(dane: DaneCheck, peer: Peer, own: X509Certificate, trust: Trust): PeerJudgement {
  const { base, records, names } = dane;
  const match = matchOwn(records, own);
  if (match !== undefined) return { kind: 'fits', proof: tlsaProof(match, base) };
  // The host's own certificate must not be its anchor.
  const anchors = [...anchorsInDns(records), ...anchorsIn(records, peer.chain)].filter(
    ({ certificate }) => !certificate.raw.equals(own.raw),
  );
  if (anchors.length === 0) return unmatched(base, hasAnchors(records));
  if (!names.some((name) => bears(own, name, 'default')))
    return unfit('dane', 'certificate-host-mismatch', 'name-mismatch', `the certificate is not for ${names.join(' or ')}`);
  const trusted = typeof trust === 'string' ? [] : trust;
  const isTrusted = ({ certificate }: Anchor) => trusted.some(({ raw }) => raw.equals(certificate.raw));
  const anchor = anchors.find(isTrusted);
  const isSound = peer.distrust === undefined && !trusted.some(({ raw }) => raw.equals(own.raw));
  if (anchor !== undefined && isSound) return { kind: 'fits', proof: tlsaProof(anchor.record, base) };
  if (anchors.every(isTrusted)) return unlinked(peer, base);
  return { kind: 'again', anchors: anchors.map(({ certificate }) => certificate) };
}

function unmatched(base: string, byAuthority: boolean): PeerJudgement {
  const detail = `the certificate matches no TLSA record of ${base}`;
  return byAuthority
    ? unfit(
        'dane',
        'validation-failure',
        'no-tlsa-match',
        `${detail}, and no certificate of an authority that they name was sent`,
      )
    : unfit('dane', 'validation-failure', 'no-tlsa-match', detail);
}

/** An anchor was sent, but no valid path leads to it. */
function unlinked({ distrust = 'UNSPECIFIED' }: Peer, base: string): PeerJudgement {
  const { detail, ...fault } = faultOf(distrust);
  return {
    kind: 'unfit',
    check: 'dane',
    ...fault,
    detail: `no way leads to the authority of the TLSA records of ${base}: ${detail}`,
  };
}

function unfit(check: PeerFault['check'], type: CertificateFault, reason: string, detail: string): PeerJudgement {
  return { kind: 'unfit', check, type, reason, detail };
}

const EXPIRED = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** `UNSPECIFIED` means name constraints or short keys. */
const UNTRUSTED = new Set([
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'PATH_LENGTH_EXCEEDED', 'UNSPECIFIED'],
]);
const WORDS: Readonly<Record<string, readonly [reason: string, detail: string]>> = {
  CERT_HAS_EXPIRED: ['expired', 'the certificate, or one above it, has expired'],
  CERT_NOT_YET_VALID: ['not-yet-valid', 'the certificate, or one above it, is not valid yet'],
  UNABLE_TO_GET_ISSUER_CERT: ['issuer-unknown', 'the issuer is not known here'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['issuer-unknown', 'the issuer is not known here'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['issuer-not-sent', 'the issuer is not known here, and its certificate was not sent'],
  SELF_SIGNED_CERT_IN_CHAIN: ['root-unknown', 'the chain ends at a root that is not known here'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['self-signed', 'the certificate is self-signed'],
  PATH_LENGTH_EXCEEDED: ['path-length', 'an authority signed more than it may'],
  UNSPECIFIED: ['not-accepted', 'a key is too short, or a name is outside of what an authority may sign'],
};

/** Node's own messages recommend options of Node, so they are replaced. */
function faultOf(word: string): Omit<PeerFault, 'check'> {
  const [reason, detail] = WORDS[word] ?? ['not-accepted', `the certificate is not accepted (${word})`];
  const type = EXPIRED.has(word) ? 'certificate-expired' : UNTRUSTED.has(word) ? 'certificate-not-trusted' : 'validation-failure';
  return { type, reason, detail };
}

/** True if our root certificates may be the cause. A host that sends its own certificate alone is to blame itself: RFC 8446 §4.4.2. */
export function isUnknownRoot({ reason }: Pick<PeerFault, 'reason'>): boolean {
  return ['issuer-unknown', 'root-unknown'].includes(reason);
}

/**
 * A wildcard matches one whole label: RFC 8461 §4.1, RFC 7672 §3.2.3.
 * @param subject `default`: a common name counts if there is no DNS name.
 */
export function bears(certificate: X509Certificate, name: string, subject: 'never' | 'default'): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  try {
    const rules = { wildcards: true, partialWildcards: false, multiLabelWildcards: false, singleLabelSubdomains: false };
    return certificate.checkHost(name, { subject, ...rules }) !== undefined;
  } catch {
    return false; // an impossible name
  }
}

/** The most specific part of a distinguished name. */
function lastLine(name: string): string {
  return name.split('\n').at(-1) ?? name;
}

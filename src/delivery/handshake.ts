/** Judges one handshake with a host, and says what the next one must trust. RFC 7672 §3.1.2. */
import type { X509Certificate } from 'node:crypto';
import { type Checks, judgePeer, type PeerFault, type Trust } from '../tls-policy/tls-policy.ts';
import type { Connection } from './connection.ts';

export type Handshake = {
  readonly trust: Trust;
  /** There is no further handshake after this one. */
  readonly isLast: boolean;
  /** The host's certificate if the handshake before has verified it with the roots. */
  readonly proven?: X509Certificate | undefined;
};

/** Nothing is verified. */
export const anonymous: Handshake = { trust: 'none', isLast: true };

type HandshakeJudgement =
  | { readonly kind: 'fits'; readonly proof: string }
  | ({ readonly kind: 'unfit' } & PeerFault)
  | { readonly kind: 'again'; readonly next: Handshake & { readonly trust: readonly X509Certificate[] } };

export function judgeHandshake(
  checks: Checks,
  { peer }: Pick<Connection, 'peer'>,
  { trust, isLast, proven }: Handshake,
): HandshakeJudgement {
  const shown = peer ?? { chain: [] };
  const judgement = judgePeer(checks, shown, trust, proven);
  if (judgement.kind !== 'again') return judgement;
  if (!isLast) return { kind: 'again', next: { trust: judgement.anchors, isLast: true, proven: shown.chain[0] } };
  const detail = 'its certificates change from connection to connection';
  return { kind: 'unfit', check: 'dane', type: 'validation-failure', reason: 'certificate-changed', detail };
}

/** Handshakes with one host: what was trusted in one, and what the next one must trust. RFC 7672 §3.1.2. */
import type { X509Certificate } from 'node:crypto';
import { type Checks, judgePeer, type PeerFault, type Trust } from '../tls-policy/tls-policy.ts';
import type { Connection } from './connection.ts';

export type Handshake = {
  readonly trust: Trust;
  /** What is not proven by this one is not proven. */
  readonly isLast: boolean;
  /** The host's certificate, which the one before has found good for the roots. */
  readonly proven?: X509Certificate | undefined;
};

/** Nobody is asked who they are. */
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

/** What the trace keeps of one attempt. */
import type { AttemptEnd, JudgedReply } from '../smtp/outcome.ts';

/** One attempt, for the trace. */
export type AttemptRecord = {
  readonly at: number;
  readonly mx: string | null;
  readonly ip: string | null;
  readonly tls: string | null;
  readonly outcome: AttemptEnd;
  readonly code: number;
  readonly status: string;
  readonly reply: string;
  readonly seconds: number;
  /** How much the connection was worth, one word; absent where nothing was said about it. */
  readonly assurance?: string;
  /** What the host's certificate was accepted by, in words; absent where it was not verified. */
  readonly proof?: string;
  /** The id of the policy of the recipient's domain that the connection meets. */
  readonly policyId?: string;
  /** What a refusal was taken for. */
  readonly judged?: JudgedReply;
  /** The other way that was taken: `fallback`. Absent: the host is that of the recipient's domain, or of a route. */
  readonly via?: string;
  /** The lines of the dialog. Absent unless the message is `recorded`. */
  readonly conversation?: string;
};

/** The shapes of messages, as `smarthost trace --json` prints them. */
import * as v from 'valibot';
import type { RecipientState } from '../../store/store.ts';
import { phraseShape } from './findings.ts';

export const API_STATES = [
  ...(['queued', 'active', 'delayed', 'uncertain', 'held'] as const),
  ...(['relayed', 'failed', 'expired', 'removed'] as const),
] as const satisfies readonly RecipientState[];

const stateShape = v.picklist(API_STATES);
export const isoTime = v.pipe(v.string(), v.description('ISO 8601, UTC.'));
export const maybeTime = v.nullable(isoTime);

/** How many recipients have which state. */
export const stateCounts = v.partial(v.object(Object.fromEntries(API_STATES.map((state) => [state, v.number()])) as StateFields));
type StateFields = Readonly<Record<RecipientState, v.NumberSchema<undefined>>>;

const recipientFields = {
  recipient: v.string(),
  state: stateShape,
  heldBy: v.optional(v.pipe(v.string(), v.description('The provider that refuses our address.'))),
  nextAttemptAt: maybeTime,
  expiresAt: isoTime,
  lastReply: v.nullable(v.string()),
};

const messageFields = {
  id: v.string(),
  messageId: v.string(),
  user: v.pipe(v.nullable(v.string()), v.description('The credential. null: mail of smarthost itself.')),
  reversePath: v.string(),
  size: v.pipe(v.number(), v.description('Bytes.')),
  acceptedAt: isoTime,
  client: v.pipe(
    v.optional(v.object({ ip: v.string(), tls: v.nullable(v.string()), mechanism: v.string() })),
    v.description('Absent for mail of smarthost itself, and where it was not recorded.'),
  ),
  subject: v.pipe(v.optional(v.string()), v.description('Absent: there was none, or it was not recorded.')),
  requireTls: v.optional(v.boolean()),
  tlsOptional: v.optional(v.boolean()),
};

const attemptShape = v.object({
  at: isoTime,
  mx: v.nullable(v.string()),
  ip: v.nullable(v.string()),
  tls: v.nullable(v.string()),
  assurance: v.optional(v.string()),
  proof: v.optional(v.string()),
  phrase: v.pipe(v.optional(phraseShape), v.description('`proof`, for other languages.')),
  policyId: v.optional(v.string()),
  judged: v.optional(
    v.object({
      class: v.string(),
      action: v.string(),
      provider: v.optional(v.string()),
      phase: v.string(),
      rules: v.string(),
    }),
  ),
  via: v.optional(v.string()),
  outcome: v.picklist(['relayed', 'delayed', 'uncertain', 'failed']),
  code: v.number(),
  status: v.string(),
  reply: v.string(),
  seconds: v.number(),
  conversation: v.optional(v.array(v.string())),
});

/** One entry of a list: at most 20 recipients, those that fit; `states` counts all of them. */
export const listedMessage = v.object({
  ...messageFields,
  recipients: v.array(v.object({ ...recipientFields, attempts: v.number() })),
  states: stateCounts,
});

/** One message with each attempt for some of its recipients. */
export const wholeMessage = v.object({
  ...messageFields,
  recipients: v.array(v.object({ ...recipientFields, attempts: v.array(attemptShape) })),
  states: v.pipe(stateCounts, v.description('Of all recipients.')),
  next: v.pipe(v.nullable(v.number()), v.description('The `from` of the next recipients. null: there are no more.')),
  signatures: v.pipe(v.array(v.string()), v.description('`selector._domainkey.domain` of each of our signatures.')),
  about: v.pipe(v.nullable(v.string()), v.description('The message that this report is about.')),
  reports: v.pipe(
    v.array(v.object({ id: v.string(), acceptedAt: isoTime, recipient: v.string(), state: stateShape })),
    v.description('What its sender was told.'),
  ),
});

/** `GET /messages/:id` */
export type ApiMessage = v.InferOutput<typeof wholeMessage>;

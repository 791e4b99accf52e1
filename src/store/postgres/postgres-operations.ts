/** All operations of the thread of the store on PostgreSQL, by the names that they have in every thread of a store. */
import type { Name } from '../sqlite/operations.ts';
import { activityOperations } from './activity-rows.ts';
import { alignmentOperations } from './alignment-rows.ts';
import { auditOperations } from './audit-rows.ts';
import { behaviourOperations } from './behaviour-rows.ts';
import { claimOperations } from './claim-rows.ts';
import { commandOperations } from './command-rows.ts';
import { consoleOperations } from './console-rows.ts';
import { feedbackOperations } from './feedback-rows.ts';
import { lacksMessage, putBackForgotten } from './forgotten-mail.ts';
import { heldOperations } from './held-mail.ts';
import { loginOperations } from './login-rows.ts';
import { newsOperations } from './news-rows.ts';
import { othersNow } from './nodes.ts';
import { ownerOperations } from './owner-rows.ts';
import type { OperationTable, PostgresOperation } from './postgres-context.ts';
import { providerOperations } from './provider-rows.ts';
import { askSlots } from './slots.ts';
import { stsOperations } from './sts-rows.ts';
import { suppressionOperations } from './suppression-rows.ts';
import { tlsReportOperations } from './tls-report-rows.ts';
import { valueOperations } from './value-rows.ts';
import { viewOperations } from './view-rows.ts';

/** What the sweep of a store in files does, and what `mail-group.ts` does. */
type Others = 'recount' | 'checkSpooled' | 'forgetDestinations' | 'accept' | 'settle';

const operations: OperationTable<Exclude<Name, Others>> = {
  ...activityOperations,
  ...alignmentOperations,
  ...auditOperations,
  ...behaviourOperations,
  ...claimOperations,
  ...commandOperations,
  ...consoleOperations,
  ...feedbackOperations,
  ...heldOperations,
  ...loginOperations,
  ...newsOperations,
  ...ownerOperations,
  ...providerOperations,
  ...stsOperations,
  ...suppressionOperations,
  ...tlsReportOperations,
  ...valueOperations,
  ...viewOperations,
};

/** With what only a store that relays share has. */
const all = {
  ...operations,
  askSlots: { kind: 'write', run: askSlots },
  putBackForgotten: { kind: 'write', run: putBackForgotten },
  lacksMessage: { kind: 'read', run: lacksMessage },
  othersNow: { kind: 'read', run: othersNow },
} as const;

/** undefined: `accept` or `settle`. */
export function postgresOperation(name: string): PostgresOperation<any> | undefined {
  return (all as Readonly<Record<string, PostgresOperation<any>>>)[name];
}

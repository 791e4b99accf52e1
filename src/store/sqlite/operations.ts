/** All operations of the thread of the store, by name. */
import { accept } from './accept.ts';
import * as activity from './activity-rows.ts';
import * as alignment from './alignment-rows.ts';
import * as audit from './audit-rows.ts';
import * as behaviour from './behaviour-rows.ts';
import { browse } from './browsing.ts';
import { claim } from './claim.ts';
import * as people from './console-rows.ts';
import { type Context, type Operation, read, write } from './context.ts';
import * as credentials from './credential-rows.ts';
import { setAside } from './damage.ts';
import { forgetDestinations } from './feed.ts';
import * as feedback from './feedback-rows.ts';
import { forgetRecipients, knownRecipients, limitUse } from './limits.ts';
import * as operation from './operation-rows.ts';
import { overLimit, releaseOverLimit } from './over-limit.ts';
import { beat, buryAll, findDead, forgetDead } from './owners.ts';
import { heldByProvider, releaseHeld } from './provider-holds.ts';
import {
  command,
  giveBack,
  newestOpen,
  preview,
  reroute,
  takeBack,
  takeNotices,
  takeRetried,
  thaw,
  waiting,
  withdraw,
} from './queue-commands.ts';
import { queueGroups } from './queue-groups.ts';
import { find, get, list } from './reading.ts';
import { settle } from './settle.ts';
import { counts, queueIds, signatureInUse, summary } from './statistics.ts';
import * as suppression from './suppression-rows.ts';
import * as policies from './tls-policy-rows.ts';
import * as results from './tls-result-rows.ts';
import { buffersOf, contentOf as content, dueReports, postponeReport, told } from './untold.ts';
import { checkSpooled, giveBackPages, recount, trim } from './upkeep.ts';

const operations = {
  accept: write(accept, ({ bytes }) => (bytes === null ? [] : [bytes.buffer])),
  claim: write(claim, (claims) => claims.map(({ content }) => content.bytes.buffer)),
  settle: write(settle),
  dueReports: write(dueReports, ({ due }) => due.flatMap((one) => (one.kind === 'report' ? buffersOf(one.content) : []))),
  told: write(told),
  postponeReport: write(postponeReport),
  withdraw: write(withdraw),
  forgetDestinations: write(forgetDestinations),
  beat: write(beat),
  buryAll: write(buryAll),
  findDead: write(findDead),
  forgetDead: write(forgetDead),
  takeBack: write(takeBack),
  giveBack: write(giveBack),
  thaw: write(thaw),
  command: write(command),
  reroute: write(reroute),
  takeNotices: write(takeNotices),
  takeRetried: write(takeRetried),
  setAside: write(setAside),
  trim: write(trim),
  giveBackPages: write(giveBackPages),
  recount: write(recount),
  checkSpooled: write(checkSpooled),
  /** Changes a row, so that its commit is synced. */
  ping: write(
    ({ db }: Context, now: number) => void db.run('INSERT OR REPLACE INTO small_values VALUES (?, ?)', 'store.ping', String(now)),
  ),

  queueIds: read(queueIds),
  due: read(({ db, due }: Context, { now, limit }: { now: number; limit: number }) => due.read(db, now, limit)),
  list: read(list),
  get: read(get),
  find: read(find),
  waiting: read(waiting),
  browse: read(browse),
  preview: read(preview),
  newestOpen: read(newestOpen),
  content: read(content, buffersOf),
  counts: read(counts),
  summary: read(summary),
  queueGroups: read(queueGroups),
  signatureInUse: read(signatureInUse),
  heldByProvider: read(heldByProvider),
  releaseHeld: write(releaseHeld),
  overLimit: read(overLimit),
  releaseOverLimit: write(releaseOverLimit),
  limitUse: read(limitUse),
  knownRecipients: read(knownRecipients),
  forgetRecipients: write(forgetRecipients),

  behaviourRecord: read(behaviour.behaviourRecord),
  putBehaviour: write(behaviour.putBehaviour),
  forgetBehaviour: write(behaviour.forgetBehaviour),
  trimBehaviour: write(behaviour.trimBehaviour),

  getCredential: read(credentials.getCredential),
  listCredentials: read(credentials.listCredentials),
  addCredential: write(credentials.addCredential),
  updateCredential: write(credentials.updateCredential),
  renewHash: write(credentials.renewHash),
  removeCredential: write(credentials.removeCredential),
  putFailures: write(credentials.putFailures),
  failures: read(credentials.failures),
  forgetFailures: write(credentials.forgetFailures),

  dkimKeys: read(operation.dkimKeys),
  addDkimKeys: write(operation.addDkimKeys),
  setDkimKeyState: write(operation.setDkimKeyState),
  removeDkimKey: write(operation.removeDkimKey),
  certificates: read(operation.certificates),
  putCertificate: write(operation.putCertificate),
  paces: read(operation.paces),
  putPace: write(operation.putPace),
  removePace: write(operation.removePace),
  shaping: read(operation.shaping),
  putShaping: write(operation.putShaping),
  refusals: read(operation.refusals),
  value: read(operation.value),
  keepValue: write(operation.keepValue),
  setValue: write(operation.setValue),
  values: read(operation.values),
  takeLease: write(operation.takeLease),

  stsPolicy: read(policies.stsPolicy),
  putStsPolicy: write(policies.putStsPolicy),
  noteStsFailure: write(policies.noteStsFailure),
  noteStsUse: write(policies.noteStsUse),
  dueStsPolicies: write(policies.dueStsPolicies),
  listStsPolicies: read(policies.listStsPolicies),
  forgetStsPolicy: write(policies.forgetStsPolicy),
  trimStsPolicies: write(policies.trimStsPolicies),
  countStsPolicies: read(policies.countStsPolicies),

  suppression: read(suppression.suppression),
  listSuppression: read(suppression.listSuppression),
  removeSuppression: write(suppression.removeSuppression),
  forgetUnsure: write(suppression.forgetUnsure),
  trimSuppression: write(suppression.trimSuppression),

  addFeedback: write(feedback.addFeedback),
  feedbackSums: read(feedback.feedbackSums),
  trimFeedback: write(feedback.trimFeedback),

  senderVerdicts: read(alignment.senderVerdicts),
  putSenderVerdicts: write(alignment.putSenderVerdicts),
  trimSenderVerdicts: write(alignment.trimSenderVerdicts),

  addTlsResults: write(results.addTlsResults),
  tlsResults: read(results.tlsResults),
  unreportedTlsDomains: read(results.unreportedTlsDomains),
  addTlsReports: write(results.addTlsReports),
  claimTlsReports: write(results.claimTlsReports),
  noteTlsReport: write(results.noteTlsReport),
  endedTlsReports: write(results.endedTlsReports),
  retryTlsReport: write(results.retryTlsReport),
  tlsReports: read(results.tlsReports),
  countTlsReports: read(results.countTlsReports),
  failedTlsDays: read(results.failedTlsDays),
  tlsFailures: read(results.tlsFailures),
  trimTlsResults: write(results.trimTlsResults),

  addRefused: write(activity.addRefused),
  refused: read(activity.refused),
  addHistory: write(activity.addHistory),
  history: read(activity.history),
  trimHistory: write(activity.trimHistory),

  account: read(people.account),
  accounts: read(people.accounts),
  addAccount: write(people.addAccount),
  changeAccount: write(people.changeAccount),
  removeAccount: write(people.removeAccount),
  putLink: write(people.putLink),
  tryLink: write(people.tryLink),
  takeLink: write(people.takeLink),
  useTotpStep: write(people.useTotpStep),
  useRecoveryCode: write(people.useRecoveryCode),
  addSession: write(people.addSession),
  session: read(people.session),
  sessions: read(people.sessions),
  seeSession: write(people.seeSession),
  confirmSession: write(people.confirmSession),
  endSession: write(people.endSession),
  endSessions: write(people.endSessions),
  addToken: write(people.addToken),
  tokens: read(people.tokens),
  token: read(people.token),
  seeToken: write(people.seeToken),
  removeToken: write(people.removeToken),

  addChange: write(audit.addChange),
  changes: read(audit.changes),
  trimChanges: write(audit.trimChanges),
  beginRequest: write(audit.beginRequest),
  answerRequest: write(audit.answerRequest),
  mutes: read(audit.mutes),
  putMute: write(audit.putMute),
  removeMute: write(audit.removeMute),
  keepFindings: write(audit.keepFindings),
  findings: read(audit.findings),
  trimConsole: write(audit.trimConsole),
};

type Operations = typeof operations;
export type Name = keyof Operations;
export type Argument<K extends Name> = Parameters<Operations[K]['run']>[1];
export type Result<K extends Name> = ReturnType<Operations[K]['run']>;
export const operationNamed = (name: Name) => operations[name] as Operation<unknown, unknown>;

/** All that every store promises. A new contract is added here, so that no engine is left out. */
import { activityContract } from './activity.ts';
import { alignmentContract } from './alignment.ts';
import { auditContract } from './audit.ts';
import { behaviourContract } from './behaviour.ts';
import { consoleContract } from './console.ts';
import { feedbackContract } from './feedback.ts';
import { queueContract } from './queue.ts';
import { shapingContract } from './shaping.ts';
import { type Subject, storeContract } from './store.ts';
import { suppressionContract } from './suppression.ts';
import { tlsResultsContract } from './tls-results.ts';

export function everyContract(subject: Subject): void {
  storeContract(subject);
  queueContract(subject);
  tlsResultsContract(subject);
  shapingContract(subject);
  activityContract(subject);
  alignmentContract(subject);
  behaviourContract(subject);
  suppressionContract(subject);
  feedbackContract(subject);
  consoleContract(subject);
  auditContract(subject);
}

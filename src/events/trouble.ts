/** Events of the store and of the machine: what an operator looks at when something is wrong with the relay itself. The last part of the list. */
import { FIELDS } from './fields.ts';

const { count, define, error, text, texts } = FIELDS;

export const TROUBLE = {
  damaged: define('error', 'An entry of the queue is damaged and was set aside.', { queueId: text, reason: text }),
  storeTrouble: define('error', 'The store failed. Clients get 4xx replies meanwhile.', { error }),
  storeFailed: define('error', 'A step of the queue failed. It is tried again.', { operation: text, error }),
  settleFailed: define('error', 'An outcome could not be stored. It is tried until it succeeds.', { queueId: text, error }),
  settleAbandoned: define('error', 'An outcome could not be stored before the relay stopped. The attempt counts as uncertain.', {
    queueId: text,
    error,
  }),
  deliveryFailed: define('error', 'An attempt failed for a reason of ours. The mail is delayed.', { queueId: text, error }),
  deliveryBroken: define('error', 'An attempt ended without an outcome for a reason of ours. The mail is delayed.', {
    queueId: text,
    error,
  }),
  pacingNotStored: define('error', 'How long destinations rest could not be stored.', { error }),
  givenBack: define('warn', 'Claimed mail was given back to the queue, because the answer to its claim was lost.', {
    recipients: count,
  }),
  takenBack: define('warn', 'Mail that another process of this relay had claimed is due again.', { recipients: count }),
  claimLost: define(
    'warn',
    'This process was blocked for too long, so another one took over mail that it was delivering. Its outcome does not count.',
    {
      ...{ queueId: text, recipients: count },
    },
  ),
  clockSkew: define('warn', 'The clock of this machine differs by `seconds` from that of the database, which counts.', {
    seconds: count,
  }),
  configurationDiffers: define('warn', 'Another relay that shares the database has other settings in these sections.', {
    relay: text,
    settings: texts,
  }),
  routeUnknown: define('warn', 'Mail goes back for a minute, because another relay has the route for it and this one has not.', {
    queueId: text,
    destination: text,
  }),
  oldTransaction: define(
    'warn',
    'A transaction of the database has been open for `seconds`. Until it ends, the queue gets slower.',
    {
      seconds: count,
    },
  ),
  databaseWentBack: define(
    'error',
    'The database went back in time by `seconds` or more, as after a restore. All mail that waited in it is held, because some of it may have been sent since then.',
    { seconds: count, messages: count, recipients: count },
  ),
  putBack: define(
    'warn',
    'A message that was accepted after the backup was still in the memory of this relay, and is in the restored database again. It is held. If its attempt under way succeeds, it is relayed.',
    { queueId: text, recipients: count },
  ),
  notPutBack: define(
    'error',
    'The restored database has forgotten this message, and its body was in the database only. If its attempt under way fails, its sender must send it again.',
    { queueId: text, recipients: texts },
  ),
  clockJumped: define('warn', 'The clock of the machine was changed by `seconds`.', { seconds: count }),
  clockCorrected: define('warn', 'Due times that were too far in the future were corrected.', { recipients: count }),
  routesNotFollowed: define('error', 'The current routes could not be applied to waiting mail.', { error }),
  retriesNotRead: define('error', 'The store could not say whether an operator has asked for a retry.', { error }),
  activityNotKept: define('error', 'Refusals of commands and counts of an hour could not be stored, and are lost.', { error }),
  traceNotTrimmed: define('error', 'Old traces could not be removed.', { error }),
  noticesNotRead: define('error', 'The changes of commands could not be read, so the log may lack them.', { error }),
  fileSystem: define('warn', 'The data are on a file system that may lose synced data.', { dataDir: text, reason: text }),
  logLinesLost: define(
    'warn',
    'The reader of the log did not read for a while, and so many lines were dropped. No mail was delayed by this.',
    { lines: count },
  ),
} as const;

/** Applies a configuration that was read again to the parts of the running relay. */
import type { Config } from '../config/config.ts';
import type { Reloaded } from '../control/control.ts';
import type { EventLog } from '../events/events.ts';
import type { Log } from '../system/log.ts';
import { certificateOptions, keepFixed, quotaDefaults, stsSettings } from './options.ts';
import type { Door, Ground, RelayWay } from './relay.ts';
import { deliveryOptions, preparationOptions, submissionOptions } from './session-options.ts';
import { warnOfReports } from './upkeep.ts';

type ReloadParts = {
  readonly current: { config: Config };
  readonly read: () => Promise<{ readonly config: Config } | { readonly problems: readonly string[] }>;
  readonly log: Log;
  readonly events: EventLog;
};

/** Applies all settings that can change while the relay runs. No session is dropped. */
export async function reloadRelay(
  { current, read, log, events }: ReloadParts,
  parts: Ground & RelayWay & Door & { follow: () => void },
): Promise<Reloaded> {
  const { store, certificates, delivery, exceptions, dnssec, sts, signer, preparation } = parts;
  const { queue, alignment, credentials, quota, submission, follow } = parts;
  const result = await read();
  if ('problems' in result) {
    events.emit('reloadRefused', { problems: result.problems });
    return { result: 'refused', problems: result.problems };
  }
  const { config: next, restartNeeded } = keepFixed(current.config, result.config, events);
  // All steps that can fail come first. If one fails, nothing has changed.
  const followDelivery = delivery.prepareReload(deliveryOptions(next));
  const followSts = sts.prepareReload(stsSettings(next));
  await certificates.reload(certificateOptions(next));
  current.config = next;
  log.setLevel(next.log.level);
  followDelivery();
  followSts();
  void dnssec.look();
  exceptions.tell();
  parts.shared.announce();
  signer.reload({ noKey: next.signing.noKey });
  signer.forget();
  preparation.reload(preparationOptions(next));
  queue.reload(next.queue);
  alignment.reload(next.alignment);
  quota.reload(quotaDefaults(next));
  credentials.forget();
  submission.reload(submissionOptions(next));
  await parts.threads?.reload(next);
  follow();
  queue.wake();
  await warnOfReports(store, next, events).catch((error: unknown) =>
    events.emit('storeFailed', { operation: 'dkimKeys', error }),
  );
  events.emit('reloaded', {});
  return { result: 'reloaded', restartNeeded };
}

/** The reports to domains about TLS with their hosts, as the configuration wants them. */
import type { Config } from '../config/config.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import { createAddressGuard } from '../net/address-guard.ts';
import { machineAddresses } from '../net/addresses.ts';
import type { PreparationFactory } from '../preparation/preparation.ts';
import { startTlsReportRun } from '../report/report.ts';
import type { Store } from '../store/store.ts';
import { createTrust } from '../system/trust.ts';
import type { TlsResults } from '../tls-policy/tls-policy.ts';

type TlsReportOptions = {
  readonly config: () => Config;
  readonly store: Pick<Store, 'tlsResults' | 'operation' | 'now'>;
  readonly dns: DnsClient;
  readonly preparation: PreparationFactory;
  readonly delivery: Pick<Delivery, 'destinationOf'>;
  readonly results: TlsResults;
  readonly log: EventLog;
  /** A report waits in the queue. */
  readonly wake: () => void;
};

export function startTlsReports({ config, store, dns, preparation, delivery, results, log, wake }: TlsReportOptions) {
  const { hostname, reports: settings, delivery: towards } = config();
  return startTlsReportRun({
    ...{ hostname, from: settings.tlsFrom, preparation, destinationOf: delivery.destinationOf, log, dns, wake },
    ...{ store: store.tlsResults, operation: store.operation, now: store.now },
    flush: results.flush,
    mode: () => config().reports.tls,
    https: {
      // Without verification a stranger's record would choose what is sent to hosts of the operator's own network.
      refuses(address) {
        const { reports, delivery } = config();
        return createAddressGuard(reports.httpsVerify ? delivery.allowPrivate : [], machineAddresses)(address);
      },
      verify: () => config().reports.httpsVerify,
      trust: createTrust(towards.ca),
    },
  });
}

/** Relay to destination MX or upstream: one Outcome per recipient. RFC 5321 §5. */
import type { Delivery, DeliveryOptions } from './options.ts';

export type { Delivery, DeliveryOptions, IpPolicy, Route, Timeouts, TlsLevel } from './options.ts';

export async function startDelivery(_options: DeliveryOptions): Promise<Delivery> {
  throw new Error('not yet');
}

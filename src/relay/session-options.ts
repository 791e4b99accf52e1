/** Turns the configuration into options of parts that a thread of sessions has too. It loads nothing, because each thread loads it. */
import type { Config } from '../config/config.ts';
import type { DeliveryOptions } from '../delivery/delivery.ts';
import type { PreparationOptions } from '../preparation/preparation.ts';
import type { SubmissionOptions } from '../submission/submission.ts';

export function deliveryOptions({
  routes,
  destinations,
  delivery,
}: Config): Omit<DeliveryOptions, 'hostname' | 'dns' | 'log' | 'operation'> {
  const { ca, ...rest } = delivery;
  return { routes, destinations, ...rest, ...(ca === undefined ? {} : { caFile: ca }) };
}

export function preparationOptions({
  submission,
  trace,
}: Config): Pick<PreparationOptions, 'maxMessageSize' | 'maxHeaderSize' | 'bareNewlines' | 'tlsRequiredNo' | 'keepSubject'> {
  const { maxMessageSize, maxHeaderSize, bareNewlines, tlsRequiredNo } = submission;
  return { maxMessageSize, maxHeaderSize, bareNewlines, tlsRequiredNo, keepSubject: trace.subject };
}

export function submissionOptions({
  listen,
  submission,
  auth,
  queue,
}: Config): Pick<SubmissionOptions, 'listeners' | 'limits' | 'auth' | 'lifetime'> {
  const listeners = (['submissions', 'submission'] as const).flatMap((name) => listen[name].map((at) => ({ name, ...at })));
  return { listeners, limits: submission, auth, lifetime: queue.lifetime };
}

/** Puts a test message into the queue like any other mail, and follows it to its end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMailAddress } from '../config/config.ts';
import type { PreparationOptions } from '../preparation/preparation.ts';
import { newQueueId } from '../smtp/queue-id.ts';
import type { Route } from '../smtp/route.ts';
import { type Content, ENDED_STATES, type MessageStore } from '../store/store.ts';
import { SECOND } from '../system/clock.ts';
import { ControlError, type Fault, refuseFaults } from './control-error.ts';
import type { Parts } from './parts.ts';
import { type TracedMessage, traceShape } from './shapes.ts';

export type TestMessageSettings = {
  readonly hostname: string;
  /** `from` is the default sender of test messages. */
  readonly reports: { readonly from: string };
  /** `lifetime` limits how long delivery is tried, in ms. */
  readonly queue: { readonly lifetime: number };
  readonly signing: { readonly noKey: 'send' | 'warn' | 'refuse' };
  readonly submission: Pick<PreparationOptions, 'maxMessageSize' | 'maxHeaderSize' | 'bareNewlines'>;
  readonly routes: readonly Route[];
};

/** Addresses in the form that SMTP uses. */
type TestMessage = { readonly to: string; readonly from?: string | undefined };

/** Addresses as they are written. @throws ControlError with every mistake. */
export function readTestMessage({ to, from }: { readonly to: string; readonly from?: string | undefined }): TestMessage {
  const faults: Fault[] = [];
  const read = (at: string, text: string) => {
    try {
      return parseMailAddress(text);
    } catch (error) {
      faults.push({ at, message: (error as Error).message });
      return text;
    }
  };
  const message = { to: read('to', to), from: from === undefined ? undefined : read('from', from) };
  refuseFaults(faults);
  return message;
}

/** `header` is the sent header section, with LF line ends. */
type SentTestMessage = { readonly id: string; readonly header: string };

/** The state of the message. If `ended` is true, nothing more will happen. */
export type Progress = { readonly message: TracedMessage; readonly destination: string; readonly ended: boolean };

export type SendControl = {
  /** Prepares and signs it like a report, because it is our own mail and has no client. */
  submit(message: TestMessage): Promise<SentTestMessage>;
  /** Reads the state again and again until the message has ended or `timeout` ms have passed. Rejects with `not found` if it is unknown. */
  follow(id: string, timeout: number): AsyncGenerator<Progress>;
};

const POLL = SECOND / 5;

export function createSendControl({ store, settings, now, note }: Parts<TestMessageSettings>): SendControl {
  const { messages, operation } = store;

  async function prepared({ to, from }: TestMessage) {
    const { createPreparation, prepareOwnMail, textContent } = await import('../preparation/preparation.ts');
    const { createSigner } = await import('../signing/signing.ts');
    const { destinationOf, signs } = await import('../delivery/delivery.ts');
    const { hostname, reports, queue, signing, submission, routes } = settings();
    const { maxMessageSize, maxHeaderSize, bareNewlines } = submission;
    const at = now();
    const id = newQueueId(at);
    const warn = () => {};
    const signer = createSigner({ operation, noKey: signing.noKey === 'refuse' ? 'warn' : signing.noKey, warn });
    const createSpool = () => messages.createSpool();
    const preparation = createPreparation({ hostname, maxMessageSize, maxHeaderSize, bareNewlines, createSpool, signer, warn });
    const sender = from ?? reports.from;
    const content = textContent([
      `This is a test message that the relay ${hostname} was asked to send.`,
      `Its way can be looked up there: smarthost trace ${id}`,
    ]);
    const mail = {
      ...{ id, now: at, lifetime: queue.lifetime, reversePath: sender, from: { address: sender }, to, content },
      subject: `Test message from ${hostname}`,
      autoSubmitted: 'auto-generated',
    } as const;
    const message = await prepareOwnMail(mail, {
      ...{ hostname, preparation },
      destinationOf: (routed, address) => destinationOf(routes, routed, address),
      signs: (routed, address) => signs(routes, routed, address),
    });
    return { ...message, recorded: true };
  }

  return {
    async submit(given) {
      const { discard } = await import('../preparation/preparation.ts');
      const { acceptUnderFreeId } = await import('../queue/queue.ts');
      const request = { message: await prepared(given) };
      const { reversePath: from, recipients } = request.message;
      const to = recipients[0]!.address;
      const deed = { action: 'mail.send', target: to, after: { from, to } };
      // An id that is taken is another one at the next try, and the answer has the one that is stored.
      const accept: MessageStore['accept'] = (wanted) => {
        const { id, content } = wanted.message;
        return note({ ...deed, gives: { id, header: headerOf(content) } }).messages.accept(wanted);
      };
      const { message, result } = await acceptUnderFreeId(request, { store: { accept }, now });
      if (!result.accepted) {
        await discard(message.content);
        throw new ControlError('conflict', 'test message', 'The message was refused.');
      }
      return { id: message.id, header: headerOf(result.content) };
    },
    async *follow(id, timeout) {
      const deadline = now() + timeout;
      for (;;) {
        const message = await messages.get(id);
        if (message === undefined) throw new ControlError('not found', 'test message', `${id} is no longer known.`);
        const { state, destination } = message.recipients[0]!;
        const ended = ENDED_STATES.includes(state);
        yield { message: traceShape(message), destination, ended };
        if (ended || now() >= deadline) return;
        await sleep(POLL);
      }
    },
  };
}

function headerOf(content: Content): string {
  const text = Buffer.from(content.kind === 'inline' ? content.bytes : content.prefix).toString();
  return text.split('\r\n\r\n')[0]!.replaceAll('\r', '');
}

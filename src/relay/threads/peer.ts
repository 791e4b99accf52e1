/**
 * Calls between two threads. What one turn of the event loop sends leaves as one message. A call has an answer, and a tell has none.
 * A Refusal stays a Refusal on the other side. Of any other error, message, code and stack cross.
 */
import type { MessagePort, Transferable, Worker } from 'node:worker_threads';
import { refusalWith } from '../../smtp/replies.ts';
import { Refusal, type Reply } from '../../smtp/reply.ts';

/** The functions that one side offers to the other. */
type Services = { readonly [name: string]: (...args: any[]) => unknown };

type Failed = { readonly reply: Reply } | { readonly message: string; readonly code?: string; readonly stack?: string };
type Message =
  | readonly ['tell', name: string, args: readonly unknown[]]
  | readonly ['call', name: string, args: readonly unknown[], id: number]
  | readonly ['done', id: number, result: unknown]
  | readonly ['failed', id: number, failed: Failed];
type Sent = { readonly message: Message; readonly transfer: readonly Transferable[] };
type Pending = { resolve(result: any): void; reject(error: Error): void };

/** What nobody waits for is sent after so many milliseconds, or as soon as there is so much of it. */
const PATIENCE = 20;
const CROWD = 256;

/** Wraps a result whose memory is transferred and not copied. */
export class Transferred<T> {
  readonly value: T;
  readonly transfer: readonly Transferable[];
  constructor(value: T, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

type Answer<T> = T extends Promise<infer R> ? Answer<R> : T extends Transferred<infer V> ? V : T;

export class ThreadPeer<Other extends Services> {
  readonly #port: Pick<MessagePort | Worker, 'postMessage'>;
  readonly #onLost: (error: unknown) => void;
  #outbox: Sent[] = [];
  /** It is sent at the end of this turn. */
  #soon = false;
  #late: NodeJS.Timeout | undefined;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #ended: Error | undefined;
  #own: Services | undefined;
  /** Questions that came before `serve`. */
  #early: Message[] = [];

  /** @param onLost gets the error of a message that cannot be sent, or of a tell that failed. */
  constructor(port: MessagePort | Worker, onLost: (error: unknown) => void) {
    this.#port = port;
    this.#onLost = onLost;
    (port as MessagePort).on('message', (messages: readonly Message[]) => {
      for (const message of messages) this.#receive(message);
    });
  }

  /** From now on the other side is served. What it has asked before waits for this. */
  serve(own: Services): void {
    this.#own = own;
    for (const message of this.#early.splice(0)) this.#receive(message);
  }

  /** Rejects when the other side rejects, or has ended. @param transfer memory and ports that are transferred and not copied. */
  call<K extends keyof Other & string>(
    name: K,
    args: Parameters<Other[K]>,
    transfer: readonly Transferable[] = [],
  ): Promise<Answer<ReturnType<Other[K]>>> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      const id = ++this.#lastId;
      this.#pending.set(id, { resolve, reject });
      this.#send({ message: ['call', name, args, id], transfer });
    });
  }

  tell<K extends keyof Other & string>(name: K, args: Parameters<Other[K]>, transfer: readonly Transferable[] = []): void {
    if (this.#ended === undefined) this.#send({ message: ['tell', name, args], transfer });
  }

  /** Goes with the next message, or some milliseconds later. Nobody waits for it. */
  tellLater<K extends keyof Other & string>(name: K, args: Parameters<Other[K]>): void {
    if (this.#ended !== undefined) return;
    this.#outbox.push({ message: ['tell', name, args], transfer: [] });
    if (this.#outbox.length >= CROWD) this.flush();
    else if (!this.#soon) this.#late ??= setTimeout(() => this.flush(), PATIENCE);
  }

  /** Sends at once. @throws if it cannot be sent. */
  tellNow<K extends keyof Other & string>(name: K, args: Parameters<Other[K]>, transfer: readonly Transferable[]): void {
    this.flush();
    this.#port.postMessage([['tell', name, args]], transfer);
  }

  /** Sends what waits. */
  flush(): void {
    this.#soon = false;
    clearTimeout(this.#late);
    this.#late = undefined;
    const outbox = this.#outbox;
    if (outbox.length === 0) return;
    this.#outbox = [];
    try {
      this.#post(outbox);
    } catch {
      for (const one of outbox) this.#sendAlone(one); // nothing was sent yet
    }
  }

  /** The other side has ended: its answers will not come. */
  end(error: Error): void {
    this.#ended = error;
    clearTimeout(this.#late);
    this.#outbox = [];
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #send(sent: Sent): void {
    this.#outbox.push(sent);
    if (this.#soon) return;
    this.#soon = true;
    setImmediate(() => this.flush());
  }

  #post(sent: readonly Sent[]): void {
    const transfer = sent.flatMap((one) => one.transfer);
    this.#port.postMessage(
      sent.map(({ message }) => message),
      transfer,
    );
  }

  #sendAlone(sent: Sent): void {
    try {
      this.#post([sent]);
    } catch (error) {
      const { message } = sent;
      if (message[0] === 'call') this.#take(message[3])?.reject(error as Error);
      else if (message[0] === 'done') this.#send({ message: ['failed', message[1], describe(error)], transfer: [] });
      else this.#onLost(error);
    }
  }

  #receive(message: Message): void {
    const own = this.#own;
    switch (message[0]) {
      case 'tell':
        if (own === undefined) this.#early.push(message);
        else this.#obey(() => own[message[1]]!(...message[2]));
        break;
      case 'call':
        if (own === undefined) this.#early.push(message);
        else void this.#answer(message[3], () => own[message[1]]!(...message[2]));
        break;
      case 'done':
        this.#take(message[1])?.resolve(message[2]);
        break;
      case 'failed':
        this.#take(message[1])?.reject(revive(message[2]));
    }
  }

  #obey(run: () => unknown): void {
    try {
      const work = run();
      if (work instanceof Promise) work.catch(this.#onLost);
    } catch (error) {
      this.#onLost(error);
    }
  }

  async #answer(id: number, run: () => unknown): Promise<void> {
    try {
      const result = await run();
      if (result instanceof Transferred) this.#send({ message: ['done', id, result.value], transfer: result.transfer });
      else this.#send({ message: ['done', id, result], transfer: [] });
    } catch (error) {
      this.#send({ message: ['failed', id, describe(error)], transfer: [] });
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}

function describe(error: unknown): Failed {
  if (error instanceof Refusal) return { reply: error.reply };
  const { message, code, stack } = error as Error & { code?: unknown };
  return {
    message: String(message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(stack === undefined ? {} : { stack }),
  };
}

function revive(failed: Failed): Error {
  if ('reply' in failed) return refusalWith(failed.reply);
  const { message, code, stack } = failed;
  return Object.assign(new Error(message), code === undefined ? {} : { code }, stack === undefined ? {} : { stack });
}

/** The side of another thread of this process, which shares the store by a port. */
import type { MessagePort } from 'node:worker_threads';
import type { ToJoined } from './protocol.ts';
import { Requests } from './requests.ts';

/** What happens to the files and the duration of a commit is told to the main thread alone. */
export class JoinedClient extends Requests {
  #port: MessagePort | undefined;

  constructor(port: MessagePort) {
    super();
    this.renew(port);
  }

  /** Takes a new port, because the thread of the store has started again. */
  renew(port: MessagePort): void {
    this.#port?.close();
    if (this.#port !== undefined) this.detach();
    this.#port = port;
    this.attach(port);
    port.on('message', (message: ToJoined) => {
      if ('clock' in message) this.setClock(message.clock);
      else if ('foreign' in message) this.tell(message.foreign);
      else this.settle(message);
    });
    port.on('close', () => {
      if (this.#port === port) this.detach();
    });
  }

  close(): void {
    this.end();
    this.#port?.close();
  }
}

/** A console over a store of its own, asked over loopback. */
import { startConsole } from '../../src/console/console.ts';
import type { ClientEvent } from '../../src/control/control.ts';
import { VERSION } from '../../src/system/version.ts';
import { testControl } from './control.ts';

type Answer = { readonly status: number; readonly type: string | null; readonly headers: Headers; readonly body: any };

export async function startTestConsole() {
  const { store, control } = await testControl();
  const clientEvents: ClientEvent[] = [];
  const console = await startConsole({
    listen: [{ address: '127.0.0.1', port: 0 }],
    version: VERSION,
    startedAt: Date.now(),
    clientEvents: () => clientEvents,
    hostname: () => 'relay.example.net',
    control: () => control,
  });
  const origin = `http://127.0.0.1:${console.listening[0]!.port}`;
  return {
    origin,
    store,
    control,
    clientEvents,
    async ask(method: string, path: string, body?: unknown): Promise<Answer> {
      const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
      const response = await fetch(`${origin}/api/v1${path}`, { method, ...json });
      const text = await response.text();
      const type = response.headers.get('content-type');
      return { status: response.status, type, headers: response.headers, body: type?.includes('json') ? JSON.parse(text) : text };
    },
    [Symbol.asyncDispose]: () => console.close(),
  };
}

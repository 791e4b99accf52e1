/** What the memory store knows of changes, and the view of the data that notes them. */
import { changedBy } from '../../src/store/audit-store.ts';
import type { AuditStore, ChangeNote, StoreData, StoredChange } from '../../src/store/store.ts';
import { type MemoryRequest, requestKey } from './memory-console.ts';
import type { Tell } from './memory-store.ts';

type Kept = { -readonly [K in keyof StoredChange]: StoredChange[K] } & { id: string };

export type MemoryAudit = {
  store(tell: Tell): AuditStore;
  /** The same parts, whose changes write the note. */
  noted(data: StoreData, note: ChangeNote, tell: Tell): StoreData;
};

/** The methods that change something, where a note may be written. */
const WRITES: { readonly [P in keyof StoreData]?: readonly string[] } = {
  credentials: ['add', 'update', 'remove'],
  operation: ['addDkimKeys', 'setDkimKeyState', 'removeDkimKey', 'putCertificate', 'setValue'],
  messages: ['accept', 'retry', 'hold', 'release', 'remove', 'reroute'],
  tlsPolicies: ['putStsPolicy', 'forgetStsPolicy'],
  behaviour: ['forget'],
  suppression: ['remove', 'forgetUnsure'],
  feedback: ['addReport'],
  console: [
    ...['addAccount', 'changeAccount', 'removeAccount', 'putLink', 'takeLink', 'useRecoveryCode', 'addSession', 'endSession'],
    ...['endSessions', 'addToken', 'removeToken', 'putMute', 'removeMute', 'confirmSession'],
  ],
};

export function createMemoryAudit(requests: Map<string, MemoryRequest>): MemoryAudit {
  const kept: Kept[] = [];
  let seq = 0;

  function write({ request, ...note }: ChangeNote, recipients: number | null, tell: Tell): void {
    const known = kept.find(({ id }) => id === note.id);
    if (known === undefined) kept.push({ ...(structuredClone(note) as ChangeNote), seq: ++seq, recipients });
    else if (recipients !== null) known.recipients = (known.recipients ?? 0) + recipients;
    const row = request && requests.get(requestKey(request));
    if (row !== undefined) Object.assign(row, { changed: true }, request?.answer);
    tell('audit');
  }

  return {
    store: (tell) => ({
      add: async (note) => write(note, null, tell),
      async changes({ before = Number.POSITIVE_INFINITY, after = 0, limit, actor, action, since = 0 }) {
        const fits = (one: StoredChange) =>
          one.seq < before &&
          one.seq > after &&
          one.at >= since &&
          (actor === undefined || one.actor === actor) &&
          (action === undefined || one.action === action || one.action.startsWith(`${action}.`));
        return kept
          .filter(fits)
          .toReversed()
          .slice(0, limit)
          .map(({ id: _, ...one }) => one);
      },
      async trim(before) {
        for (let i = kept.length - 1; i >= 0; i--) if (kept[i]!.at < before) kept.splice(i, 1);
        return false;
      },
    }),
    noted(data, note, tell) {
      const parts = Object.entries(WRITES).map(([part, names]) => {
        const methods = data[part as keyof StoreData] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
        const wrapped = names!.map((name) => [
          name,
          async (...args: unknown[]) => {
            const result = await methods[name]!(...args);
            const recipients = changedBy(result);
            if (recipients !== undefined) write(note, recipients, tell);
            return result;
          },
        ]);
        return [part, { ...methods, ...Object.fromEntries(wrapped) }];
      });
      return { ...data, ...Object.fromEntries(parts) };
    },
  };
}

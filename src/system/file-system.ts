/** What kind of file system a directory lies on: some forget what they said was synced, and no program can help that. */
import { statfs } from 'node:fs/promises';

/** Magic numbers of statfs(2). */
const RISKS: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs: it is memory, and empty after a restart of the machine'],
  [0x858458f6, 'ramfs: it is memory, and empty after a restart of the machine'],
  [0x6969, 'NFS: its locks and syncs depend on the server'],
  [0xff534d42, 'CIFS: its locks and syncs depend on the server'],
  [0xfe534d42, 'SMB: its locks and syncs depend on the server'],
  [0x01021997, '9p: its locks and syncs depend on the host'],
  [0x794c7630, 'overlay: in a container it goes when the container goes, mount a volume there'],
]);

/** @param type as statfs(2) gives it, signed or not. */
export function riskOf(type: number): string | undefined {
  return RISKS.get(type >>> 0);
}

/** One sentence where accepted mail may be forgotten there; undefined where not, or where nobody can tell. Never rejects. */
export async function fileSystemRisk(path: string): Promise<string | undefined> {
  return statfs(path).then(
    ({ type }) => riskOf(type),
    () => undefined,
  );
}

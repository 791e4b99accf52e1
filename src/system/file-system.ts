/** Finds the kind of file system of a directory. Some lose data that they reported as synced, and no program can prevent that. */
import { statfs } from 'node:fs/promises';

/** Magic numbers of statfs(2). */
const RISKS: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'tmpfs: it is in memory, and empty after a restart of the machine'],
  [0x858458f6, 'ramfs: it is in memory, and empty after a restart of the machine'],
  [0x6969, 'NFS: its locks and syncs depend on the server'],
  [0xff534d42, 'CIFS: its locks and syncs depend on the server'],
  [0xfe534d42, 'SMB: its locks and syncs depend on the server'],
  [0x01021997, '9p: its locks and syncs depend on the host'],
  [0x794c7630, 'overlay: it is deleted together with the container, mount a volume there'],
]);

/** @param type from statfs(2), signed or unsigned. */
export function riskOf(type: number): string | undefined {
  return RISKS.get(type >>> 0);
}

/** @returns one sentence if accepted mail may get lost on this file system, else undefined, also if its kind is unknown. Never rejects. */
export async function fileSystemRisk(path: string): Promise<string | undefined> {
  return statfs(path).then(
    ({ type }) => riskOf(type),
    () => undefined,
  );
}

/** Reads from a store of any version, also while a process uses it. It makes, changes and migrates nothing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DATABASE_FILE } from '../embedded/data-dir.ts';

/** See `StoreFiles`. */
export function peekSigningDomains(dataDir: string): readonly string[] | undefined {
  const path = join(dataDir, DATABASE_FILE);
  let db: DatabaseSync | undefined;
  try {
    if (!existsSync(path)) return [];
    db = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
    return db
      .prepare("SELECT DISTINCT domain FROM dkim_keys WHERE state = 'active'")
      .all()
      .map(({ domain }) => String(domain));
  } catch {
    return undefined; // damaged, locked, of another format or not readable: opening it gives the reason
  } finally {
    db?.close();
  }
}

/** A look into a store of any version, beside whoever uses it: nothing is made, changed or brought up to date. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DATABASE_FILE } from '../embedded/data-dir.ts';

/**
 * Domains with a DKIM key that signs. As root it must be called after `becomeOwner`: a reader leaves files too.
 * @returns undefined where they cannot be known.
 */
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
    return undefined; // damaged, locked, of another form or not ours to read: whoever opens it says so
  } finally {
    db?.close();
  }
}

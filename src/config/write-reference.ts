/** Run by hand after a change of settings.ts: writes deploy/configuration.md anew. A test fails until that was done. */
import { writeFileSync } from 'node:fs';
import { renderReference } from './reference.ts';

writeFileSync(new URL('../../deploy/configuration.md', import.meta.url), renderReference());

/** The effective values, for people and for scripts. Secrets appear as ***. */
import { type Config, isSetting, SETTINGS } from './settings.ts';

/** @param form `text` as an operator writes values (50MiB, 5m); `json` in bytes and seconds. A missing value is null. */
export function showConfig(config: Config, form: 'text' | 'json' = 'text'): Record<string, unknown> {
  return show(SETTINGS, config, form === 'text' ? 'write' : 'json');
}

function show(node: object, values: object, how: 'write' | 'json'): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(node).map(([key, child]) => {
      const value = (values as Record<string, unknown>)[key];
      if (!isSetting(child)) return [key, show(child, value as object, how)];
      return [key, value === undefined ? null : child.type[how](value)];
    }),
  );
}

/** The effective values as YAML, for people. */
export async function formatConfig(config: Config): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(showConfig(config), { lineWidth: 0 });
}

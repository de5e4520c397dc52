import packageJson from '../package.json' with { type: 'json' };

/** The version of Blindfit that runs, for metrics, traces and the documentation of the API. */
export const VERSION = packageJson.version;

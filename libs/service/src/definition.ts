/** Services as data: the command line, the local stack and the documentation read the same definitions. */
import { optional, type Config, type VariableTable } from './config.ts';
import type { Logger } from './logger.ts';
import { tracingVariables } from './tracing-variables.ts';
import { variables } from './variables.ts';

export interface RunningService {
  /** Base URL of its HTTP server: the API, or `/healthz`, `/readyz` and `/metrics`. */
  readonly url: string;
  /** Takes no new work, lets what runs end, then stops. */
  close(): Promise<void>;
}

const { redisUrl, store, s3Endpoint, s3PathStyle, token, evaluator, cacheDir, cacheMb } = variables;
const { queuePrefix, host, metricsPort, stopSeconds, logLevel } = variables;

/** The places of jobs and blobs. */
export const placeVariables = { redisUrl, store, s3Endpoint, s3PathStyle };
/** `placeVariables` of the services that may read blobs through the API. */
export const placeAndTokenVariables = { ...placeVariables, token: optional(token) };
/** Read by every service. */
export const processVariables = { stopSeconds, logLevel, ...tracingVariables };
/** Read by the services that compute. */
export const computeVariables = { evaluator, cacheDir, cacheMb, queuePrefix, host, metricsPort, ...processVariables };

export interface ServiceDefinition<Table extends VariableTable = typeof processVariables> {
  /** Names the command, the log and the metrics. */
  readonly name: string;
  /** The settings, in the order of the documentation. */
  readonly table: Table;
  /** Loads the service and starts it. */
  start(config: Config<Table>, logger: Logger): Promise<RunningService>;
}

/** Infers the type of a definition from its table. */
export function defineService<const Table extends VariableTable & typeof processVariables>(
  definition: ServiceDefinition<Table>,
): ServiceDefinition<Table> {
  return definition;
}
